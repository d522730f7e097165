/* SPDX-License-Identifier: MIT */
/* heroku.addons: the add-ons of another app, made anew (empty), and its shared ones attached. */
#include "steps/heroku/availability.h"
#include "steps/heroku/lookup.h"
#include "steps/heroku/modules.h"

#include <string.h>

static const struct field fields[] = {
	{"app", FIELD_APP, FIELD_REQUIRED, NULL, NULL, "The app."},
	{"like", FIELD_APP, FIELD_REQUIRED | FIELD_EXISTS, NULL, NULL,
         "Have the add-ons of this app."},
	AVAILABILITY_FIELDS,
	HEROKU_CONNECTION_FIELD,
	{0},
};

/* What the wish for add-ons is made from. */
struct wish {
	struct heroku *heroku;
	struct value *addons; /* of the old app */
	struct value *offers; /* of the region of the new app; NULL: it is yet to be made */
	struct value
		*wanted; /* MAP attachment -> {addon, plan}; plan absent: attach, do not make */
};

/* A plan that cannot be had is left out, put in place of, or an error. NULL: see the error; "":
 * leave it out. */
static const char *choose_plan(const struct wish *wish, const char *plan, struct error *err)
{
	const char *taken, *why;

	if (!availability_judge(wish->heroku, wish->offers, plan, &taken, &why, err))
		return NULL;
	if (!why)
		return taken;
	if (availability_skips(wish->heroku->step))
		return "";
	fail(err, ERROR_REFUSED, "%s: %s; write `unavailable: {%s: OTHER}` or `skip`", plan, why,
	     plan);
	return NULL;
}

/* The add-on of an attachment that other apps own. */
static bool want_shared(const struct wish *wish, const struct value *attachment,
                        struct value *entry)
{
	value_set_text(wish->heroku->arena, entry, "addon",
	               heroku_text_or_null(attachment, "addon.name"));
	value_set(wish->heroku->arena, wish->wanted, value_get_text(attachment, "name", ""), entry);
	return true;
}

/* The second attachment of an add-on is not made with it. */
static bool want_own(const struct wish *wish, const char *as, const struct value *addon,
                     struct value *entry, struct error *err)
{
	struct heroku *heroku = wish->heroku;
	const char *name = addon ? heroku_text(addon, "name", err) : NULL;
	const char *plan = name ? heroku_text(addon, "plan.name", err) : NULL;

	if (!plan)
		return addon ? false
		             : fail(err, ERROR_FAILED, "the add-on of %s is not listed", as);
	plan = choose_plan(wish, plan, err);
	if (!plan || !plan[0])
		return plan != NULL;
	char *ours = lookup_addon_name(heroku, lookup_field(heroku, "app"), name);
	value_set_text(heroku->arena, entry, "addon", ours);
	for (const struct value *one = wish->wanted->as.items.first; one; one = one->next)
		if (strcmp(value_get_text(one, "addon", ""), ours) == 0)
			plan = NULL;
	if (plan)
		value_set_text(heroku->arena, entry, "plan", plan);
	value_set(heroku->arena, wish->wanted, as, entry);
	return true;
}

static bool want(const struct wish *wish, const struct value *attachment, struct error *err)
{
	struct heroku *heroku = wish->heroku;
	const char *as = heroku_text(attachment, "name", err);
	const char *id = as ? heroku_text(attachment, "addon.id", err) : NULL;
	const char *owner = id ? heroku_text(attachment, "addon.app.name", err) : NULL;
	const struct value *addon = lookup_item(wish->addons, "id", id);
	struct value *entry = value_map(heroku->arena);

	if (!owner)
		return false;
	struct value *shared = NULL; /* of another app, which the list does not have */
	if (!addon && !lookup_addon(heroku, id, &shared, err))
		return false;
	const char *service = heroku_text_or_null(addon ? addon : shared, "addon_service.name");
	if (service && availability_is_excepted(heroku->step, service))
		return true;
	const char *namespace = heroku_text_or_null(attachment, "namespace");
	if (namespace)
		value_set_text(heroku->arena, entry, "namespace", namespace);
	if (strcmp(owner, lookup_field(heroku, "like")) != 0)
		return want_shared(wish, attachment, entry);
	return want_own(wish, as, addon, entry, err);
}

static bool read_now(struct heroku *heroku, const struct value *wanted, struct value *now,
                     struct error *err)
{
	struct value *list, *addon;

	if (!lookup_attachments(heroku, lookup_field(heroku, "app"), &list, err))
		return false;
	for (const struct value *one = wanted->as.items.first; one; one = one->next) {
		const char *name = value_get_text(one, "addon", "");
		const struct value *held = lookup_item(list, "name", one->key);
		const char *holder = heroku_text_or_null(held, "addon.name");
		if (!holder)
			continue;
		if (strcmp(holder, name) != 0)
			return fail(err, ERROR_REFUSED, "%s is attached already, to the add-on %s",
			            one->key, holder);
		if (!lookup_addon(heroku, name, &addon, err))
			return false;
		bool ready = strcmp(value_get_text(addon, "state", ""), "provisioned") == 0;
		value_set_text(heroku->arena, now, one->key, ready ? "ready" : "making");
	}
	return true;
}

/* An add-on is made under a plain name; those in a namespace (a pool) are attached to it. */
static bool want_all(const struct wish *wish, const struct value *attachments, struct error *err)
{
	for (int pass = 0; pass < 2; pass++)
		for (const struct value *one = attachments ? attachments->as.items.first : NULL;
		     one; one = one->next)
			if ((heroku_text_or_null(one, "namespace") != NULL) == (pass == 1) &&
			    !want(wish, one, err))
				return false;
	return true;
}

static bool observe(struct step *step, struct value *seen, struct error *err)
{
	struct heroku heroku;
	struct value *app, *attachments, *now = value_map(step->arena);
	struct wish wish = {.heroku = &heroku, .wanted = value_map(step->arena)};

	if (!heroku_open(&heroku, step, err))
		return false;
	const char *like = lookup_field(&heroku, "like");
	if (!lookup_app_needed(&heroku, lookup_field(&heroku, "app"), &app, err) ||
	    !heroku_list(&heroku, heroku_path(&heroku, "/apps/%s/addons", like), &wish.addons,
	                 err) ||
	    !lookup_attachments(&heroku, like, &attachments, err))
		return false;
	const char *region = app ? heroku_text(app, "region.name", err) : NULL;
	if (app && (!region || !availability_read(&heroku, region, &wish.offers, err)))
		return false;
	if (!want_all(&wish, attachments, err) ||
	    (app && !read_now(&heroku, wish.wanted, now, err)))
		return false;
	value_set(step->arena, seen, "now", now);
	value_set(step->arena, seen, "wanted", wish.wanted);
	return true;
}

static bool plan(struct step *step, const struct value *seen, struct changes *changes,
                 struct error *err)
{
	(void)step, (void)err;
	for (const struct value *one = value_get(seen, "wanted")->as.items.first; one;
	     one = one->next)
		if (strcmp(value_get_text(value_get(seen, "now"), one->key, ""), "ready") != 0)
			changes_add(changes, one->key, value_get(value_get(seen, "now"), one->key),
			            one, NULL);
	return true;
}

static bool make(struct heroku *heroku, const char *as, const struct value *entry,
                 struct error *err)
{
	const char *app = lookup_field(heroku, "app"), *name = value_get_text(entry, "addon", "");
	const char *plan = value_get_text(entry, "plan", NULL), *path = "/addon-attachments";
	struct value *body = value_map(heroku->arena), *attachment = value_map(heroku->arena),
		     *found;

	if (plan) {
		if (!lookup_addon(heroku, name, &found, err) || found)
			return found != NULL;
		path = heroku_path(heroku, "/apps/%s/addons", app);
		value_set_text(heroku->arena, body, "plan", plan);
		value_set_text(heroku->arena, body, "name", name);
		value_set_text(heroku->arena, attachment, "name", as);
		value_set(heroku->arena, body, "attachment", attachment);
	} else {
		value_set_text(heroku->arena, body, "addon", name);
		value_set_text(heroku->arena, body, "app", app);
		value_set_text(heroku->arena, body, "name", as);
		if (value_get(entry, "namespace"))
			value_set_text(heroku->arena, body, "namespace",
			               value_get_text(entry, "namespace", NULL));
	}
	enum heroku_outcome outcome = heroku_write(heroku, "POST", path, body, NULL, err);
	if (outcome != HEROKU_UNSURE)
		return outcome == HEROKU_DONE;
	struct error unsure = *err;
	if (!lookup_attachments(heroku, app, &found, err))
		return false;
	*err = unsure;
	return lookup_item(found, "name", as) != NULL;
}

static bool apply(struct step *step, const struct changes *changes, struct error *err)
{
	struct heroku heroku;
	struct value *addon;

	if (!heroku_open(&heroku, step, err))
		return false;
	for (const struct change *change = changes->first; change; change = change->next)
		if (!change->from && !make(&heroku, change->path, change->to, err))
			return fail_while(err, "make %s", change->path);
	for (const struct change *change = changes->first; change; change = change->next)
		if (!lookup_wait_addon(&heroku, value_get_text(change->to, "addon", ""), &addon,
		                       err))
			return false;
	return true;
}

static bool revert(struct step *step, const struct value *before, struct error *err)
{
	struct heroku heroku;
	struct value *list;
	const struct value *wanted = value_get(before, "wanted");

	if (!heroku_open(&heroku, step, err))
		return false;
	const char *app = lookup_field(&heroku, "app");
	if (!lookup_attachments(&heroku, app, &list, err))
		return false;
	for (const struct value *one = list && wanted ? wanted->as.items.first : NULL; one;
	     one = one->next) {
		const struct value *held = lookup_item(list, "name", one->key);
		const char *id = heroku_text_or_null(held, "id");
		const char *holder = heroku_text_or_null(held, "addon.name");
		const char *ours = value_get_text(one, "addon", "");
		if (value_get(value_get(before, "now"), one->key) || !id || !holder ||
		    strcmp(holder, ours) != 0)
			continue;
		const char *path = value_get(one, "plan")
		                           ? heroku_path(&heroku, "/apps/%s/addons/%s", app, ours)
		                           : heroku_path(&heroku, "/addon-attachments/%s", id);
		if (!heroku_delete(&heroku, path, err))
			return false;
	}
	return true;
}

const struct step_module heroku_addons = {
	.name = "heroku.addons",
	.text = "Makes the add-ons of another app anew, and attaches those it shares.",
	.fields = fields,
	.subjects = (const char *const[]){"heroku/app/${app}/addons", NULL},
	.reads = (const char *const[]){"heroku/app/${like}/addons", NULL},
	.observe = observe,
	.plan = plan,
	.apply = apply,
	.revert = revert,
};
