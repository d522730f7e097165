/* SPDX-License-Identifier: MIT */
/* heroku.config: config vars, copied from an app or set. A key that an add-on owns and a value that
 * points at a database or add-on of the source are never copied. */
#include "steps/heroku/config.h"
#include "steps/heroku/lookup.h"
#include "steps/heroku/modules.h"
#include "steps/heroku/owned.h"
#include "steps/heroku/target.h"

#include <string.h>

static const struct field fields[] = {
	{"app", FIELD_APP, FIELD_REQUIRED, NULL, NULL, "The app."},
	{"like", FIELD_APP, FIELD_EXISTS, NULL, NULL, "Copy the config vars of this app."},
	{"set", FIELD_STRING, FIELD_MAP | FIELD_MAY_SECRET, NULL, NULL, "Set these."},
	{"except", FIELD_STRING, FIELD_LIST, NULL, NULL, "Keys not to copy."},
	{"replace_attachments", FIELD_BOOL, 0, "false", NULL,
         "Take a key in `set` away from the add-on attachment that owns it."},
	HEROKU_CONNECTION_FIELD,
	{0},
};

static bool check(const struct value *with, struct error *err)
{
	if (value_get(with, "like") || value_get(with, "set"))
		return true;
	return fail(err, ERROR_PLAN, "write `like: APP`, or `set:` with the config vars, or both");
}

/* ---- What is wanted ---- */

static bool is_excepted(const struct heroku *heroku, const char *key)
{
	const struct value *except = value_get(heroku->step->with, "except");

	for (const struct value *one = except ? except->as.items.first : NULL; one; one = one->next)
		if (value_reveal(one) && strcmp(value_reveal(one), key) == 0)
			return true;
	return false;
}

/* Why a key is not copied, or NULL. */
static const char *reason_to_skip(struct heroku *heroku, const struct value *vars,
                                  const struct value *owned, const struct value *target_owned,
                                  const struct value *var)
{
	if (is_excepted(heroku, var->key))
		return "excepted by the plan";
	if (value_get(owned, var->key) || value_get(target_owned, var->key))
		return "owned by an add-on";
	return config_points_at_owned(heroku, vars, owned, "the source", value_reveal(var));
}

static bool want_copies(struct heroku *heroku, const struct value *target_owned,
                        struct value *wanted, struct value *skipped, struct error *err)
{
	const char *like = lookup_field(heroku, "like");
	struct value *vars, *owned = value_map(heroku->arena);

	if (!like)
		return true;
	if (!heroku_get(heroku, heroku_path(heroku, "/apps/%s/config-vars", like), &vars, err))
		return false;
	if (!vars)
		return fail(err, ERROR_FAILED, "there is no app %s to copy from", like);
	if (!config_read_owned(heroku, like, owned, err))
		return false;
	for (const struct value *var = vars->as.items.first; var; var = var->next) {
		if (!value_reveal(var))
			continue;
		const char *why = reason_to_skip(heroku, vars, owned, target_owned, var);
		if (why)
			value_set_text(heroku->arena, skipped, var->key, why);
		else
			value_set(heroku->arena, wanted, var->key,
			          value_secret(heroku->arena, value_reveal(var), "(hidden)"));
	}
	return true;
}

static void want_set(struct heroku *heroku, struct value *wanted)
{
	const struct value *set = value_get(heroku->step->with, "set");

	for (const struct value *one = set ? set->as.items.first : NULL; one; one = one->next) {
		const char *text = value_reveal(one);
		value_set(heroku->arena, wanted, one->key,
		          text ? value_secret(heroku->arena, text, "(hidden)")
		               : value_copy(heroku->arena, one));
	}
}

/* The app's own vars that lead to where a held key leads: they are set by hand, and stay. */
static void add_left(struct heroku *heroku, const struct value *vars, const struct value *owned,
                     const struct value *holders)
{
	for (const struct value *holder = holders->as.items.first; holder; holder = holder->next) {
		const char *url = value_reveal(value_get(vars, holder->key));
		for (const struct value *var = vars->as.items.first; url && var; var = var->next)
			if (!value_get(owned, var->key) && value_reveal(var) &&
			    target_is_same(value_reveal(var), url))
				value_add(value_get(holder, "left"),
				          value_text(heroku->arena, var->key));
	}
}

/* What the wanted keys are now, and why one that is set shall not get its value. */
static bool read_now(struct heroku *heroku, const struct value *owned, struct value *seen,
                     struct error *err)
{
	struct value *vars, *now = value_get(seen, "now"), *refused = value_get(seen, "refused");
	const struct value *wanted = value_get(seen, "wanted");
	const char *app = lookup_field(heroku, "app");
	const struct value *set = value_get(heroku->step->with, "set");

	if (!heroku_get(heroku, heroku_path(heroku, "/apps/%s/config-vars", app), &vars, err))
		return false;
	if (vars)
		add_left(heroku, vars, owned, value_get(seen, "holders"));
	for (const struct value *one = wanted->as.items.first; one; one = one->next) {
		const char *text = value_reveal(value_get(vars, one->key));
		if (text)
			value_set(heroku->arena, now, one->key,
			          value_secret(heroku->arena, text, "(hidden)"));
		const char *to = value_get(set, one->key) ? value_reveal(one) : NULL;
		const char *why =
			vars && to ? config_points_at_owned(heroku, vars, owned, app, to) : NULL;
		if (why)
			value_set_text(heroku->arena, refused, one->key, why);
	}
	return true;
}

static bool observe(struct step *step, struct value *seen, struct error *err)
{
	static const char *const maps[] = {"now", "wanted", "skipped", "holders", "refused"};
	struct heroku heroku;
	struct value *app, *owned = value_map(step->arena);
	const char *behind = NULL;

	if (!heroku_open(&heroku, step, err))
		return false;
	for (size_t i = 0; i < sizeof maps / sizeof *maps; i++)
		value_set(step->arena, seen, maps[i], value_map(step->arena));
	struct value *wanted = value_get(seen, "wanted");
	const char *name = lookup_field(&heroku, "app");
	if (!lookup_app_needed(&heroku, name, &app, err) ||
	    (app && !config_read_owned(&heroku, name, owned, err)) ||
	    !want_copies(&heroku, owned, wanted, value_get(seen, "skipped"), err))
		return false;
	want_set(&heroku, wanted);
	if (app && (!owned_read_holders(&heroku, wanted, value_get(seen, "holders"), err) ||
	            !read_now(&heroku, owned, seen, err) ||
	            !config_read_behind(&heroku, wanted, &behind, err)))
		return false;
	if (behind)
		value_set_text(step->arena, seen, "behind", behind);
	return true;
}

static const char *describe_left(struct step *step, const struct value *holder)
{
	const struct value *left = value_get(holder, "left");
	const char *text = "";

	for (const struct value *one = left ? left->as.items.first : NULL; one; one = one->next)
		text = arena_printf(step->arena, "%s%s%s", text,
		                    text[0] ? ", " : "; still leading there: ", value_reveal(one));
	return text;
}

/* A key leaves its attachment: that, and what goes with it. */
static bool plan_taking(struct step *step, const struct value *holder, const struct value *wanted,
                        const struct value *is, struct changes *changes, struct error *err)
{
	const char *name = value_get_text(holder, "attachment", "");
	const char *addon = value_get_text(holder, "addon", "");
	const struct value *others = value_get(holder, "others");

	if (!value_get_bool(step->with, "replace_attachments", false))
		return fail(err, ERROR_REFUSED,
		            "%s belongs to the attachment %s of add-on %s; write "
		            "`replace_attachments: true` to take it away from there",
		            wanted->key, name, addon);
	const char *last = value_get_bool(holder, "last", false)
	                           ? arena_printf(step->arena,
	                                          "; by then %s must have another name here", addon)
	                           : "";
	changes_add(changes, wanted->key, is, wanted,
	            arena_printf(step->arena, "taken from attachment %s (add-on %s), set%s%s", name,
	                         addon, last, describe_left(step, holder)));
	for (const struct value *one = others ? others->as.items.first : NULL; one; one = one->next)
		changes_add(changes, value_reveal(one), value_text(step->arena, "(hidden)"), NULL,
		            arena_printf(step->arena, "goes with attachment %s", name));
	return true;
}

static bool plan(struct step *step, const struct value *seen, struct changes *changes,
                 struct error *err)
{
	const struct value *now = value_get(seen, "now"), *wanted = value_get(seen, "wanted");
	const struct value *behind = value_get(seen, "behind");
	bool replace = value_get_bool(step->with, "replace_attachments", false);

	for (const struct value *one = wanted->as.items.first; one; one = one->next) {
		const struct value *is = value_get(now, one->key);
		const struct value *holder = value_get(value_get(seen, "holders"), one->key);
		const char *why = value_get_text(value_get(seen, "refused"), one->key, NULL);
		if (replace && why)
			return fail(err, ERROR_REFUSED,
			            "the value for %s %s: this would lead back to where it leaves",
			            one->key, why);
		if (value_equal(is, one))
			continue;
		if (!holder)
			changes_add(changes, one->key, is, one, NULL);
		else if (!plan_taking(step, holder, one, is, changes, err))
			return false;
	}
	if (behind && changes->count == 0)
		changes_add(changes, "(dynos)", behind, NULL, "until dynos run with what is set");
	return true;
}

const struct step_module heroku_config = {
	.name = "heroku.config",
	.text = "Config vars: those of another app, but nothing that leads to its databases, or "
		"given ones.",
	.fields = fields,
	.subjects = (const char *const[]){"heroku/app/${app}/config", NULL},
	.reads = (const char *const[]){"heroku/app/${like}/config", NULL},
	.check = check,
	.observe = observe,
	.plan = plan,
	.apply = config_apply,
	.revert = config_revert,
};
