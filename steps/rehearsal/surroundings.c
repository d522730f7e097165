/* SPDX-License-Identifier: MIT */
/* Reads off a plan what must be there before it. */
#include "steps/rehearsal/surroundings.h"
#include "engine/base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define FILE_LIMIT ((size_t)1024 * 1024)

/* A text that holds no reference any more; NULL. */
static const char *literal(const struct value *value)
{
	if (!value || value->kind != VALUE_TEXT || strstr(value->as.text, "${"))
		return NULL;
	return value->as.text;
}

static bool has(const struct value *list, const char *text)
{
	for (const struct value *one = list->as.items.first; one; one = one->next)
		if (strcmp(one->as.text, text) == 0)
			return true;
	return false;
}

static void add(struct arena *arena, struct value *list, const char *text)
{
	if (text && !has(list, text))
		value_add(list, value_text(arena, text));
}

static bool uses(const struct plan_step *step, const char *module)
{
	return strcmp(step->module->name, module) == 0;
}

/* ---- Apps ---- */

static bool is_made(const struct plan *plan, const char *app)
{
	for (size_t i = 0; i < plan->step_count; i++) {
		const char *made = literal(value_get(plan->steps[i].with, "app"));
		if (uses(&plan->steps[i], "heroku.app") && made && strcmp(made, app) == 0)
			return true;
	}
	return false;
}

static void read_apps(struct surroundings *s, const struct plan *plan, const struct plan_step *step,
                      struct arena *arena)
{
	const struct field *field = step->module->fields;

	for (; field && field->name; field++) {
		const char *app = field->type == FIELD_APP
		                          ? literal(value_get(step->with, field->name))
		                          : NULL;
		if (app && !is_made(plan, app))
			add(arena, s->apps, app);
	}
}

/* Those of the plan's own apps move; the first step that moves one says which app the users know.
 */
static void read_domains(struct surroundings *s, const struct plan_step *step, struct arena *arena)
{
	const struct value *names = value_get(step->with, "names");

	if (uses(step, "heroku.domain")) {
		add(arena, s->domains, literal(value_get(step->with, "domain")));
		if (!s->app)
			s->app = literal(value_get(step->with, "from"));
	} else if (uses(step, "dns.record")) {
		add(arena, s->domains, literal(value_get(step->with, "name")));
	} else if (uses(step, "dns.ttl") && names && names->kind == VALUE_LIST) {
		for (const struct value *one = names->as.items.first; one; one = one->next)
			add(arena, s->domains, literal(one));
	}
}

/* ---- Repositories and secrets ---- */

static const char *remote_url(const struct surroundings *s, struct arena *arena)
{
	const struct value *first = s->apps->as.items.first;

	return arena_printf(arena, "https://git.heroku.com/%s.git",
	                    s->app  ? s->app
	                    : first ? first->as.text
	                            : "sourceapp");
}

static void read_repository(struct surroundings *s, const struct plan_step *step,
                            struct arena *arena)
{
	const char *path = literal(value_get(step->with, "repository"));
	const struct value *rename = value_get(step->with, "rename");
	const struct value *remove = value_get(step->with, "remove");

	if (!uses(step, "git.remotes"))
		return;
	path = path ? path : ".";
	struct value *remotes = value_get(s->repositories, path);
	if (!remotes)
		value_set(arena, s->repositories, path, remotes = value_map(arena));
	for (const struct value *one = rename ? rename->as.items.first : NULL; one; one = one->next)
		value_set_text(arena, remotes, one->key, remote_url(s, arena));
	for (const struct value *one = remove ? remove->as.items.first : NULL; one; one = one->next)
		if (literal(one))
			value_set_text(arena, remotes, literal(one), remote_url(s, arena));
}

static void read_certificate(struct surroundings *s, const struct plan_step *step,
                             struct arena *arena)
{
	const struct value *key = value_get(step->with, "key");
	static const char opening[] = "${secrets.";

	if (!uses(step, "heroku.certificate") || !key || key->kind != VALUE_TEXT ||
	    strncmp(key->as.text, opening, strlen(opening)) != 0)
		return;
	const char *name = key->as.text + strlen(opening);
	s->key_secret = arena_text_n(arena, name, strcspn(name, "}"));
}

/* The source has a database like the one that takes its place. */
static const char *database_plan(const struct plan *plan)
{
	for (size_t i = 0; i < plan->step_count; i++) {
		const char *name = literal(value_get(plan->steps[i].with, "plan"));
		if (name && strncmp(plan->steps[i].module->name, "heroku.postgres.", 16) == 0)
			return name;
	}
	return "heroku-postgresql:standard-0";
}

static const char *other_region(const struct plan *plan)
{
	for (size_t i = 0; i < plan->step_count; i++) {
		const char *to = literal(value_get(plan->steps[i].with, "region"));
		if (uses(&plan->steps[i], "heroku.app") && to && strcmp(to, "us") == 0)
			return "eu";
	}
	return "us";
}

void surroundings_read(struct surroundings *s, const struct plan *plan, struct arena *arena)
{
	*s = (struct surroundings){
		.apps = value_list(arena),
		.domains = value_list(arena),
		.repositories = value_map(arena),
		.region = other_region(plan),
		.database_plan = database_plan(plan),
	};
	for (size_t i = 0; i < plan->step_count; i++) {
		read_apps(s, plan, &plan->steps[i], arena);
		read_domains(s, &plan->steps[i], arena);
		read_certificate(s, &plan->steps[i], arena);
	}
	if (!s->app && s->apps->as.items.first)
		s->app = s->apps->as.items.first->as.text;
	for (size_t i = 0; i < plan->step_count; i++)
		read_repository(s, &plan->steps[i], arena);
}

/* ---- The seed ---- */

static struct value *texts(struct arena *arena, const char *const *list)
{
	struct value *value = value_list(arena);

	for (; *list; list++)
		value_add(value, value_text(arena, *list));
	return value;
}

static struct value *pairs(struct arena *arena, const char *const (*list)[2])
{
	struct value *value = value_map(arena);

	for (; (*list)[0]; list++)
		value_set_text(arena, value, (*list)[0], (*list)[1]);
	return value;
}

/* One every night. */
static struct value *schedules(struct arena *arena)
{
	struct value *list = value_list(arena), *schedule = value_map(arena);

	value_set_number(arena, schedule, "hour", 2);
	value_set_text(arena, schedule, "timezone", "UTC");
	value_set_text(arena, schedule, "schedule_name", "DATABASE_URL");
	value_add(list, schedule);
	return list;
}

static struct value *addons(const struct surroundings *s, struct arena *arena)
{
	const char *const plans[][2] = {{s->database_plan, "DATABASE"},
	                                {"heroku-redis:mini", "REDIS"},
	                                {"scheduler:standard", "SCHEDULER"},
	                                {"papertrail:choklad", "PAPERTRAIL"}};
	struct value *list = value_list(arena);

	for (size_t i = 0; i < sizeof plans / sizeof *plans; i++) {
		struct value *addon = value_map(arena);
		value_set_text(arena, addon, "plan", plans[i][0]);
		value_set_text(arena, addon, "as", plans[i][1]);
		if (i == 0)
			value_set(arena, addon, "schedules", schedules(arena));
		value_add(list, addon);
	}
	return list;
}

static struct value *webhooks(struct arena *arena)
{
	static const char *const entities[] = {"api:release", NULL};
	struct value *list = value_list(arena), *webhook = value_map(arena);

	value_set_text(arena, webhook, "url", "https://hooks.example.com/releases");
	value_set_text(arena, webhook, "level", "notify");
	value_set(arena, webhook, "include", texts(arena, entities));
	value_add(list, webhook);
	return list;
}

static struct value *seed_app(const struct surroundings *s, const char *name, struct arena *arena)
{
	static const char *const buildpacks[] = {"https://github.com/heroku/heroku-buildpack-ruby",
	                                         NULL};
	static const char *const people[] = {"colleague@example.com", NULL};
	static const char *const drains[] = {"syslog+tls://logs.example.com:6514", NULL};
	static const char *const tasks[] = {"rake import", NULL};
	static const char *const config[][2] = {
		{"RACK_ENV", "production"}, {"SECRET_KEY_BASE", "rehearsal-secret"}, {NULL, NULL}};
	static const char *const types[][2] = {
		{"web", "bin/web"}, {"worker", "bin/worker"}, {NULL, NULL}};
	struct value *app = value_map(arena), *formation = value_map(arena);
	struct value *slug = value_map(arena), *pipeline = value_map(arena);

	value_set_number(arena, formation, "web", 2);
	value_set_number(arena, formation, "worker", 1);
	value_set_text(arena, slug, "commit", "0123456789abcdef0123456789abcdef01234567");
	value_set(arena, slug, "process_types", pairs(arena, types));
	value_set_text(arena, pipeline, "stage", "production");
	value_set_text(arena, app, "name", name);
	value_set_text(arena, app, "region", s->region);
	value_set(arena, app, "buildpacks", texts(arena, buildpacks));
	value_set(arena, app, "config", pairs(arena, config));
	value_set(arena, app, "collaborators", texts(arena, people));
	value_set(arena, app, "drains", texts(arena, drains));
	value_set(arena, app, "webhooks", webhooks(arena));
	value_set(arena, app, "pipeline", pipeline);
	value_set(arena, app, "one_off", texts(arena, tasks));
	value_set(arena, app, "formation", formation);
	value_set(arena, app, "slug", slug);
	value_set(arena, app, "addons", addons(s, arena));
	if (s->app && strcmp(s->app, name) == 0)
		value_set(arena, app, "domains", value_copy(arena, s->domains));
	return app;
}

struct value *surroundings_seed(const struct surroundings *s, struct arena *arena)
{
	struct value *seed = value_map(arena), *apps = value_list(arena);

	for (const struct value *one = s->apps->as.items.first; one; one = one->next)
		value_add(apps, seed_app(s, one->as.text, arena));
	value_set(arena, seed, "apps", apps);
	return seed;
}

/* ---- Files ---- */

static bool make_parents(char *path, size_t from, struct error *err)
{
	for (char *slash = strchr(path + from, '/'); slash; slash = strchr(slash + 1, '/')) {
		*slash = '\0';
		bool fine = mkdir(path, 0700) == 0 || errno == EEXIST;
		*slash = '/';
		if (!fine)
			return fail(err, ERROR_FAILED, "make %s: %s", path, strerror(errno));
	}
	return true;
}

static bool put(struct arena *arena, const char *directory, const char *path, const char *data,
                size_t length, struct error *err)
{
	char *whole = arena_printf(arena, "%s/%s", directory, path);

	if (!make_parents(whole, strlen(directory) + 1, err))
		return false;
	int handle = open(whole, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600);
	bool fine = handle >= 0 && write(handle, data, length) == (ssize_t)length;
	if (handle >= 0)
		close(handle);
	return fine || fail(err, ERROR_FAILED, "write %s: %s", whole, strerror(errno));
}

static bool put_file(const struct plan *plan, const struct plan_step *step, const char *path,
                     const char *directory, const char *chain, struct error *err)
{
	struct arena arena = {0};
	size_t length = strlen(chain);
	const char *data = chain;

	if (!uses(step, "heroku.certificate"))
		data = file_read_beneath(&arena, file_directory(&arena, plan->file), path,
		                         FILE_LIMIT, &length, err);
	bool fine = data && put(&arena, directory, path, data, length, err);
	arena_free(&arena);
	return fine;
}

bool surroundings_files(const struct plan *plan, const char *directory, const char *chain,
                        struct error *err)
{
	for (size_t i = 0; i < plan->step_count; i++) {
		const struct plan_step *step = &plan->steps[i];
		const struct field *field = step->module->fields;
		for (; field && field->name; field++) {
			const char *path =
				literal(value_get(value_get(step->with, field->name), "file"));
			if (field->type == FIELD_CONTENT && path &&
			    !put_file(plan, step, path, directory, chain, err))
				return fail_while(err, "step %s", step->id);
		}
	}
	return true;
}
