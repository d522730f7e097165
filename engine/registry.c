/* SPDX-License-Identifier: MIT */
/* Finds modules, connections and metrics by name. */
#include "engine/registry.h"
#include "engine/base/nearest.h"

#include <string.h>

const struct step_module *registry_module(const struct registry *registry, const char *name)
{
	for (size_t i = 0; registry->modules[i]; i++)
		if (strcmp(registry->modules[i]->name, name) == 0)
			return registry->modules[i];
	return NULL;
}

const struct connection_kind *registry_connection(const struct registry *registry, const char *name)
{
	for (size_t i = 0; registry->connections[i]; i++)
		if (strcmp(registry->connections[i]->name, name) == 0)
			return registry->connections[i];
	return NULL;
}

static const struct metric *find_metric(const struct metric *table, const char *name)
{
	for (; table && table->name; table++)
		if (strcmp(table->name, name) == 0)
			return table;
	return NULL;
}

const struct metric *registry_metric(const struct registry *registry, const char *name)
{
	const struct metric *found = NULL;
	for (size_t i = 0; !found && registry->modules[i]; i++)
		found = find_metric(registry->modules[i]->metrics, name);
	for (size_t i = 0; !found && registry->metrics[i]; i++)
		found = find_metric(registry->metrics[i], name);
	return found;
}

const char *registry_nearest_module(const struct registry *registry, const char *name)
{
	struct nearest nearest = nearest_to(name);

	for (size_t i = 0; registry->modules[i]; i++)
		nearest_try(&nearest, registry->modules[i]->name);
	return nearest.best;
}

const char *registry_nearest_connection(const struct registry *registry, const char *name)
{
	struct nearest nearest = nearest_to(name);

	for (size_t i = 0; registry->connections[i]; i++)
		nearest_try(&nearest, registry->connections[i]->name);
	return nearest.best;
}

const char *registry_nearest_metric(const struct registry *registry, const char *name)
{
	struct nearest nearest = nearest_to(name);

	for (size_t i = 0; registry->modules[i]; i++)
		for (const struct metric *m = registry->modules[i]->metrics; m && m->name; m++)
			nearest_try(&nearest, m->name);
	for (size_t i = 0; registry->metrics[i]; i++)
		for (const struct metric *m = registry->metrics[i]; m->name; m++)
			nearest_try(&nearest, m->name);
	return nearest.best;
}

bool step_has_inverse(const struct step_module *module, const struct value *with)
{
	return module->revert && (!module->undo || value_get(with, module->undo));
}
