/* SPDX-License-Identifier: MIT */
/* What conditions can measure at Heroku: how far a follower is behind, whether all dynos are up,
 * whether a database takes writes. */
#include "steps/heroku/lookup.h"
#include "steps/heroku/modules.h"
#include "steps/postgres/client.h"

#include <ctype.h>
#include <string.h>

static bool find_addon(struct heroku *heroku, const struct value *of, struct value **addon,
                       struct error *err)
{
	const char *name = of && of->kind == VALUE_TEXT ? of->as.text : NULL;

	if (!name)
		return fail(err, ERROR_PLAN, "`of` must be the name of a database add-on");
	if (!lookup_addon(heroku, name, addon, err))
		return false;
	return *addon || fail(err, ERROR_RETRY, "there is no add-on %s", name);
}

/* "47,980 commits" begins with a number; thousands separators are passed over. */
static bool read_count(const char *text, int64_t *count)
{
	*count = 0;
	if (!isdigit((unsigned char)*text))
		return false;
	for (; isdigit((unsigned char)*text) || *text == ',' || *text == '_'; text++)
		if (isdigit((unsigned char)*text) && *count < INT64_MAX / 100)
			*count = *count * 10 + (*text - '0');
	return true;
}

static bool measure_lag(struct step *step, const struct value *of, struct reading *reading,
                        struct error *err)
{
	struct heroku heroku;
	struct value *addon = NULL, *database;
	int64_t count;

	if (!heroku_open(&heroku, step, err) || !find_addon(&heroku, of, &addon, err))
		return false;
	const char *id = heroku_text(addon, "id", err);
	if (!id || !lookup_database(&heroku, id, &database, err))
		return false;
	if (!database)
		return fail(err, ERROR_RETRY, "the Data API does not know %s yet", of->as.text);
	const char *behind = lookup_info(&heroku, database, "Behind By");
	if (!behind && !lookup_is_following(database))
		return fail(err, ERROR_FAILED, "%s does not follow another database", of->as.text);
	if (!behind)
		return fail(err, ERROR_RETRY, "Heroku does not say yet how far %s is behind",
		            of->as.text);
	if (!read_count(behind, &count))
		return fail(err, ERROR_FAILED, "\"%s\" is no number of commits", behind);
	reading->value = value_number(step->arena, count);
	reading->text = behind;
	return true;
}

static bool measure_dynos(struct step *step, const struct value *of, struct reading *reading,
                          struct error *err)
{
	struct heroku heroku;
	struct value *formation, *dynos;
	int64_t wanted = 0, up = 0;
	const char *app = of && of->kind == VALUE_TEXT ? of->as.text : NULL;

	if (!app)
		return fail(err, ERROR_PLAN, "`of` must be the name of an app");
	if (!heroku_open(&heroku, step, err) ||
	    !heroku_list(&heroku, heroku_path(&heroku, "/apps/%s/formation", app), &formation,
	                 err) ||
	    !heroku_list(&heroku, heroku_path(&heroku, "/apps/%s/dynos", app), &dynos, err))
		return false;
	for (const struct value *one = formation ? formation->as.items.first : NULL; one;
	     one = one->next)
		wanted += value_get_number(one, "quantity", 0);
	for (const struct value *one = dynos ? dynos->as.items.first : NULL; one; one = one->next)
		up += lookup_item(formation, "type", value_get_text(one, "type", "")) &&
		      strcmp(value_get_text(one, "state", ""), "up") == 0;
	char *text = arena_printf(step->arena, "%lld of %lld", (long long)up, (long long)wanted);
	reading->value = value_text(step->arena, wanted > 0 && up >= wanted ? "all" : text);
	reading->text = text;
	return true;
}

static bool measure_writable(struct step *step, const struct value *of, struct reading *reading,
                             struct error *err)
{
	struct heroku heroku;
	struct value *addon = NULL;
	bool writable = false;

	if (!heroku_open(&heroku, step, err) || !find_addon(&heroku, of, &addon, err))
		return false;
	struct value *url = lookup_database_url(&heroku, addon, err);
	if (!url || !postgres_is_writable(value_reveal(url), &writable, err))
		return url ? fail_while(err, "ask %s", of->as.text) : false;
	reading->value = value_bool(step->arena, writable);
	reading->text = writable ? "takes writes" : "read only";
	return true;
}

const struct metric heroku_metrics[] = {
	{
		.name = "heroku.postgres.lag",
		.type = METRIC_NUMBER,
		.unit = "commits",
		.of = OF_TEXT,
		.text = "How many commits a follower is behind; of: its add-on name.",
		.measure = measure_lag,
	},
	{
		.name = "heroku.dynos_up",
		.type = METRIC_TEXT,
		.unit = "",
		.of = OF_TEXT,
		.text = "\"all\" when every dyno of the formation is up, else \"N of M\"; of: an "
			"app.",
		.measure = measure_dynos,
	},
	{
		.name = "postgres.writable",
		.type = METRIC_BOOL,
		.unit = "",
		.of = OF_TEXT,
		.text = "Whether a database takes writes; of: its add-on name.",
		.measure = measure_writable,
	},
	{0},
};
