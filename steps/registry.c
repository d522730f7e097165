/* SPDX-License-Identifier: MIT */
/* Every module, connection and metric there is: one line each. */
#include "steps/registry.h"

#include "steps/dns/provider.h"
#include "steps/git/git.h"
#include "steps/heroku/client.h"
#include "steps/heroku/modules.h"
#include "steps/http/check.h"
#include "steps/local/local.h"
#include "steps/postgres/database.h"
#include "steps/postgres/modules.h"
#include "steps/postgres/probe.h"

static const struct step_module *const modules[] = {
	&dns_record,
	&dns_ttl,
	&git_remotes,
	&heroku_addons_check,
	&heroku_app,
	&heroku_buildpacks,
	&heroku_config,
	&heroku_addons,
	&heroku_release,
	&heroku_collaborators,
	&heroku_features,
	&heroku_webhooks,
	&heroku_certificate,
	&heroku_postgres_follower,
	&heroku_postgres_unfollow,
	&heroku_postgres_promote,
	&heroku_postgres_copy,
	&heroku_postgres_schedules,
	&heroku_maintenance,
	&heroku_formation,
	&heroku_domain,
	&heroku_attachment,
	&heroku_restart,
	&heroku_run,
	&heroku_inventory,
	&heroku_addon_destroyed,
	&heroku_app_destroyed,
	&http_check,
	&local_command,
	&local_manual,
	&local_wait,
	&postgres_compare,
	&postgres_complete,
	&postgres_extensions,
	&postgres_preflight,
	&postgres_replicate,
	&postgres_schema,
	&postgres_sql,
	&postgres_switch,
	NULL,
};

static const struct connection_kind *const connections[] = {
	&dns_cloudflare,    &dns_manual,      &dns_powerdns,        &dns_rfc2136, &dns_route53,
	&heroku_connection, &http_connection, &postgres_connection, NULL,
};

static const struct metric *const metrics[] = {
	compare_metrics, dns_metrics,         heroku_metrics,
	http_metrics,    local_time,          postgres_preflight_metrics,
	probe_metrics,   replication_metrics, NULL,
};

const struct registry steps_registry = {
	.modules = modules,
	.connections = connections,
	.metrics = metrics,
};
