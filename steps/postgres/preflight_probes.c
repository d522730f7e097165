/* SPDX-License-Identifier: MIT */
/* What SQL does not see before a migration: the way to the servers, room, and time. */
#include "engine/base/clock.h"
#include "engine/unit.h"
#include "steps/postgres/preflight.h"
#include "steps/postgres/query.h"

#include <regex.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define DYNO_LIVES_MS ((int64_t)24 * 3600 * 1000)

static void found(struct preflight *preflight, struct rows *rows, const char *object,
                  const char *one, const char *two)
{
	rows_add(rows, preflight->arena, (const char *const[CELLS]){object, one, two});
}

static const char *place_of(const struct preflight *preflight, const struct party *party)
{
	return database_place(&party->database, preflight->arena);
}

/* ---- The way there ---- */

static bool find_pooler(struct preflight *preflight, enum side side, struct rows *rows,
                        struct error *err)
{
	const struct party *party = &preflight->parties[side];

	(void)err;
	if (party->pooled)
		found(preflight, rows, place_of(preflight, party), party->pooled, NULL);
	return true;
}

static bool find_translation(struct preflight *preflight, enum side side, struct rows *rows,
                             struct error *err)
{
	const struct party *party = &preflight->parties[side];

	(void)err;
	if (party->database.note)
		found(preflight, rows, place_of(preflight, party), party->database.note, NULL);
	return true;
}

static bool is_on_this_machine(PGconn *session)
{
	const char *address = PQhostaddr(session), *host = PQhost(session);

	return (host && host[0] == '/') ||
	       (address && (strncmp(address, "127.", 4) == 0 || strcmp(address, "::1") == 0));
}

static bool find_no_tls(struct preflight *preflight, enum side side, struct rows *rows,
                        struct error *err)
{
	const struct party *party = &preflight->parties[side];

	(void)err;
	if (party->session && !PQsslInUse(party->session) && !is_on_this_machine(party->session))
		found(preflight, rows, place_of(preflight, party), NULL, NULL);
	return true;
}

static const char *sslmode_of(struct preflight *preflight, PGconn *session)
{
	PQconninfoOption *options = PQconninfo(session);
	const char *mode = "";

	for (const PQconninfoOption *one = options; one && one->keyword; one++)
		if (strcmp(one->keyword, "sslmode") == 0 && one->val)
			mode = arena_text(preflight->arena, one->val);
	PQconninfoFree(options);
	return mode;
}

static bool find_unverified(struct preflight *preflight, enum side side, struct rows *rows,
                            struct error *err)
{
	const struct party *party = &preflight->parties[side];

	(void)err;
	if (!party->session || !PQsslInUse(party->session))
		return true;
	const char *mode = sslmode_of(preflight, party->session);
	if (strncmp(mode, "verify-", 7) != 0)
		found(preflight, rows, place_of(preflight, party), mode, NULL);
	return true;
}

static bool find_early_end_of_tls(struct preflight *preflight, enum side side, struct rows *rows,
                                  struct error *err)
{
	const struct party *party = &preflight->parties[side];
	const char *in_use = NULL;

	if (!party->session || !PQsslInUse(party->session))
		return true;
	if (!query_text(party->session, "SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()",
	                preflight->arena, &in_use, err))
		return false;
	if (in_use && in_use[0] == 'f')
		found(preflight, rows, place_of(preflight, party), NULL, NULL);
	return true;
}

/* "us-east-1" of a host name at AWS, Google or Azure; NULL when it names none. */
static const char *region_of(struct arena *arena, const char *host)
{
	regex_t pattern;
	regmatch_t match;
	const char *region = NULL;

	if (strstr(host, ".compute-1.amazonaws.com"))
		return "us-east-1"; /* the oldest region has no name there */
	if (regcomp(&pattern,
	            "(af|ap|ca|eu|il|me|mx|sa|us|northamerica|europe|asia|australia)-(gov-)?"
	            "(north|south|east|west|central)(east|west)?-?[0-9]",
	            REG_EXTENDED) != 0)
		return NULL;
	if (regexec(&pattern, host, 1, &match, 0) == 0)
		region = arena_text_n(arena, host + match.rm_so,
		                      (size_t)(match.rm_eo - match.rm_so));
	regfree(&pattern);
	return region;
}

static bool find_other_region(struct preflight *preflight, enum side side, struct rows *rows,
                              struct error *err)
{
	const char *here = region_of(preflight->arena, preflight->parties[side].database.host);
	const char *there = region_of(preflight->arena, preflight->parties[SOURCE].database.host);

	(void)err;
	if (here && there && strcmp(here, there) != 0)
		found(preflight, rows, place_of(preflight, &preflight->parties[side]), here, there);
	return true;
}

/* ---- Room and time ---- */

static const char *size_text(struct arena *arena, int64_t bytes)
{
	static const char *const units[] = {"B", "KiB", "MiB", "GiB", "TiB"};
	double number = (double)bytes;
	size_t unit = 0;

	while (number >= 1024 && unit + 1 < sizeof units / sizeof *units) {
		number /= 1024;
		unit++;
	}
	return arena_printf(arena, unit ? "%.1f %s" : "%.0f %s", number, units[unit]);
}

static const char sum_of_tables[] =
	"SELECT coalesce(sum(pg_total_relation_size(c.oid)), 0)::bigint FROM pg_class c JOIN "
	"pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname = ANY ($1::text[]) AND c.relkind "
	"IN ('r', 'm')";

bool preflight_size(struct preflight *preflight, enum side side, int64_t *bytes, struct error *err)
{
	const struct party *party = &preflight->parties[side];

	*bytes = 0;
	if (!party->session)
		return fail(err, ERROR_REFUSED, "%s: %s", party->word, party->pooled);
	if (preflight->all)
		return query_number(party->session, "SELECT pg_database_size(current_database())",
		                    bytes, err);
	PGresult *result = query_with(party->session, sum_of_tables, 1, &party->schemas, err);
	if (result)
		*bytes = query_field_number(result, 0, 0);
	PQclear(result);
	return result != NULL;
}

bool preflight_space(const struct value *with, int64_t *bytes, struct error *err)
{
	const char *text = value_get_text(with, "target_space", NULL);
	struct quantity quantity;

	*bytes = 0;
	if (!text)
		return true;
	if (!unit_parse(text, &quantity, err))
		return false;
	if (strcmp(quantity.unit, "bytes") != 0 ||
	    !(quantity.number >= 1 && quantity.number < 9e18))
		return fail(err, ERROR_PLAN, "`%s` is no size; write it as 100 GiB", text);
	*bytes = (int64_t)quantity.number;
	return true;
}

int64_t preflight_copy_ms(const struct value *with, int64_t bytes)
{
	int64_t rate = value_get_number(with, "rate", 0);

	return rate > 0 ? (int64_t)((double)bytes / (double)rate * 1000) : 0;
}

bool preflight_free_space(struct preflight *preflight, double *times, struct error *err)
{
	const struct party *target = &preflight->parties[TARGET];
	int64_t space, size, used;

	*times = -1;
	if (!preflight_space(preflight->step->with, &space, err))
		return false;
	if (space == 0)
		return true;
	if (!target->session)
		return fail(err, ERROR_REFUSED, "target: %s", target->pooled);
	if (!preflight_size(preflight, SOURCE, &size, err) ||
	    !query_number(target->session, "SELECT pg_database_size(current_database())", &used,
	                  err))
		return false;
	*times = used < space ? (double)(space - used) / (double)(size > 0 ? size : 1) : 0;
	return true;
}

static bool find_unknown_space(struct preflight *preflight, enum side side, struct rows *rows,
                               struct error *err)
{
	int64_t space, size;

	if (!preflight->parties[SOURCE].session)
		return true;
	if (!preflight_space(preflight->step->with, &space, err) ||
	    !preflight_size(preflight, SOURCE, &size, err))
		return false;
	if (space == 0)
		found(preflight, rows, place_of(preflight, &preflight->parties[side]),
		      size_text(preflight->arena, size), size_text(preflight->arena, 2 * size));
	return true;
}

static bool find_no_room(struct preflight *preflight, enum side side, struct rows *rows,
                         struct error *err)
{
	double times;

	if (!preflight->parties[SOURCE].session || !preflight->parties[TARGET].session)
		return true;
	if (!preflight_free_space(preflight, &times, err))
		return false;
	if (times >= 0 && times < 1)
		found(preflight, rows, place_of(preflight, &preflight->parties[side]),
		      arena_printf(preflight->arena, "%.2f", times), NULL);
	return true;
}

/* A copy of more than a day, on a dyno or elsewhere. */
static bool find_long_copy(struct preflight *preflight, struct rows *rows, bool on_dyno,
                           struct error *err)
{
	const struct party *source = &preflight->parties[SOURCE];
	const char *dyno = getenv("DYNO");
	int64_t size;

	if (!source->session || on_dyno != (dyno && dyno[0]))
		return true;
	if (!preflight_size(preflight, SOURCE, &size, err))
		return false;
	int64_t takes_ms = preflight_copy_ms(preflight->step->with, size);
	if (takes_ms >= DYNO_LIVES_MS)
		found(preflight, rows, place_of(preflight, source),
		      size_text(preflight->arena, size),
		      clock_duration_text(preflight->arena, takes_ms));
	return true;
}

static bool find_restart_of_dyno(struct preflight *preflight, enum side side, struct rows *rows,
                                 struct error *err)
{
	(void)side;
	return find_long_copy(preflight, rows, true, err);
}

static bool find_days_of_copy(struct preflight *preflight, enum side side, struct rows *rows,
                              struct error *err)
{
	(void)side;
	return find_long_copy(preflight, rows, false, err);
}

const struct check preflight_probes[] = {
	{
		.id = "pooler",
		.level = FINDING_BLOCKER,
		.where = ON_BOTH,
		.probe = find_pooler,
		.text = "{0} leads through a transaction pooler ({1}), where sessions cannot be "
			"kept",
		.remedy = "give the connection string of the server itself",
	},
	{
		.id = "not_asked", /* given by the loop when a question was refused */
		.level = FINDING_WARNING,
		.where = ON_BOTH,
		.text = "{0} could not be asked: {1}",
	},
	{
		.id = "connection_string",
		.level = FINDING_NOTE,
		.where = ON_BOTH,
		.probe = find_translation,
		.text = "of the connection string of {0}: {1}",
	},
	{
		.id = "no_tls",
		.level = FINDING_WARNING,
		.where = ON_BOTH,
		.probe = find_no_tls,
		.text = "the connection to {0} is not encrypted",
		.remedy = "add sslmode=require to the connection string, or verify-full",
	},
	{
		.id = "unverified_tls",
		.level = FINDING_NOTE,
		.where = ON_BOTH,
		.probe = find_unverified,
		.text = "whose certificate {0} has is not verified (sslmode={1})",
		.remedy = "sslmode=verify-full with sslrootcert=FILE, or sslrootcert=system",
	},
	{
		.id = "tls_ends_early",
		.level = FINDING_NOTE,
		.where = ON_BOTH,
		.probe = find_early_end_of_tls,
		.text = "something between ends the encryption on the way to {0}: the server "
			"itself "
			"sees none",
	},
	{
		.id = "other_region",
		.level = FINDING_NOTE,
		.where = ON_TARGET,
		.probe = find_other_region,
		.text = "{0} is in {1}, and the source in {2}: each batch waits for the way there "
			"and "
			"back",
		.remedy = "run the copy near one of them",
	},
	{
		.id = "unknown_space",
		.level = FINDING_WARNING,
		.where = ON_TARGET,
		.probe = find_unknown_space,
		.text = "how much room {0} has cannot be seen from here; the source has {1}, and "
			"twice "
			"as much is wanted",
		.remedy =
			"see that it has {2}, and write it as `target_space: {2}`, or what it has",
	},
	{
		.id = "no_room",
		.level = FINDING_BLOCKER,
		.where = ON_TARGET,
		.probe = find_no_room,
		.text = "{0} has room for {1} times the source",
		.remedy = "give it more storage, and write it as `target_space`",
	},
	{
		.id = "dyno_restart",
		.level = FINDING_WARNING,
		.where = ON_SOURCE,
		.probe = find_restart_of_dyno,
		.text = "copying the {1} of {0} takes about {2}, and a dyno is restarted every "
			"day: "
			"the copy goes on where it was, if the journal outlives the dyno",
		.remedy = "run it elsewhere",
	},
	{
		.id = "long_copy",
		.level = FINDING_NOTE,
		.where = ON_SOURCE,
		.probe = find_days_of_copy,
		.text = "copying the {1} of {0} takes about {2}",
	},
	{0},
};
