/* SPDX-License-Identifier: MIT */
/* heroku.domain: a custom domain moves from one app to another. A name is on one app only, so it is
 * removed and added; when adding fails the removal is undone at once. Each time it is added it gets
 * a new DNS target, also where it was before: on the way back DNS has to follow. */
#include "steps/dns/zone.h"
#include "steps/heroku/lookup.h"
#include "steps/heroku/modules.h"

#include <string.h>
#include <strings.h>

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
	struct value *list;

	*name = NULL;
	if (!heroku_list(heroku, heroku_path(heroku, "/apps/%s/sni-endpoints", app), &list, err))
		return false;
	for (const struct value *one = list ? list->as.items.first : NULL; one; one = one->next) {
		const struct value *names = value_find(one, "ssl_cert.cert_domains");
		if (!names || names->kind != VALUE_LIST)
			continue;
		for (const struct value *each = names->as.items.first; each; each = each->next)
			if (value_reveal(each) &&
			    covers(value_reveal(each), lookup_field(heroku, "domain")))
				*name = heroku_text_or_null(one, "name");
	}
	return true;
}

static enum heroku_outcome add(struct heroku *heroku, const char *app, const char *endpoint,
                               struct error *err)
{
	struct value *body = value_map(heroku->arena);
	const struct value *found;

	value_set_text(heroku->arena, body, "hostname", lookup_field(heroku, "domain"));
	value_set(heroku->arena, body, "sni_endpoint",
	          endpoint ? value_text(heroku->arena, endpoint) : value_null(heroku->arena));
	const char *path = heroku_path(heroku, "/apps/%s/domains", app);
	enum heroku_outcome outcome = heroku_write(heroku, "POST", path, body, NULL, err);
	if (outcome != HEROKU_UNSURE)
		return outcome;
	struct error unsure = *err;
	if (!find(heroku, app, &found, err))
		return HEROKU_UNSURE;
	*err = unsure;
	return found ? HEROKU_DONE : HEROKU_REFUSED;
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

/* From one app to the other, with its own way back. */
static bool move(struct heroku *heroku, const char *from, const char *to, const char *old_endpoint,
                 const char *endpoint, struct error *err)
{
	const struct value *there, *here;

	if (!find(heroku, to, &here, err) || !find(heroku, from, &there, err))
		return false;
	if (here)
		return wait_ready(heroku, to, err);
	if (there && !drop(heroku, from, err))
		return fail_while(err, "remove it from %s", from);
	enum heroku_outcome outcome = add(heroku, to, endpoint, err);
	if (outcome == HEROKU_DONE)
		return wait_ready(heroku, to, err);
	if (there && outcome != HEROKU_UNSURE) {
		struct error back = {0};
		if (add(heroku, from, old_endpoint, &back) != HEROKU_DONE ||
		    !lead_dns_back(heroku, from, &back))
			step_note(heroku->step, "could not be put back on %s: %s", from, back.text);
	}
	return fail_while(err, "add it to %s", to);
}

static bool apply(struct step *step, const struct changes *changes, struct error *err)
{
	struct heroku heroku;
	const struct value *there;
	const char *endpoint;

	(void)changes;
	if (!heroku_open(&heroku, step, err))
		return false;
	const char *from = lookup_field(&heroku, "from"), *to = lookup_field(&heroku, "to");
	if (!find_endpoint(&heroku, to, &endpoint, err) || !find(&heroku, from, &there, err))
		return false;
	return move(&heroku, from, to, heroku_text_or_null(there, "sni_endpoint.name"), endpoint,
	            err);
}

static bool revert(struct step *step, const struct value *before, struct error *err)
{
	struct heroku heroku;
	const char *on = value_get_text(before, "on", "to"), *endpoint;

	if (!heroku_open(&heroku, step, err))
		return false;
	const char *from = lookup_field(&heroku, "from"), *to = lookup_field(&heroku, "to");
	if (strcmp(on, "to") == 0)
		return true;
	if (strcmp(on, "none") == 0 || !from)
		return drop(&heroku, to, err);
	return find_endpoint(&heroku, to, &endpoint, err) &&
	       move(&heroku, to, from, endpoint, value_get_text(before, "sni_endpoint", NULL),
	            err) &&
	       lead_dns_back(&heroku, from, err);
}

const struct step_module heroku_domain = {
	.name = "heroku.domain",
	.text = "Moves a custom domain from one app to another.",
	.fields = fields,
	.outputs = outputs,
	.subjects = (const char *const[]){"heroku/domain/${domain}", NULL},
	.observe = observe,
	.plan = plan,
	.apply = apply,
	.revert = revert,
};
