/* SPDX-License-Identifier: MIT */
/* Every module, connection and metric there is: one line each. */
#include "steps/registry.h"

#include "steps/git/git.h"
#include "steps/local/local.h"

static const struct step_module *const modules[] = {
	&git_remotes,
	&local_manual,
	&local_wait,
	NULL,
};

static const struct connection_kind *const connections[] = {
	NULL,
};

static const struct metric *const metrics[] = {
	local_time,
	NULL,
};

const struct registry steps_registry = {
	.modules = modules,
	.connections = connections,
	.metrics = metrics,
};
