/* SPDX-License-Identifier: MIT */
/* Requests from people, and what is shown live: beside the records, and not part of them. */
#include "engine/base/arena.h"
#include "engine/base/clock.h"
#include "engine/base/error.h"
#include "engine/base/text.h"
#include "engine/journal_store.h"

#include <stdio.h>
#include <string.h>

static const char *const request_names[] = {
	[REQUEST_APPROVE] = "approve",
	[REQUEST_PAUSE] = "pause",
	[REQUEST_RESUME] = "resume",
	[REQUEST_STOP] = "stop",
};

const char *request_kind_name(enum request_kind kind)
{
	return request_names[kind];
}

/* ---- Requests and the live view ---- */

bool journal_request(struct journal *journal, const struct request *request, struct error *err)
{
	sqlite3_stmt *statement =
		store_prepare(journal, "INSERT INTO request (kind, step, who, digest, text, at_ms)"
	                               " VALUES (?1, ?2, ?3, ?4, ?5, ?6)");

	if (!statement)
		return store_failed(journal, "file a request", err);
	const char *texts[] = {request_names[request->kind], request->step, request->who,
	                       request->digest, request->text};
	for (int i = 0; i < 5; i++)
		store_bind_text(statement, i + 1, texts[i]);
	sqlite3_bind_int64(statement, 6, clock_now_ms());
	bool fine = sqlite3_step(statement) == SQLITE_DONE;
	sqlite3_finalize(statement);
	return fine || store_failed(journal, "file a request", err);
}

struct request *journal_next_request(struct journal *journal, int64_t after, bool handled,
                                     struct arena *arena)
{
	sqlite3_stmt *statement = store_prepare(
		journal, "SELECT id, kind, step, who, digest, text, at_ms FROM request"
			 " WHERE handled = ?2 AND id > ?1 ORDER BY id LIMIT 1");
	struct request *request = NULL;

	if (!statement)
		return NULL;
	sqlite3_bind_int64(statement, 1, after);
	sqlite3_bind_int64(statement, 2, handled);
	if (sqlite3_step(statement) == SQLITE_ROW) {
		int kind = store_kind(request_names, REQUEST_KINDS,
		                      store_column_text(arena, statement, 1));
		request = arena_alloc(arena, sizeof *request);
		*request = (struct request){
			.id = sqlite3_column_int64(statement, 0),
			.kind = kind < 0 ? REQUEST_KINDS : (enum request_kind)kind,
			.step = store_column_text(arena, statement, 2),
			.who = store_column_text(arena, statement, 3),
			.digest = store_column_text(arena, statement, 4),
			.text = store_column_text(arena, statement, 5),
			.at_ms = sqlite3_column_int64(statement, 6),
			.handled = handled,
		};
	}
	sqlite3_finalize(statement);
	return request;
}

bool journal_request_handled(struct journal *journal, int64_t id, struct error *err)
{
	char sql[96];

	snprintf(sql, sizeof sql, "UPDATE request SET handled = 1 WHERE id = %lld", (long long)id);
	return store_run(journal, sql, "answer a request", err);
}

bool journal_set_live(struct journal *journal, const char *step, const struct value *live)
{
	sqlite3_stmt *statement =
		store_prepare(journal, "INSERT INTO live VALUES (?1, ?2)"
	                               " ON CONFLICT (step) DO UPDATE SET body = excluded.body");
	struct text body = {0};

	if (!statement)
		return false;
	json_write(live, NULL, &body);
	store_bind_text(statement, 1, step);
	store_bind_text(statement, 2, text_string(&body));
	bool fine = sqlite3_step(statement) == SQLITE_DONE;
	sqlite3_finalize(statement);
	text_free(&body);
	return fine;
}

struct value *journal_live(struct journal *journal, struct arena *arena)
{
	sqlite3_stmt *statement =
		store_prepare(journal, "SELECT step, body FROM live ORDER BY step");
	struct value *all = value_map(arena);
	struct error ignored;

	while (statement && sqlite3_step(statement) == SQLITE_ROW) {
		const char *body = store_column_text(arena, statement, 1);
		struct value *live = json_read(arena, body, strlen(body), 0, NULL, &ignored);
		if (live)
			value_set(arena, all, store_column_text(arena, statement, 0), live);
	}
	sqlite3_finalize(statement);
	return all;
}
