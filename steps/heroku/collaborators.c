/* SPDX-License-Identifier: MIT */
/* heroku.collaborators: who may work on an app; nobody gets a mail. */
#include "steps/heroku/lookup.h"
#include "steps/heroku/modules.h"
#include "steps/heroku/reads.h"

#include <string.h>

static const struct field fields[] = {
	{"app", FIELD_APP, FIELD_REQUIRED, NULL, NULL, "The app."},
	{"like", FIELD_APP, FIELD_REQUIRED | FIELD_EXISTS, NULL, NULL,
         "Invite the collaborators of this app."},
	HEROKU_CONNECTION_FIELD,
	{0},
};

bool collaborators_read(struct heroku *heroku, const char *app, struct value *out,
                        struct error *err)
{
	struct value *list;

	if (!heroku_list(heroku, heroku_path(heroku, "/apps/%s/collaborators", app), &list, err))
		return false;
	for (const struct value *one = list ? list->as.items.first : NULL; one; one = one->next) {
		const char *email = heroku_text(one, "user.email", err);
		if (!email)
			return false;
		value_set_bool(heroku->arena, out, email, true);
	}
	return true;
}

static bool observe(struct step *step, struct value *seen, struct error *err)
{
	struct heroku heroku;
	struct value *app, *now = value_map(step->arena), *wanted = value_map(step->arena);

	if (!heroku_open(&heroku, step, err) ||
	    !lookup_app_needed(&heroku, lookup_field(&heroku, "app"), &app, err) ||
	    !collaborators_read(&heroku, lookup_field(&heroku, "app"), now, err) ||
	    !collaborators_read(&heroku, lookup_field(&heroku, "like"), wanted, err))
		return false;
	const char *owner = heroku_text_or_null(app, "owner.email");
	if (owner)
		value_remove(wanted, owner);
	value_set(step->arena, seen, "now", now);
	value_set(step->arena, seen, "wanted", wanted);
	return true;
}

static bool plan(struct step *step, const struct value *seen, struct changes *changes,
                 struct error *err)
{
	(void)step, (void)err;
	changes_compare(changes, "", value_get(seen, "now"), value_get(seen, "wanted"));
	return true;
}

static bool apply(struct step *step, const struct changes *changes, struct error *err)
{
	struct heroku heroku;
	struct value *app;

	if (!heroku_open(&heroku, step, err) ||
	    !lookup_app_needed(&heroku, lookup_field(&heroku, "app"), &app, err))
		return false;
	for (const struct change *change = changes->first; change; change = change->next) {
		struct value *body = value_map(step->arena);
		value_set_text(step->arena, body, "user", change->path);
		value_set_bool(step->arena, body, "silent", true);
		const char *path = heroku_path(&heroku, "/apps/%s/collaborators",
		                               lookup_field(&heroku, "app"));
		if (heroku_text_or_null(app, "team.name"))
			path = arena_printf(step->arena, "/teams%s", path);
		if (!heroku_must(&heroku, "POST", path, body, NULL, err))
			return fail_while(err, "invite %s", change->path);
	}
	return true;
}

static bool revert(struct step *step, const struct value *before, struct error *err)
{
	struct heroku heroku;
	struct value *now = value_map(step->arena);
	const struct value *wanted = value_get(before, "wanted");

	if (!heroku_open(&heroku, step, err) ||
	    !collaborators_read(&heroku, lookup_field(&heroku, "app"), now, err))
		return false;
	for (const struct value *one = wanted ? wanted->as.items.first : NULL; one;
	     one = one->next) {
		if (value_get(value_get(before, "now"), one->key) || !value_get(now, one->key))
			continue;
		const char *path = heroku_path(&heroku, "/apps/%s/collaborators/%s",
		                               lookup_field(&heroku, "app"), one->key);
		if (!heroku_delete(&heroku, path, err))
			return false;
	}
	return true;
}

const struct step_module heroku_collaborators = {
	.name = "heroku.collaborators",
	.text = "Invites the collaborators of another app, without mail.",
	.fields = fields,
	.subjects = (const char *const[]){"heroku/app/${app}/collaborators", NULL},
	.reads = (const char *const[]){"heroku/app/${like}/collaborators", NULL},
	.observe = observe,
	.plan = plan,
	.apply = apply,
	.revert = revert,
};
