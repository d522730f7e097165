/* SPDX-License-Identifier: MIT */
/* heroku.buildpacks: the buildpacks of an app, in order; they take effect at the next build. */
#include "steps/heroku/lookup.h"
#include "steps/heroku/modules.h"
#include "steps/heroku/reads.h"

static const struct field fields[] = {
	{"app", FIELD_APP, FIELD_REQUIRED, NULL, NULL, "The app."},
	{"like", FIELD_APP, FIELD_REQUIRED | FIELD_EXISTS, NULL, NULL,
         "Have the buildpacks of this app."},
	HEROKU_CONNECTION_FIELD,
	{0},
};

bool buildpacks_read(struct heroku *heroku, const char *app, struct value **urls, struct error *err)
{
	struct value *list;

	*urls = value_list(heroku->arena);
	if (!heroku_list(heroku, heroku_path(heroku, "/apps/%s/buildpack-installations", app),
	                 &list, err))
		return false;
	for (const struct value *item = list ? list->as.items.first : NULL; item;
	     item = item->next) {
		const char *url = heroku_text(item, "buildpack.url", err);
		if (!url)
			return false;
		value_add(*urls, value_text(heroku->arena, url));
	}
	return true;
}

static bool observe(struct step *step, struct value *seen, struct error *err)
{
	struct heroku heroku;
	struct value *app, *now, *wanted;

	if (!heroku_open(&heroku, step, err) ||
	    !lookup_app_needed(&heroku, lookup_field(&heroku, "app"), &app, err) ||
	    !buildpacks_read(&heroku, lookup_field(&heroku, "app"), &now, err) ||
	    !buildpacks_read(&heroku, lookup_field(&heroku, "like"), &wanted, err))
		return false;
	value_set(step->arena, seen, "now", now);
	value_set(step->arena, seen, "wanted", wanted);
	return true;
}

static bool plan(struct step *step, const struct value *seen, struct changes *changes,
                 struct error *err)
{
	const struct value *now = value_get(seen, "now"), *wanted = value_get(seen, "wanted");

	(void)step, (void)err;
	if (!value_equal(now, wanted))
		changes_add(changes, "buildpacks", now, wanted, NULL);
	return true;
}

static bool put(struct step *step, const struct value *urls, struct error *err)
{
	struct heroku heroku;
	struct value *body = value_map(step->arena), *updates = value_list(step->arena);

	if (!heroku_open(&heroku, step, err))
		return false;
	for (const struct value *url = urls ? urls->as.items.first : NULL; url; url = url->next) {
		struct value *one = value_map(step->arena);
		value_set_text(step->arena, one, "buildpack", value_reveal(url));
		value_add(updates, one);
	}
	value_set(step->arena, body, "updates", updates);
	return heroku_must(&heroku, "PUT",
	                   heroku_path(&heroku, "/apps/%s/buildpack-installations",
	                               lookup_field(&heroku, "app")),
	                   body, NULL, err);
}

static bool apply(struct step *step, const struct changes *changes, struct error *err)
{
	return put(step, changes->first->to, err);
}

static bool revert(struct step *step, const struct value *before, struct error *err)
{
	struct heroku heroku;
	struct value *now;
	const struct value *then = value_get(before, "now");

	if (!heroku_open(&heroku, step, err) ||
	    !buildpacks_read(&heroku, lookup_field(&heroku, "app"), &now, err))
		return false;
	return value_equal(now, then) || put(step, then, err);
}

const struct step_module heroku_buildpacks = {
	.name = "heroku.buildpacks",
	.text = "Gives an app the buildpacks of another one.",
	.fields = fields,
	.subjects = (const char *const[]){"heroku/app/${app}/buildpacks", NULL},
	.reads = (const char *const[]){"heroku/app/${like}/buildpacks", NULL},
	.observe = observe,
	.plan = plan,
	.apply = apply,
	.revert = revert,
};
