/* SPDX-License-Identifier: MIT */
/* YAML 1.2 core to a value tree with places, within limits of its own.
 *
 * What can be large in a plan is the number of its steps. So there is one small allowance for all
 * that stands outside of `steps` and the same again for each single step, and a large one for the
 * whole. A file that is no plan (a text without end, nesting, a list of a million, aliases) meets
 * the small one: refused within half a second and 64 MiB, whatever its size. A file that looks like
 * a plan of the largest size costs what such a plan costs, in proportion to its bytes: about a
 * second and 200 MB, tests/bench/engine measures it.
 */
#ifndef PLAN_YAML_H
#define PLAN_YAML_H

#include "engine/plan.h"

enum {
	YAML_BYTES = 32 * 1024 * 1024, /* the whole */
	YAML_EVENTS = 2500000,
	YAML_PART_BYTES = 1024 * 1024, /* what is no step, and each step */
	YAML_PART_EVENTS = 100000,
	YAML_DEPTH = 64,
	YAML_SCALAR_BYTES = 64 * 1024,
	YAML_SILENT_BYTES = 128 * 1024, /* that make no event: a text as it is written, comments */
};

/* One document without anchors, aliases, tags, duplicate keys, NUL or UTF-16. NULL when it is not
 * even readable; problems that leave a tree (a duplicate key) are added and the tree is returned.
 */
struct value *yaml_read(struct arena *arena, const char *data, size_t length,
                        struct problems *problems);

#endif
