/* SPDX-License-Identifier: MIT */
/* Puts values in the place of references: ${inputs.x} ${secrets.x} ${steps.x.y} ${each}. */
#ifndef PLAN_RESOLVE_H
#define PLAN_RESOLVE_H

#include "engine/plan.h"

/* Where references find their values. */
struct scope {
	const struct plan *plan;
	const struct plan_step
		*step; /* whose references are resolved; picks the for_each instance */
	const struct value *secrets; /* MAP name -> SECRET; NULL: they become UNKNOWN */
	/* The outputs of a step, MAP, or NULL when it is not done: then references to it are
	 * UNKNOWN. */
	const struct value *(*outputs)(const struct scope *scope, const struct plan_step *step);
	const void *context;
};

/* A copy with every reference replaced. A text that is one reference whole keeps the kind of what
 * it stands for; inside a longer text it becomes text. A text with a secret inside is a SECRET. A
 * reference to a for_each step from outside it gives a LIST. NULL on error. */
struct value *resolve(const struct scope *scope, const struct value *value, struct arena *arena,
                      struct error *err);

/* The `with` of a step as its module gets it: resolved, every field checked (field_accept),
 * defaults filled in, {file: ...} read. NULL on error. */
struct value *resolve_with(const struct scope *scope, const struct plan_step *step,
                           struct arena *arena, struct error *err);

/* The connections, likewise: LIST of MAPs with `name` and `uses`. */
struct value *resolve_connections(const struct scope *scope, struct arena *arena,
                                  struct error *err);

/* Reads the secrets of a plan from environment and files: MAP name -> SECRET. All that are missing
 * are named in one error. */
struct value *resolve_secrets(const struct plan *plan, struct arena *arena, struct error *err);

/* Fills "heroku/app/${app}/config" from fields and outputs; NULL when one of them is not known. */
char *resolve_template(const char *template, const struct value *with, const struct value *outputs,
                       struct arena *arena);

#endif
