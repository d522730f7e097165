/* SPDX-License-Identifier: MIT */
/* What the outside world offers the engine: the tables in steps/registry.c. */
#ifndef PLAN_REGISTRY_H
#define PLAN_REGISTRY_H

#include "engine/step.h"

/* What may stand after `uses:` of a connection. */
struct connection_kind {
	const char *name; /* "dns.rfc2136" */
	const char *text;
	const struct field *fields;
};

struct registry {
	const struct step_module *const *modules;         /* NULL-ended */
	const struct connection_kind *const *connections; /* NULL-ended */
	const struct metric *const *metrics; /* NULL-ended list of tables, each ending with {0} */
};

const struct step_module *registry_module(const struct registry *registry, const char *name);
const struct connection_kind *registry_connection(const struct registry *registry,
                                                  const char *name);

/* Looks in the tables of the modules and in the free ones. */
const struct metric *registry_metric(const struct registry *registry, const char *name);

/* The nearest known name to a misspelt one, or NULL. */
const char *registry_nearest_module(const struct registry *registry, const char *name);
const char *registry_nearest_connection(const struct registry *registry, const char *name);
const char *registry_nearest_metric(const struct registry *registry, const char *name);

#endif
