/* SPDX-License-Identifier: MIT */
/* A zone as its authoritative servers have it: each is asked directly; updates are conditional. */
#ifndef PLAN_DNS_ZONE_H
#define PLAN_DNS_ZONE_H

#include "engine/registry.h"

extern const struct connection_kind dns_rfc2136, dns_manual;
extern const struct metric dns_metrics[]; /* dns.old_ttl_elapsed, dns.answers */
extern const struct step_module dns_ttl, dns_record;

struct zone {
	struct step *step;
	const char *name;            /* "example.com" */
	const struct value *with;    /* the connection */
	const struct value *servers; /* LIST of "host" or "host:port", authoritative */
	bool manual;                 /* a person makes the changes */
};

/* The records of one name and type: {type, ttl_s, values: sorted LIST of texts}. */

/* The connection whose zone holds the name; the longest zone wins. */
bool zone_open(struct zone *zone, struct step *step, const char *name, struct error *err);

/* What one server has for the name: MAP type -> {ttl_s, values}; types CNAME, A, AAAA. */
bool zone_ask(struct zone *zone, const char *server, const char *name, struct value **records,
              struct error *err);

/* The same from all servers. False with ERROR_RETRY, naming who differs, unless all agree. */
bool zone_ask_all(struct zone *zone, const char *name, struct value **records, struct error *err);

/* RFC 2136: replaces what stands at name by wanted (MAP type -> {ttl_s, values}), on condition that
 * `expected` is still what is there. ERROR_DRIFT when it is not. */
bool zone_update(struct zone *zone, const char *name, const struct value *expected,
                 const struct value *wanted, struct error *err);

/* Waits until every server has wanted. For a manual zone this is all there is to do. */
bool zone_await(struct zone *zone, const char *name, const struct value *wanted, struct error *err);

/* Where the name is a CNAME to a host in the same domain as `to`, it becomes one to `to`; its time
 * to live stays. *points says whether it is one to `to` now: not where the name has something else,
 * or no connection of the plan holds its zone. */
bool zone_repoint(struct step *step, const char *name, const char *to, bool *points,
                  struct error *err);

/* One record set of a single value. */
struct value *zone_records(struct arena *arena, const char *type, int64_t ttl_s, const char *value);

#endif
