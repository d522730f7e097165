/* SPDX-License-Identifier: MIT */
/* What a DNS provider can do: one row each in provider.c. */
#ifndef PLAN_DNS_PROVIDER_H
#define PLAN_DNS_PROVIDER_H

#include "steps/dns/zone.h"

struct api;

struct dns_provider {
	const struct connection_kind *kind;
	const char *alias;   /* what it has instead of a CNAME at the top of a zone; or NULL */
	const char *apex;    /* where it has none: what to do */
	int64_t ttl_least_s; /* the shortest time to live it takes */
	bool compares;       /* replace() fails by itself, with ERROR_DRIFT, when the old records
	                      * are not as expected. Otherwise they are read just before, and the
	                      * new ones right after. */

	/* Sets zone->servers where the plan names none. NULL: the plan always names them. */
	bool (*find_servers)(struct zone *zone, struct error *err);

	/* What it has for the name, whatever its servers answer. NULL: nobody but the servers
	 * knows. */
	bool (*read)(struct zone *zone, const char *name, struct value **records,
	             struct error *err);

	/* Replaces all records of the types we know at that name. ERROR_RETRY when it is not clear
	 * whether it did. NULL: a person does it. */
	bool (*replace)(struct zone *zone, const char *name, const struct value *expected,
	                const struct value *wanted, struct error *err);

	/* Waits until the provider itself says that its servers have the last change. NULL: only
	 * the servers are asked. */
	bool (*settle)(struct zone *zone, struct error *err);
};

extern const struct dns_provider rfc2136_provider, powerdns_provider, cloudflare_provider,
	route53_provider, manual_provider;

/* NULL-ended; all of them. */
extern const struct dns_provider *const dns_providers[];

/* Their kinds of connection, for the registry. */
extern const struct connection_kind dns_rfc2136, dns_powerdns, dns_cloudflare, dns_route53,
	dns_manual;

/* The types of records that we know, in the order in which they are shown; NULL-ended. */
extern const char *const dns_types[];

/* What one server answers for the name. ERROR_RETRY, naming it, when it gives no answer of
 * authority. */
bool server_ask(struct arena *arena, const char *server, const char *name, struct value **records,
                struct error *err);

/* The addresses that a resolver finds for a host, wherever CNAMEs lead: MAP A, AAAA. server NULL:
 * the resolver of this machine. ERROR_RETRY when it gives no answer. */
bool server_resolve(struct arena *arena, const char *server, const char *name,
                    struct value **records, struct error *err);

/* ---- An ALIAS is answered with addresses ---- */

/* The field of every connection that says who is asked for them. */
#define DNS_RESOLVER_FIELD                                                                   \
	{                                                                                    \
		"resolver", FIELD_STRING, 0, NULL, NULL,                                     \
			"Who is asked for the addresses of the target of an ALIAS: HOST or " \
			"HOST:PORT; the resolver of this machine when not given."            \
	}

/* Records with an ALIAS, and in it `addresses`, those of its target: a sorted LIST, empty when it
 * has none. Other records as they are. */
bool alias_resolve(struct zone *zone, const struct value *records, struct value **resolved,
                   struct error *err);

/* Whether an answer of a server is what such an ALIAS should look like from there: without
 * `addresses` any address will do, otherwise one of them. */
bool alias_is_shown(const struct value *answer, const struct value *alias);

/* Adds one record to a record set of that type, made if need be. Values stay sorted. Where the set
 * has another time to live the longer one counts, and the set is marked as mixed. */
void records_add(struct arena *arena, struct value *records, const char *type, int64_t ttl_s,
                 const char *value);

/* The first item of a list that came from outside; NULL when it is none. */
struct value *first_of(const struct value *list);

/* What a connection says about the API: its ca_file, its name for errors. */
void dns_api(struct api *api, struct zone *zone, const char *name);

/* A name as APIs have it, with its last dot: "www.example.com." */
const char *dotted(struct arena *arena, const char *name);

#endif
