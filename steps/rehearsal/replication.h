/* SPDX-License-Identifier: MIT */
/* The proof that a rehearsed replication lost nothing: both databases compared from outside when
 * users are about to be shut out, again before the last trace is removed, and what is left then. */
#ifndef PLAN_REHEARSAL_REPLICATION_H
#define PLAN_REHEARSAL_REPLICATION_H

#include "engine/walk.h"
#include "steps/rehearsal/application.h"
#include "steps/rehearsal/quiet.h"
#include "steps/rehearsal/servers.h"

enum { REPLICATION_COMPARISONS = 8 };

struct replication {
	const struct servers *servers; /* NULL: the plan replicates no database */
	const char *gate;              /* the step that shuts users out, or switches */
	struct application application;
	int versions[2];      /* of source and target, as libpq gives them; 0: not known */
	int *side;            /* shared with its workers: 0 source, 1 target; without an app */
	struct quiet sum;     /* of all comparisons; tables and rows of the last one */
	size_t comparisons;   /* how many were made */
	int64_t leftovers[2]; /* on source and target after postgres.complete; -1: not looked at */
	struct application_hold holds[REPLICATION_COMPARISONS]; /* while they were made */
	/* The way back. */
	int64_t written_there; /* transactions that ended on the target before it; -1: none was */
	struct error error;    /* why a comparison could not be made; kind NONE */
};

/* The application starts to work. where: of the app's configuration, with its context; NULL: it
 * goes where the switch leads. log: a path for its notes. */
bool replication_begin(struct replication *replication, const struct servers *servers,
                       application_where *where, void *context, const char *log, struct error *err);
void replication_end(struct replication *replication);

/* Whether the plan has a way back to prove: it is to be carried out as far as *through, then back
 * to *back_to, then again and whole. */
bool replication_way_back(const struct replication *replication, const char **through,
                          const char **back_to);

/* Between the walk there and the walk back: the application works on the target for a while. */
bool replication_stay(struct replication *replication, struct error *err);

/* Follows the walk: each of its events. */
void replication_event(struct replication *replication, const struct walk_event *event);

/* Adds `replication` to the report: source_version, target_version, comparisons, tables, rows,
 * rows_lost, rows_stale, where, sequences, sequences_behind, foreign_keys, foreign_keys_unproven,
 * leftovers_source, leftovers_target, transactions, transactions_lost, rules_broken,
 * longest_pause_s, written_before_way_back. serving: URL of the database in use now. */
bool replication_examine(struct replication *replication, const char *serving, struct arena *arena,
                         struct value *report, struct error *err);

/* Whether that part of a report shows no loss, and that all was looked at. */
bool replication_is_good(const struct value *report);

#endif
