/* SPDX-License-Identifier: MIT */
/* The things an app has: how each kind is read, and what can be said of it. */
#include "steps/heroku/inventory.h"
#include "steps/heroku/reads.h"

#include <string.h>

const char inventory_copied[] = "copied", inventory_manual[] = "manual",
	   inventory_left[] = "not carried", inventory_other_value[] = "with another value";

void inventory_enter(struct inventory *inventory, const char *kind, const char *name,
                     const char *is, const char *why)
{
	struct arena *arena = inventory->heroku.arena;
	struct value *entry = value_map(arena);

	if (!inventory->to && is == inventory_copied)
		return;
	value_set_text(arena, entry, "what", arena_printf(arena, "%s:%s", kind, name));
	value_set_text(arena, entry, "is", is);
	if (why)
		value_set_text(arena, entry, "why", why);
	value_add(inventory->entries, entry);
}

/* Everything in `from` is copied when `to` has it; before the new app is there, nothing is said. */
static void match(struct inventory *inventory, const char *kind, const struct value *from,
                  const struct value *to, const char *why)
{
	for (const struct value *one = from->as.items.first; one && inventory->to; one = one->next)
		inventory_enter(inventory, kind, one->key,
		                value_get(to, one->key) ? inventory_copied : inventory_left,
		                value_get(to, one->key) ? NULL : why);
}

typedef bool reader(struct heroku *heroku, const char *app, struct value *out, struct error *err);

static bool read_both(struct inventory *inventory, reader *read, struct value *from,
                      struct value *to, struct error *err)
{
	return read(&inventory->heroku, inventory->like, from, err) &&
	       (!inventory->to || read(&inventory->heroku, inventory->app, to, err));
}

/* ---- The app itself ---- */

static bool take_stack(struct inventory *inventory, struct error *err)
{
	const char *from = heroku_text(inventory->from, "build_stack.name", err);
	const char *to = heroku_text_or_null(inventory->to, "build_stack.name");
	bool same = !inventory->to || (from && to && strcmp(from, to) == 0);

	if (from)
		inventory_enter(inventory, "stack", from, same ? inventory_copied : inventory_left,
		                same ? NULL : "the new app has another one");
	return from != NULL;
}

static bool take_release(struct inventory *inventory, struct error *err)
{
	struct heroku *heroku = &inventory->heroku;
	const char *from, *to = "";
	int64_t version, other;

	if (release_is_image(inventory->from)) {
		inventory_enter(inventory, "release", "image", inventory_left,
		                "a container image has no slug to copy: build it for the new app");
		return true;
	}
	if (!release_read_slug(heroku, inventory->like, &from, &version, err) ||
	    (inventory->to && !release_read_slug(heroku, inventory->app, &to, &other, err)))
		return false;
	bool same = !inventory->to || strcmp(from, to) == 0;
	if (from[0])
		inventory_enter(inventory, "release",
		                arena_printf(heroku->arena, "v%lld", (long long)version),
		                same ? inventory_copied : inventory_left,
		                same ? "its slug" : "the new app runs other code");
	return true;
}

static bool take_buildpacks(struct inventory *inventory, struct error *err)
{
	struct heroku *heroku = &inventory->heroku;
	struct value *from, *to = NULL;

	if (!buildpacks_read(heroku, inventory->like, &from, err) ||
	    (inventory->to && !buildpacks_read(heroku, inventory->app, &to, err)))
		return false;
	const struct value *there = to ? to->as.items.first : NULL;
	for (const struct value *one = from->as.items.first; one; one = one->next) {
		bool same = !to || value_equal(one, there);
		inventory_enter(inventory, "buildpack", value_reveal(one),
		                same ? inventory_copied : inventory_left,
		                same ? NULL : "the new app has not this one in this place");
		there = there ? there->next : NULL;
	}
	return true;
}

static bool take_formation(struct inventory *inventory, struct error *err)
{
	struct value *from = value_map(inventory->heroku.arena);
	struct value *to = value_map(inventory->heroku.arena);

	if (!read_both(inventory, formation_read, from, to, err))
		return false;
	for (const struct value *one = from->as.items.first; one && inventory->to;
	     one = one->next) {
		bool same = value_equal(one, value_get(to, one->key));
		inventory_enter(inventory, "formation", one->key,
		                same ? inventory_copied : inventory_left,
		                same ? NULL : "the new app has another number or size of dynos");
	}
	return true;
}

/* ---- Config vars ---- */

/* Names only: what they hold is compared here and goes no further. */
static bool take_config(struct inventory *inventory, struct error *err)
{
	struct heroku *heroku = &inventory->heroku;
	struct value *vars, *there = NULL, *owned = value_map(heroku->arena);

	if (!heroku_get(heroku, heroku_path(heroku, "/apps/%s/config-vars", inventory->like), &vars,
	                err) ||
	    (inventory->to &&
	     !heroku_get(heroku, heroku_path(heroku, "/apps/%s/config-vars", inventory->app),
	                 &there, err)) ||
	    !config_read_owned(heroku, inventory->like, owned, err))
		return false;
	for (const struct value *var = vars ? vars->as.items.first : NULL; var; var = var->next) {
		const struct value *same = value_get(there, var->key);
		if (value_get(owned, var->key) || !value_reveal(var))
			continue;
		const char *why = config_points_at_owned(heroku, vars, owned, "the source",
		                                         value_reveal(var));
		if (same)
			inventory_enter(inventory, "config", var->key, inventory_copied,
			                value_equal(same, var) ? NULL : inventory_other_value);
		else if (why || inventory->to)
			inventory_enter(inventory, "config", var->key, inventory_left,
			                why ? arena_printf(heroku->arena, "it %s", why)
			                    : "the new app has no such config var");
	}
	return true;
}

/* ---- Add-ons ---- */

static bool is_database(const char *service)
{
	return strcmp(service, "heroku-postgresql") == 0;
}

/* What an attachment stands for. */
struct attached {
	const char *name, *namespace, *addon, *owner, *service;
};

static bool read_attached(struct inventory *inventory, const struct value *attachment,
                          struct attached *attached, struct error *err)
{
	const char *id = heroku_text(attachment, "addon.id", err);
	struct value *addon;

	*attached = (struct attached){.service = ""};
	attached->namespace = heroku_text_or_null(attachment, "namespace");
	if (!id || !(attached->name = heroku_text(attachment, "name", err)) ||
	    !(attached->addon = heroku_text(attachment, "addon.name", err)) ||
	    !(attached->owner = heroku_text(attachment, "addon.app.name", err)) ||
	    !lookup_addon(&inventory->heroku, id, &addon, err))
		return false;
	const char *service = heroku_text_or_null(addon, "addon_service.name");
	if (service)
		attached->service = service;
	return true;
}

static const char *why_not_attached(struct inventory *inventory, const struct attached *attached)
{
	const char *namespace = attached->namespace;

	if (namespace && strncmp(namespace, "credential:", 11) == 0)
		return arena_printf(inventory->heroku.arena,
		                    "a credential of Postgres is made by hand on the new database: "
		                    "`heroku pg:credentials:create --name %s`",
		                    namespace + 11);
	if (namespace)
		return "a connection pool comes with the database that is promoted, where "
		       "heroku.postgres.promote has `like:`";
	return "nothing is attached under this name";
}

static void enter_attached(struct inventory *inventory, const struct attached *attached,
                           const struct value *there)
{
	bool first = !attached->namespace && strcmp(attached->owner, inventory->like) == 0;
	bool primary = is_database(attached->service) && strcmp(attached->name, "DATABASE") == 0;
	const struct value *held = lookup_item(there, "name", attached->name);
	const char *kind = primary && first ? "data" : first ? "addon" : "attachment";
	const char *what = first && !primary ? attached->addon : attached->name;
	bool credential =
		attached->namespace && strncmp(attached->namespace, "credential:", 11) == 0;

	if (held)
		inventory_enter(inventory, kind, what, inventory_copied,
		                kind[0] == 'd'   ? "as it was when it was copied"
		                : kind[1] == 'd' ? "made anew, and empty"
		                                 : NULL);
	else if (inventory->to || credential)
		inventory_enter(inventory, kind, what, inventory_left,
		                why_not_attached(inventory, attached));
	if (first && strcmp(attached->service, "scheduler") == 0)
		inventory_enter(inventory, "jobs", attached->addon, inventory_manual,
		                "Scheduler has no API: a person copies every job");
}

static bool take_attachments(struct inventory *inventory, struct error *err)
{
	struct value *from, *to = NULL;
	struct attached attached;

	if (!lookup_attachments(&inventory->heroku, inventory->like, &from, err) ||
	    (inventory->to && !lookup_attachments(&inventory->heroku, inventory->app, &to, err)))
		return false;
	for (const struct value *one = from ? from->as.items.first : NULL; one; one = one->next) {
		if (!read_attached(inventory, one, &attached, err))
			return false;
		enter_attached(inventory, &attached, to);
	}
	return true;
}

/* ---- The database ---- */

static bool enter_credentials(struct inventory *inventory, const char *id, struct error *err)
{
	struct heroku *heroku = &inventory->heroku;
	struct value *list;

	if (!heroku_data_get(heroku,
	                     heroku_path(heroku, "/postgres/v0/databases/%s/credentials", id),
	                     &list, err))
		return false;
	if (list && list->kind != VALUE_LIST)
		return fail(err, ERROR_FAILED, "the list of credentials is no list");
	for (const struct value *one = list ? list->as.items.first : NULL; one; one = one->next) {
		const char *name = heroku_text(one, "name", err);
		if (!name)
			return false;
		if (strcmp(name, "default") != 0)
			inventory_enter(inventory, "credential", name, inventory_left,
			                "a follower has its role, but the new add-on does not know "
			                "it; a copy has neither role nor grants");
	}
	return true;
}

static bool enter_schedules(struct inventory *inventory, const char *id, struct error *err)
{
	struct heroku *heroku = &inventory->heroku;
	struct value *from = value_map(heroku->arena), *to = value_map(heroku->arena), *addon;

	if (!schedules_read(heroku, id, from, NULL, err))
		return false;
	if (inventory->to && !lookup_primary(heroku, inventory->app, &addon, err))
		return false;
	const char *other = inventory->to && addon ? heroku_text(addon, "id", err) : NULL;
	if (other && !schedules_read(heroku, other, to, NULL, err))
		return false;
	match(inventory, "schedule", from, to, "the new DATABASE has no such backup schedule");
	return true;
}

static bool take_database(struct inventory *inventory, struct error *err)
{
	struct value *addon, *database;

	if (!lookup_primary(&inventory->heroku, inventory->like, &addon, err))
		return false;
	const char *id = addon ? heroku_text(addon, "id", err) : NULL;
	if (!id)
		return !addon;
	if (!lookup_database(&inventory->heroku, id, &database, err) ||
	    !enter_schedules(inventory, id, err))
		return false;
	/* Plans that know only the default one refuse to list it. */
	return value_get_number(database, "credentials", 1) <= 1 ||
	       enter_credentials(inventory, id, err);
}

/* ---- Names and certificates ---- */

static bool read_domains(struct heroku *heroku, const char *app, struct value *out,
                         struct error *err)
{
	struct value *list;

	if (!heroku_list(heroku, heroku_path(heroku, "/apps/%s/domains", app), &list, err))
		return false;
	for (const struct value *one = list ? list->as.items.first : NULL; one; one = one->next) {
		const char *kind = heroku_text(one, "kind", err);
		const char *name = kind ? heroku_text(one, "hostname", err) : NULL;
		if (!name)
			return false;
		if (strcmp(kind, "custom") == 0)
			value_set_bool(heroku->arena, out, name, true);
	}
	return true;
}

static bool take_names(struct inventory *inventory, struct error *err)
{
	struct arena *arena = inventory->heroku.arena;
	struct value *from = value_map(arena), *to = value_map(arena);

	if (!read_both(inventory, read_domains, from, to, err))
		return false;
	for (const struct value *one = from->as.items.first; one; one = one->next)
		inventory_enter(inventory, "domain", one->key,
		                value_get(to, one->key) ? inventory_copied : inventory_left,
		                value_get(to, one->key) ? NULL : "it is on the old app");
	from = value_map(arena), to = value_map(arena);
	if (!read_both(inventory, lookup_certificates, from, to, err))
		return false;
	match(inventory, "certificate", from, to, "no certificate of the new app has this name");
	if (!value_get_bool(inventory->from, "acm", false))
		return true;
	bool same = value_get_bool(inventory->to, "acm", false);
	inventory_enter(inventory, "certificate", "automatic",
	                same ? inventory_copied : inventory_left,
	                same ? NULL
	                     : "none can be issued before DNS leads to the new app; upload one, or "
	                       "turn it on then: `heroku certs:auto:enable`");
	return true;
}

/* ---- People and the rest ---- */

static bool take_people(struct inventory *inventory, struct error *err)
{
	struct arena *arena = inventory->heroku.arena;
	struct value *from = value_map(arena), *to = value_map(arena);
	const char *owner = heroku_text_or_null(inventory->to, "owner.email");

	if (!read_both(inventory, collaborators_read, from, to, err))
		return false;
	if (owner)
		value_remove(from, owner);
	match(inventory, "collaborator", from, to, "not invited to the new app");
	return true;
}

/* Their keys begin with the kind already. */
static bool take_features(struct inventory *inventory, struct error *err)
{
	struct arena *arena = inventory->heroku.arena;
	struct value *from = value_map(arena), *to = value_map(arena);

	if (!read_both(inventory, features_read, from, to, err))
		return false;
	for (const struct value *one = from->as.items.first; one; one = one->next) {
		const char *colon = strchr(one->key, ':');
		size_t length = colon ? (size_t)(colon - one->key) : strlen(one->key);
		bool same = !inventory->to || value_get(to, one->key);
		inventory_enter(inventory, arena_text_n(arena, one->key, length),
		                lookup_without_passwords(arena, colon ? colon + 1 : ""),
		                same ? inventory_copied : inventory_left,
		                same ? NULL : "the new app is without it");
	}
	return true;
}

static bool take_webhooks(struct inventory *inventory, struct error *err)
{
	struct arena *arena = inventory->heroku.arena;
	struct value *from = value_map(arena), *to = value_map(arena);

	if (!webhooks_read(&inventory->heroku, inventory->like, from, NULL, err) ||
	    (inventory->to && !webhooks_read(&inventory->heroku, inventory->app, to, NULL, err)))
		return false;
	match(inventory, "webhook", from, to, "the new app has no such webhook");
	return true;
}

/* They belong to the pipeline: what matters is whether the new app is in it. */
static bool take_review_apps(struct inventory *inventory, struct error *err)
{
	struct heroku *heroku = &inventory->heroku;
	struct value *from, *to = NULL, *list;

	if (!heroku_get(heroku, heroku_path(heroku, "/apps/%s/pipeline-couplings", inventory->like),
	                &from, err) ||
	    (inventory->to &&
	     !heroku_get(heroku, heroku_path(heroku, "/apps/%s/pipeline-couplings", inventory->app),
	                 &to, err)))
		return false;
	const char *pipeline = from ? heroku_text(from, "pipeline.id", err) : NULL;
	const char *other = heroku_text_or_null(to, "pipeline.id");
	if (!pipeline)
		return !from;
	if (!heroku_list(heroku, heroku_path(heroku, "/pipelines/%s/review-apps", pipeline), &list,
	                 err))
		return false;
	bool same = !inventory->to || (other && strcmp(other, pipeline) == 0);
	for (const struct value *one = list ? list->as.items.first : NULL; one; one = one->next) {
		const char *branch = heroku_text(one, "branch", err);
		if (!branch)
			return false;
		inventory_enter(inventory, "review-app", branch,
		                same ? inventory_copied : inventory_left,
		                same ? "it belongs to the pipeline, where the new app is too"
		                     : "its pipeline has not the new app in it");
	}
	return true;
}

const struct inventory_kind inventory_kinds[] = {
	{"config", take_config},
	{"addon", take_attachments},
	{"attachment", NULL},
	{"data", NULL},
	{"jobs", NULL},
	{"schedule", take_database},
	{"credential", NULL},
	{"release", take_release},
	{"buildpack", take_buildpacks},
	{"stack", take_stack},
	{"formation", take_formation},
	{"domain", take_names},
	{"certificate", NULL},
	{"collaborator", take_people},
	{"feature", take_features},
	{"drain", NULL},
	{"pipeline", NULL},
	{"webhook", take_webhooks},
	{"review-app", take_review_apps},
	{0},
};
