/* SPDX-License-Identifier: MIT */
/* heroku.app: an app of that name, in a region, like another one. A foreign app is never adopted.
 */
#include "steps/heroku/lookup.h"
#include "steps/heroku/modules.h"

#include <string.h>

/* How far our clock and Heroku's may be apart when the birth of an app is judged. */
#define CLOCK_SKEW_MS 60000

static const struct field fields[] = {
	{"app", FIELD_APP, FIELD_REQUIRED, NULL, NULL, "The name of the app to make."},
	{"like", FIELD_APP, FIELD_EXISTS, NULL, NULL, "Take stack and team from this app."},
	{"region", FIELD_STRING, FIELD_REQUIRED, NULL, NULL, "Where it runs: us or eu."},
	{"stack", FIELD_STRING, 0, NULL, NULL, "The stack, when not that of `like`."},
	{"team", FIELD_STRING, 0, NULL, NULL, "The team that owns it, when not that of `like`."},
	HEROKU_CONNECTION_FIELD,
	{0},
};

static const struct field outputs[] = {
	{"app", FIELD_APP, 0, NULL, NULL, "The name of the app."},
	{"id", FIELD_STRING, 0, NULL, NULL, "Its id."},
	{"web_url", FIELD_URL, 0, NULL, NULL, "Where it answers, without a slash at the end."},
	{"git_url", FIELD_STRING, 0, NULL, NULL, "Where to push to."},
	{0},
};

/* What the app shall be: region, stack, team (absent: personal). */
static bool find_wanted(struct heroku *heroku, struct value *wanted, struct error *err)
{
	const char *like_name = lookup_field(heroku, "like");
	const char *stack = lookup_field(heroku, "stack"), *team = lookup_field(heroku, "team");
	const struct value *made = value_get(heroku->step->before, "wanted");
	struct value *like = NULL;

	if (like_name && !lookup_app(heroku, like_name, &like, err))
		return false;
	/* A plan may take the old app away in the end: the new one shall be as it was made. */
	if (like_name && !like && heroku->step->was_done && made) {
		for (const struct value *one = made->as.items.first; one; one = one->next)
			value_set(heroku->arena, wanted, one->key, value_copy(heroku->arena, one));
		return true;
	}
	if (like_name && !like)
		return fail(err, ERROR_FAILED, "there is no app %s to be like", like_name);
	if (like && heroku_text_or_null(like, "space.name"))
		return fail(err, ERROR_REFUSED,
		            "%s is in a private space; only the Common Runtime is supported",
		            like_name);
	if (!stack && like && !(stack = heroku_text(like, "stack.name", err)))
		return false;
	if (!team)
		team = heroku_text_or_null(like, "team.name");
	value_set_text(heroku->arena, wanted, "region", lookup_field(heroku, "region"));
	if (stack)
		value_set_text(heroku->arena, wanted, "stack", stack);
	if (team)
		value_set_text(heroku->arena, wanted, "team", team);
	return true;
}

/* An app that an earlier try of ours may have made: everything about it must fit. */
static bool check_ours(struct heroku *heroku, const struct value *app, const struct value *wanted,
                       struct error *err)
{
	const char *name = lookup_field(heroku, "app");
	struct value *account = NULL;

	if (!heroku->step->attempted)
		return fail(
			err, ERROR_REFUSED,
			"there is an app %s already and this plan did not make it; choose another "
			"name",
			name);
	if (!heroku_get(heroku, "/account", &account, err))
		return false;
	const char *owner = heroku_text(app, "owner.email", err);
	const char *created = owner ? heroku_text(app, "created_at", err) : NULL;
	if (!created)
		return false;
	const char *team = value_get_text(wanted, "team", NULL);
	const char *app_team = heroku_text_or_null(app, "team.name");
	bool owned = team ? app_team && strcmp(team, app_team) == 0
	                  : strcmp(owner, value_get_text(account, "email", "")) == 0;
	if (!owned || heroku_time_ms(created) + CLOCK_SKEW_MS < heroku->step->attempted_at_ms)
		return fail(err, ERROR_REFUSED,
		            "there is an app %s of %s, made at %s, which is not the one this plan "
		            "began "
		            "to make; choose another name",
		            name, owner, created);
	return true;
}

static bool check_place(const struct value *now, const struct value *wanted, struct error *err)
{
	static const char *const keys[] = {"region", "team"};

	for (size_t i = 0; i < sizeof keys / sizeof *keys; i++) {
		const char *is = value_get_text(now, keys[i], ""),
			   *shall = value_get_text(wanted, keys[i], "");
		if (strcmp(is, shall) != 0)
			return fail(err, ERROR_REFUSED,
			            "the app is in %s %s, not in %s; that cannot be changed",
			            keys[i], is[0] ? is : "(none)", shall[0] ? shall : "(none)");
	}
	return true;
}

static bool describe(struct heroku *heroku, const struct value *app, struct value *now,
                     struct error *err)
{
	const char *region = heroku_text(app, "region.name", err);
	const char *stack = region ? heroku_text(app, "build_stack.name", err) : NULL;
	const char *team = heroku_text_or_null(app, "team.name");

	if (!stack)
		return false;
	value_set_text(heroku->arena, now, "region", region);
	value_set_text(heroku->arena, now, "stack", stack);
	if (team)
		value_set_text(heroku->arena, now, "team", team);
	return true;
}

static bool give_outputs(struct step *step, const struct value *app, struct error *err)
{
	const char *id = heroku_text(app, "id", err);
	const char *web = heroku_text_or_null(app, "web_url"),
		   *git = heroku_text_or_null(app, "git_url");

	if (!id)
		return false;
	step_output_text(step, "id", id);
	if (git)
		step_output_text(step, "git_url", git);
	if (!web)
		return true;
	size_t length = strlen(web);
	while (length && web[length - 1] == '/')
		length--;
	step_output_text(step, "web_url", arena_text_n(step->arena, web, length));
	return true;
}

static bool observe(struct step *step, struct value *seen, struct error *err)
{
	struct heroku heroku;
	struct value *app, *now = value_map(step->arena), *wanted = value_map(step->arena);

	if (!heroku_open(&heroku, step, err))
		return false;
	const char *name = lookup_field(&heroku, "app");
	step_output_text(step, "app", name);
	if (!find_wanted(&heroku, wanted, err) ||
	    !heroku_get(&heroku, heroku_path(&heroku, "/apps/%s", name), &app, err))
		return false;
	value_set_bool(step->arena, seen, "exists", app != NULL);
	value_set(step->arena, seen, "now", now);
	value_set(step->arena, seen, "wanted", wanted);
	if (!app)
		return true;
	if (!step->was_done && !check_ours(&heroku, app, wanted, err))
		return false;
	return describe(&heroku, app, now, err) && check_place(now, wanted, err) &&
	       lookup_app(&heroku, name, &app, err) && give_outputs(step, app, err);
}

static bool plan(struct step *step, const struct value *seen, struct changes *changes,
                 struct error *err)
{
	(void)err;
	if (!value_get_bool(seen, "exists", false))
		changes_add(changes, value_get_text(step->with, "app", ""), NULL,
		            value_get(seen, "wanted"), NULL);
	else
		changes_compare(changes, "", value_get(seen, "now"), value_get(seen, "wanted"));
	return true;
}

/* No clear answer: it is ours when it is there and everything about it fits. */
static bool settle(struct heroku *heroku, const struct value *wanted, struct error *err)
{
	struct value *app;
	struct error unsure = *err;

	if (!heroku_get(heroku, heroku_path(heroku, "/apps/%s", lookup_field(heroku, "app")), &app,
	                err))
		return false;
	if (app) {
		heroku->step->attempted = true;
		return check_ours(heroku, app, wanted, err);
	}
	*err = unsure;
	return false;
}

static bool create(struct heroku *heroku, const struct value *wanted, struct error *err)
{
	struct value *body = value_copy(heroku->arena, wanted);
	const char *path = value_get(wanted, "team") ? "/teams/apps" : "/apps";

	value_set_text(heroku->arena, body, "name", lookup_field(heroku, "app"));
	enum heroku_outcome outcome = heroku_write(heroku, "POST", path, body, NULL, err);
	if (outcome == HEROKU_UNSURE && !settle(heroku, wanted, err))
		return false;
	if (outcome != HEROKU_DONE && outcome != HEROKU_UNSURE)
		return false;
	/* It is ours now, also for the look that verifies. */
	heroku->step->was_done = true;
	return true;
}

static bool set_stack(struct heroku *heroku, const char *stack, struct error *err)
{
	struct value *body = value_map(heroku->arena);

	value_set_text(heroku->arena, body, "build_stack", stack);
	return heroku_must(heroku, "PATCH",
	                   heroku_path(heroku, "/apps/%s", lookup_field(heroku, "app")), body, NULL,
	                   err);
}

static bool apply(struct step *step, const struct changes *changes, struct error *err)
{
	struct heroku heroku;

	if (!heroku_open(&heroku, step, err))
		return false;
	for (const struct change *change = changes->first; change; change = change->next) {
		if (!change->from && change->to->kind == VALUE_MAP)
			return create(&heroku, change->to, err);
		if (strcmp(change->path, "stack") == 0 &&
		    !set_stack(&heroku, value_reveal(change->to), err))
			return false;
	}
	return true;
}

static bool revert(struct step *step, const struct value *before, struct error *err)
{
	struct heroku heroku;
	struct value *app;

	if (!heroku_open(&heroku, step, err))
		return false;
	const char *name = lookup_field(&heroku, "app");
	if (!lookup_app(&heroku, name, &app, err))
		return false;
	if (!app)
		return true;
	const char *stack = heroku_text_or_null(before, "now.stack");
	if (value_get_bool(before, "exists", true)) {
		const char *now = heroku_text_or_null(app, "build_stack.name");
		return !stack || (now && strcmp(now, stack) == 0) || set_stack(&heroku, stack, err);
	}
	if (!step->was_done && !check_ours(&heroku, app, value_get(before, "wanted"), err))
		return false;
	if (!heroku_delete(&heroku, heroku_path(&heroku, "/apps/%s", name), err))
		return false;
	return step_pin(step, arena_printf(step->arena, "heroku/app/%s", name), NULL, err);
}

const struct step_module heroku_app = {
	.name = "heroku.app",
	.text = "Makes an app in a region, with the stack and team of another one.",
	.fields = fields,
	.outputs = outputs,
	.subjects = (const char *const[]){"heroku/app/${app}/identity", NULL},
	.observe = observe,
	.plan = plan,
	.apply = apply,
	.revert = revert,
};
