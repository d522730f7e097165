/* SPDX-License-Identifier: MIT */
/* The engine's side of a step in its own process: what step.h offers to modules, and the wire. */
#ifndef PLAN_HOST_H
#define PLAN_HOST_H

#include "engine/channel.h"
#include "engine/plan.h"
#include "engine/resolve.h"
#include "engine/run.h"

struct step_host {
	struct channel channel;
	const struct plan *plan;
	const struct plan_step *plan_step;
	struct run *run; /* as it was when the process began; read only */
	const struct scope *scope;
	const struct value *connections; /* resolved LIST */
	char token[13];
	int64_t waiting_since_ms; /* wall clock from which `within` of preconditions counts */
	bool looking;
	bool guarded; /* invariants are checked while sleeping */
	bool allow_commands;
};

/* Begins a message {"event": event}. */
struct value *host_message(struct step *step, const char *event);
/* Sends it; secrets of the plan are taken out of what people will read. */
bool host_send(struct step *step, struct value *message, struct error *err);

/* What the engine says to a service at any time. */
#define HOST_PAUSE 'p'
#define HOST_RESUME 'r'

/* Waits for the engine's answer to "ready": 'g' go ahead, 'w' wait and offer again. False:
 * cancelled, or the engine is gone. */
bool host_answer(struct step *step, char *answer, struct error *err);

/* SIGTERM sets the flag that step_stopping() reads; call once in the new process. */
void host_listen(void);

#endif
