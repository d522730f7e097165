/* SPDX-License-Identifier: MIT */
/* The inside of a walk: its tasks and what is settled. Only the files that are named below. */
#ifndef PLAN_WALKING_H
#define PLAN_WALKING_H

#include "engine/channel.h"
#include "engine/run.h"
#include "engine/walk.h"

#include <sys/types.h>

enum task_state {
	TASK_LOOKING,
	TASK_WAITING, /* for conditions */
	TASK_OFFERED, /* ready, but a person must say yes or the run is paused */
	TASK_ACTING,  /* its intent is durable */
	TASK_SERVING, /* a service whose step is done */
};

/* The process of one step. */
struct task {
	const struct plan_step *step;
	pid_t pid;
	struct channel channel;
	enum task_state state;
	enum walk_mode mode;
	int64_t started_ms;        /* real clock */
	int64_t since_ms;          /* wall clock, when `state` began */
	int64_t acting_since_ms;   /* real clock; 0 before */
	int64_t sleeping_until_ms; /* wall clock; 0 when it is not merely waiting for time */
	int64_t sleeping_since_ms; /* real clock, of that */
	int64_t kill_at_ms;        /* real clock; 0 unless it was asked to stop */
	int64_t live_at_ms;        /* real clock, when its live text was last stored */
	struct arena late_arena;   /* of `late` */
	const struct value *late;  /* what came too soon after that to be stored; NULL */
	bool closed_with_word;     /* it said how it ended */
	bool timed_out;
	bool dropped;             /* stopped by us: its end is no failure */
	char offered_for[512];    /* of OFFERED: who or what is missing */
	const char *offered_word; /* of OFFERED: "approval", "pause" or "end" */
};

enum settled { SETTLED_NOT, SETTLED_DONE, SETTLED_FAILED };

/* A service that ended before its time is started again, each time later. */
struct restart {
	int64_t at_ms; /* real clock; 0: none is due */
	int64_t tries;
};

struct walking {
	const struct walk_options *options;
	struct walk_result *result;
	struct arena arena; /* as long as the walk */
	struct task *tasks; /* jobs of them and the services; [0, task_count) are in use */
	size_t task_count, task_room;
	enum settled *settled;          /* by order of the step */
	size_t *missing;                /* needs that are not settled yet, by order */
	bool *included;                 /* by order */
	bool *passing;                  /* APPLY: done and standing, settles with its needs */
	bool *changes_ahead;            /* LOOK: the step or something before it has changes */
	const struct plan_step **ready; /* FIFO of steps whose needs are settled */
	size_t ready_first, ready_count;
	struct restart *restarts; /* by order */
	struct value *predicted;  /* LOOK: MAP id -> outputs */
	bool paused;
	bool ending; /* no new steps; tasks are being stopped or finish */
	bool journal_broken;
	const char
		*roll_back_to; /* the way back is to be taken, as on_failure or the budget says */
	const struct way_back *back; /* what is left of it */
	bool going_back;
	int64_t last_request;
	int64_t requests_at_ms;  /* real clock */
	int64_t signalled_at_ms; /* real clock; 0: no signal came */
	uint64_t sum_shown,
		sum_seen;       /* of what is live: as shown, and as it was in the last round */
	int64_t sum_seen_at_ms; /* real clock, when that came about */
};

/* task.c */
struct task *task_start(struct walking *walking, const struct plan_step *step, enum walk_mode mode);
/* A service is told whether the run is paused. */
void task_tell_pause(const struct walking *walking, const struct task *task);
void task_stop(struct task *task); /* asks it to end; it is killed when it does not */
void task_end(struct walking *walking, size_t index);
void task_enter(struct task *task, enum task_state state);
bool task_is_acting(const struct task *task);

/* gate.c: may the task that offered itself act now? If not, why is filled. */
bool gate_opens(struct walking *walking, struct task *task);
bool gate_read_requests(struct walking *walking);

/* back.c: finds the way back; takes its next step, false at its end or when the journal broke. */
bool back_begin(struct walking *walking);
bool back_step(struct walking *walking);

/* idle.c: what to do when nothing but time can help. */
void idle_enforce_timeouts(struct walking *walking);
/* Wall clock at which its timeout is over; 0: none runs just now. */
int64_t idle_timeout_at_ms(const struct task *task);
void idle_jump(struct walking *walking);
void idle_park(struct walking *walking);

/* service.c: ends services that nobody needs any more, starts those again that died. */
bool service_tend(struct walking *walking);
bool service_is_due(const struct walking *walking);
/* It ended without being asked: it will be started again, and people are told why it ended. Gives
 * what is shown of it until then. */
struct value *service_died(struct walking *walking, const struct task *task, const char *text,
                           struct arena *arena);

/* live.c: shows what a task said last, now or, where that was done just now, a little later. */
void live_show(struct walking *walking, struct task *task, const struct value *live, bool at_once);
/* Something newer was shown, with a record. */
void live_shown(struct task *task);
/* Shows what is left over, and the run as a whole. */
void live_tend(struct walking *walking);

/* walk.c */
size_t walking_running(const struct walking *walking); /* tasks, but for services */
size_t walking_jobs(const struct walking *walking);    /* how many there may be */
bool walking_append(struct walking *walking, enum record_kind kind, const char *step,
                    struct value *body);
/* The same with what is shown live from now on, or NULL. */
bool walking_append_live(struct walking *walking, enum record_kind kind, const char *step,
                         struct value *body, const struct value *live);
void walking_tell(struct walking *walking, enum walk_news news, const struct plan_step *step,
                  const char *text, const struct value *body);
void walking_settle(struct walking *walking, const struct plan_step *step, enum settled how);

/* message.c: one message from a task; false when the journal broke. */
bool message_handle(struct walking *walking, struct task *task, const struct value *message,
                    struct arena *arena);
/* The task ended without a last word, or was killed. */
void message_lost(struct walking *walking, struct task *task, int wait_status);

/* budget.c: true when going back now is the last moment to stay within the budget. */
bool budget_used_up(struct walking *walking, char *why, size_t size);

#endif
