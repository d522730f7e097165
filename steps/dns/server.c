/* SPDX-License-Identifier: MIT */
/* Asks authoritative servers, each by itself, and resolvers (ldns does the packets). */
#include "steps/dns/server.h"
#include "steps/dns/provider.h"

#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* What servers answer: an ALIAS is no type of theirs. */
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
ldns_resolver *server_open(const char *server, struct error *err)
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

static void describe_set(struct arena *arena, const char *type, const ldns_rr_list *answers,
                         struct value *records)
{
	for (size_t i = 0; i < ldns_rr_list_rr_count(answers); i++) {
		const ldns_rr *record = ldns_rr_list_rr(answers, i);
		char *text = ldns_rdf2str(ldns_rr_rdf(record, 0));
		if (text)
			records_add(arena, records, type, ldns_rr_ttl(record), text);
		free(text);
	}
}

struct question {
	struct arena *arena;
	ldns_resolver *resolver;
	const char *server, *name;
	const ldns_rdf *owner;
	bool follows; /* a resolver is asked: where CNAMEs lead counts */
};

/* Taken for an answer, anything else would say that there is nothing, or less than there is. */
static bool is_whole_answer(const struct question *question, const ldns_pkt *answer,
                            ldns_rr_type type)
{
	const ldns_rr *asked = ldns_rr_list_rr(ldns_pkt_question(answer), 0);

	return ldns_pkt_qr(answer) && !ldns_pkt_tc(answer) && asked &&
	       ldns_rr_get_type(asked) == type &&
	       ldns_dname_compare(ldns_rr_owner(asked), question->owner) == 0;
}

static bool check_answer(const struct question *question, const ldns_pkt *answer, ldns_rr_type type,
                         struct error *err)
{
	const char *server = question->server, *name = question->name;
	ldns_pkt_rcode code = ldns_pkt_get_rcode(answer);

	if (code != LDNS_RCODE_NOERROR && code != LDNS_RCODE_NXDOMAIN) {
		char *text = ldns_pkt_rcode2str(code);
		fail(err, ERROR_RETRY, "name server %s answers %s for %s", server,
		     text ? text : "?", name);
		free(text);
		return false;
	}
	if (!is_whole_answer(question, answer, type))
		return fail(err, ERROR_RETRY,
		            "name server %s sends no whole answer to the question about %s", server,
		            name);
	if (!question->follows && !ldns_pkt_aa(answer))
		return fail(
			err, ERROR_RETRY,
			"name server %s is not authoritative for %s (lame); correct `servers`, or "
			"see to that server",
			server, name);
	return true;
}

static bool ask_type(const struct question *question, size_t which, struct value *records,
                     struct error *err)
{
	ldns_rr_type type = types[which].type;
	ldns_pkt *answer = NULL;
	bool fine = false;

	ldns_status status = ldns_resolver_query_status(&answer, question->resolver,
	                                                question->owner, type, LDNS_RR_CLASS_IN, 0);
	if (status != LDNS_STATUS_OK || !answer)
		fail(err, ERROR_RETRY, "name server %s gives no answer for %s: %s",
		     question->server, question->name, ldns_get_errorstr_by_id(status));
	else
		fine = check_answer(question, answer, type, err);
	if (fine) {
		ldns_rr_list *found =
			question->follows
				? ldns_pkt_rr_list_by_type(answer, type, LDNS_SECTION_ANSWER)
				: ldns_pkt_rr_list_by_name_and_type(answer, question->owner, type,
		                                                    LDNS_SECTION_ANSWER);
		if (found)
			describe_set(question->arena, types[which].name, found, records);
		ldns_rr_list_deep_free(found);
	}
	ldns_pkt_free(answer);
	return fine;
}

bool server_ask(struct arena *arena, const char *server, const char *name, struct value **records,
                struct error *err)
{
	ldns_rdf *owner = ldns_dname_new_frm_str(name);
	struct question question = {.arena = arena,
	                            .resolver = server_open(server, err),
	                            .server = server,
	                            .name = name,
	                            .owner = owner};
	bool fine = question.resolver != NULL;

	*records = value_map(arena);
	for (size_t i = 0; fine && i < sizeof types / sizeof *types; i++)
		fine = ask_type(&question, i, *records, err);
	ldns_resolver_deep_free(question.resolver);
	ldns_rdf_deep_free(owner);
	return fine;
}

/* The system's, or that one. */
static ldns_resolver *open_resolver(const char *server, struct error *err)
{
	ldns_resolver *resolver = NULL;

	if (server)
		resolver = server_open(server, err);
	else if (ldns_resolver_new_frm_file(&resolver, NULL) != LDNS_STATUS_OK)
		fail(err, ERROR_FAILED, "this machine has no resolver in /etc/resolv.conf");
	if (!resolver)
		return NULL;
	ldns_resolver_set_timeout(resolver, (struct timeval){3, 0});
	ldns_resolver_set_retry(resolver, 2);
	ldns_resolver_set_recursive(resolver, true);
	ldns_resolver_set_defnames(resolver, false);
	ldns_resolver_set_dnsrch(resolver, false);
	return resolver;
}

bool server_resolve(struct arena *arena, const char *server, const char *name,
                    struct value **records, struct error *err)
{
	ldns_rdf *owner = ldns_dname_new_frm_str(name);
	struct question question = {.arena = arena,
	                            .resolver = open_resolver(server, err),
	                            .server = server ? server : "of this machine",
	                            .name = name,
	                            .owner = owner,
	                            .follows = true};
	bool fine = question.resolver != NULL;

	*records = value_map(arena);
	for (size_t i = 0; fine && i < sizeof types / sizeof *types; i++)
		fine = types[i].type == LDNS_RR_TYPE_CNAME || ask_type(&question, i, *records, err);
	ldns_resolver_deep_free(question.resolver);
	ldns_rdf_deep_free(owner);
	return fine;
}
