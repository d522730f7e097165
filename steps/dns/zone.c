/* SPDX-License-Identifier: MIT */
/* Reads and changes the records of a zone, and waits for its servers. */
#include "steps/dns/zone.h"
#include "engine/base/text.h"
#include "steps/dns/provider.h"

#include <string.h>

#define POLL_FIRST_MS 100
#define POLL_SELDOM_MS 5000
#define LOOK_AGAIN_MS 1000 /* from this pause on, see whether somebody changed it meanwhile */

/* What the provider says goes wrong with its connection. */
static bool fail_at_provider(const struct zone *zone, struct error *err)
{
	return fail_while(err, "connection %s (%s)", value_get_text(zone->with, "name", zone->name),
	                  zone->provider->kind->name);
}

bool zone_servers(struct zone *zone, struct error *err)
{
	if (zone->servers)
		return true;
	return zone->provider->find_servers(zone, err) || fail_at_provider(zone, err);
}

/* ---- Asking all servers ---- */

const char *zone_describe(struct arena *arena, const struct value *records)
{
	struct text out = {0};

	for (const struct value *set = records ? records->as.items.first : NULL; set;
	     set = set->next) {
		text_format(&out, "%s%s", out.length ? ", " : "", set->key);
		const struct value *values = value_get(set, "values");
		for (const struct value *one = values ? values->as.items.first : NULL; one;
		     one = one->next)
			text_format(&out, " %s", value_reveal(one));
		text_format(&out, " (%lld s%s)", (long long)value_get_number(set, "ttl_s", 0),
		            value_get_bool(set, "mixed", false) ? " and less" : "");
		const struct value *addresses = value_get(set, "addresses");
		for (const struct value *one = first_of(addresses); one; one = one->next)
			text_format(&out, "%s%s", one == first_of(addresses) ? " by one of " : " ",
			            value_reveal(one));
	}
	const char *copy = arena_text(arena, out.length ? text_string(&out) : "nothing");
	text_free(&out);
	return copy;
}

/* Whether what a server answers is what `wanted` should look like from there. */
static bool shows(const struct value *answer, const struct value *wanted)
{
	if (value_get(wanted, "ALIAS"))
		return alias_is_shown(answer, value_get(wanted, "ALIAS"));
	for (const struct value *set = wanted->as.items.first; set; set = set->next) {
		const struct value *its = value_get(answer, set->key);
		bool any_ttl = value_get_bool(set, "mixed", false);
		if (!value_equal(value_get(its, "values"), value_get(set, "values")) ||
		    (!any_ttl && !value_equal(value_get(its, "ttl_s"), value_get(set, "ttl_s"))))
			return false;
	}
	return answer->as.items.count == wanted->as.items.count;
}

/* Every server is asked, whatever the others said, so that each that is wrong is named. wanted
 * NULL: all must have what the first one that answers has. */
static bool ask_every_server(struct zone *zone, const char *name, const struct value *wanted,
                             const struct value **common, struct error *err)
{
	struct arena *arena = zone->step->arena;
	struct text said = {0}, wrong = {0};

	if (!zone_servers(zone, err))
		return false;
	if (wanted)
		text_format(&said, "it should be %s", zone_describe(arena, wanted));
	for (const struct value *one = zone->servers->as.items.first; one; one = one->next) {
		const char *server = value_reveal(one);
		struct error problem = {0};
		struct value *answer;
		if (!server_ask(arena, server, name, &answer, &problem)) {
			text_format(&wrong, "; %s", problem.text);
			continue;
		}
		if (!wanted) {
			wanted = answer;
			text_format(&said, "server %s has %s", server,
			            zone_describe(arena, answer));
		} else if (!shows(answer, wanted)) {
			text_format(&wrong, "; server %s has %s", server,
			            zone_describe(arena, answer));
		}
	}
	*common = wanted;
	bool agree = wrong.length == 0;
	if (!agree && !said.length)
		fail(err, ERROR_RETRY, "no server of %s answers%s", zone->name,
		     text_string(&wrong));
	else if (!agree)
		fail(err, ERROR_RETRY, "the servers of %s disagree about %s: %s%s", zone->name,
		     name, text_string(&said), text_string(&wrong));
	text_free(&said);
	text_free(&wrong);
	return agree;
}

bool zone_shows(struct zone *zone, const char *name, const struct value *wanted, struct error *err)
{
	const struct value *common;

	return ask_every_server(zone, name, wanted, &common, err);
}

/* Whether all servers show it. An ALIAS to a host without addresses, such as a target that Heroku
 * has given up, is answered with nothing or SERVFAIL: nothing can be seen of it. strict: its
 * addresses count; otherwise any will do, as for one that is to be replaced. */
static bool all_show(struct zone *zone, const char *name, const struct value *wanted, bool strict,
                     struct error *err)
{
	struct value *resolved;
	bool known = alias_resolve(zone, wanted, &resolved, err);

	if (!known && strict)
		return false;
	const struct value *addresses = value_find(known ? resolved : NULL, "ALIAS.addresses");
	if (addresses && addresses->as.items.count == 0)
		return true;
	return zone_shows(zone, name, strict ? resolved : wanted, err);
}

/* A look that may be repeated for hours: what it allocates goes with it. */
struct glance {
	struct arena arena;
	struct step step;
	struct zone zone;
};

static struct zone *begin_glance(struct glance *glance, const struct zone *zone)
{
	glance->arena = (struct arena){0};
	glance->step = *zone->step;
	glance->step.arena = &glance->arena;
	glance->zone = *zone;
	glance->zone.step = &glance->step;
	return &glance->zone;
}

/* Keeps what was learnt about the zone, and the records if there are any. */
static void end_glance(struct glance *glance, struct zone *zone, struct value **records)
{
	struct arena *arena = zone->step->arena;

	if (glance->zone.id != zone->id)
		zone->id = arena_text(arena, glance->zone.id);
	if (glance->zone.servers != zone->servers)
		zone->servers = value_copy(arena, glance->zone.servers);
	if (records && *records)
		*records = value_copy(arena, *records);
	arena_free(&glance->arena);
}

bool zone_ask_all(struct zone *zone, const char *name, struct value **records, struct error *err)
{
	struct glance glance;
	const struct value *common;
	bool agree = ask_every_server(begin_glance(&glance, zone), name, NULL, &common, err);

	*records = agree ? value_copy(zone->step->arena, common) : NULL;
	end_glance(&glance, zone, NULL);
	return agree;
}

/* ---- Reading and waiting ---- */

/* What the provider has; where only the servers know, what all of them answer. */
static bool read_now(struct zone *zone, const char *name, struct value **records, struct error *err)
{
	if (!zone->provider->read)
		return zone_ask_all(zone, name, records, err);
	return zone->provider->read(zone, name, records, err) || fail_at_provider(zone, err);
}

/* The same, false with ERROR_RETRY and *apart set when servers show something else. */
static bool read_shown(struct zone *zone, const char *name, struct value **records, bool *apart,
                       struct error *err)
{
	*apart = false;
	if (!read_now(zone, name, records, err)) {
		*apart = err->kind == ERROR_RETRY && !zone->provider->read;
		return false;
	}
	if (!zone->provider->read || all_show(zone, name, *records, false, err))
		return true;
	*apart = err->kind == ERROR_RETRY;
	return false;
}

static int64_t longer(int64_t pause_ms)
{
	return pause_ms < POLL_SELDOM_MS ? pause_ms * 3 / 2 : POLL_SELDOM_MS;
}

bool zone_read(struct zone *zone, const char *name, struct value **records, struct error *err)
{
	for (int64_t pause_ms = POLL_FIRST_MS;; pause_ms = longer(pause_ms)) {
		struct glance glance;
		bool apart;
		*records = NULL;
		bool shown = read_shown(begin_glance(&glance, zone), name, records, &apart, err);
		end_glance(&glance, zone, records);
		if (shown)
			return true;
		if (!apart || zone->step->looking)
			return false;
		step_progress(zone->step, "waiting: %s", err->text);
		if (!step_sleep(zone->step, pause_ms, err))
			return false;
	}
}

static bool somebody_changed(struct zone *zone, const char *name, const struct value *now,
                             const struct value *then, struct error *err)
{
	return fail(err, ERROR_DRIFT,
	            "%s has %s now, where %s should be; somebody changed it, so it stays", name,
	            zone_describe(zone->step->arena, now), zone_describe(zone->step->arena, then));
}

/* ERROR_RETRY while servers have something else; somebody_changed() where the provider has it too,
 * which is asked only now and then. */
static bool is_shown(struct zone *zone, const char *name, const struct value *wanted,
                     bool ask_provider, struct error *err)
{
	struct value *now;
	struct error ignored = {0};

	if (all_show(zone, name, wanted, true, err))
		return true;
	if (ask_provider && zone->provider->read &&
	    zone->provider->read(zone, name, &now, &ignored) && !value_equal(now, wanted))
		return somebody_changed(zone, name, now, wanted, err);
	return false;
}

bool zone_await(struct zone *zone, const char *name, const struct value *wanted, struct error *err)
{
	for (int64_t pause_ms = POLL_FIRST_MS;; pause_ms = longer(pause_ms)) {
		struct glance glance;
		bool shown = is_shown(begin_glance(&glance, zone), name, wanted,
		                      pause_ms >= LOOK_AGAIN_MS, err);
		end_glance(&glance, zone, NULL);
		if (shown || err->kind != ERROR_RETRY || zone->step->looking)
			return shown;
		step_progress(zone->step, "waiting: %s", err->text);
		if (!step_sleep(zone->step, pause_ms, err))
			return false;
	}
}

/* ---- Changing ---- */

/* What became of a change: `sent` says whether it was acknowledged, err why not. */
static bool look_up(struct zone *zone, const char *name, const struct value *expected,
                    const struct value *wanted, bool sent, struct error *err)
{
	struct error problem = {0};
	struct value *now;
	/* Where only the servers know, they have to come to agree first. */
	bool known = zone->provider->read ? read_now(zone, name, &now, &problem)
	                                  : zone_read(zone, name, &now, &problem);

	if (!known) {
		if (sent)
			*err = problem;
		return false;
	}
	if (value_equal(now, wanted))
		return true;
	if (!sent && value_equal(now, expected) && err->kind == ERROR_RETRY)
		return false;
	return somebody_changed(zone, name, now, sent ? wanted : expected, err);
}

static bool replace(struct zone *zone, const char *name, const struct value *expected,
                    const struct value *wanted, struct error *err)
{
	const struct dns_provider *provider = zone->provider;
	struct value *now;

	if (!provider->compares) {
		if (!read_now(zone, name, &now, err))
			return false;
		if (value_equal(now, wanted))
			return true;
		if (!value_equal(now, expected))
			return somebody_changed(zone, name, now, expected, err);
	}
	bool sent = provider->replace(zone, name, expected, wanted, err);
	if (!sent) {
		fail_at_provider(zone, err);
		if (err->kind != ERROR_RETRY && err->kind != ERROR_DRIFT)
			return false;
	}
	if ((!sent || !provider->compares) && !look_up(zone, name, expected, wanted, sent, err))
		return false;
	return !sent || !provider->settle || provider->settle(zone, err) ||
	       fail_at_provider(zone, err);
}

/* What a person has to make, a line for each record. */
static void tell_person(struct zone *zone, const char *name, const struct value *wanted)
{
	step_progress(zone->step, "at your DNS provider, give %s: %s", name,
	              zone_describe(zone->step->arena, wanted));
}

bool zone_change(struct zone *zone, const char *name, const struct value *expected,
                 const struct value *wanted, struct error *err)
{
	if (!zone->provider->replace)
		tell_person(zone, name, wanted);
	else if (!replace(zone, name, expected, wanted, err))
		return false;
	return zone_await(zone, name, wanted, err);
}
