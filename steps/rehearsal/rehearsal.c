/* SPDX-License-Identifier: MIT */
/* Builds the world of a rehearsal and takes it down. */
#include "steps/rehearsal/rehearsal.h"
#include "engine/base/clock.h"
#include "engine/base/text.h"
#include "steps/postgres/client.h"
#include "steps/postgres/scratch.h"
#include "steps/rehearsal/certificate.h"
#include "steps/rehearsal/control.h"
#include "steps/rehearsal/helper.h"
#include "steps/rehearsal/remotes.h"

#include <errno.h>
#include <libpq-fe.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static void tell(const struct rehearsal *rehearsal, const char *text)
{
	if (rehearsal->tell)
		rehearsal->tell(text);
}

bool rehearsal_open(struct rehearsal *rehearsal, struct error *err)
{
	const char *temporary = getenv("TMPDIR");

	*rehearsal = (struct rehearsal){0};
	snprintf(rehearsal->directory, sizeof rehearsal->directory, "%s/plan-rehearsal-XXXXXX",
	         temporary && *temporary ? temporary : "/tmp");
	if (mkdtemp(rehearsal->directory) && chmod(rehearsal->directory, 0711) == 0)
		return true;
	fail(err, ERROR_FAILED, "make %s: %s", rehearsal->directory, strerror(errno));
	rehearsal->directory[0] = '\0';
	return false;
}

/* ---- Heroku ---- */

static bool uses_kind(const struct plan *plan, const char *kind)
{
	for (size_t i = 0; i < plan->connection_count; i++)
		if (strcmp(plan->connections[i].kind->name, kind) == 0)
			return true;
	return false;
}

static bool fill_database(const char *url, const char *sql, struct error *err)
{
	PGconn *connection = postgres_connect(url, err);
	PGresult *result = connection ? PQexec(connection, sql) : NULL;
	bool fine = result && PQresultStatus(result) == PGRES_COMMAND_OK;

	if (connection && !fine)
		fail(err, ERROR_FAILED, "fill the database: %.200s", PQerrorMessage(connection));
	PQclear(result);
	PQfinish(connection);
	return fine;
}

static bool seed(struct rehearsal *rehearsal, struct error *err)
{
	struct value *answer,
		*body = surroundings_seed(&rehearsal->surroundings, &rehearsal->arena);

	if (!control_post(&rehearsal->heroku, "/_sim/seed", body, &rehearsal->arena, &answer, err))
		return false;
	const struct value *apps = value_get(answer, "apps");
	for (const struct value *app = apps ? apps->as.items.first : NULL; app; app = app->next) {
		const char *url = value_get_text(app, "database_url", "");
		if (!fill_database(url, application_stock_sql, err))
			return false;
		if (strcmp(value_get_text(app, "name", ""), rehearsal->surroundings.app) == 0)
			snprintf(rehearsal->first_database, sizeof rehearsal->first_database, "%s",
			         url);
	}
	return true;
}

static bool start_heroku(struct rehearsal *rehearsal, const struct certificate *certificate,
                         struct error *err)
{
	struct arena *arena = &rehearsal->arena;
	const char *cert_file = arena_printf(arena, "%s/router.crt", rehearsal->directory);
	const char *key_file = arena_printf(arena, "%s/router.key", rehearsal->directory);
	const char *files[][2] = {{cert_file, certificate->chain}, {key_file, certificate->key}};

	for (size_t i = 0; i < 2; i++) {
		FILE *file = fopen(files[i][0], "we");
		bool fine =
			file && fchmod(fileno(file), 0600) == 0 && fputs(files[i][1], file) != EOF;
		if (file && fclose(file) != 0)
			fine = false;
		if (!fine)
			return fail(err, ERROR_FAILED, "write %s: %s", files[i][0],
			            strerror(errno));
	}
	struct simulator_options options = {
		.state_dir = arena_printf(arena, "%s/heroku", rehearsal->directory),
		.cert_file = cert_file,
		.key_file = key_file,
	};
	tell(rehearsal, "a simulated Heroku with the apps, on real PostgreSQL servers");
	if (!simulator_spawn(&rehearsal->heroku, &options, err))
		return false;
	setpgid(rehearsal->heroku.pid, 0); /* a ^C at the terminal is for the engine alone */
	return seed(rehearsal, err) || fail_while(err, "seed the simulated Heroku");
}

/* ---- PostgreSQL ---- */

/* Each has what an app has stored; that of a replication the tables of its busy application too. */
static bool fill_servers(struct rehearsal *rehearsal, struct error *err)
{
	struct servers *servers = &rehearsal->servers;

	for (size_t i = 0; i < servers->count; i++) {
		const struct server *server = &servers->list[i];
		if (server->scratch.port && !server->is_target &&
		    !fill_database(server->url, application_stock_sql, err))
			return false;
	}
	return !servers->source || fill_database(servers->source->url, application_sql, err);
}

static bool start_servers(struct rehearsal *rehearsal, struct error *err)
{
	if (!rehearsal->servers.count)
		return true;
	tell(rehearsal, "PostgreSQL servers, and a busy application");
	return servers_start(&rehearsal->servers, rehearsal->directory, rehearsal->first_database,
	                     err) &&
	       fill_servers(rehearsal, err);
}

/* Its dynos begin with what the configuration of the app says. */
static bool where_the_app_says(void *context, char *url, size_t size)
{
	const struct rehearsal *rehearsal = context;
	struct arena arena = {0};
	struct value *config;
	struct error err = {0};
	bool found = control_get(
		&rehearsal->heroku,
		arena_printf(&arena, "/apps/%s/config-vars", rehearsal->surroundings.app), &arena,
		&config, &err);

	if (found)
		snprintf(url, size, "%s", value_get_text(config, "DATABASE_URL", ""));
	arena_free(&arena);
	return found && *url;
}

static bool begin_replication(struct rehearsal *rehearsal, struct error *err)
{
	return replication_begin(
		&rehearsal->replication, &rehearsal->servers,
		rehearsal->first_database[0] ? where_the_app_says : NULL, rehearsal,
		arena_printf(&rehearsal->arena, "%s/application.log", rehearsal->directory), err);
}

/* ---- DNS ---- */

static bool is_beneath(const char *name, const char *zone)
{
	size_t length = strlen(name), suffix = strlen(zone);

	return length >= suffix && strcmp(name + length - suffix, zone) == 0 &&
	       (length == suffix || name[length - suffix - 1] == '.');
}

/* A CNAME to what the app wants, as it stands there today. */
static bool write_records(struct rehearsal *rehearsal, const char *zone, struct text *records,
                          struct error *err)
{
	struct value *world = NULL;

	if (rehearsal->heroku.pid &&
	    !control_get(&rehearsal->heroku, "/_sim/world", &rehearsal->arena, &world, err))
		return false;
	const struct value *domains = rehearsal->surroundings.domains, *known;
	for (const struct value *one = domains->as.items.first; one; one = one->next) {
		const char *target = "old.example.net";
		known = value_get(world, "domains");
		for (known = known ? known->as.items.first : NULL; known; known = known->next)
			if (strcmp(value_get_text(known, "hostname", ""), one->as.text) == 0)
				target = value_get_text(known, "cname", target);
		if (is_beneath(one->as.text, zone))
			text_format(records, "%s. 3600 IN CNAME %s.\n", one->as.text, target);
	}
	return true;
}

static bool start_dns(struct rehearsal *rehearsal, const char *zone, struct error *err)
{
	size_t n = rehearsal->name_server_count;
	struct text records = {0};

	if (n == REHEARSAL_NAME_SERVERS)
		return fail(err, ERROR_REFUSED, "a rehearsal has at most %d zones", (int)n);
	tell(rehearsal, arena_printf(&rehearsal->arena, "a name server for zone %s", zone));
	bool fine = write_records(rehearsal, zone, &records, err) &&
	            name_server_start(
			    &rehearsal->name_servers[n],
			    arena_printf(&rehearsal->arena, "%s/dns-%zu", rehearsal->directory, n),
			    zone, text_string(&records), err);
	text_free(&records);
	if (!fine)
		return false;
	rehearsal->zones[n] = zone;
	rehearsal->name_server_count++;
	return true;
}

/* ---- Connections ---- */

static struct value *named(struct arena *arena, const char *name, const char *kind)
{
	struct value *connection = value_map(arena);

	value_set_text(arena, connection, "name", name);
	value_set_text(arena, connection, "uses", kind);
	return connection;
}

static bool connect_heroku(struct rehearsal *rehearsal, const struct plan_connection *planned,
                           struct value **connection, struct error *err)
{
	struct arena *arena = &rehearsal->arena;

	(void)err;
	*connection = named(arena, planned->name, "heroku");
	value_set(arena, *connection, "token", value_secret(arena, "rehearsal", "rehearsal"));
	value_set_text(arena, *connection, "url", rehearsal->heroku.base_url);
	value_set_text(arena, *connection, "data_url", rehearsal->heroku.base_url);
	return true;
}

/* A zone that a person edits by hand is played by updates too. */
static bool connect_dns(struct rehearsal *rehearsal, const struct plan_connection *planned,
                        struct value **connection, struct error *err)
{
	struct arena *arena = &rehearsal->arena;
	const char *zone = value_get_text(planned->with, "zone", "");

	if (!start_dns(rehearsal, zone, err))
		return false;
	const struct name_server *server =
		&rehearsal->name_servers[rehearsal->name_server_count - 1];
	*connection = named(arena, planned->name, "dns.rfc2136");
	value_set_text(arena, *connection, "zone", zone);
	value_set_text(arena, *connection, "server", server->address);
	value_set(arena, *connection, "key", value_secret(arena, server->key, "rehearsal"));
	return true;
}

static void route_https(struct rehearsal *rehearsal, struct value *connection)
{
	struct arena *arena = &rehearsal->arena;

	value_set_text(arena, connection, "ca_file",
	               arena_printf(arena, "%s/router.crt", rehearsal->directory));
	value_set_text(arena, connection, "connect_to",
	               arena_printf(arena, ":443:127.0.0.1:%d", rehearsal->heroku.router_tls_port));
}

static bool connect_http(struct rehearsal *rehearsal, const struct plan_connection *planned,
                         struct value **connection, struct error *err)
{
	(void)err;
	*connection = named(&rehearsal->arena, planned->name, "http");
	route_https(rehearsal, *connection);
	return true;
}

static bool connect_postgres(struct rehearsal *rehearsal, const struct plan_connection *planned,
                             struct value **connection, struct error *err)
{
	struct arena *arena = &rehearsal->arena;
	const struct server *server = servers_find(&rehearsal->servers, planned->name);

	(void)err;
	*connection = named(arena, planned->name, "postgres");
	value_set(arena, *connection, "url", value_secret(arena, server->url, "rehearsal"));
	return true;
}

static const struct {
	const char *kinds; /* how their names begin */
	bool (*connect)(struct rehearsal *rehearsal, const struct plan_connection *planned,
	                struct value **connection, struct error *err);
} stand_ins[] = {
	{"heroku", connect_heroku},
	{"dns.", connect_dns}, /* whichever provider it is */
	{"http", connect_http},
	{"postgres", connect_postgres},
};

static bool stand_in(struct rehearsal *rehearsal, const struct plan_connection *planned,
                     struct value *list, struct error *err)
{
	for (size_t i = 0; i < sizeof stand_ins / sizeof *stand_ins; i++) {
		struct value *connection;
		const char *kinds = stand_ins[i].kinds;
		if (strncmp(kinds, planned->kind->name, strlen(kinds)) != 0)
			continue;
		if (!stand_ins[i].connect(rehearsal, planned, &connection, err))
			return false;
		value_add(list, connection);
		return true;
	}
	return fail(err, ERROR_REFUSED,
	            "connection %s: nothing can stand in for %s in a rehearsal yet", planned->name,
	            planned->kind->name);
}

static bool connect_all(struct rehearsal *rehearsal, struct error *err)
{
	const struct plan *plan = rehearsal->plan;
	struct value *list = value_list(&rehearsal->arena);

	for (size_t i = 0; i < plan->connection_count; i++)
		if (!stand_in(rehearsal, &plan->connections[i], list, err))
			return false;
	if (!uses_kind(plan, "http")) {
		struct value *connection = named(&rehearsal->arena, "http", "http");
		route_https(rehearsal, connection);
		value_add(list, connection);
	}
	rehearsal->connections = list;
	return true;
}

static void invent_secrets(struct rehearsal *rehearsal, const struct certificate *certificate)
{
	struct arena *arena = &rehearsal->arena;
	const struct plan *plan = rehearsal->plan;
	const char *key = rehearsal->surroundings.key_secret;
	struct value *secrets = value_map(arena);

	for (size_t i = 0; i < plan->secret_count; i++) {
		const char *name = plan->secrets[i].name;
		const char *secret = servers_secret(&rehearsal->servers, plan, name);
		if (key && strcmp(key, name) == 0)
			secret = certificate->key;
		value_set(arena, secrets, name,
		          value_secret(arena, secret ? secret : "rehearsal-secret",
		                       arena_printf(arena, "${secrets.%s}", name)));
	}
	rehearsal->secrets = secrets;
}

/* ---- The rest ---- */

static bool make_repositories(struct rehearsal *rehearsal, struct error *err)
{
	struct arena *arena = &rehearsal->arena;
	const struct value *one = rehearsal->surroundings.repositories->as.items.first;

	rehearsal->remotes_before = value_map(arena);
	for (; one; one = one->next) {
		const char *path = arena_printf(arena, "%s/%s", rehearsal->directory, one->key);
		if (!remotes_make(path, one, err))
			return false;
		struct value *remotes = remotes_read(path, arena, err);
		if (!remotes)
			return false;
		value_set(arena, rehearsal->remotes_before, one->key, remotes);
	}
	return true;
}

static bool invite_users(struct rehearsal *rehearsal, struct error *err)
{
	const struct surroundings *s = &rehearsal->surroundings;
	const struct value *domain = s->domains->as.items.first;
	struct users_visit visit = {
		.router_port = rehearsal->heroku.router_port,
		.host = domain ? domain->as.text : NULL,
		.app = s->app,
	};

	tell(rehearsal, "users, who write to the app all the time");
	if (!users_start(&rehearsal->users, &visit,
	                 arena_printf(&rehearsal->arena, "%s/users.log", rehearsal->directory),
	                 err))
		return false;
	return users_see_success(&rehearsal->users, 20000) ||
	       fail(err, ERROR_FAILED, "the users cannot write to %s before the plan begins",
	            visit.host ? visit.host : visit.app);
}

static bool begin_pass(struct rehearsal *rehearsal, struct error *err)
{
	struct value *ledger;

	rehearsal->pass_at_ms = clock_now_ms();
	if (!rehearsal->heroku.pid)
		return true;
	if (!control_get(&rehearsal->heroku, "/_sim/ledger", &rehearsal->arena, &ledger, err))
		return false;
	rehearsal->effects_before[rehearsal->passes++] = (int64_t)ledger->as.items.count;
	return true;
}

bool rehearsal_way_back(const struct rehearsal *rehearsal, const char **through,
                        const char **back_to)
{
	return replication_way_back(&rehearsal->replication, through, back_to);
}

bool rehearsal_pass(struct rehearsal *rehearsal, bool stay, struct error *err)
{
	return (!stay || replication_stay(&rehearsal->replication, err)) &&
	       begin_pass(rehearsal, err);
}

static bool starts_no_programs(const struct plan *plan, struct error *err)
{
	for (size_t i = 0; i < plan->step_count; i++)
		if (plan->steps[i].module->traits & STEP_COMMANDS)
			return fail(err, ERROR_REFUSED,
			            "step %s starts programs on this machine (%s): nothing can "
			            "stand in for them in a rehearsal",
			            plan->steps[i].id, plan->steps[i].module->name);
	return true;
}

bool rehearsal_build(struct rehearsal *rehearsal, const struct plan *plan, struct error *err)
{
	struct certificate certificate;
	struct surroundings *s = &rehearsal->surroundings;
	bool on_heroku = uses_kind(plan, "heroku");

	rehearsal->plan = plan;
	if (!starts_no_programs(plan, err))
		return false;
	if (!servers_read(&rehearsal->servers, plan, err))
		return false;
	surroundings_read(s, plan, &rehearsal->arena);
	setenv("NO_PROXY", "*", 1);
	setenv("no_proxy", "*", 1);
	if (!certificate_make(&certificate, s->domains, &rehearsal->arena, err) ||
	    !surroundings_files(plan, rehearsal->directory, certificate.chain, err))
		return false;
	if ((on_heroku && !start_heroku(rehearsal, &certificate, err)) ||
	    !start_servers(rehearsal, err))
		return false;
	invent_secrets(rehearsal, &certificate);
	if (!connect_all(rehearsal, err) || !make_repositories(rehearsal, err) ||
	    !rehearsal_dns(rehearsal, &rehearsal->dns_before, err))
		return false;
	return begin_replication(rehearsal, err) && begin_pass(rehearsal, err) &&
	       (!on_heroku || !s->app || invite_users(rehearsal, err));
}

void rehearsal_close(struct rehearsal *rehearsal)
{
	users_stop(&rehearsal->users);
	replication_end(&rehearsal->replication);
	helper_stop(&rehearsal->burst);
	if (rehearsal->heroku.pid > 0)
		simulator_stop(&rehearsal->heroku);
	servers_stop(&rehearsal->servers);
	for (size_t i = 0; i < rehearsal->name_server_count; i++)
		name_server_stop(&rehearsal->name_servers[i]);
	if (rehearsal->directory[0])
		scratch_remove_tree(rehearsal->directory);
	arena_free(&rehearsal->arena);
	*rehearsal = (struct rehearsal){0};
}
