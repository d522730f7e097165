/* SPDX-License-Identifier: MIT */
/* The router in front of the apps, and the dynos that write. */
#include "steps/heroku/simulator/world.h"
#include "steps/postgres/client.h"

#include <arpa/inet.h>
#include <libpq-fe.h>
#include <microhttpd.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

bool visit_write(const char *url, const char *key, const char *source)
{
	struct error err = {0};
	const char *const values[] = {key, source};
	PGconn *connection = postgres_connect(url, &err);

	if (!connection)
		return false;
	PGresult *result =
		PQexecParams(connection, "INSERT INTO public.visits (key, source) VALUES ($1, $2)",
	                     2, NULL, values, NULL, NULL, 0);
	bool good = PQresultStatus(result) == PGRES_COMMAND_OK;
	PQclear(result);
	PQfinish(connection);
	return good;
}

static json_t *app_for(struct world *world, const char *host, const char **path)
{
	char name[256], first[64];
	json_t *app, *domain;

	snprintf(name, sizeof name, "%.*s", (int)strcspn(host, ":"), host);
	domain = world_find_by(world, "domains", "hostname", name);
	if (domain)
		return world_find(world, "apps", text_of(domain, "app.id"));
	snprintf(first, sizeof first, "%.*s", (int)strcspn(name, "."), name);
	app = world_find_by(world, "apps", "name", first);
	if (app)
		return app;
	size_t length = strcspn(*path + 1, "/");
	snprintf(first, sizeof first, "%.*s", (int)length, *path + 1);
	app = world_find_by(world, "apps", "name", first);
	if (app)
		*path += 1 + length;
	return app;
}

static enum MHD_Result send_text(struct MHD_Connection *connection, unsigned status,
                                 const char *app, const char *text)
{
	struct MHD_Response *response = MHD_create_response_from_buffer(
		strlen(text), (char *)(uintptr_t)text, MHD_RESPMEM_MUST_COPY);

	if (*app)
		MHD_add_response_header(response, "x-app", app);
	enum MHD_Result result = MHD_queue_response(connection, status, response);
	MHD_destroy_response(response);
	return result;
}

// NOLINTNEXTLINE(readability-function-size): libmicrohttpd gives it eight parameters
static enum MHD_Result handle(void *context, struct MHD_Connection *connection, const char *path,
                              const char *method, const char *version, const char *data,
                              size_t *size, void **state)
{
	struct world *world = context;
	const char *host = MHD_lookup_connection_value(connection, MHD_HEADER_KIND, "Host");
	const char *key = MHD_lookup_connection_value(connection, MHD_GET_ARGUMENT_KIND, "key");
	char name[64] = "", url[300] = "";

	(void)version;
	(void)data;
	if (!*state) {
		*state = world;
		return MHD_YES;
	}
	if (*size) {
		*size = 0;
		return MHD_YES;
	}
	pthread_mutex_lock(&world->lock);
	json_t *app = app_for(world, host ? host : "", &path);
	const json_t *dyno = app ? dyno_of(world, app, "web") : NULL;
	bool open = dyno && !json_is_true(json_object_get(app, "maintenance"));
	snprintf(name, sizeof name, "%s", text_of(app, "name"));
	snprintf(url, sizeof url, "%s", text_of(release_vars(world, dyno), "DATABASE_URL"));
	pthread_mutex_unlock(&world->lock);
	if (!app)
		return send_text(connection, 404, "", "No such app\n");
	if (!open)
		return send_text(connection, 503, "",
		                 "Offline for maintenance, or no web processes running\n");
	if (strcmp(method, "POST") != 0)
		return send_text(connection, 200, name, "ok\n");
	while (path[0] == '/' && path[1] == '/')
		path++;
	if (strcmp(path, "/write") != 0 || !key)
		return send_text(connection, 404, name, "POST /write?key=K\n");
	return visit_write(url, key, "web")
	               ? send_text(connection, 201, name, "written\n")
	               : send_text(connection, 503, name, "the database refused\n");
}

struct MHD_Daemon *router_start(struct world *world, int port, const char *cert, const char *key,
                                struct error *err)
{
	struct sockaddr_in address = {.sin_family = AF_INET,
	                              .sin_port = htons((uint16_t)port),
	                              .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	struct MHD_OptionItem tls[] = {{MHD_OPTION_HTTPS_MEM_CERT, 0, (void *)(uintptr_t)cert},
	                               {MHD_OPTION_HTTPS_MEM_KEY, 0, (void *)(uintptr_t)key},
	                               {MHD_OPTION_END, 0, NULL}};
	unsigned flags = MHD_USE_THREAD_PER_CONNECTION | MHD_USE_INTERNAL_POLLING_THREAD;
	struct MHD_Daemon *daemon =
		MHD_start_daemon(cert ? flags | MHD_USE_TLS : flags, 0, NULL, NULL, handle, world,
	                         MHD_OPTION_SOCK_ADDR, &address, MHD_OPTION_ARRAY,
	                         cert ? tls : &tls[2], MHD_OPTION_END);

	if (!daemon)
		fail(err, ERROR_FAILED, "the router cannot listen on port %d", port);
	return daemon;
}

/* The next app with running writers: the URL that they began with and the kind of dyno. */
static bool writer_at(struct world *world, size_t i, char *url, size_t size, const char **source)
{
	const json_t *app = json_array_get(world_list(world, "apps"), i);
	const json_t *dyno = dyno_of(world, app, "run");

	*source = dyno ? "run" : "worker";
	dyno = dyno ? dyno : dyno_of(world, app, "worker");
	snprintf(url, size, "%s", text_of(release_vars(world, dyno), "DATABASE_URL"));
	return *url != '\0';
}

void *writers_run(void *context)
{
	struct world *world = context;

	pthread_mutex_lock(&world->lock);
	while (!world->stopping) {
		for (size_t i = 0; i < json_array_size(world_list(world, "apps")); i++) {
			char url[300];
			const char *source;
			if (!writer_at(world, i, url, sizeof url, &source))
				continue;
			json_t *key = new_id();
			pthread_mutex_unlock(&world->lock);
			visit_write(url, json_string_value(key), source);
			pthread_mutex_lock(&world->lock);
			json_decref(key);
		}
		pthread_mutex_unlock(&world->lock);
		nanosleep(&(struct timespec){.tv_nsec = 50000000}, NULL);
		pthread_mutex_lock(&world->lock);
	}
	pthread_mutex_unlock(&world->lock);
	return NULL;
}
