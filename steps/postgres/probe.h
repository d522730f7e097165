/* SPDX-License-Identifier: MIT */
/* Whether a database takes writes: found out by trying, in transactions that are rolled back.
 *
 * Each statement is tried with no row at all, which is enough to meet rights and statement
 * triggers. TRUNCATE locks out everyone for a moment: it is tried only where the others are refused
 * by a fence, and does not wait. */
#ifndef PLAN_POSTGRES_PROBE_H
#define PLAN_POSTGRES_PROBE_H

#include "engine/step.h"

typedef struct pg_conn PGconn;

enum probe_verdict { PROBE_REFUSED, PROBE_ACCEPTED, PROBE_PARTLY };

/* One that was accepted. */
struct probe_hole {
	const char *table, *role, *statement; /* "public.orders", "app", "INSERT" */
	struct probe_hole *next;
};

struct probe_report {
	size_t tried, refused, accepted;
	size_t unknown; /* a lock was not to be had, or another error */
	size_t roles;
	const char *not_tried; /* roles that may write and that ours cannot take: "app, etl"; "" */
	struct probe_hole *first; /* at most 20 */
};

/* Tries as every role that owns one of the tables or has a right to write to it, as far as SET ROLE
 * is possible, and as our own. namespaces: see table_list(). */
bool probe_writes(PGconn *connection, const char *namespaces, struct arena *arena,
                  struct probe_report *report, struct error *err);

/* PARTLY when some are refused and some accepted, or some could not be tried; a database without
 * tables REFUSES. */
enum probe_verdict probe_verdict(const struct probe_report *report);
const char *probe_verdict_name(enum probe_verdict verdict);

/* postgres.write_probe */
extern const struct metric probe_metrics[];

#endif
