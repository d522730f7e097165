/* SPDX-License-Identifier: MIT */
/* A zone, as its provider holds it and as its authoritative servers answer it.
 *
 * The records of a name are a MAP type -> {ttl_s, values: sorted LIST of texts} with the types
 * CNAME, A, AAAA and ALIAS: names in lower case without a last dot, addresses in their shortest
 * form. ALIAS is what a provider has for a CNAME at the top of a zone; servers answer it with
 * addresses. */
#ifndef PLAN_DNS_ZONE_H
#define PLAN_DNS_ZONE_H

#include "engine/registry.h"

struct dns_provider;

extern const struct metric dns_metrics[]; /* dns.old_ttl_elapsed, dns.answers */
extern const struct step_module dns_ttl, dns_record;

struct zone {
	struct step *step;
	const char *name;         /* "example.com" */
	const struct value *with; /* the connection */
	const struct dns_provider *provider;
	const struct value *servers; /* LIST of "host" or "host:port", authoritative; or NULL: the
	                              * provider knows them, see zone_servers() */
	const char *id;     /* what the provider calls the zone, once it was asked; or NULL */
	const char *change; /* what it calls the change it took last; or NULL */
};

/* The connection whose zone holds the name; the longest zone wins. Asks nobody. */
bool zone_open(struct zone *zone, struct step *step, const char *name, struct error *err);

/* Makes sure that zone->servers is there: asks the provider where the plan does not say. */
bool zone_servers(struct zone *zone, struct error *err);

/* The type under which the provider holds that record at that name: ALIAS instead of a CNAME at the
 * top of the zone. NULL with what to do where it has none, or takes no such time to live. */
const char *zone_type(const struct zone *zone, const char *name, const char *type, int64_t ttl_s,
                      struct error *err);

/* Offline: whether that type can be at that name, as far as the connections (LIST of MAPs) tell. */
bool zone_may_hold(const struct value *connections, const char *name, const char *type,
                   struct error *err);

/* What the provider has for the name, once all servers show the same. Until then it waits, naming
 * who differs; only when looking, that is ERROR_RETRY. */
bool zone_read(struct zone *zone, const char *name, struct value **records, struct error *err);

/* What all servers answer. ERROR_RETRY, naming each server that differs, is not authoritative or
 * cannot be reached. */
bool zone_ask_all(struct zone *zone, const char *name, struct value **records, struct error *err);

/* Whether all servers answer what the records look like from there; ERROR_RETRY names those that do
 * not. */
bool zone_shows(struct zone *zone, const char *name, const struct value *wanted, struct error *err);

/* Waits until every server shows those records, which the provider has: an ALIAS by an address of
 * its target, where that has any. Only when looking, it is ERROR_RETRY that one does not. */
bool zone_await(struct zone *zone, const char *name, const struct value *wanted, struct error *err);

/* Gives the name the records `wanted` on condition that `expected` is still what is there:
 * ERROR_DRIFT, naming both, when it is not. A change that got no clear answer is looked up. Then
 * waits until every server shows it. In a zone that a person edits, waiting is all there is to do.
 */
bool zone_change(struct zone *zone, const char *name, const struct value *expected,
                 const struct value *wanted, struct error *err);

/* Where the name is a CNAME to a host in the same domain as `to`, it becomes one to `to`; its time
 * to live stays. *points says whether it is one to `to` now: not where the name has something else,
 * or no connection of the plan holds its zone. */
bool zone_repoint(struct step *step, const char *name, const char *to, bool *points,
                  struct error *err);

/* One record set of a single value. */
struct value *zone_records(struct arena *arena, const char *type, int64_t ttl_s, const char *value);

/* "CNAME a.example.net (60 s)", or "nothing": for people. */
const char *zone_describe(struct arena *arena, const struct value *records);

#endif
