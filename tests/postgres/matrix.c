/* SPDX-License-Identifier: MIT */
/* The ordering matrix: three transactions in every order of getting an xid, logging and ending,
 * each of them committed or rolled back, with a savepoint in some; a batch at every point between,
 * and the copy of the table at one of them. After each batch the target must be what the source
 * shows.
 *
 * usage: matrix SOURCE_URL TARGET_URL EVERY [random COUNT SEED] [lose]
 *
 * Every EVERYth of the ordered schedules is carried out, and COUNT random interleavings of the
 * twelve statements. `lose` makes the design wrong: log rows of transactions older than the newest
 * one applied are passed over, as a watermark of ids would. The replication of both databases was
 * begun by plan, follows, and nobody carries it out now. */
#include "engine/base/arena.h"
#include "engine/base/error.h"
#include "steps/postgres/batch.h"
#include "steps/postgres/chunk.h"
#include "steps/postgres/database.h"
#include "steps/postgres/link.h"
#include "steps/postgres/query.h"
#include "steps/postgres/state.h"

#include <inttypes.h>
#include <libpq-fe.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { TRANSACTIONS = 3, ORDERS = 6, OUTCOMES = 8, POINTS = 13 };

enum event { BEGIN, XID, WRITE, END, EVENTS };

static const char *const event_names[] = {"begins", "gets its xid", "writes", "ends"};

static const int orders[ORDERS][TRANSACTIONS] = {{0, 1, 2}, {0, 2, 1}, {1, 0, 2},
                                                 {1, 2, 0}, {2, 0, 1}, {2, 1, 0}};

/* What happens, in this order. */
struct schedule {
	struct {
		int transaction;
		enum event event;
	} moments[TRANSACTIONS * EVENTS];
	size_t count;
	bool commits[TRANSACTIONS];
	size_t copied_at; /* before that moment the table is copied; beyond count: never */
	int64_t number;
};

struct stage {
	struct arena arena;
	struct link link;
	PGconn *writers[TRANSACTIONS], *looks[2];
	bool loses;
	int64_t newest; /* xid that was applied, for `loses` */
	int64_t schedules, batches, copies, compared;
};

static _Noreturn void die(const char *what, const char *why)
{
	fprintf(stderr, "%s: %s\n", what, why);
	exit(2);
}

static void must(bool good, const char *what, const struct error *err)
{
	if (!good)
		die(what, err->text);
}

static void run(PGconn *connection, const char *sql)
{
	struct error err = {0};

	must(query_run(connection, sql, &err), sql, &err);
}

/* ---- What the transactions do ---- */

/* Rows of their own, so that none waits for another: an update, a change of the key, a delete and
 * insert of the same key; and equal rows of a table without a key. */
static void write_rows(PGconn *writer, int transaction, int64_t number)
{
	static const char *const forms[TRANSACTIONS][2] = {
		{"UPDATE m SET v = 'u", "' WHERE id = 1"},
		{"UPDATE m SET id = CASE id WHEN 2 THEN 12 ELSE 2 END, v = 'k",
	         "' WHERE id IN (2, 12)"},
		{"DELETE FROM m WHERE id = 3; INSERT INTO m VALUES (3, 'i", "')"},
	};
	char sql[200];

	snprintf(sql, sizeof sql, "%s%" PRId64 "%s", forms[transaction][0], number,
	         forms[transaction][1]);
	if (number % 2)
		run(writer, "SAVEPOINT kept");
	run(writer, sql);
	snprintf(sql, sizeof sql, "UPDATE n SET v = 'n%" PRId64 "' WHERE owner = %d", number,
	         transaction);
	run(writer, sql);
	if (number % 2 == 0)
		return;
	snprintf(sql, sizeof sql,
	         "RELEASE kept; SAVEPOINT gone; DELETE FROM m WHERE id = %d; ROLLBACK TO gone",
	         transaction + 1);
	run(writer, sql);
}

static void happen(struct stage *stage, const struct schedule *schedule, size_t at)
{
	int who = schedule->moments[at].transaction;
	PGconn *writer = stage->writers[who];

	switch (schedule->moments[at].event) {
	case BEGIN:
		run(writer,
		    (schedule->number + who) % 3 ? "BEGIN" : "BEGIN ISOLATION LEVEL SERIALIZABLE");
		break;
	case XID:
		run(writer, "SELECT pg_catalog.pg_current_xact_id()");
		break;
	case WRITE:
		write_rows(writer, who, schedule->number);
		break;
	default:
		run(writer, schedule->commits[who] ? "COMMIT" : "ROLLBACK");
		break;
	}
}

/* ---- Batches and copies ---- */

static void pass_over_older(struct stage *stage)
{
	char sql[300];
	struct error err = {0};

	for (size_t i = 0; i < stage->link.table_count; i++) {
		const char *log = stage->link.tables[i].log;
		int64_t newest;
		snprintf(sql, sizeof sql, "DELETE FROM %s WHERE xmin::text::bigint < %" PRId64, log,
		         stage->newest);
		run(stage->looks[0], sql);
		snprintf(sql, sizeof sql, "SELECT coalesce(max(xmin::text::bigint), 0) FROM %s",
		         log);
		must(query_number(stage->looks[0], sql, &newest, &err), sql, &err);
		if (newest > stage->newest)
			stage->newest = newest;
	}
}

static void apply(struct stage *stage)
{
	struct batch_report report = {0};
	struct error err = {0};

	if (stage->loses)
		pass_over_older(stage);
	must(batch_run(&stage->link, MODE_FORWARD, &report, &err), "batch", &err);
	if (report.refused || report.changed)
		die("batch", "it was refused");
	stage->batches++;
}

static void copy_anew(struct stage *stage)
{
	struct batch_report report = {0};
	struct error err = {0};
	int64_t generation;
	bool found = true;

	for (size_t i = 0; i < stage->link.table_count; i++) {
		char sql[120];
		snprintf(sql, sizeof sql,
		         "SELECT generation FROM plan_replication.relation WHERE id = %" PRId64,
		         stage->link.tables[i].id);
		must(query_number(stage->looks[1], sql, &generation, &err), sql, &err);
		must(chunk_begin_anew(&stage->link, &stage->link.tables[i], generation, "a test",
		                      &err),
		     "begin anew", &err);
	}
	while (found)
		must(chunk_copy_next(&stage->link, &found, &err), "copy", &err);
	for (found = true; found;)
		must(batch_finalise_next(&stage->link, &found, &report, &err), "finalise", &err);
	run(stage->looks[1], "UPDATE plan_replication.relation SET phase = 'following' "
	                     "WHERE phase = 'finalised'");
	stage->copies++;
}

/* ---- Comparing ---- */

static const char contents_sql[] =
	"SELECT coalesce((SELECT string_agg(id || '=' || v, ',' ORDER BY id, v) FROM m), '') || ' "
	"' "
	"|| coalesce((SELECT string_agg(owner || '=' || v, ',' ORDER BY owner, v) FROM n), '')";

static bool is_equal(struct stage *stage, const struct schedule *schedule, size_t point)
{
	struct arena arena = {0};
	struct error err = {0};
	const char *sides[2];

	for (size_t i = 0; i < 2; i++)
		must(query_text(stage->looks[i], contents_sql, &arena, &sides[i], &err), "look",
		     &err);
	bool equal = strcmp(sides[0], sides[1]) == 0;
	if (!equal) {
		printf("schedule %" PRId64
		       ", copied at %zu, after moment %zu\nsource %s\ntarget %s\n",
		       schedule->number, schedule->copied_at, point, sides[0], sides[1]);
		for (size_t i = 0; i < schedule->count; i++)
			printf("  %zu: %d %s%s\n", i, schedule->moments[i].transaction,
			       event_names[schedule->moments[i].event],
			       schedule->moments[i].event != END ? ""
			       : schedule->commits[schedule->moments[i].transaction]
			               ? ": commit"
			               : ": rollback");
	}
	arena_free(&arena);
	stage->compared++;
	return equal;
}

static bool carry_out(struct stage *stage, const struct schedule *schedule)
{
	struct arena arena = {0}, *outer = stage->link.arena;
	bool equal = true;

	stage->link.arena = &arena;
	for (size_t point = 0; equal && point <= schedule->count; point++) {
		if (point == schedule->copied_at)
			copy_anew(stage);
		apply(stage);
		equal = is_equal(stage, schedule, point);
		if (equal && point < schedule->count)
			happen(stage, schedule, point);
	}
	stage->link.arena = outer;
	arena_free(&arena);
	stage->schedules++;
	return equal;
}

/* ---- Schedules ---- */

static void add(struct schedule *schedule, int transaction, enum event event)
{
	schedule->moments[schedule->count].transaction = transaction;
	schedule->moments[schedule->count++].event = event;
}

/* All orders of xid, log and end, in which each is done by all three before the next begins. */
static bool in_every_order(struct stage *stage, int64_t every)
{
	int64_t number = 0;

	for (int xid = 0; xid < ORDERS; xid++)
		for (int log = 0; log < ORDERS; log++)
			for (int rest = 0; rest < ORDERS * OUTCOMES; rest++, number++) {
				struct schedule schedule = {
					.number = number, .copied_at = (size_t)number / 3 % POINTS};
				if (number % every)
					continue;
				for (int i = 0; i < TRANSACTIONS; i++) {
					add(&schedule, orders[xid][i], BEGIN);
					add(&schedule, orders[xid][i], XID);
					schedule.commits[i] = rest % OUTCOMES >> i & 1;
				}
				for (int i = 0; i < TRANSACTIONS; i++)
					add(&schedule, orders[log][i], WRITE);
				for (int i = 0; i < TRANSACTIONS; i++)
					add(&schedule, orders[rest / OUTCOMES][i], END);
				if (!carry_out(stage, &schedule))
					return false;
			}
	return true;
}

/* Any interleaving of the four statements of each. */
static bool at_random(struct stage *stage, int64_t count, unsigned seed)
{
	printf("seed %u\n", seed);
	for (int64_t n = 0; n < count; n++) {
		struct schedule schedule = {.number = 100000 + n,
		                            .copied_at = (size_t)rand_r(&seed) % POINTS};
		int next[TRANSACTIONS] = {0};
		while (schedule.count < (size_t)TRANSACTIONS * EVENTS) {
			int who = rand_r(&seed) % TRANSACTIONS;
			if (next[who] < EVENTS)
				add(&schedule, who, (enum event)next[who]++);
		}
		for (int i = 0; i < TRANSACTIONS; i++)
			schedule.commits[i] = rand_r(&seed) % 4 > 0;
		if (!carry_out(stage, &schedule))
			return false;
	}
	return true;
}

/* ---- The whole ---- */

static PGconn *session(const struct database *database)
{
	struct error err = {0};
	PGconn *connection = database_open(database, "matrix", &err);

	must(connection != NULL, "connect", &err);
	run(connection, "SET search_path = public");
	return connection;
}

static void set_up(struct stage *stage, struct database *source, struct database *target,
                   char **urls)
{
	struct error err = {0};

	must(database_understand(&stage->arena, "source", urls[0], source, &err) &&
	             database_understand(&stage->arena, "target", urls[1], target, &err),
	     "read the URLs", &err);
	stage->link = (struct link){.arena = &stage->arena, .from = source, .to = target};
	must(link_open(&stage->link, "follow", &err) && link_read_tables(&stage->link, &err),
	     "begin", &err);
	for (size_t i = 0; i < TRANSACTIONS; i++)
		stage->writers[i] = session(source);
	stage->looks[0] = session(source);
	stage->looks[1] = session(target);
}

int main(int argc, char **argv)
{
	static struct stage stage;
	struct database source, target;

	if (argc < 4)
		die("usage", "matrix SOURCE_URL TARGET_URL EVERY [random COUNT SEED] [lose]");
	stage.loses = strcmp(argv[argc - 1], "lose") == 0;
	set_up(&stage, &source, &target, &argv[1]);
	bool equal = in_every_order(&stage, atoll(argv[3]));
	if (equal && argc > 6)
		equal = at_random(&stage, atoll(argv[5]), (unsigned)atoi(argv[6]));
	printf("%" PRId64 " schedules, %" PRId64 " batches, %" PRId64 " copies, %" PRId64
	       " comparisons: %s\n",
	       stage.schedules, stage.batches, stage.copies, stage.compared,
	       equal ? "always equal" : "NOT equal");
	link_close(&stage.link);
	for (size_t i = 0; i < TRANSACTIONS; i++)
		PQfinish(stage.writers[i]);
	PQfinish(stage.looks[0]);
	PQfinish(stage.looks[1]);
	arena_free(&stage.arena);
	return equal ? 0 : 1;
}
