/* SPDX-License-Identifier: MIT */
/* The modules of this provider; each is a table at the end of a file of its own. */
#ifndef PLAN_HEROKU_MODULES_H
#define PLAN_HEROKU_MODULES_H

#include "engine/step.h"

extern const struct step_module heroku_addons_check, heroku_app, heroku_buildpacks, heroku_config,
	heroku_addons, heroku_release, heroku_collaborators, heroku_features, heroku_certificate,
	heroku_postgres_follower, heroku_postgres_unfollow, heroku_postgres_promote,
	heroku_postgres_copy, heroku_maintenance, heroku_formation, heroku_domain,
	heroku_addon_destroyed, heroku_app_destroyed, heroku_attachment, heroku_restart, heroku_run,
	heroku_inventory, heroku_webhooks, heroku_postgres_schedules;

/* heroku.postgres.lag, heroku.dynos_up and postgres.writable. */
extern const struct metric heroku_metrics[];

#endif
