/* SPDX-License-Identifier: MIT */
/* The journal: the only memory of a run. Append-only records, chained by hash, durable when
 * journal_append() returns; beside them requests from people and what is shown live.
 *
 * Invariants:
 *  - seq grows by one; hash = BLAKE2b(previous hash, record). A gap or a changed byte is found.
 *  - Only the holder of the lock appends, and only with the epoch it took the lock with.
 *  - Nothing in it is a secret in clear: secrets are sealed with a key that lies beside it.
 */
#ifndef PLAN_JOURNAL_H
#define PLAN_JOURNAL_H

#include "engine/base/json.h"

/* What each holds, in short; record.c has the table. */
enum record_kind {
	RECORD_BEGIN,       /* a run begins: {plan, digest, identity, inputs, tool, file, steps} */
	RECORD_AMEND,       /* the plan was changed on an open run: as BEGIN */
	RECORD_START,       /* somebody took the run up: {who, pid, mode} */
	RECORD_PIN,         /* {name, identity} */
	RECORD_WAIT,        /* a step waits: {conditions: [...], for: "..."} */
	RECORD_INTENT,      /* about to act: {before, changes, conditions, subjects} */
	RECORD_DONE,        /* satisfied: {outputs, changed, subjects} */
	RECORD_FAILED,      /* {kind, text} */
	RECORD_UNDO_INTENT, /* about to go back: {before} */
	RECORD_UNDONE,      /* {void_approvals} */
	RECORD_PASSED,      /* the way back passed over it: {why} */
	RECORD_UNDO_FAILED, /* {kind, text} */
	RECORD_APPROVAL,    /* {who, digest, text} */
	RECORD_NOTE,        /* {text} */
	RECORD_END,         /* {outcome, exit} */
	RECORD_KINDS
};

struct record {
	int64_t seq; /* 1, 2, ... */
	int64_t run; /* number of the run in this journal */
	enum record_kind kind;
	const char *step; /* "" when it is about the run */
	int64_t at_ms;    /* wall clock */
	int64_t monotonic_ms;
	const struct value *body; /* MAP */
	const struct value *live; /* only to append: what is shown live from now on, or NULL */
};

enum request_kind { REQUEST_APPROVE, REQUEST_PAUSE, REQUEST_RESUME, REQUEST_STOP, REQUEST_KINDS };

struct request {
	int64_t id;
	enum request_kind kind;
	const char *step;   /* of APPROVE */
	const char *who;    /* "user@host" */
	const char *digest; /* of plan and inputs that were approved */
	const char *text;
	int64_t at_ms;
	bool handled;
};

/* Who holds the lock. */
struct holder {
	char who[128], host[128], what[64];
	int64_t pid, since_ms, epoch;
};

struct journal;

/* Opens, and makes when `make` is set, the journal of a plan: NAME.db in the state directory
 * (PLAN_STATE_DIR, else .plan beside the plan). NULL and ERROR_NONE kind when there is none. */
struct journal *journal_open(const char *state_directory, const char *plan_name, bool make,
                             struct error *err);
void journal_close(struct journal *journal);
const char *journal_path(const struct journal *journal);

/* Takes the one lock; ERROR_REFUSED names holder, host, pid, since when. The lock goes when this
 * process and all its children are gone. */
bool journal_lock(struct journal *journal, const char *what, struct error *err);

/* True when somebody holds it; fills holder. */
bool journal_holder(struct journal *journal, struct holder *holder);

/* Durable when it returns true, with what is live, at the price of one. Fills seq and times of the
 * record. */
bool journal_append(struct journal *journal, struct record *record, struct error *err);

/* Calls visit for each record from seq on, in order, until it returns false. Each record lives in
 * the arena. */
bool journal_read(struct journal *journal, int64_t from_seq, struct arena *arena,
                  bool (*visit)(void *context, const struct record *record), void *context,
                  struct error *err);

/* Checks the whole chain; the error names the first record that is wrong. */
bool journal_verify(struct journal *journal, int64_t *record_count, struct error *err);

/* Requests from people; any process may file one. */
bool journal_request(struct journal *journal, const struct request *request, struct error *err);
/* The next one with id > after that is handled, or is not, in the arena; NULL: there is none. */
struct request *journal_next_request(struct journal *journal, int64_t after, bool handled,
                                     struct arena *arena);
bool journal_request_handled(struct journal *journal, int64_t id, struct error *err);

/* What is shown live (status, dashboard): one MAP a step, "" for the run, overwritten, not part of
 * the record. message.c and live.c have what is in it. */
bool journal_set_live(struct journal *journal, const char *step, const struct value *live);
/* MAP step -> live. */
struct value *journal_live(struct journal *journal, struct arena *arena);

const char *record_kind_name(enum record_kind kind);
const char *request_kind_name(enum request_kind kind);

#endif
