/* SPDX-License-Identifier: MIT */
/* The journal in a SQLite file: one durable, chained record at a time. */
#include "engine/journal.h"
#include "engine/base/arena.h"
#include "engine/base/clock.h"
#include "engine/base/error.h"
#include "engine/base/file.h"
#include "engine/base/text.h"
#include "engine/journal_store.h"
#include "engine/lock.h"

#include <errno.h>
#include <pwd.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define HASH_BYTES 32
#define APPLICATION_ID 0x504c414e /* "PLAN" */
#define FORMAT_VERSION 1

static const char *const record_names[] = {
	[RECORD_BEGIN] = "begin",
	[RECORD_AMEND] = "amend",
	[RECORD_START] = "start",
	[RECORD_PIN] = "pin",
	[RECORD_WAIT] = "wait",
	[RECORD_INTENT] = "intent",
	[RECORD_DONE] = "done",
	[RECORD_FAILED] = "failed",
	[RECORD_UNDO_INTENT] = "undo-intent",
	[RECORD_UNDONE] = "undone",
	[RECORD_PASSED] = "passed",
	[RECORD_UNDO_FAILED] = "undo-failed",
	[RECORD_APPROVAL] = "approval",
	[RECORD_NOTE] = "note",
	[RECORD_END] = "end",
};

static const char schema[] =
	"CREATE TABLE IF NOT EXISTS record (seq INTEGER PRIMARY KEY, run INTEGER NOT NULL,"
	" kind TEXT NOT NULL, step TEXT NOT NULL, at_ms INTEGER NOT NULL,"
	" monotonic_ms INTEGER NOT NULL, epoch INTEGER NOT NULL, body TEXT NOT NULL,"
	" hash BLOB NOT NULL) STRICT;"
	"CREATE TABLE IF NOT EXISTS request (id INTEGER PRIMARY KEY, kind TEXT NOT NULL,"
	" step TEXT NOT NULL, who TEXT NOT NULL, digest TEXT NOT NULL, text TEXT NOT NULL,"
	" at_ms INTEGER NOT NULL, handled INTEGER NOT NULL DEFAULT 0) STRICT;"
	"CREATE TABLE IF NOT EXISTS live (step TEXT PRIMARY KEY, body TEXT NOT NULL) STRICT;"
	"CREATE TABLE IF NOT EXISTS epoch (one INTEGER PRIMARY KEY CHECK (one = 1),"
	" number INTEGER NOT NULL) STRICT;"
	"INSERT OR IGNORE INTO epoch VALUES (1, 0);";

const char *record_kind_name(enum record_kind kind)
{
	return record_names[kind];
}

int store_kind(const char *const *names, int count, const char *name)
{
	for (int i = 0; i < count; i++)
		if (strcmp(names[i], name) == 0)
			return i;
	return -1;
}

/* ---- SQLite, with an error that says what it was for ---- */

bool store_failed(struct journal *journal, const char *doing, struct error *err)
{
	return fail(err, ERROR_FAILED, "journal %s: %s: %s; nothing more was done", journal->path,
	            doing, sqlite3_errmsg(journal->database));
}

bool store_run(struct journal *journal, const char *sql, const char *doing, struct error *err)
{
	if (sqlite3_exec(journal->database, sql, NULL, NULL, NULL) == SQLITE_OK)
		return true;
	return store_failed(journal, doing, err);
}

sqlite3_stmt *store_prepare(struct journal *journal, const char *sql)
{
	sqlite3_stmt *statement = NULL;

	sqlite3_prepare_v2(journal->database, sql, -1, &statement, NULL);
	return statement;
}

void store_bind_text(sqlite3_stmt *statement, int index, const char *text)
{
	sqlite3_bind_text(statement, index, text ? text : "", -1, SQLITE_TRANSIENT);
}

const char *store_column_text(struct arena *arena, sqlite3_stmt *statement, int index)
{
	const unsigned char *text = sqlite3_column_text(statement, index);

	return arena_text(arena, text ? (const char *)text : "");
}

static int64_t sql_number(struct journal *journal, const char *sql)
{
	sqlite3_stmt *statement = store_prepare(journal, sql);
	int64_t number = -1;

	if (statement && sqlite3_step(statement) == SQLITE_ROW)
		number = sqlite3_column_int64(statement, 0);
	sqlite3_finalize(statement);
	return number;
}

/* ---- Opening ---- */

static bool check_file(const char *path, struct error *err)
{
	struct stat status;

	if (lstat(path, &status) < 0)
		return true;
	if (!S_ISREG(status.st_mode))
		return fail(err, ERROR_REFUSED, "journal %s is not a regular file", path);
	if (status.st_uid != geteuid())
		return fail(err, ERROR_REFUSED, "journal %s belongs to another user (uid %u)", path,
		            (unsigned)status.st_uid);
	if (status.st_mode & 077)
		return fail(err, ERROR_REFUSED, "others can read journal %s; `chmod 600` mends it",
		            path);
	return true;
}

/* One transaction: whoever opens it meanwhile sees a journal, or a file that holds nothing yet. */
static bool make_tables(struct journal *journal, struct error *err)
{
	char marks[128];

	snprintf(marks, sizeof marks, "PRAGMA application_id = %d; PRAGMA user_version = %d",
	         APPLICATION_ID, FORMAT_VERSION);
	return store_run(journal, "BEGIN IMMEDIATE", "begin it", err) &&
	       store_run(journal, marks, "mark it", err) &&
	       store_run(journal, schema, "make its tables", err) &&
	       store_run(journal, "COMMIT", "keep its tables", err);
}

/* A file in which nothing is yet is no journal to whoever does not make one: false without error.
 */
static bool check_version(struct journal *journal, bool make, struct error *err)
{
	/* All of one moment: somebody may be making it. */
	sqlite3_exec(journal->database, "BEGIN", NULL, NULL, NULL);
	int64_t tables = sql_number(journal, "SELECT count(*) FROM sqlite_master");
	bool busy = sqlite3_errcode(journal->database) == SQLITE_BUSY;
	int64_t application = sql_number(journal, "PRAGMA application_id");
	int64_t version = sql_number(journal, "PRAGMA user_version");
	if (busy)
		store_failed(journal, "read it", err);
	sqlite3_exec(journal->database, "ROLLBACK", NULL, NULL, NULL);

	if (busy)
		return false;
	if (version == 0 && tables == 0)
		return make && make_tables(journal, err);
	if (application != APPLICATION_ID)
		return fail(err, ERROR_REFUSED, "%s is damaged or not a journal of plan",
		            journal->path);
	if (version > FORMAT_VERSION)
		return fail(
			err, ERROR_REFUSED,
			"journal %s has format %lld, this plan reads up to %d: use a newer plan",
			journal->path, (long long)version, FORMAT_VERSION);
	return true;
}

static bool open_database(struct journal *journal, bool make, struct error *err)
{
	int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOFOLLOW | (make ? SQLITE_OPEN_CREATE : 0);

	if (sqlite3_open_v2(journal->path, &journal->database, flags, NULL) != SQLITE_OK)
		return store_failed(journal, "open", err);
	sqlite3_busy_timeout(journal->database, 10000);
	return store_run(journal,
	                 "PRAGMA trusted_schema = OFF; PRAGMA cell_size_check = ON;"
	                 "PRAGMA secure_delete = ON; PRAGMA journal_mode = DELETE;"
	                 "PRAGMA synchronous = EXTRA",
	                 "set it up", err) &&
	       check_version(journal, make, err);
}

static void give_paths(struct journal *journal, const char *directory, const char *name)
{
	journal->path = arena_printf(&journal->arena, "%s/%s.db", directory, name);
	journal->lock_path = arena_printf(&journal->arena, "%s/%s.lock", directory, name);
	journal->key_path = arena_printf(&journal->arena, "%s/%s.key", directory, name);
}

struct journal *journal_open(const char *state_directory, const char *plan_name, bool make,
                             struct error *err)
{
	struct journal *journal = calloc(1, sizeof *journal);
	mode_t mask;

	if (!journal) {
		fail(err, ERROR_FAILED, "out of memory");
		return NULL;
	}
	err->kind = ERROR_NONE;
	journal->lock = -1;
	journal->owner = getpid();
	give_paths(journal, state_directory, plan_name);
	bool there = access(journal->path, F_OK) == 0;
	mask = umask(077);
	bool fine = (there || make) && (!make || file_private_directory(state_directory, err)) &&
	            check_file(journal->path, err) && open_database(journal, make, err) &&
	            seal_load(&journal->key, journal->key_path, make, err);
	umask(mask);
	if (!fine) {
		journal_close(journal);
		return NULL;
	}
	journal->sealer = seal_with(&journal->key);
	return journal;
}

void journal_close(struct journal *journal)
{
	if (!journal)
		return;
	if (journal->database && journal->owner == getpid())
		sqlite3_close(journal->database);
	if (journal->lock >= 0)
		close(journal->lock);
	sodium_memzero(&journal->key, sizeof journal->key);
	arena_free(&journal->arena);
	free(journal);
}

const char *journal_path(const struct journal *journal)
{
	return journal->path;
}

/* ---- The lock ---- */

bool journal_lock(struct journal *journal, const char *what, struct error *err)
{
	const struct passwd *entry = getpwuid(getuid());
	struct holder holder = {.pid = getpid(), .since_ms = clock_now_ms()};

	snprintf(holder.who, sizeof holder.who, "%s", entry ? entry->pw_name : "somebody");
	gethostname(holder.host, sizeof holder.host - 1);
	snprintf(holder.what, sizeof holder.what, "%s", what);
	holder.epoch = sql_number(journal, "SELECT number + 1 FROM epoch");
	journal->lock = lock_take(journal->lock_path, &holder, err);
	if (journal->lock < 0)
		return false;
	if (!store_run(journal, "UPDATE epoch SET number = number + 1", "take the lock", err))
		return false;
	journal->epoch = sql_number(journal, "SELECT number FROM epoch");
	return true;
}

bool journal_holder(struct journal *journal, struct holder *holder)
{
	return lock_holder(journal->lock_path, holder);
}

/* ---- The chain ---- */

static void hash_text(crypto_generichash_state *state, const char *text)
{
	/* With its NUL, so that no two sequences of columns have the same bytes. */
	crypto_generichash_update(state, (const unsigned char *)text, strlen(text) + 1);
}

static void hash_number(crypto_generichash_state *state, int64_t number)
{
	char text[24];

	snprintf(text, sizeof text, "%lld", (long long)number);
	hash_text(state, text);
}

struct row {
	int64_t seq, run, at_ms, monotonic_ms, epoch;
	const char *kind, *step, *body;
};

static void hash_row(const unsigned char *previous, const struct row *row, unsigned char *hash)
{
	crypto_generichash_state state;

	crypto_generichash_init(&state, NULL, 0, HASH_BYTES);
	crypto_generichash_update(&state, previous, HASH_BYTES);
	hash_number(&state, row->seq);
	hash_number(&state, row->run);
	hash_text(&state, row->kind);
	hash_text(&state, row->step);
	hash_number(&state, row->at_ms);
	hash_number(&state, row->monotonic_ms);
	hash_number(&state, row->epoch);
	hash_text(&state, row->body);
	crypto_generichash_final(&state, hash, HASH_BYTES);
}

/* ---- Appending ---- */

static bool read_tail(struct journal *journal, int64_t *seq, unsigned char *hash)
{
	sqlite3_stmt *statement =
		store_prepare(journal, "SELECT seq, hash FROM record ORDER BY seq DESC LIMIT 1");
	int result = statement ? sqlite3_step(statement) : SQLITE_ERROR;

	*seq = 0;
	memset(hash, 0, HASH_BYTES);
	if (result == SQLITE_ROW) {
		*seq = sqlite3_column_int64(statement, 0);
		if (sqlite3_column_bytes(statement, 1) == HASH_BYTES)
			memcpy(hash, sqlite3_column_blob(statement, 1), HASH_BYTES);
	}
	sqlite3_finalize(statement);
	return result == SQLITE_ROW || result == SQLITE_DONE;
}

static bool insert_row(struct journal *journal, const struct row *row, const unsigned char *hash)
{
	sqlite3_stmt *statement = store_prepare(
		journal, "INSERT INTO record SELECT ?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9"
			 " FROM epoch WHERE number = ?7");

	if (!statement)
		return false;
	sqlite3_bind_int64(statement, 1, row->seq);
	sqlite3_bind_int64(statement, 2, row->run);
	store_bind_text(statement, 3, row->kind);
	store_bind_text(statement, 4, row->step);
	sqlite3_bind_int64(statement, 5, row->at_ms);
	sqlite3_bind_int64(statement, 6, row->monotonic_ms);
	sqlite3_bind_int64(statement, 7, row->epoch);
	store_bind_text(statement, 8, row->body);
	sqlite3_bind_blob(statement, 9, hash, HASH_BYTES, SQLITE_TRANSIENT);
	bool fine = sqlite3_step(statement) == SQLITE_DONE;
	sqlite3_finalize(statement);
	return fine;
}

static bool append_row(struct journal *journal, struct row *row, struct error *err)
{
	unsigned char previous[HASH_BYTES], hash[HASH_BYTES];

	if (!read_tail(journal, &row->seq, previous))
		return store_failed(journal, "read its end", err);
	row->seq++;
	hash_row(previous, row, hash);
	if (!insert_row(journal, row, hash))
		return store_failed(journal, "append a record", err);
	if (sqlite3_changes(journal->database) != 1)
		return fail(err, ERROR_REFUSED,
		            "somebody else took this run over; this process does nothing more");
	return true;
}

bool journal_append(struct journal *journal, struct record *record, struct error *err)
{
	struct text body = {0};
	struct row row = {
		.run = record->run,
		.kind = record_names[record->kind],
		.step = record->step,
		.at_ms = clock_now_ms(),
		.monotonic_ms = clock_monotonic_ms(),
		.epoch = journal->epoch,
	};

	if (journal->epoch == 0)
		return fail(err, ERROR_REFUSED, "the journal is not locked by this process");
	json_write(record->body, &journal->sealer, &body);
	row.body = text_string(&body);
	/* A failed fsync is final: the kernel may have dropped what it could not write. */
	bool fine = store_run(journal, "BEGIN IMMEDIATE", "begin a record", err) &&
	            append_row(journal, &row, err) &&
	            (!record->live || journal_set_live(journal, record->step, record->live) ||
	             store_failed(journal, "show what happens", err)) &&
	            store_run(journal, "COMMIT", "make a record durable", err);
	if (!fine)
		sqlite3_exec(journal->database, "ROLLBACK", NULL, NULL, NULL);
	text_free(&body);
	record->seq = row.seq;
	record->at_ms = row.at_ms;
	record->monotonic_ms = row.monotonic_ms;
	return fine;
}

/* ---- Reading ---- */

static const char select_rows[] =
	"SELECT seq, run, kind, step, at_ms, monotonic_ms, epoch, body, hash FROM record"
	" WHERE seq >= ?1 ORDER BY seq";

static struct row take_row(sqlite3_stmt *statement, struct arena *arena)
{
	return (struct row){
		.seq = sqlite3_column_int64(statement, 0),
		.run = sqlite3_column_int64(statement, 1),
		.kind = store_column_text(arena, statement, 2),
		.step = store_column_text(arena, statement, 3),
		.at_ms = sqlite3_column_int64(statement, 4),
		.monotonic_ms = sqlite3_column_int64(statement, 5),
		.epoch = sqlite3_column_int64(statement, 6),
		.body = store_column_text(arena, statement, 7),
	};
}

static bool read_row(struct journal *journal, const struct row *row, struct arena *arena,
                     struct record *record, struct error *err)
{
	int kind = store_kind(record_names, RECORD_KINDS, row->kind);

	if (kind < 0)
		return fail(err, ERROR_REFUSED,
		            "record %lld has the unknown kind %s: use a newer plan",
		            (long long)row->seq, row->kind);
	*record = (struct record){
		.seq = row->seq,
		.run = row->run,
		.kind = (enum record_kind)kind,
		.step = row->step,
		.at_ms = row->at_ms,
		.monotonic_ms = row->monotonic_ms,
		.body = json_read(arena, row->body, strlen(row->body), 0, &journal->sealer, err),
	};
	return record->body || fail_while(err, "record %lld", (long long)row->seq);
}

bool journal_read(struct journal *journal, int64_t from_seq, struct arena *arena,
                  bool (*visit)(void *context, const struct record *record), void *context,
                  struct error *err)
{
	sqlite3_stmt *statement = store_prepare(journal, select_rows);
	bool fine = true, more = true;
	int result = SQLITE_DONE;

	if (!statement)
		return store_failed(journal, "read", err);
	sqlite3_bind_int64(statement, 1, from_seq);
	while (fine && more && (result = sqlite3_step(statement)) == SQLITE_ROW) {
		struct record record;
		struct row row = take_row(statement, arena);
		fine = read_row(journal, &row, arena, &record, err);
		more = fine && visit(context, &record);
	}
	if (fine && more && result != SQLITE_DONE)
		fine = store_failed(journal, "read", err);
	sqlite3_finalize(statement);
	return fine;
}

bool journal_verify(struct journal *journal, int64_t *record_count, struct error *err)
{
	sqlite3_stmt *statement = store_prepare(journal, select_rows);
	unsigned char previous[HASH_BYTES] = {0}, hash[HASH_BYTES];
	struct arena arena = {0};
	bool fine = statement != NULL;
	int result = SQLITE_ERROR;

	*record_count = 0;
	sqlite3_bind_int64(statement, 1, 0);
	while (fine && (result = sqlite3_step(statement)) == SQLITE_ROW) {
		struct row row = take_row(statement, &arena);
		hash_row(previous, &row, hash);
		fine = row.seq == ++*record_count &&
		       sqlite3_column_bytes(statement, 8) == HASH_BYTES &&
		       memcmp(hash, sqlite3_column_blob(statement, 8), HASH_BYTES) == 0;
		memcpy(previous, hash, HASH_BYTES);
		arena_free(&arena);
	}
	if (!fine && result == SQLITE_ROW)
		fail(err, ERROR_REFUSED, "journal %s is damaged at record %lld", journal->path,
		     (long long)*record_count);
	else if (result != SQLITE_DONE)
		fine = store_failed(journal, "verify", err);
	sqlite3_finalize(statement);
	return fine;
}
