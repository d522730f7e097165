/* SPDX-License-Identifier: MIT */
/* Asks authoritative servers and sends updates (ldns does the packets). */
#include "steps/dns/zone.h"

#include <ldns/ldns.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct {
	const char *name;
	ldns_rr_type type;
} types[] = {{"CNAME", LDNS_RR_TYPE_CNAME}, {"A", LDNS_RR_TYPE_A}, {"AAAA", LDNS_RR_TYPE_AAAA}};

/* ---- Servers ---- */

static bool add_address(ldns_resolver *resolver, const char *host, struct error *err)
{
	struct addrinfo hints = {.ai_socktype = SOCK_DGRAM}, *found = NULL;
	int code = getaddrinfo(host, NULL, &hints, &found);

	if (code != 0)
		return fail(err, ERROR_RETRY, "find the address of name server %s: %s", host,
		            gai_strerror(code));
	for (struct addrinfo *one = found; one; one = one->ai_next) {
		ldns_rdf *address = ldns_sockaddr_storage2rdf(
			(struct sockaddr_storage *)(void *)one->ai_addr, NULL);
		if (address)
			ldns_resolver_push_nameserver(resolver, address);
		ldns_rdf_deep_free(address);
	}
	freeaddrinfo(found);
	return true;
}

/* "host", "host:port" or "[v6]:port". */
static ldns_resolver *open_server(const char *server, struct error *err)
{
	ldns_resolver *resolver = ldns_resolver_new();
	char host[256];
	const char *colon = strrchr(server, ':'), *bracket = strchr(server, ']');
	bool has_port = colon && (strchr(server, ':') == colon || (bracket && bracket < colon));
	size_t length = has_port ? (size_t)(colon - server) : strlen(server);

	if (server[0] == '[' && bracket) {
		server++;
		length = (size_t)(bracket - server);
	}
	snprintf(host, sizeof host, "%.*s", (int)length, server);
	ldns_resolver_set_port(resolver, has_port ? (uint16_t)strtoul(colon + 1, NULL, 10) : 53);
	ldns_resolver_set_timeout(resolver, (struct timeval){3, 0});
	ldns_resolver_set_retry(resolver, 2);
	ldns_resolver_set_recursive(resolver, false);
	ldns_resolver_set_defnames(resolver, false);
	ldns_resolver_set_dnsrch(resolver, false);
	if (add_address(resolver, host, err))
		return resolver;
	ldns_resolver_deep_free(resolver);
	return NULL;
}

/* ---- Asking ---- */

static int compare_texts(const void *left, const void *right)
{
	return strcmp(*(const char *const *)left, *(const char *const *)right);
}

/* A name without its last dot, in lower case: "target.example.net". */
static const char *plain_rdata(struct arena *arena, const ldns_rdf *rdata)
{
	char *text = ldns_rdf2str(rdata);
	size_t length = text ? strlen(text) : 0;
	char *copy = arena_text_n(arena, text ? text : "", length);

	if (length > 1 && copy[length - 1] == '.')
		copy[length - 1] = '\0';
	for (char *c = copy; *c; c++)
		if (*c >= 'A' && *c <= 'Z')
			*c = (char)(*c - 'A' + 'a');
	free(text);
	return copy;
}

static struct value *describe_set(struct arena *arena, const ldns_rr_list *answers)
{
	size_t count = ldns_rr_list_rr_count(answers);
	const char **texts = arena_array(arena, count + 1, sizeof *texts);
	struct value *set = value_map(arena), *values = value_list(arena);

	for (size_t i = 0; i < count; i++)
		texts[i] = plain_rdata(arena, ldns_rr_rdf(ldns_rr_list_rr(answers, i), 0));
	qsort(texts, count, sizeof *texts, compare_texts);
	for (size_t i = 0; i < count; i++)
		value_add(values, value_text(arena, texts[i]));
	value_set_number(arena, set, "ttl_s", ldns_rr_ttl(ldns_rr_list_rr(answers, 0)));
	value_set(arena, set, "values", values);
	return set;
}

static bool check_answer(const char *server, const char *name, const ldns_pkt *answer,
                         struct error *err)
{
	ldns_pkt_rcode code = ldns_pkt_get_rcode(answer);

	if (code != LDNS_RCODE_NOERROR && code != LDNS_RCODE_NXDOMAIN) {
		char *text = ldns_pkt_rcode2str(code);
		fail(err, ERROR_RETRY, "name server %s answers %s for %s", server,
		     text ? text : "?", name);
		free(text);
		return false;
	}
	if (!ldns_pkt_aa(answer))
		return fail(err, ERROR_RETRY,
		            "name server %s is not authoritative for %s (lame); correct `servers`",
		            server, name);
	return true;
}

static bool ask_type(struct zone *zone, ldns_resolver *resolver, const char *server,
                     const char *name, size_t which, struct value *records, struct error *err)
{
	ldns_rdf *owner = ldns_dname_new_frm_str(name);
	ldns_pkt *answer = NULL;
	bool fine = false;

	ldns_status status = ldns_resolver_query_status(&answer, resolver, owner, types[which].type,
	                                                LDNS_RR_CLASS_IN, 0);
	if (status != LDNS_STATUS_OK || !answer)
		fail(err, ERROR_RETRY, "ask name server %s for %s: %s", server, name,
		     ldns_get_errorstr_by_id(status));
	else
		fine = check_answer(server, name, answer, err);
	if (fine) {
		ldns_rr_list *found = ldns_pkt_rr_list_by_name_and_type(
			answer, owner, types[which].type, LDNS_SECTION_ANSWER);
		if (found && ldns_rr_list_rr_count(found) > 0)
			value_set(zone->step->arena, records, types[which].name,
			          describe_set(zone->step->arena, found));
		ldns_rr_list_deep_free(found);
	}
	ldns_pkt_free(answer);
	ldns_rdf_deep_free(owner);
	return fine;
}

bool zone_ask(struct zone *zone, const char *server, const char *name, struct value **records,
              struct error *err)
{
	ldns_resolver *resolver = open_server(server, err);
	bool fine = resolver != NULL;

	*records = value_map(zone->step->arena);
	for (size_t i = 0; fine && i < sizeof types / sizeof *types; i++)
		fine = ask_type(zone, resolver, server, name, i, *records, err);
	ldns_resolver_deep_free(resolver);
	return fine;
}

/* ---- Updating (RFC 2136) ---- */

static bool set_key(struct zone *zone, ldns_resolver *resolver, struct error *err)
{
	const char *key = value_reveal(value_get(zone->with, "key"));
	char *copy = key ? arena_text(zone->step->arena, key) : NULL, *parts[3] = {0}, *rest = NULL;
	size_t count = 0;

	for (char *part = copy ? strtok_r(copy, ":", &rest) : NULL; part && count < 3;
	     part = strtok_r(NULL, ":", &rest))
		parts[count++] = part;
	if (count < 2)
		return fail(err, ERROR_PLAN,
		            "the TSIG key of zone %s must be written [ALGORITHM:]NAME:BASE64",
		            zone->name);
	ldns_resolver_set_tsig_keyname(resolver, parts[count - 2]);
	ldns_resolver_set_tsig_keydata(resolver, parts[count - 1]);
	const char *algorithm = count == 3 ? parts[0] : "hmac-sha256";
	ldns_resolver_set_tsig_algorithm(resolver,
	                                 arena_printf(zone->step->arena, "%s.", algorithm));
	return true;
}

/* One record; class and ttl as the section of the update wants them. */
static ldns_rr *make_record(const char *name, const char *type, const char *value, int64_t ttl_s)
{
	char text[1024];
	ldns_rr *record = NULL;

	snprintf(text, sizeof text, "%s. %lld IN %s %s%s", name, (long long)ttl_s, type, value,
	         strcmp(type, "CNAME") == 0 ? "." : "");
	return ldns_rr_new_frm_str(&record, text, 0, NULL, NULL) == LDNS_STATUS_OK ? record : NULL;
}

/* "no such set" or "delete this set": a record without data. */
static ldns_rr *make_empty(const char *name, ldns_rr_type type, ldns_rr_class class)
{
	ldns_rr *record = ldns_rr_new();

	ldns_rr_set_owner(record, ldns_dname_new_frm_str(name));
	ldns_rr_set_type(record, type);
	ldns_rr_set_class(record, class);
	ldns_rr_set_ttl(record, 0);
	return record;
}

static void add_values(ldns_rr_list *section, const char *name, const char *type,
                       const struct value *set, int64_t ttl_s)
{
	const struct value *values = value_get(set, "values");

	for (const struct value *one = values ? values->as.items.first : NULL; one;
	     one = one->next) {
		ldns_rr *record = make_record(name, type, value_reveal(one), ttl_s);
		if (record)
			ldns_rr_list_push_rr(section, record);
	}
}

static void fill_sections(const char *name, const struct value *expected,
                          const struct value *wanted, ldns_rr_list *conditions,
                          ldns_rr_list *updates)
{
	for (size_t i = 0; i < sizeof types / sizeof *types; i++) {
		const struct value *before = value_get(expected, types[i].name);
		const struct value *after = value_get(wanted, types[i].name);
		if (before)
			add_values(conditions, name, types[i].name, before, 0);
		else
			ldns_rr_list_push_rr(conditions,
			                     make_empty(name, types[i].type, LDNS_RR_CLASS_NONE));
		if (before)
			ldns_rr_list_push_rr(updates,
			                     make_empty(name, types[i].type, LDNS_RR_CLASS_ANY));
		if (after)
			add_values(updates, name, types[i].name, after,
			           value_get_number(after, "ttl_s", 60));
	}
}

static bool judge_update(struct zone *zone, const char *name, const ldns_pkt *answer,
                         struct error *err)
{
	ldns_pkt_rcode code = ldns_pkt_get_rcode(answer);
	char *text = ldns_pkt_rcode2str(code);
	bool fine = code == LDNS_RCODE_NOERROR;

	if (code == LDNS_RCODE_NXRRSET || code == LDNS_RCODE_YXRRSET ||
	    code == LDNS_RCODE_YXDOMAIN || code == LDNS_RCODE_NXDOMAIN)
		fail(err, ERROR_DRIFT,
		     "the records of %s are not what they were a moment ago (%s); nothing was "
		     "changed",
		     name, text);
	else if (code == LDNS_RCODE_NOTAUTH || code == LDNS_RCODE_REFUSED)
		fail(err, ERROR_REFUSED,
		     "the server refuses to update zone %s (%s); see to the TSIG key and what it "
		     "may do",
		     zone->name, text);
	else if (!fine)
		fail(err, ERROR_RETRY, "the update of %s was answered with %s", name, text);
	free(text);
	return fine;
}

static bool send_update(struct zone *zone, ldns_resolver *resolver, const char *name,
                        ldns_pkt *update, struct error *err)
{
	ldns_pkt *answer = NULL;
	ldns_status status = ldns_update_pkt_tsig_add(update, resolver);

	if (status == LDNS_STATUS_OK)
		status = ldns_resolver_send_pkt(&answer, resolver, update);
	bool fine = status == LDNS_STATUS_OK && answer;
	if (status == LDNS_STATUS_CRYPTO_TSIG_BOGUS || status == LDNS_STATUS_CRYPTO_TSIG_ERR)
		fail(err, ERROR_REFUSED,
		     "the server of zone %s does not know the TSIG key of the plan (%s); nothing "
		     "was "
		     "changed",
		     zone->name, ldns_get_errorstr_by_id(status));
	else if (!fine)
		fail(err, ERROR_RETRY, "send the update of %s: %s", name,
		     ldns_get_errorstr_by_id(status));
	else
		fine = judge_update(zone, name, answer, err);
	ldns_pkt_free(answer);
	return fine;
}

bool zone_update(struct zone *zone, const char *name, const struct value *expected,
                 const struct value *wanted, struct error *err)
{
	const char *server = value_get_text(zone->with, "server", "");
	ldns_resolver *resolver = open_server(server, err);
	ldns_rr_list *conditions = ldns_rr_list_new(), *updates = ldns_rr_list_new();
	bool fine = resolver && set_key(zone, resolver, err);

	if (fine) {
		fill_sections(name, expected, wanted, conditions, updates);
		ldns_resolver_set_usevc(resolver, true); /* TCP: an answer is not lost in silence */
		ldns_pkt *update = ldns_update_pkt_new(ldns_dname_new_frm_str(zone->name),
		                                       LDNS_RR_CLASS_IN, conditions, updates, NULL);
		ldns_pkt_set_random_id(update);
		fine = send_update(zone, resolver, name, update, err);
		ldns_pkt_free(update);
	}
	ldns_rr_list_deep_free(conditions);
	ldns_rr_list_deep_free(updates);
	ldns_resolver_deep_free(resolver);
	return fine;
}
