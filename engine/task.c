/* SPDX-License-Identifier: MIT */
/* Starts, stops and reaps the processes of steps. */
#include "engine/base/clock.h"
#include "engine/host.h"
#include "engine/perform.h"
#include "engine/walking.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

/* A step has so long to finish what is in flight when it is asked to stop. */
#define GRACE_MS 8000

static int64_t waiting_since_ms(const struct walking *walking, const struct plan_step *step)
{
	int64_t since_ms = run_step(walking->options->run, step->id)->waiting_since_ms;

	return since_ms ? since_ms : clock_now_ms();
}

static struct task *new_task(struct walking *walking)
{
	if (walking->task_count == walking->task_room) {
		size_t room = walking->task_room ? walking->task_room * 2 : 16;
		struct task *tasks = realloc(walking->tasks, room * sizeof *tasks);
		if (!tasks)
			return NULL;
		walking->tasks = tasks;
		walking->task_room = room;
	}
	struct task *task = &walking->tasks[walking->task_count++];
	*task = (struct task){.channel = {.descriptor = -1}};
	return task;
}

/* In the new process: only the own end of the socket pair stays. The lock of the journal stays too,
 * on purpose: nobody else may begin while an effect of ours is still in flight. */
_Noreturn static void become_step(const struct walking *walking, const struct plan_step *step,
                                  enum walk_mode mode, int descriptor, pid_t parent)
{
	const struct walk_options *options = walking->options;
	struct job job = {
		.mode = mode,
		.plan = options->plan,
		.step = step,
		.run = options->run,
		.secrets = options->secrets,
		.connections = options->connections,
		.predicted = walking->predicted,
		.waiting_since_ms = waiting_since_ms(walking, step),
		.descriptor = descriptor,
		.allow_commands = options->allow_commands,
	};

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != parent)
		_exit(1);
	for (size_t i = 0; i < walking->task_count; i++)
		if (walking->tasks[i].channel.descriptor >= 0)
			close(walking->tasks[i].channel.descriptor);
	perform(&job);
}

void task_enter(struct task *task, enum task_state state)
{
	if (task->state != state || !task->since_ms)
		task->since_ms = clock_now_ms();
	task->state = state;
}

struct task *task_start(struct walking *walking, const struct plan_step *step, enum walk_mode mode)
{
	int pair[2];
	pid_t parent = getpid();

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0)
		return NULL;
	pid_t pid = fork();
	if (pid == 0) {
		close(pair[0]);
		become_step(walking, step, mode, pair[1], parent);
	}
	close(pair[1]);
	struct task *task = pid > 0 ? new_task(walking) : NULL;
	if (!task) {
		close(pair[0]);
		if (pid > 0)
			kill(pid, SIGKILL);
		return NULL;
	}
	task->step = step;
	task->pid = pid;
	task->mode = mode;
	task->started_ms = clock_real_ms();
	task_enter(task, TASK_LOOKING);
	task->channel.descriptor = pair[0];
	if (walking->paused)
		task_tell_pause(walking, task);
	return task;
}

void task_tell_pause(const struct walking *walking, const struct task *task)
{
	char word = walking->paused ? HOST_PAUSE : HOST_RESUME;

	/* One that ended meanwhile need not know; its buffer has room for what people say. */
	if (task->step->module->traits & STEP_SERVICE)
		(void)send(task->channel.descriptor, &word, 1, MSG_NOSIGNAL | MSG_DONTWAIT);
}

void task_stop(struct task *task)
{
	if (task->kill_at_ms)
		return;
	kill(task->pid, SIGTERM);
	task->kill_at_ms = clock_real_ms() + GRACE_MS;
}

void task_end(struct walking *walking, size_t index)
{
	struct task *task = &walking->tasks[index];
	int status = 0;

	while (waitpid(task->pid, &status, 0) < 0 && errno == EINTR)
		;
	if (!task->closed_with_word)
		message_lost(walking, task, status);
	live_shown(task);
	channel_close(&task->channel);
	walking->tasks[index] = walking->tasks[--walking->task_count];
}

bool task_is_acting(const struct task *task)
{
	return task->state == TASK_ACTING;
}
