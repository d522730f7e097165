/* SPDX-License-Identifier: MIT */
/* Dynamic updates (RFC 2136) signed with TSIG: their prerequisites compare and set in one go. */
#include "steps/dns/provider.h"
#include "steps/dns/server.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct field fields[] = {
	{"zone", FIELD_DOMAIN, FIELD_REQUIRED, NULL, NULL, "The zone."},
	{"server", FIELD_STRING, FIELD_REQUIRED, NULL, NULL,
         "Where updates go: HOST or HOST:PORT."},
	{"key", FIELD_SECRET, FIELD_REQUIRED, NULL, NULL,
         "The TSIG key as [ALGORITHM:]NAME:BASE64; the algorithm is hmac-sha256 when not given."},
	{"servers", FIELD_STRING, FIELD_LIST, NULL, NULL,
         "The authoritative servers; `server` alone when not given."},
	DNS_RESOLVER_FIELD,
	{0},
};

const struct connection_kind dns_rfc2136 = {
	.name = "dns.rfc2136",
	.text = "A zone on a server that takes dynamic updates (RFC 2136) signed with TSIG. An "
		"update "
		"carries the old records as its condition.",
	.fields = fields,
};

static bool find_servers(struct zone *zone, struct error *err)
{
	struct value *only = value_list(zone->step->arena);

	(void)err;
	value_add(only, value_text(zone->step->arena, value_get_text(zone->with, "server", "")));
	zone->servers = only;
	return true;
}

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

/* An update knows no ALIAS. */
static bool is_known(const char *type)
{
	return strcmp(type, "ALIAS") != 0;
}

static void fill_sections(const char *name, const struct value *expected,
                          const struct value *wanted, ldns_rr_list *conditions,
                          ldns_rr_list *updates)
{
	for (size_t i = 0; dns_types[i]; i++) {
		const char *type = dns_types[i];
		const struct value *before = value_get(expected, type);
		const struct value *after = value_get(wanted, type);
		if (!is_known(type))
			continue;
		ldns_rr_type number = ldns_get_rr_type_by_name(type);
		if (before)
			add_values(conditions, name, type, before, 0);
		else
			ldns_rr_list_push_rr(conditions,
			                     make_empty(name, number, LDNS_RR_CLASS_NONE));
		if (before)
			ldns_rr_list_push_rr(updates, make_empty(name, number, LDNS_RR_CLASS_ANY));
		if (after)
			add_values(updates, name, type, after,
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

static bool replace(struct zone *zone, const char *name, const struct value *expected,
                    const struct value *wanted, struct error *err)
{
	const char *server = value_get_text(zone->with, "server", "");
	ldns_resolver *resolver = server_open(server, err);
	ldns_rr_list *conditions = ldns_rr_list_new(), *updates = ldns_rr_list_new();
	bool fine = resolver && set_key(zone, resolver, err);

	if (fine) {
		fill_sections(name, expected, wanted, conditions, updates);
		ldns_resolver_set_usevc(resolver, true); /* TCP: an answer is not lost in silence */
		ldns_resolver_set_retry(resolver, 1);    /* looked up instead of sent again */
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

const struct dns_provider rfc2136_provider = {
	.kind = &dns_rfc2136,
	.apex = "give it A and AAAA records, or a redirect to www, or move the zone to a provider "
		"with "
		"ALIAS records",
	.compares = true,
	.find_servers = find_servers,
	.replace = replace,
};
