/* SPDX-License-Identifier: MIT */
/* heroku.domain: a custom domain moves from one app to another. A name is on one app only, so it is
 * removed and added, and tried again at once when no clear answer comes; when it cannot be added
 * the removal is undone. Each time it is added it gets a new DNS target, also where it was before:
 * on the way back DNS has to follow. */
#include "engine/base/clock.h"
#include "steps/dns/zone.h"
#include "steps/heroku/lookup.h"
#include "steps/heroku/modules.h"

#include <string.h>
#include <strings.h>

/* How hard it is tried to add a name that is on no app. */
#define ADD_TRIES 3
#define ADD_PAUSE_MS ((int64_t)100)
#define ADD_FOR_MS 10000

static const struct field fields[] = {
	{"domain", FIELD_DOMAIN, FIELD_REQUIRED, NULL, NULL, "The host name."},
	{"from", FIELD_APP, 0, NULL, NULL, "The app that has it now."},
	{"to", FIELD_APP, FIELD_REQUIRED, NULL, NULL, "The app that gets it."},
	HEROKU_CONNECTION_FIELD,
	{0},
};

static const struct field outputs[] = {
	{"dns_target", FIELD_DOMAIN, 0, NULL, NULL, "What a CNAME for the domain must point at."},
	{0},
};

/* The certificates of a move. */
struct binding {
	const char *old_endpoint, *endpoint; /* where it was, where it goes; NULL: none */
	bool was_there; /* when the plan began, also when it is on neither app now */
};

static bool find(struct heroku *heroku, const char *app, const struct value **domain,
                 struct error *err)
{
	struct value *list = NULL;

	*domain = NULL;
	if (app && !heroku_list(heroku, heroku_path(heroku, "/apps/%s/domains", app), &list, err))
		return false;
	*domain = lookup_item(list, "hostname", lookup_field(heroku, "domain"));
	return true;
}

static bool is_ready(const struct value *domain)
{
	const char *status = value_get_text(domain, "status", "");

	return strcmp(status, "succeeded") == 0 || strcmp(status, "none") == 0;
}

static bool observe(struct step *step, struct value *seen, struct error *err)
{
	struct heroku heroku;
	struct value *app;
	const struct value *here, *there;

	if (!heroku_open(&heroku, step, err) ||
	    !lookup_app_needed(&heroku, lookup_field(&heroku, "to"), &app, err) ||
	    !find(&heroku, lookup_field(&heroku, "from"), &there, err) ||
	    !find(&heroku, lookup_field(&heroku, "to"), &here, err))
		return false;
	const char *cname = heroku_text_or_null(here, "cname");
	const char *endpoint = heroku_text_or_null(there, "sni_endpoint.name");
	value_set_text(step->arena, seen, "on", here ? "to" : there ? "from" : "none");
	value_set_bool(step->arena, seen, "ready", here && is_ready(here));
	if (endpoint)
		value_set_text(step->arena, seen, "sni_endpoint", endpoint);
	if (cname)
		step_output_text(step, "dns_target", cname);
	return true;
}

static bool plan(struct step *step, const struct value *seen, struct changes *changes,
                 struct error *err)
{
	const char *on = value_get_text(seen, "on", "none");
	const struct value *from = strcmp(on, "from") == 0 ? value_get(step->with, "from") : NULL;

	(void)err;
	if (strcmp(on, "to") != 0)
		changes_add(changes, value_get_text(step->with, "domain", ""), from,
		            value_get(step->with, "to"), "its DNS target will be a new one");
	else if (!value_get_bool(seen, "ready", false))
		changes_add(changes, "status", NULL, value_text(step->arena, "succeeded"), NULL);
	return true;
}

static bool covers(const char *pattern, const char *host)
{
	const char *dot = strchr(host, '.');

	if (strncmp(pattern, "*.", 2) == 0)
		return dot && strcasecmp(pattern + 1, dot) == 0;
	return strcasecmp(pattern, host) == 0;
}

/* The certificate of the app that covers the host name; *name NULL when none does. */
static bool find_endpoint(struct heroku *heroku, const char *app, const char **name,
                          struct error *err)
{
	struct value *covered = value_map(heroku->arena);

	*name = NULL;
	if (!lookup_certificates(heroku, app, covered, err))
		return false;
	for (const struct value *one = covered->as.items.first; one; one = one->next)
		if (covers(one->key, lookup_field(heroku, "domain")))
			*name = one->as.text;
	return true;
}

/* One request. HEROKU_ABSENT: the app has not got it, and may be asked again; HEROKU_UNSURE: nobody
 * answers what it has. */
static enum heroku_outcome add_once(struct heroku *heroku, const char *app,
                                    const struct value *body, struct error *err)
{
	const char *path = heroku_path(heroku, "/apps/%s/domains", app);
	const struct value *found;

	enum heroku_outcome outcome = heroku_write(heroku, "POST", path, body, NULL, err);
	if (outcome == HEROKU_ABSENT)
		return HEROKU_REFUSED; /* there is no such app */
	if (outcome != HEROKU_UNSURE)
		return outcome;
	struct error unsure = *err;
	bool looked = find(heroku, app, &found, err);
	*err = unsure;
	return !looked ? HEROKU_UNSURE : found ? HEROKU_DONE : HEROKU_ABSENT;
}

/* The name may be on no app meanwhile, so an unsure answer is settled at once: looked up, and asked
 * again. */
static enum heroku_outcome add(struct heroku *heroku, const char *app, const char *endpoint,
                               struct error *err)
{
	struct value *body = value_map(heroku->arena);
	int64_t until_ms = clock_real_ms() + ADD_FOR_MS;
	const struct value *found;
	bool unsure = false;

	value_set_text(heroku->arena, body, "hostname", lookup_field(heroku, "domain"));
	value_set(heroku->arena, body, "sni_endpoint",
	          endpoint ? value_text(heroku->arena, endpoint) : value_null(heroku->arena));
	for (int tries = 1;; tries++) {
		enum heroku_outcome outcome = add_once(heroku, app, body, err);
		struct error ignored, why = *err;
		/* "In use" may be what an earlier try did. */
		if (outcome == HEROKU_REFUSED && unsure) {
			bool ours = find(heroku, app, &found, &ignored) && found;
			*err = why;
			return ours ? HEROKU_DONE : HEROKU_REFUSED;
		}
		unsure = unsure || outcome == HEROKU_UNSURE;
		bool again = (outcome == HEROKU_UNSURE || outcome == HEROKU_ABSENT) &&
		             tries < ADD_TRIES && clock_real_ms() < until_ms;
		if (!again || !step_sleep(heroku->step, ADD_PAUSE_MS << tries, &ignored))
			return outcome;
	}
}

static bool drop(struct heroku *heroku, const char *app, struct error *err)
{
	const struct value *found;

	if (!find(heroku, app, &found, err))
		return false;
	if (!found)
		return true;
	const char *path =
		heroku_path(heroku, "/apps/%s/domains/%s", app, lookup_field(heroku, "domain"));
	enum heroku_outcome outcome = heroku_write(heroku, "DELETE", path, NULL, NULL, err);
	if (outcome == HEROKU_UNSURE) {
		struct error unsure = *err;
		if (!find(heroku, app, &found, err))
			return false;
		*err = unsure;
		return !found;
	}
	return outcome == HEROKU_DONE || outcome == HEROKU_ABSENT;
}

static bool wait_ready(struct heroku *heroku, const char *app, struct error *err)
{
	const struct value *domain;

	for (int poll = 0;; poll++) {
		if (!find(heroku, app, &domain, err))
			return false;
		if (!domain)
			return fail(err, ERROR_RETRY, "the domain is not listed on %s", app);
		if (is_ready(domain))
			return true;
		const char *status = value_get_text(domain, "status", "");
		if (strcmp(status, "pending") != 0)
			return fail(err, ERROR_FAILED, "the domain is %s on %s", status, app);
		step_progress(heroku->step, "waiting for the domain: %s", status);
		if (!lookup_pause(heroku, poll, err))
			return false;
	}
}

/* It is on the app again. A host name answers only at the DNS target that it got last, so any other
 * target of Heroku's that its record leads to is one of before. */
static bool lead_dns_back(struct heroku *heroku, const char *app, struct error *err)
{
	const char *name = lookup_field(heroku, "domain");
	const struct value *domain;
	bool points;

	if (!find(heroku, app, &domain, err))
		return false;
	const char *target = heroku_text_or_null(domain, "cname");
	if (!target)
		return true;
	if (!zone_repoint(heroku->step, name, target, &points, err))
		return fail_while(err, "make %s a CNAME to %s, its DNS target now", name, target);
	if (!points)
		step_note(
			heroku->step,
			"%s is back on %s, where its DNS target is %s now; see that it leads there",
			name, app, target);
	return true;
}

/* It could not be added where it was wanted, which err says: says also where it is now. */
static bool say_where(struct heroku *heroku, const char *to, const char *now, struct error *err)
{
	struct error why = *err;

	if (now)
		return fail(err, why.kind, "add it to %s: %s; it is on %s again", to, why.text,
		            now);
	return fail(err, why.kind,
	            "add it to %s: %s; it is on neither app now: `plan apply` adds it to %s, `plan "
	            "rollback` to %s",
	            to, why.text, lookup_field(heroku, "to"),
	            lookup_field(heroku, "from") ? lookup_field(heroku, "from") : "none");
}

/* Gives it back to the app that had it. True only when it turns out to be where it was wanted. */
static bool put_back(struct heroku *heroku, const char *from, const char *to,
                     const char *old_endpoint, struct error *err)
{
	const struct value *here;
	struct error back = {0}, ignored;

	if (add(heroku, from, old_endpoint, &back) == HEROKU_DONE) {
		if (!lead_dns_back(heroku, from, &back))
			step_note(heroku->step, "it is on %s again, but: %s", from, back.text);
		return say_where(heroku, to, from, err);
	}
	step_note(heroku->step, "it could not be put back on %s: %s", from, back.text);
	if (find(heroku, to, &here, &ignored) && here)
		return true;
	return say_where(heroku, to, NULL, err);
}

/* From one app to the other, with its own way back. */
static bool move(struct heroku *heroku, const char *from, const char *to, struct binding binding,
                 struct error *err)
{
	const struct value *there, *here;

	if (!find(heroku, to, &here, err) || !find(heroku, from, &there, err))
		return false;
	if (here)
		return wait_ready(heroku, to, err);
	if (there && !drop(heroku, from, err))
		return fail_while(err, "remove it from %s", from);
	if (add(heroku, to, binding.endpoint, err) == HEROKU_DONE)
		return wait_ready(heroku, to, err);
	if (!there && !binding.was_there)
		return say_where(heroku, to, NULL, err);
	return put_back(heroku, from, to, binding.old_endpoint, err) && wait_ready(heroku, to, err);
}

static bool apply(struct step *step, const struct changes *changes, struct error *err)
{
	struct heroku heroku;
	const struct value *there;
	struct binding binding = {
		.old_endpoint = value_get_text(step->before, "sni_endpoint", NULL),
		.was_there = strcmp(value_get_text(step->before, "on", ""), "from") == 0,
	};

	(void)changes;
	if (!heroku_open(&heroku, step, err))
		return false;
	const char *from = lookup_field(&heroku, "from"), *to = lookup_field(&heroku, "to");
	if (!find_endpoint(&heroku, to, &binding.endpoint, err) ||
	    !find(&heroku, from, &there, err))
		return false;
	if (there)
		binding.old_endpoint = heroku_text_or_null(there, "sni_endpoint.name");
	return move(&heroku, from, to, binding, err);
}

static bool revert(struct step *step, const struct value *before, struct error *err)
{
	struct heroku heroku;
	const char *on = value_get_text(before, "on", "to");
	struct binding binding = {.endpoint = value_get_text(before, "sni_endpoint", NULL)};

	if (!heroku_open(&heroku, step, err))
		return false;
	const char *from = lookup_field(&heroku, "from"), *to = lookup_field(&heroku, "to");
	if (strcmp(on, "to") == 0)
		return true;
	if (strcmp(on, "none") == 0 || !from)
		return drop(&heroku, to, err);
	return find_endpoint(&heroku, to, &binding.old_endpoint, err) &&
	       move(&heroku, to, from, binding, err) && lead_dns_back(&heroku, from, err);
}

const struct step_module heroku_domain = {
	.name = "heroku.domain",
	.text = "Moves a custom domain from one app to another.",
	.fields = fields,
	.outputs = outputs,
	.subjects = (const char *const[]){"heroku/domain/${domain}", NULL},
	.touches = (const char *const[]){"heroku/app/${from}/domains", "heroku/app/${to}/domains",
                                         NULL},
	.observe = observe,
	.plan = plan,
	.apply = apply,
	.revert = revert,
};
