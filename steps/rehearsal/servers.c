/* SPDX-License-Identifier: MIT */
/* Which servers a plan needs, and starting them. */
#include "steps/rehearsal/servers.h"
#include "engine/base/error.h"
#include "engine/base/value.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const struct server *servers_find(const struct servers *servers, const char *connection)
{
	for (size_t i = 0; i < servers->count; i++)
		if (strcmp(servers->list[i].connection, connection) == 0)
			return &servers->list[i];
	return NULL;
}

/* ---- Read off the plan ---- */

static bool is_target(const struct plan *plan, const char *connection)
{
	for (size_t i = 0; i < plan->step_count; i++)
		if (strncmp(plan->steps[i].module->name, "postgres.", 9) == 0 &&
		    strcmp(value_get_text(plan->steps[i].with, "target", ""), connection) == 0)
			return true;
	return false;
}

static void read_replication(struct servers *servers, const struct plan_step *step)
{
	if (strcmp(step->module->name, "postgres.switch") == 0)
		servers->switching = step;
	if (strcmp(step->module->name, "postgres.replicate") != 0 || servers->replication)
		return;
	servers->replication = step;
	servers->source = servers_find(servers, value_get_text(step->with, "source", ""));
	servers->target = servers_find(servers, value_get_text(step->with, "target", ""));
}

bool servers_read(struct servers *servers, const struct plan *plan, struct error *err)
{
	*servers = (struct servers){.plan = plan};
	for (size_t i = 0; i < plan->connection_count; i++) {
		const struct plan_connection *connection = &plan->connections[i];
		if (strcmp(connection->kind->name, "postgres") != 0)
			continue;
		if (servers->count == SERVERS_MOST)
			return fail(err, ERROR_REFUSED,
			            "a rehearsal has at most %d PostgreSQL servers", SERVERS_MOST);
		servers->list[servers->count++] = (struct server){
			.connection = connection->name,
			.is_target = is_target(plan, connection->name),
		};
	}
	for (size_t i = 0; i < plan->step_count; i++)
		read_replication(servers, &plan->steps[i]);
	return true;
}

/* ---- Starting ---- */

bool servers_start(struct servers *servers, const char *directory, const char *app_database,
                   struct error *err)
{
	const char *other = getenv("PLAN_TARGET_PG_BIN");

	for (size_t i = 0; i < servers->count; i++) {
		struct server *server = &servers->list[i];
		char name[32];
		if (!server->is_target && *app_database) {
			snprintf(server->url, sizeof server->url, "%s", app_database);
			continue;
		}
		snprintf(name, sizeof name, "postgres-%zu", i);
		if (!scratch_make(&server->scratch, directory, name,
		                  server->is_target && other && *other ? other : NULL, err))
			return fail_while(err, "connection %s", server->connection);
		scratch_url(&server->scratch, server->url, sizeof server->url);
	}
	return true;
}

void servers_stop(struct servers *servers)
{
	for (size_t i = 0; i < servers->count; i++)
		if (servers->list[i].scratch.port)
			scratch_destroy(&servers->list[i].scratch);
	servers->count = 0;
}

/* ---- Secrets ---- */

/* Whether the value is "${secrets.NAME}". */
static bool refers_to(const struct value *value, const char *secret)
{
	static const char opening[] = "${secrets.";
	size_t length = strlen(secret);

	return value && value->kind == VALUE_TEXT &&
	       strncmp(value->as.text, opening, strlen(opening)) == 0 &&
	       strncmp(value->as.text + strlen(opening), secret, length) == 0 &&
	       strcmp(value->as.text + strlen(opening) + length, "}") == 0;
}

const char *servers_secret(const struct servers *servers, const struct plan *plan,
                           const char *secret)
{
	for (size_t i = 0; i < plan->connection_count; i++) {
		const struct server *server = servers_find(servers, plan->connections[i].name);
		if (server && refers_to(value_get(plan->connections[i].with, "url"), secret))
			return server->url;
	}
	for (size_t i = 0; i < plan->step_count && servers->target; i++) {
		const struct value *set = value_get(plan->steps[i].with, "set");
		if (strcmp(plan->steps[i].module->name, "heroku.config") == 0 &&
		    refers_to(value_get(set, "DATABASE_URL"), secret))
			return servers->target->url;
	}
	return NULL;
}
