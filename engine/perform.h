/* SPDX-License-Identifier: MIT */
/* What the process of one step does, from its first look to its last word. */
#ifndef PLAN_PERFORM_H
#define PLAN_PERFORM_H

#include "engine/walk.h"

/* One step in one mode. All of it is memory of the engine as it was at the fork. */
struct job {
	enum walk_mode mode;
	const struct plan *plan;
	const struct plan_step *step;
	struct run *run;
	const struct value *secrets, *connections;
	const struct value
		*predicted;       /* LOOK: MAP step id -> outputs, of steps that were looked at */
	int64_t waiting_since_ms; /* wall clock from which `within` counts */
	int descriptor;           /* our end of the socket pair */
	bool allow_commands;
};

/* Messages it sends, each a MAP with `event`:
 *   looked    changes, outputs, subjects          the last one of LOOK
 *   waiting   for, conditions, until_ms           not part of the record
 *   ready     before, changes, conditions, subjects   then waits for 'g' (go) or 'w' (wait)
 *   sleeping  until_ms, text / awake
 *   pin, note, progress
 *   retrying  text, error, tries, tries_most, next_at_ms
 *   done      outputs, subjects, changed          (a SERVICE serves on afterwards)
 *   undone
 *   failed    kind, text                          the last one when it failed
 */
_Noreturn void perform(const struct job *job);

#endif
