/* SPDX-License-Identifier: MIT */
/* heroku.release: the code that another app runs, as a release of this one. */
#include "steps/heroku/lookup.h"
#include "steps/heroku/modules.h"
#include "steps/heroku/reads.h"

#include <string.h>

#define RELEASES_READ 200

static const struct field fields[] = {
	{"app", FIELD_APP, FIELD_REQUIRED, NULL, NULL, "The app."},
	{"like", FIELD_APP, FIELD_REQUIRED | FIELD_EXISTS, NULL, NULL,
         "The app whose code it shall run."},
	HEROKU_CONNECTION_FIELD,
	{0},
};

bool release_read_slug(struct heroku *heroku, const char *app, const char **slug, int64_t *version,
                       struct error *err)
{
	struct value *list;
	const char *path = heroku_path(heroku, "/apps/%s/releases", app);

	*slug = "";
	*version = 0;
	if (!heroku_newest(heroku, path, RELEASES_READ, &list, err))
		return false;
	for (const struct value *one = list ? list->as.items.first : NULL; one; one = one->next) {
		const char *id = heroku_text_or_null(one, "slug.id");
		const char *status = value_get_text(one, "status", "");
		if (!id || strcmp(status, "succeeded") != 0)
			continue;
		*slug = id;
		return heroku_number(one, "version", version, err);
	}
	return true;
}

bool release_is_image(const struct value *app)
{
	const char *stack = heroku_text_or_null(app, "stack.name");
	const char *generation = heroku_text_or_null(app, "generation.name");
	return (stack && (strcmp(stack, "container") == 0 || strncmp(stack, "cnb", 3) == 0)) ||
	       (generation && strcmp(generation, "fir") == 0);
}

static bool refuse_images(struct heroku *heroku, const char *app, struct error *err)
{
	struct value *found;

	if (!lookup_app(heroku, app, &found, err))
		return false;
	if (!found)
		return fail(err, ERROR_FAILED, "there is no app %s", app);
	if (!release_is_image(found))
		return true;
	return fail(
		err, ERROR_REFUSED,
		"%s runs a container image, which has no slug to copy; build it for the new app "
		"from its source instead",
		app);
}

static bool observe(struct step *step, struct value *seen, struct error *err)
{
	struct heroku heroku;
	struct value *app;
	const char *now = "", *wanted;
	int64_t version, like_version;

	if (!heroku_open(&heroku, step, err))
		return false;
	const char *name = lookup_field(&heroku, "app"), *like = lookup_field(&heroku, "like");
	if (!lookup_app_needed(&heroku, name, &app, err) || !refuse_images(&heroku, like, err) ||
	    (app && !release_read_slug(&heroku, name, &now, &version, err)) ||
	    !release_read_slug(&heroku, like, &wanted, &like_version, err))
		return false;
	if (!wanted[0])
		return fail(err, ERROR_FAILED, "%s has no release with a slug to copy", like);
	value_set_text(step->arena, seen, "now", now);
	value_set_text(step->arena, seen, "wanted", wanted);
	value_set_number(step->arena, seen, "like_version", like_version);
	return true;
}

static bool plan(struct step *step, const struct value *seen, struct changes *changes,
                 struct error *err)
{
	const struct value *now = value_get(seen, "now"), *wanted = value_get(seen, "wanted");

	(void)err;
	if (!value_equal(now, wanted))
		changes_add(changes, "slug", now->as.text[0] ? now : NULL, wanted,
		            arena_printf(step->arena, "v%lld of %s",
		                         (long long)value_get_number(seen, "like_version", 0),
		                         value_get_text(step->with, "like", "")));
	return true;
}

static bool release(struct heroku *heroku, const char *slug, const char *why, struct error *err)
{
	struct value *body = value_map(heroku->arena), *made;
	const char *app = lookup_field(heroku, "app"), *now;
	int64_t version;

	value_set_text(heroku->arena, body, "slug", slug);
	value_set_text(heroku->arena, body, "description", why);
	const char *path = heroku_path(heroku, "/apps/%s/releases", app);
	enum heroku_outcome outcome = heroku_write(heroku, "POST", path, body, &made, err);
	if (outcome != HEROKU_DONE && outcome != HEROKU_UNSURE)
		return false;
	struct error unsure = *err;
	if (!lookup_wait_release(heroku, app, heroku_text_or_null(made, "id"), err) ||
	    !release_read_slug(heroku, app, &now, &version, err))
		return false;
	if (strcmp(now, slug) == 0)
		return true;
	if (outcome == HEROKU_UNSURE)
		*err = unsure;
	else
		fail(err, ERROR_FAILED, "the release of %s did not stay", app);
	return false;
}

static bool apply(struct step *step, const struct changes *changes, struct error *err)
{
	struct heroku heroku;

	return heroku_open(&heroku, step, err) &&
	       release(&heroku, value_reveal(changes->first->to),
	               arena_printf(step->arena, "Copy of %s", changes->first->note), err);
}

/* The older slug is released anew: a rollback of Heroku's would also take config vars back. */
static bool revert(struct step *step, const struct value *before, struct error *err)
{
	struct heroku heroku;
	struct value *app;
	const char *slug = value_get_text(before, "now", ""), *now = "";
	int64_t version;

	if (!heroku_open(&heroku, step, err) ||
	    !lookup_app(&heroku, lookup_field(&heroku, "app"), &app, err) ||
	    (app && !release_read_slug(&heroku, lookup_field(&heroku, "app"), &now, &version, err)))
		return false;
	if (!app || (slug[0] && strcmp(now, slug) == 0))
		return true;
	if (slug[0])
		return release(&heroku, slug, "Back to the code before the plan", err);
	step_note(step, "the app had no code before; a first release cannot be taken away");
	return true;
}

const struct step_module heroku_release = {
	.name = "heroku.release",
	.text = "Releases the slug that another app runs.",
	.fields = fields,
	.subjects = (const char *const[]){"heroku/app/${app}/release", NULL},
	.reads = (const char *const[]){"heroku/app/${like}/release", NULL},
	.observe = observe,
	.plan = plan,
	.apply = apply,
	.revert = revert,
};
