/* SPDX-License-Identifier: MIT */
/* JSON schema and reference, generated from the tables that the checks read. */
#ifndef PLAN_SCHEMA_H
#define PLAN_SCHEMA_H

#include "engine/registry.h"

struct key;

/* JSON Schema (draft-07) of a plan file. */
struct value *schema_plan(struct arena *arena, const struct registry *registry);

/* The reference of modules, connections and checks in Markdown. */
void schema_reference(const struct registry *registry, struct text *out);

/* An object with these keys and no others. */
struct value *schema_of_keys(struct arena *arena, const struct key *keys);

/* One module of it. */
void schema_module(const struct step_module *module, struct text *out);

#endif
