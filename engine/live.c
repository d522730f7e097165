/* SPDX-License-Identifier: MIT */
/* What is shown live: what each step said last; and of the run as a whole who has a job, who runs
 * on, and whether it is paused or ends. */
#include "engine/base/clock.h"
#include "engine/walking.h"

/* Each is written to the disk: a step that says much is shown so often, and of the run what lasts.
 */
#define LIVE_EVERY_MS 250
#define SETTLED_FOR_MS 400

/* ---- What a step said last ---- */

void live_shown(struct task *task)
{
	arena_free(&task->late_arena);
	task->late = NULL;
	task->live_at_ms = clock_real_ms();
}

void live_show(struct walking *walking, struct task *task, const struct value *live, bool at_once)
{
	struct journal *journal = walking->options->journal;

	if (!journal || task->mode == WALK_LOOK)
		return;
	if (at_once || clock_real_ms() - task->live_at_ms >= LIVE_EVERY_MS) {
		journal_set_live(journal, task->step->id, live);
		live_shown(task);
		return;
	}
	if (live == task->late)
		return;
	arena_free(&task->late_arena);
	task->late = value_copy(&task->late_arena, live);
}

static void show_late(struct walking *walking)
{
	for (size_t i = 0; i < walking->task_count; i++)
		if (walking->tasks[i].late)
			live_show(walking, &walking->tasks[i], walking->tasks[i].late, false);
}

/* ---- The run ---- */

static const char *const task_words[] = {
	[TASK_LOOKING] = "looking", [TASK_WAITING] = "waiting", [TASK_OFFERED] = "waiting",
	[TASK_ACTING] = "acting",   [TASK_SERVING] = "serving",
};

static const char *run_word(const struct walking *walking)
{
	if (walking->going_back || walking->options->mode == WALK_REVERT)
		return "going back";
	if (walking->ending)
		return "ending";
	return walking->paused ? "paused" : "running";
}

static struct value *describe(struct walking *walking, struct arena *arena)
{
	struct value *live = value_map(arena), *running = value_list(arena);

	value_set_text(arena, live, "state", run_word(walking));
	value_set_number(arena, live, "at_ms", clock_now_ms());
	value_set_number(arena, live, "jobs", (int64_t)walking_jobs(walking));
	if (walking->options->through)
		value_set_text(arena, live, "through", walking->options->through);
	for (size_t i = 0; i < walking->task_count; i++) {
		const struct task *task = &walking->tasks[i];
		struct value *one = value_map(arena);
		value_set_text(arena, one, "step", task->step->id);
		value_set_text(arena, one, "state", task_words[task->state]);
		value_set_number(arena, one, "since_ms", task->since_ms);
		value_add(running, one);
	}
	value_set(arena, live, "running", running);
	return live;
}

/* Changes whenever something changed that is shown. Never 0. */
static uint64_t sum_of(const struct walking *walking)
{
	uint64_t sum = (uint64_t)walking->ending << 3 | (uint64_t)walking->paused << 2 |
	               (uint64_t)walking->going_back << 1 | 1;

	for (size_t i = 0; i < walking->task_count; i++)
		sum = sum * 1099511628211U + (uint64_t)walking->tasks[i].pid * 8 +
		      walking->tasks[i].state;
	return sum | 1;
}

void live_tend(struct walking *walking)
{
	struct journal *journal = walking->options->journal;
	uint64_t sum = sum_of(walking);
	struct arena arena = {0};

	if (!journal || walking->options->mode == WALK_LOOK)
		return;
	show_late(walking);
	if (sum == walking->sum_shown)
		return;
	if (sum != walking->sum_seen) {
		walking->sum_seen = sum;
		walking->sum_seen_at_ms = clock_real_ms();
		return;
	}
	if (clock_real_ms() - walking->sum_seen_at_ms < SETTLED_FOR_MS)
		return;
	journal_set_live(journal, "", describe(walking, &arena));
	arena_free(&arena);
	walking->sum_shown = sum;
}
