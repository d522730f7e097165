/* SPDX-License-Identifier: MIT */
/* heroku.certificate: a certificate and its key, served by SNI. The key cannot be read back. */
#include "steps/heroku/lookup.h"
#include "steps/heroku/modules.h"

#include <ctype.h>

static const struct field fields[] = {
	{"app", FIELD_APP, FIELD_REQUIRED, NULL, NULL, "The app."},
	{"chain", FIELD_CONTENT, FIELD_REQUIRED, NULL, NULL,
         "The certificate and those above it, as PEM."},
	{"key", FIELD_SECRET, FIELD_REQUIRED, NULL, NULL, "Its private key, as PEM."},
	HEROKU_CONNECTION_FIELD,
	{0},
};

static const struct field outputs[] = {
	{"name", FIELD_STRING, 0, NULL, NULL, "The name of the SNI endpoint."},
	{0},
};

/* Equal but for white space, which servers change at will. */
static bool same_pem(const char *a, const char *b)
{
	for (;;) {
		while (isspace((unsigned char)*a))
			a++;
		while (isspace((unsigned char)*b))
			b++;
		if (*a != *b)
			return false;
		if (!*a)
			return true;
		a++, b++;
	}
}

static bool find(struct heroku *heroku, const struct value **endpoint, struct error *err)
{
	struct value *list;
	const char *chain = value_reveal(value_get(heroku->step->with, "chain"));
	const char *path =
		heroku_path(heroku, "/apps/%s/sni-endpoints", lookup_field(heroku, "app"));

	*endpoint = NULL;
	if (!heroku_list(heroku, path, &list, err))
		return false;
	for (const struct value *one = list ? list->as.items.first : NULL; one; one = one->next) {
		const char *have = heroku_text(one, "certificate_chain", err);
		if (!have)
			return false;
		if (chain && same_pem(have, chain))
			*endpoint = one;
	}
	return true;
}

static bool observe(struct step *step, struct value *seen, struct error *err)
{
	struct heroku heroku;
	struct value *app;
	const struct value *endpoint;

	if (!heroku_open(&heroku, step, err) ||
	    !lookup_app_needed(&heroku, lookup_field(&heroku, "app"), &app, err) ||
	    !find(&heroku, &endpoint, err))
		return false;
	const char *name = heroku_text_or_null(endpoint, "name");
	value_set_bool(step->arena, seen, "exists", endpoint != NULL);
	if (name)
		step_output_text(step, "name", name);
	return true;
}

static bool plan(struct step *step, const struct value *seen, struct changes *changes,
                 struct error *err)
{
	(void)err;
	if (!value_get_bool(seen, "exists", false))
		changes_add(changes, "certificate", NULL, value_text(step->arena, "as given"),
		            NULL);
	return true;
}

static bool apply(struct step *step, const struct changes *changes, struct error *err)
{
	struct heroku heroku;
	struct value *body = value_map(step->arena);

	(void)changes;
	if (!heroku_open(&heroku, step, err))
		return false;
	value_set_text(step->arena, body, "certificate_chain",
	               value_reveal(value_get(step->with, "chain")));
	value_set(step->arena, body, "private_key",
	          value_copy(step->arena, value_get(step->with, "key")));
	return heroku_must(
		&heroku, "POST",
		heroku_path(&heroku, "/apps/%s/sni-endpoints", lookup_field(&heroku, "app")), body,
		NULL, err);
}

static bool revert(struct step *step, const struct value *before, struct error *err)
{
	struct heroku heroku;
	const struct value *endpoint;

	if (value_get_bool(before, "exists", true))
		return true;
	if (!heroku_open(&heroku, step, err) || !find(&heroku, &endpoint, err))
		return false;
	const char *name = endpoint ? heroku_text(endpoint, "name", err) : NULL;
	if (!name)
		return !endpoint;
	return heroku_delete(&heroku,
	                     heroku_path(&heroku, "/apps/%s/sni-endpoints/%s",
	                                 lookup_field(&heroku, "app"), name),
	                     err);
}

const struct step_module heroku_certificate = {
	.name = "heroku.certificate",
	.text = "Adds a certificate and its key to an app.",
	.fields = fields,
	.outputs = outputs,
	.subjects = (const char *const[]){"heroku/app/${app}/certificate", NULL},
	.observe = observe,
	.plan = plan,
	.apply = apply,
	.revert = revert,
};
