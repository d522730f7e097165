/* SPDX-License-Identifier: MIT */
/* postgres.sql: statements of the operator's do what no module can. A query tells whether it is
 * done, others undo it. */
#include "steps/postgres/database.h"
#include "steps/postgres/modules.h"
#include "steps/postgres/query.h"

#include <libpq-fe.h>
#include <poll.h>
#include <string.h>

enum { BOOLEAN = 16, LOOK_UP_MS = 200, SHOWN = 200 };

static const struct field fields[] = {
	{"connection", FIELD_CONNECTION, FIELD_REQUIRED, NULL, NULL, "Where; of kind postgres."},
	{"run", FIELD_CONTENT, FIELD_REQUIRED | FIELD_MAY_SECRET, NULL, NULL,
         "The statements, with the settings that the role has, in one transaction that is "
         "committed "
         "only when `check` says yes in it."},
	{"check", FIELD_CONTENT, FIELD_REQUIRED, NULL, NULL,
         "A query that gives one boolean and changes nothing: true when it is done."},
	{"undo", FIELD_CONTENT, FIELD_MAY_SECRET, NULL, NULL,
         "Statements that take it back, after which `check` gives false. Without them the step "
         "cannot be undone by itself."},
	{"limit", FIELD_DURATION, 0, "10m", NULL, "How long one statement may take."},
	{"lock_timeout", FIELD_DURATION, 0, "5s", NULL,
         "How long it may wait for a lock, and others behind it."},
	{"transaction", FIELD_BOOL, 0, "true", NULL,
         "False sends `run` and `undo` as they are, for the one statement that may not stand in a "
         "transaction, such as CREATE INDEX CONCURRENTLY."},
	{0},
};

/* ---- Statements ---- */

/* A stop ends what is running there. */
static bool wait_for_reply(struct step *step, PGconn *connection, struct error *err)
{
	struct pollfd socket = {.fd = PQsocket(connection), .events = POLLIN};

	while (PQisBusy(connection)) {
		poll(&socket, 1, LOOK_UP_MS);
		if (!PQconsumeInput(connection))
			return query_failed(connection, NULL, err);
		if (!step_stopping(step))
			continue;
		char ignored[256];
		PGcancel *cancel = PQgetCancel(connection);
		PQcancel(cancel, ignored, sizeof ignored);
		PQfreeCancel(cancel);
		return fail(err, ERROR_CANCELLED, "stopped in the middle of a statement");
	}
	return true;
}

static bool judge(PGconn *connection, PGresult *result, struct error *err)
{
	ExecStatusType status = PQresultStatus(result);

	if (status == PGRES_COPY_IN || status == PGRES_COPY_OUT)
		return fail(err, ERROR_PLAN, "COPY from or to the client has nothing to read here");
	if (status == PGRES_TUPLES_OK || status == PGRES_COMMAND_OK || status == PGRES_EMPTY_QUERY)
		return true;
	return query_failed(connection, result, err);
}

/* The last result to *last, which may be NULL. */
static bool send(struct step *step, PGconn *connection, const char *sql, PGresult **last,
                 struct error *err)
{
	PGresult *result = NULL, *next;

	if (!PQsendQuery(connection, sql))
		return query_failed(connection, NULL, err);
	for (;;) {
		if (!wait_for_reply(step, connection, err))
			break;
		next = PQgetResult(connection);
		if (!next) {
			if (last)
				*last = result;
			else
				PQclear(result);
			return true;
		}
		PQclear(result);
		result = next;
		if (!judge(connection, result, err))
			break;
	}
	PQclear(result);
	return false;
}

static PGconn *open_session(struct step *step, struct error *err)
{
	struct database database;
	const char *name = value_get_text(step->with, "connection", "");
	/* The settings of the role are what its statements were written for. */
	const char *settings = arena_printf(
		step->arena,
		"RESET ALL; SET client_encoding = 'UTF8'; SET client_min_messages = 'warning';"
		"SET statement_timeout = %lld; SET lock_timeout = %lld",
		(long long)value_get_number(step->with, "limit", 0),
		(long long)value_get_number(step->with, "lock_timeout", 0));

	PGconn *connection = database_find(step, name, &database, err)
	                             ? database_open(&database, "sql", err)
	                             : NULL;
	if (connection && !query_run(connection, settings, err)) {
		PQfinish(connection);
		return NULL;
	}
	return connection;
}

/* ---- Yes or no ---- */

static bool read_answer(const PGresult *result, bool *done, struct error *err)
{
	if (PQntuples(result) != 1 || PQnfields(result) != 1 || PQftype(result, 0) != BOOLEAN ||
	    !query_field(result, 0, 0))
		return fail(err, ERROR_PLAN,
		            "`check` must give one row with one boolean that is not null, such as "
		            "SELECT to_regclass('public.orders') IS NOT NULL");
	*done = query_field(result, 0, 0)[0] == 't';
	return true;
}

static bool ask(struct step *step, PGconn *connection, bool *done, struct error *err)
{
	PGresult *result = NULL;
	bool fine =
		send(step, connection, value_reveal(value_get(step->with, "check")), &result, err);

	if (!fine)
		return fail_while(err, "`check`");
	fine = read_answer(result, done, err);
	PQclear(result);
	return fine;
}

static bool ask_alone(struct step *step, bool *done, struct error *err)
{
	PGconn *connection = open_session(step, err);
	bool fine = connection && query_run(connection, "BEGIN READ ONLY", err) &&
	            ask(step, connection, done, err);

	PQfinish(connection);
	return fine;
}

/* ---- Doing and undoing ---- */

static bool disagree(const char *field, bool wanted, struct error *err)
{
	return fail(err, ERROR_FAILED, "`%s` went through, but `check` says that it is %s", field,
	            wanted ? "not done" : "still done");
}

/* Committed only if check agrees. */
static bool perform_whole(struct step *step, PGconn *connection, const char *field, bool wanted,
                          struct error *err)
{
	bool done = false;

	if (!query_run(connection, "BEGIN", err) ||
	    !(send(step, connection, value_reveal(value_get(step->with, field)), NULL, err) ||
	      fail_while(err, "`%s`", field)))
		return false;
	if (PQtransactionStatus(connection) != PQTRANS_INTRANS)
		return fail(err, ERROR_PLAN,
		            "`%s` ends the transaction that it runs in; leave COMMIT and ROLLBACK "
		            "out, or write `transaction: false`",
		            field);
	if (!ask(step, connection, &done, err))
		return false;
	if (done != wanted)
		return disagree(field, wanted, err) || fail_while(err, "nothing is changed");
	return query_run(connection, "COMMIT", err);
}

static bool perform(struct step *step, const char *field, bool wanted, struct error *err)
{
	PGconn *connection = open_session(step, err);
	bool fine = false;

	if (!connection)
		return false;
	if (value_get_bool(step->with, "transaction", true))
		fine = perform_whole(step, connection, field, wanted, err);
	else
		fine = send(step, connection, value_reveal(value_get(step->with, field)), NULL,
		            err) ||
		       fail_while(err, "`%s`", field);
	PQfinish(connection);
	return fine;
}

/* ---- The module ---- */

static bool observe(struct step *step, struct value *seen, struct error *err)
{
	bool done = false;

	if (!ask_alone(step, &done, err))
		return false;
	value_set_bool(step->arena, seen, "done", done);
	return true;
}

/* A long text is shown as its beginning; one with a secret as the plan has it. */
static const struct value *shown(struct step *step)
{
	const struct value *run = value_get(step->with, "run");

	if (run->kind != VALUE_TEXT || strlen(run->as.text) <= SHOWN)
		return run;
	size_t length = SHOWN;
	while (length && ((unsigned char)run->as.text[length] & 0xc0) == 0x80)
		length--;
	return value_text(step->arena,
	                  arena_printf(step->arena, "%.*s...", (int)length, run->as.text));
}

static bool plan(struct step *step, const struct value *seen, struct changes *changes,
                 struct error *err)
{
	(void)err;
	if (!value_get_bool(seen, "done", false))
		changes_add(changes, "run", NULL, shown(step), NULL);
	return true;
}

static bool apply(struct step *step, const struct changes *changes, struct error *err)
{
	(void)changes;
	return perform(step, "run", true, err);
}

static bool verify(struct step *step, struct error *err)
{
	bool done = false;

	return ask_alone(step, &done, err) && (done || disagree("run", true, err));
}

static bool revert(struct step *step, const struct value *before, struct error *err)
{
	bool done = false;

	if (value_get_bool(before, "done", false))
		return true;
	if (!ask_alone(step, &done, err))
		return false;
	if (!done)
		return true;
	return perform(step, "undo", false, err) && ask_alone(step, &done, err) &&
	       (!done || disagree("undo", false, err));
}

const struct step_module postgres_sql = {
	.name = "postgres.sql",
	.text = "Runs SQL of the plan in a database, where a query says that it is not done.",
	.fields = fields,
	.undo = "undo",
	.touches = (const char *const[]){"postgres/${connection}", NULL},
	.observe = observe,
	.plan = plan,
	.apply = apply,
	.verify = verify,
	.revert = revert,
};
