/* SPDX-License-Identifier: MIT */
/* Backups, restores and copies of the Data API: pg_dump and pg_restore, run by the main thread. */
#include "engine/base/arena.h"
#include "engine/base/clock.h"
#include "steps/heroku/simulator/world.h"
#include "steps/postgres/program.h"

#include <libpq-fe.h>
#include <microhttpd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

enum { URL_LIFE_MS = 10 * 60 * 1000 };

/* ---- Answers ---- */

/* Without its logs, as lists and plain reads have it. */
static json_t *shown(const json_t *transfer)
{
	json_t *copy = visible(transfer);

	json_object_del(copy, "logs");
	return copy;
}

static bool is_of(const json_t *transfer, const json_t *app)
{
	return strcmp(text_of(transfer, "_app.id"), text_of(app, "id")) == 0;
}

/* Numbers count within an app, and are text. */
static json_t *next_number(struct world *world, const json_t *app)
{
	json_t *item;
	long most = 0;
	char text[24];
	size_t i;

	json_array_foreach(world_list(world, "transfers"), i,
	                   item) if (is_of(item, app) && atol(text_of(item, "num")) > most) most =
		atol(text_of(item, "num"));
	snprintf(text, sizeof text, "%ld", most + 1);
	return json_string(text);
}

/* from and to: {type, name, url}; url "" stands for where backups are kept. */
struct end {
	const char *type, *name, *url;
};

static void begin(struct call *call, const json_t *addon, struct end from, struct end to,
                  const char *file)
{
	const json_t *app = json_object_get(addon, "app");
	json_t *transfer = world_add(
		call->world, "transfers",
		json_pack("{s:o, s:o, s:s, s:s, s:s, s:s, s:s, s:s, s:{}, s:i, s:i, s:n, s:i, s:o, "
	                  "s:n, s:n, s:o, s:n, s:n, s:n, s:i, s:[], s:O, s:s, s:s, s:s}",
	                  "uuid", new_id(), "num", next_number(call->world, app), "from_name",
	                  from.name, "from_type", from.type, "from_url",
	                  *from.url ? from.url : "https://backups.example.com/", "to_name", to.name,
	                  "to_type", to.type, "to_url",
	                  *to.url ? to.url : "https://backups.example.com/", "options",
	                  "source_bytes", 0, "processed_bytes", 0, "succeeded", "warnings", 0,
	                  "created_at", new_time(), "started_at", "canceled_at", "updated_at",
	                  new_time(), "finished_at", "deleted_at", "purged_at", "num_keep", 1,
	                  "logs", "_app", app, "_from", from.url, "_to", to.url, "_file", file));

	effect(call, app, "%s to %s", from.type, to.type);
	job_add(call->world, JOB_TRANSFER, text_of(transfer, "uuid"), false);
	reply(call, 201, shown(transfer));
}

static void backup(struct call *call)
{
	json_t *addon = database_of(call);

	if (addon)
		begin(call, addon,
		      (struct end){"pg_dump", text_of(addon, "name"), text_of(addon, "_url")},
		      (struct end){"gof3r", "BACKUP", ""}, "");
}

static void restore(struct call *call)
{
	json_t *addon = database_of(call);
	const char *file = strrchr(text_of(call->body, "backup_url"), '/');

	if (!addon)
		return;
	if (!file || !world_find_by(call->world, "transfers", "uuid", file + 1)) {
		refuse(call, 422, "unprocessable_entity", "The backup cannot be fetched.");
		return;
	}
	begin(call, addon, (struct end){"gof3r", "BACKUP", ""},
	      (struct end){"pg_restore", text_of(addon, "name"), text_of(addon, "_url")}, file + 1);
}

static void copy(struct call *call)
{
	json_t *addon = database_of(call);
	const char *from = text_of(call->body, "from_url"), *to = text_of(call->body, "to_url");

	if (!addon)
		return;
	if (!*from || !*to || strcmp(from, to) == 0) {
		refuse(call, 422, "unprocessable_entity", "from_url and to_url must differ.");
		return;
	}
	begin(call, addon, (struct end){"pg_dump", text_of(call->body, "from_name"), from},
	      (struct end){"pg_restore", text_of(call->body, "to_name"), to}, "");
}

static void list(struct call *call)
{
	json_t *app = app_of(call), *all, *item;
	size_t i;

	if (!app)
		return;
	all = json_array();
	json_array_foreach(world_list(call->world, "transfers"), i, item) if (is_of(item, app))
		json_array_append_new(all, shown(item));
	reply(call, 200, all);
}

/* By number or uuid. */
static json_t *transfer_of(struct call *call)
{
	json_t *app = app_of(call), *item;
	size_t i;

	if (!app)
		return NULL;
	json_array_foreach(
		world_list(call->world, "transfers"), i,
		item) if (is_of(item, app) &&
	                  (strcmp(text_of(item, "uuid"), call->part[1]) == 0 ||
	                   strcmp(text_of(item, "num"), call->part[1]) == 0)) return item;
	reply(call, 404, json_pack("{s:s}", "error", "not found"));
	return NULL;
}

static void show(struct call *call)
{
	json_t *item = transfer_of(call);
	const char *verbose =
		MHD_lookup_connection_value(call->connection, MHD_GET_ARGUMENT_KIND, "verbose");

	if (item)
		reply(call, 200,
		      verbose && strcmp(verbose, "true") == 0 ? visible(item) : shown(item));
}

static void public_url(struct call *call)
{
	json_t *item = transfer_of(call);
	struct arena arena = {0};

	if (item)
		reply(call, 200,
		      json_pack("{s:s+++, s:s}", "url", call->world->base_url, "/_sim/backups", "/",
		                text_of(item, "uuid"), "expires_at",
		                clock_text(&arena, clock_now_ms() + URL_LIFE_MS)));
	arena_free(&arena);
}

static void cancel(struct call *call)
{
	json_t *item = transfer_of(call);

	if (!item)
		return;
	if (*text_of(item, "finished_at")) {
		refuse(call, 422, "unprocessable_entity", "The transfer is finished.");
		return;
	}
	json_object_set_new(item, "canceled_at", new_time());
	effect(call, json_object_get(item, "_app"), "cancel transfer %s", text_of(item, "num"));
	reply(call, 201, json_pack("{s:s}", "canceled_at", text_of(item, "canceled_at")));
}

static void destroy(struct call *call)
{
	json_t *item = transfer_of(call);

	if (!item)
		return;
	json_object_set_new(item, "deleted_at", new_time());
	effect(call, json_object_get(item, "_app"), "delete transfer %s", text_of(item, "num"));
	reply(call, 200, shown(item));
	world_remove(call->world, "transfers", item);
}

/* ---- Running ---- */

struct running {
	struct world *world;
	const char *uuid, *file;
};

/* Called now and again without the lock: notes the progress, and ends what was cancelled. */
static bool watch(void *context)
{
	const struct running *running = context;
	struct stat about;
	json_int_t size = stat(running->file, &about) == 0 ? (json_int_t)about.st_size : 0;

	pthread_mutex_lock(&running->world->lock);
	json_t *transfer = world_find_by(running->world, "transfers", "uuid", running->uuid);
	bool go_on = transfer && !*text_of(transfer, "canceled_at") && !running->world->stopping;
	if (transfer)
		json_object_set_new(transfer, "processed_bytes", json_integer(size));
	pthread_mutex_unlock(&running->world->lock);
	return go_on;
}

static const char *option_of(const PQconninfoOption *options, const char *keyword)
{
	for (; options && options->keyword; options++)
		if (strcmp(options->keyword, keyword) == 0 && options->val)
			return options->val;
	return strcmp(keyword, "port") == 0 ? "5432" : "";
}

/* What gets the data loses all it had, also what the data has not. */
static bool empty(const char *url, struct error *err)
{
	PGconn *connection = PQconnectdb(url);
	PGresult *result =
		PQexec(connection, "SET client_min_messages = warning; SET lock_timeout = '30s'; "
	                           "DROP SCHEMA IF EXISTS public CASCADE; "
	                           "CREATE SCHEMA public");
	bool good = PQresultStatus(result) == PGRES_COMMAND_OK ||
	            fail(err, ERROR_FAILED, "empty the target: %.200s", PQerrorMessage(connection));

	PQclear(result);
	PQfinish(connection);
	return good;
}

/* Of the database at that URL into the file, or back. */
static bool dump_or_restore(struct running *running, const char *url, bool restoring,
                            struct error *err)
{
	char *wrong = NULL, log[400];
	PQconninfoOption *options = PQconninfoParse(url, &wrong);
	const char *host = option_of(options, "host"), *port = option_of(options, "port");
	const char *user = option_of(options, "user"), *name = option_of(options, "dbname");
	const char *const dump[] = {"-Fc", "-x", "-O", "-f", running->file, "-h", host, "-p",
	                            port,  "-U", user, "-w", "-d",          name, NULL};
	const char *const load[] = {"-x", "-O", "-c", "--if-exists", "-h",
	                            host, "-p", port, "-U",          user,
	                            "-w", "-d", name, running->file, NULL};

	snprintf(log, sizeof log, "%s.log", running->file);
	remove(log);
	struct program program = {.name = restoring ? "pg_restore" : "pg_dump",
	                          .arguments = restoring ? load : dump,
	                          .password = option_of(options, "password"),
	                          .log_path = log,
	                          .watch = watch,
	                          .context = running};
	bool good = options ? program_run(&program, err)
	                    : fail(err, ERROR_FAILED, "the connection string cannot be read");
	PQconninfoFree(options);
	PQfreemem(wrong);
	return good;
}

/* What pg_restore passed over counts as warnings of a transfer that succeeded. */
static int64_t warnings_of(const char *text)
{
	static const char mark[] = "errors ignored on restore: ";
	const char *found = strstr(text, mark);

	return found ? atoll(found + strlen(mark)) : 0;
}

static void finish(json_t *transfer, bool good, const char *why)
{
	int64_t warnings = good ? 0 : warnings_of(why);
	bool canceled = *text_of(transfer, "canceled_at");

	json_object_set_new(transfer, "finished_at", new_time());
	json_object_set_new(transfer, "updated_at", new_time());
	json_object_set_new(transfer, "succeeded",
	                    json_boolean(!canceled && (good || warnings > 0)));
	json_object_set_new(transfer, "warnings", json_integer(warnings));
	json_array_append_new(json_object_get(transfer, "logs"),
	                      json_pack("{s:o, s:s, s:s}", "created_at", new_time(), "level",
	                                good ? "info" : "error", "message", good ? "done" : why));
}

static json_int_t size_of_source(struct world *world, const char *url, const char *file)
{
	const json_t *addon = world_find_by(world, "addons", "_url", url);
	const struct cluster *cluster = addon ? cluster_of(world, text_of(addon, "id")) : NULL;
	struct stat about;
	char text[32] = "0";
	struct error ignored = {0};

	if (!*url)
		return stat(file, &about) == 0 ? (json_int_t)about.st_size : 0;
	if (cluster)
		scratch_query(&cluster->scratch, "SELECT pg_database_size(current_database())",
		              text, sizeof text, &ignored);
	return (json_int_t)atoll(text);
}

void transfer_run(struct world *world, const char *uuid)
{
	json_t *transfer = world_find_by(world, "transfers", "uuid", uuid);
	char from[300], to[300], file[360];
	struct running running = {.world = world, .uuid = uuid, .file = file};
	struct error err = {0};

	if (!transfer)
		return;
	if (*text_of(transfer, "canceled_at")) {
		finish(transfer, false, "cancelled before it began");
		return;
	}
	snprintf(from, sizeof from, "%s", text_of(transfer, "_from"));
	snprintf(to, sizeof to, "%s", text_of(transfer, "_to"));
	snprintf(file, sizeof file, "%s/dumps/%s", world->state_dir,
	         *text_of(transfer, "_file") ? text_of(transfer, "_file") : uuid);
	json_object_set_new(transfer, "started_at", new_time());
	json_object_set_new(transfer, "source_bytes",
	                    json_integer(size_of_source(world, from, file)));
	pthread_mutex_unlock(&world->lock);
	bool good = (!*from || dump_or_restore(&running, from, false, &err)) &&
	            (!*to || (empty(to, &err) && dump_or_restore(&running, to, true, &err)));
	watch(&running);
	pthread_mutex_lock(&world->lock);
	transfer = world_find_by(world, "transfers", "uuid", uuid);
	if (transfer)
		finish(transfer, good, err.text);
}

const struct route transfer_routes[] = {
	{"POST", "/client/v11/databases/?/backups", backup},
	{"POST", "/client/v11/databases/?/restores", restore},
	{"POST", "/client/v11/databases/?/transfers", copy},
	{"GET", "/client/v11/apps/?/transfers", list},
	{"GET", "/client/v11/apps/?/transfers/?", show},
	{"DELETE", "/client/v11/apps/?/transfers/?", destroy},
	{"POST", "/client/v11/apps/?/transfers/?/actions/public-url", public_url},
	{"POST", "/client/v11/apps/?/transfers/?/actions/cancel", cancel},
	{0},
};
