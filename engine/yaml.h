/* SPDX-License-Identifier: MIT */
/* YAML 1.2 core to a value tree with places, within limits of its own. */
#ifndef PLAN_YAML_H
#define PLAN_YAML_H

#include "engine/plan.h"

enum {
	YAML_BYTES = 1024 * 1024,
	YAML_DEPTH = 64,
	YAML_EVENTS = 100000,
	YAML_SCALAR_BYTES = 64 * 1024,
};

/* One document without anchors, aliases, tags, duplicate keys, NUL or UTF-16. NULL when it is not
 * even readable; problems that leave a tree (a duplicate key) are added and the tree is returned.
 */
struct value *yaml_read(struct arena *arena, const char *data, size_t length,
                        struct problems *problems);

#endif
