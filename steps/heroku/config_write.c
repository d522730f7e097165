/* SPDX-License-Identifier: MIT */
/* Config vars set and put back, also where an attachment owns them: what is given up has another
 * name before, and the app is without a value no longer than from one call to the next. */
#include "steps/heroku/config.h"
#include "steps/heroku/dynos.h"
#include "steps/heroku/holder.h"
#include "steps/heroku/lookup.h"
#include "steps/heroku/owned.h"

#include <string.h>

#define FORMER_POLLS 12 /* half a minute */

/* ---- Whether it is in force ---- */

/* "Set A, B config vars": one that was to set a wanted key. */
static bool is_of_ours(const struct value *release, const void *context)
{
	const struct value *wanted = context;
	const char *text = value_get_text(release, "description", "");

	for (const struct value *one = wanted->as.items.first; one; one = one->next)
		if (strncmp(text, "Set ", 4) == 0 && strstr(text, one->key))
			return true;
	return false;
}

bool config_read_behind(struct heroku *heroku, const struct value *wanted, const char **behind,
                        struct error *err)
{
	const struct step *step = heroku->step;
	const struct value *taken = value_get(step->before, "holders");
	const char *app = lookup_field(heroku, "app");
	const struct value *open;
	struct dynos dynos = {0};

	*behind = NULL;
	if (!step->before || step->was_done)
		return true;
	if (!lookup_open_release(heroku, app, is_of_ours, wanted, &open, err))
		return false;
	if (open) {
		const char *status = value_get_text(open, "status", "");
		*behind = arena_printf(heroku->arena, "the release phase of v%lld %s%s",
		                       (long long)value_get_number(open, "version", 0),
		                       strcmp(status, "pending") == 0 ? "is " : "", status);
		return true;
	}
	if (!taken || taken->as.items.count == 0)
		return true;
	if (!dynos_count(heroku, app, &dynos, err))
		return false;
	if (dynos.older > 0)
		*behind = arena_printf(heroku->arena, "%lld dynos run an older release",
		                       (long long)dynos.older);
	return true;
}

/* ---- Acting ---- */

/* For its release a write to the config vars does not wait. */
static bool patch(struct heroku *heroku, const struct value *body, struct error *err)
{
	const char *path = heroku_path(heroku, "/apps/%s/config-vars", lookup_field(heroku, "app"));

	return body->as.items.count == 0 || heroku_must(heroku, "PATCH", path, body, NULL, err);
}

/* Between the two the app has no such var, and it is restarted without it: users must not see
 * that. */
static bool check_may_take(struct heroku *heroku, const struct value *list,
                           const struct value *attachment, const char *key, struct error *err)
{
	const char *name = lookup_field(heroku, "app");
	const char *addon = heroku_text_or_null(attachment, "addon.name");
	struct value *app;

	if (!lookup_app_needed(heroku, name, &app, err))
		return false;
	if (!value_get_bool(app, "maintenance", false))
		return fail(err, ERROR_REFUSED,
		            "%s is not in maintenance: for a moment it has no %s, and restarts "
		            "without it; put a step with heroku.maintenance before this one",
		            name, key);
	if (!holder_may_lose(list, attachment))
		return fail(err, ERROR_REFUSED,
		            "%s is the only name of the add-on %s on %s, and Heroku keeps the "
		            "last one; give it another with heroku.attachment before (`of: %s`)",
		            heroku_text_or_null(attachment, "name"), addon, name,
		            heroku_text_or_null(attachment, "name"));
	return true;
}

/* Those that another key, or an earlier try, took away already are passed over. Nothing is taken
 * when one of them may not be. */
static bool take_away(struct heroku *heroku, const struct changes *changes, bool only_check,
                      struct error *err)
{
	struct value *list;

	for (const struct change *change = changes->first; change; change = change->next) {
		if (!change->to || !change->note)
			continue;
		if (!lookup_attachments(heroku, lookup_field(heroku, "app"), &list, err))
			return false;
		const struct value *attachment = owned_attachment(heroku, list, change->path);
		if (attachment && (!check_may_take(heroku, list, attachment, change->path, err) ||
		                   (!only_check && !holder_detach(heroku, attachment, err))))
			return false;
	}
	return true;
}

/* Until what was set is in force in every dyno of the formation. */
static bool await(struct heroku *heroku, const struct value *wanted, struct error *err)
{
	const char *behind, *app = lookup_field(heroku, "app");

	for (int poll = 0;; poll++) {
		if (!config_read_behind(heroku, wanted, &behind, err))
			return false;
		if (!behind)
			return true;
		if (strstr(behind, "release phase") && !strstr(behind, "pending"))
			return fail(err, ERROR_FAILED,
			            "%s: the config vars are set, but the dynos go on with what "
			            "they had; `heroku releases:output -a %s` shows why",
			            behind, app);
		step_progress(heroku->step, "%s", behind);
		if (!lookup_pause(heroku, poll, err))
			return false;
	}
}

/* What was left out because of its value, not because of its key, is for people to know. */
static void tell_skipped(struct step *step)
{
	const struct value *skipped = value_get(step->before, "skipped");

	for (const struct value *one = skipped ? skipped->as.items.first : NULL; one;
	     one = one->next)
		if (strstr(one->as.text, "of the source"))
			step_note(step, "%s is not copied: it %s", one->key, one->as.text);
}

/* What the wait does not see: dynos that no release ends at once. */
static bool tell_left(struct heroku *heroku, struct error *err)
{
	const char *app = lookup_field(heroku, "app");
	struct value *preboot;
	struct dynos dynos;

	if (!heroku_get(heroku, heroku_path(heroku, "/apps/%s/features/preboot", app), &preboot,
	                err) ||
	    !dynos_count(heroku, app, &dynos, err))
		return false;
	if (value_get_bool(preboot, "enabled", false))
		step_note(heroku->step,
		          "%s has preboot: for about three minutes old web dynos, which Heroku "
		          "does not list, go on with what they had",
		          app);
	if (dynos.one_off > 0)
		step_note(heroku->step, "%lld one-off dynos of %s go on with what they had",
		          (long long)dynos.one_off, app);
	return true;
}

bool config_apply(struct step *step, const struct changes *changes, struct error *err)
{
	struct heroku heroku;
	struct value *body = value_map(step->arena);
	const struct value *taken = value_get(step->before, "holders");

	if (!heroku_open(&heroku, step, err))
		return false;
	tell_skipped(step);
	for (const struct change *change = changes->first; change; change = change->next) {
		if (change->to)
			value_set(step->arena, body, change->path,
			          value_copy(step->arena, change->to));
	}
	if (!take_away(&heroku, changes, true, err) || !take_away(&heroku, changes, false, err) ||
	    !patch(&heroku, body, err))
		return false;
	/* An earlier try may have set all of it. */
	const struct value *set = body->as.items.count ? body : value_get(step->before, "wanted");
	bool restarts = taken && taken->as.items.count > 0;
	return await(&heroku, set, err) && (!restarts || tell_left(&heroku, err));
}

/* ---- The way back ---- */

/* What has to be written for the keys to be as they were, as far as no attachment owns them; one
 * that somebody else gave a key to is not taken away from there. */
static bool want_former(struct heroku *heroku, const struct value *before, struct value *body,
                        struct error *err)
{
	const struct value *wanted = value_get(before, "wanted"), *then = value_get(before, "now");
	const struct value *holders = value_get(before, "holders");
	const char *app = lookup_field(heroku, "app");
	struct value *vars, *list;

	if (!heroku_get(heroku, heroku_path(heroku, "/apps/%s/config-vars", app), &vars, err) ||
	    !lookup_attachments(heroku, app, &list, err))
		return false;
	for (const struct value *one = wanted ? wanted->as.items.first : NULL; one;
	     one = one->next) {
		const struct value *old =
			value_get(holders, one->key) ? NULL : value_get(then, one->key);
		const struct value *is = value_get(vars, one->key);
		if (owned_attachment(heroku, list, one->key) || (!is && !old) ||
		    value_equal(is, old))
			continue;
		value_set(heroku->arena, body, one->key,
		          old ? value_copy(heroku->arena, old) : value_null(heroku->arena));
	}
	return true;
}

static bool give_back(struct heroku *heroku, const struct value *then, struct error *err)
{
	const char *app = lookup_field(heroku, "app"),
		   *name = value_get_text(then, "attachment", "");
	struct value *list, *holder = value_map(heroku->arena);
	const char *namespace = value_get_text(then, "namespace", NULL);

	value_set_text(heroku->arena, holder, "addon", value_get_text(then, "addon", ""));
	if (namespace)
		value_set_text(heroku->arena, holder, "namespace", namespace);
	if (!lookup_attachments(heroku, app, &list, err))
		return false;
	const struct value *attachment = lookup_item(list, "name", name);
	if (!attachment)
		return holder_attach(heroku, name, holder, false, err);
	return value_equal(holder_describe(heroku, attachment), holder) ||
	       fail(err, ERROR_DRIFT,
	            "%s of %s is now an attachment of %s, which this step did not make", name, app,
	            heroku_text_or_null(attachment, "addon.name"));
}

/* All is written, and others wait for the rest of the way back: what does not come is told, no
 * more. */
static bool await_former(struct heroku *heroku, bool restarts, struct error *err)
{
	const char *app = lookup_field(heroku, "app");
	struct error phase;
	struct dynos dynos = {.older = restarts};

	if (!lookup_wait_release(heroku, app, NULL, &phase)) {
		if (phase.kind == ERROR_CANCELLED)
			return fail(err, phase.kind, "%s", phase.text);
		step_note(heroku->step, "%s", phase.text);
		return true;
	}
	for (int poll = 0; dynos.older > 0 && poll < FORMER_POLLS; poll++)
		if (!dynos_count(heroku, app, &dynos, err) ||
		    (dynos.older > 0 && !lookup_pause(heroku, poll, err)))
			return false;
	if (dynos.older > 0)
		step_note(heroku->step, "%lld dynos of %s still run an older release",
		          (long long)dynos.older, app);
	return true;
}

bool config_revert(struct step *step, const struct value *before, struct error *err)
{
	struct heroku heroku;
	struct value *body = value_map(step->arena), *app;
	const struct value *holders = value_get(before, "holders");

	if (!heroku_open(&heroku, step, err) ||
	    !lookup_app(&heroku, lookup_field(&heroku, "app"), &app, err))
		return false;
	if (!app)
		return true;
	if (!want_former(&heroku, before, body, err) || !patch(&heroku, body, err))
		return false;
	for (const struct value *one = holders ? holders->as.items.first : NULL; one;
	     one = one->next)
		if (!give_back(&heroku, one, err))
			return false;
	return await_former(&heroku, holders && holders->as.items.count > 0, err);
}
