/* SPDX-License-Identifier: MIT */
/* What several modules look up at Heroku: apps, add-ons, attachments, databases, releases. */
#include "steps/heroku/lookup.h"

#include <string.h>

#define PAUSE_FIRST_MS 200
#define PAUSE_MOST_MS 5000
#define RELEASES_READ 20
#define UNKNOWN_POLLS 20 /* the Data API answers 404 for the first seconds of a database */

/* ---- Apps ---- */

bool lookup_app(struct heroku *heroku, const char *name, struct value **app, struct error *err)
{
	if (!heroku_get(heroku, heroku_path(heroku, "/apps/%s", name), app, err))
		return false;
	if (!*app)
		return true;
	const char *id = heroku_text(*app, "id", err);
	const char *pin = arena_printf(heroku->arena, "heroku/app/%s", name);
	return id && step_pin(heroku->step, pin, id, err);
}

bool lookup_app_needed(struct heroku *heroku, const char *name, struct value **app,
                       struct error *err)
{
	if (!lookup_app(heroku, name, app, err))
		return false;
	if (*app || heroku->step->looking)
		return true;
	return fail(err, ERROR_FAILED, "there is no app %s that this account may see", name);
}

const char *lookup_field(const struct heroku *heroku, const char *name)
{
	return value_get_text(heroku->step->with, name, NULL);
}

/* ---- Add-ons and attachments ---- */

bool lookup_addon(struct heroku *heroku, const char *name, struct value **addon, struct error *err)
{
	return heroku_get(heroku, heroku_path(heroku, "/addons/%s", name), addon, err);
}

bool lookup_attachments(struct heroku *heroku, const char *app, struct value **list,
                        struct error *err)
{
	return heroku_list_included(heroku, heroku_path(heroku, "/apps/%s/addon-attachments", app),
	                            list, err);
}

const struct value *lookup_item(const struct value *list, const char *path, const char *text)
{
	bool is_list = list && list->kind == VALUE_LIST;

	for (const struct value *item = is_list ? list->as.items.first : NULL; item && text;
	     item = item->next) {
		const char *found = heroku_text_or_null(item, path);
		if (found && strcmp(found, text) == 0)
			return item;
	}
	return NULL;
}

bool lookup_primary(struct heroku *heroku, const char *app, struct value **addon, struct error *err)
{
	struct value *list;

	*addon = NULL;
	if (!lookup_attachments(heroku, app, &list, err))
		return false;
	const struct value *attachment = lookup_item(list, "name", "DATABASE");
	if (!attachment)
		return true;
	const char *id = heroku_text(attachment, "addon.id", err);
	return id && lookup_addon(heroku, id, addon, err);
}

/* ---- Databases ---- */

bool lookup_database(struct heroku *heroku, const char *addon_id, struct value **database,
                     struct error *err)
{
	return heroku_data_get(heroku, heroku_path(heroku, "/client/v11/databases/%s", addon_id),
	                       database, err);
}

const char *lookup_info(struct heroku *heroku, const struct value *database, const char *name)
{
	const struct value *entry = lookup_item(value_get(database, "info"), "name", name);
	const struct value *values = value_get(entry, "values");
	const struct value *first =
		values && values->kind == VALUE_LIST ? values->as.items.first : NULL;

	if (first && first->kind == VALUE_INT)
		return arena_printf(heroku->arena, "%lld", (long long)first->as.number);
	return value_reveal(first);
}

bool lookup_is_following(const struct value *database)
{
	const char *following = heroku_text_or_null(database, "following");

	return following && following[0];
}

/* Not that of its connection pool, which replication and dumps cannot go through. */
struct value *lookup_database_url(struct heroku *heroku, const struct value *addon,
                                  struct error *err)
{
	const char *app = heroku_text(addon, "app.name", err);
	const char *name = app ? heroku_text(addon, "name", err) : NULL;
	struct value *vars;

	if (!name ||
	    !heroku_get(heroku, heroku_path(heroku, "/apps/%s/config-vars", app), &vars, err))
		return NULL;
	const struct value *keys = value_get(addon, "config_vars");
	for (const struct value *key = keys && keys->kind == VALUE_LIST ? keys->as.items.first
	                                                                : NULL;
	     key; key = key->next) {
		const char *var = value_reveal(key);
		if (!var || strstr(var, "CONNECTION_POOL"))
			continue;
		const char *url = value_get_text(vars, var, "");
		if (strncmp(url, "postgres", 8) == 0)
			return value_secret(heroku->arena, url, "(hidden)");
	}
	fail(err, ERROR_RETRY, "the add-on %s has no connection URL in the config vars of %s yet",
	     name, app);
	return NULL;
}

/* ---- Waiting ---- */

bool lookup_pause(struct heroku *heroku, int poll, struct error *err)
{
	int64_t pause_ms = poll < 5 ? (int64_t)PAUSE_FIRST_MS << poll : PAUSE_MOST_MS;

	return step_sleep(heroku->step, pause_ms, err);
}

bool lookup_wait_addon(struct heroku *heroku, const char *name, struct value **addon,
                       struct error *err)
{
	for (int poll = 0;; poll++) {
		if (!lookup_addon(heroku, name, addon, err))
			return false;
		const char *state = *addon ? heroku_text(*addon, "state", err) : "provisioning";
		if (!state)
			return false;
		if (strcmp(state, "provisioned") == 0)
			return true;
		if (strcmp(state, "provisioning") != 0 || (!*addon && poll >= UNKNOWN_POLLS))
			return fail(err, ERROR_FAILED, "the add-on %s could not be made: it is %s",
			            name, *addon ? state : "not there");
		step_progress(heroku->step, "waiting for %s: %s", name, state);
		if (!lookup_pause(heroku, poll, err))
			return false;
	}
}

/* Asks once. *ready when it waits for nothing; *unknown when the Data API has no such database. */
static bool ask_waiting(struct heroku *heroku, const char *addon_id, bool *ready, bool *unknown,
                        struct error *err)
{
	struct value *status;

	if (!heroku_data_get(heroku,
	                     heroku_path(heroku, "/client/v11/databases/%s/wait_status", addon_id),
	                     &status, err))
		return false;
	*unknown = !status;
	*ready = status && !value_get_bool(status, "waiting?", true);
	if (value_get_bool(status, "error?", false))
		return fail(err, ERROR_FAILED, "the database reports an error: %s",
		            value_get_text(status, "message", "no text"));
	if (status)
		step_progress(heroku->step, "database: %s", value_get_text(status, "message", ""));
	return true;
}

bool lookup_wait_database(struct heroku *heroku, const char *addon_id, struct value **database,
                          struct error *err)
{
	bool ready, unknown;

	for (int poll = 0, missing = 0;; poll++) {
		if (!ask_waiting(heroku, addon_id, &ready, &unknown, err))
			return false;
		if (unknown && ++missing > UNKNOWN_POLLS)
			return fail(err, ERROR_FAILED,
			            "the Data API does not know the database after %d polls",
			            UNKNOWN_POLLS);
		*database = NULL;
		if (ready && !lookup_database(heroku, addon_id, database, err))
			return false;
		if (*database)
			return true;
		if (!lookup_pause(heroku, poll, err))
			return false;
	}
}

/* *release NULL: an app without releases. */
static bool find_release(struct heroku *heroku, const char *app, const char *id,
                         const struct value **release, struct error *err)
{
	struct value *found;
	bool good = id ? heroku_get(heroku, heroku_path(heroku, "/apps/%s/releases/%s", app, id),
	                            &found, err)
	               : heroku_newest(heroku, heroku_path(heroku, "/apps/%s/releases", app), 1,
	                               &found, err);

	*release = NULL;
	if (!good)
		return false;
	if (id && !found)
		return fail(err, ERROR_FAILED, "the release %s of %s is gone", id, app);
	*release = id || !found ? found : found->as.items.first;
	return true;
}

bool lookup_wait_release(struct heroku *heroku, const char *app, const char *id, struct error *err)
{
	const struct value *release;

	for (int poll = 0;; poll++) {
		if (!find_release(heroku, app, id, &release, err))
			return false;
		const char *status = release ? heroku_text(release, "status", err) : "succeeded";
		if (!status)
			return false;
		if (strcmp(status, "succeeded") == 0)
			return true;
		long long version = value_get_number(release, "version", 0);
		if (strcmp(status, "pending") != 0)
			return fail(err, ERROR_FAILED,
			            "the release phase of v%lld of %s %s; `heroku releases:output "
			            "v%lld -a %s` shows why",
			            version, app, status, version, app);
		step_progress(heroku->step, "waiting for the release phase of %s", app);
		if (!lookup_pause(heroku, poll, err))
			return false;
	}
}

bool lookup_open_release(struct heroku *heroku, const char *app,
                         bool (*is_ours)(const struct value *release, const void *context),
                         const void *context, const struct value **open, struct error *err)
{
	struct value *list;

	*open = NULL;
	if (!heroku_newest(heroku, heroku_path(heroku, "/apps/%s/releases", app), RELEASES_READ,
	                   &list, err))
		return false;
	for (const struct value *one = list ? list->as.items.first : NULL; one; one = one->next) {
		const char *status = heroku_text(one, "status", err);
		if (!status)
			return false;
		if (strcmp(status, "succeeded") == 0)
			return true;
		if (!is_ours(one, context))
			continue;
		*open = one;
		return true;
	}
	return true;
}

char *lookup_addon_name(struct heroku *heroku, const char *app, const char *suffix)
{
	return arena_printf(heroku->arena, "%s-%s%s%s", app, step_token(heroku->step),
	                    suffix[0] ? "-" : "", suffix);
}

bool lookup_create_addon(struct heroku *heroku, const char *name, struct value *config,
                         struct error *err)
{
	struct value *addon = NULL, *body = value_map(heroku->arena);
	const char *path = heroku_path(heroku, "/apps/%s/addons", lookup_field(heroku, "app"));

	value_set_text(heroku->arena, body, "plan", lookup_field(heroku, "plan"));
	value_set_text(heroku->arena, body, "name", name);
	if (config)
		value_set(heroku->arena, body, "config", config);
	enum heroku_outcome outcome = heroku_write(heroku, "POST", path, body, NULL, err);
	if (outcome != HEROKU_UNSURE)
		return outcome == HEROKU_DONE;
	struct error unsure = *err;
	if (!lookup_addon(heroku, name, &addon, err))
		return false;
	*err = unsure;
	return addon != NULL;
}

bool lookup_certificates(struct heroku *heroku, const char *app, struct value *out,
                         struct error *err)
{
	struct value *list;

	if (!heroku_list(heroku, heroku_path(heroku, "/apps/%s/sni-endpoints", app), &list, err))
		return false;
	for (const struct value *one = list ? list->as.items.first : NULL; one; one = one->next) {
		const struct value *names = value_find(one, "ssl_cert.cert_domains");
		const char *endpoint = heroku_text_or_null(one, "name");
		if (!names || names->kind != VALUE_LIST)
			continue;
		for (const struct value *name = names->as.items.first; name; name = name->next)
			if (value_reveal(name))
				value_set_text(heroku->arena, out, value_reveal(name),
				               endpoint ? endpoint : "");
	}
	return true;
}

char *lookup_without_passwords(struct arena *arena, const char *message)
{
	char *copy = arena_text(arena, message);

	for (char *at = strstr(copy, "://"); at; at = strstr(at + 3, "://")) {
		char *begin = at + 3, *end = begin + strcspn(begin, " /?#\"'");
		char *sign = end;
		while (sign > begin && *sign != '@')
			sign--;
		if (*sign == '@')
			memmove(begin, sign + 1, strlen(sign + 1) + 1);
	}
	return copy;
}
