/* SPDX-License-Identifier: MIT */
/* What conditions can measure at Heroku: how far a follower is behind, whether a copy has all rows,
 * whether all dynos are up, whether a database takes writes. */
#include "steps/heroku/dynos.h"
#include "steps/heroku/inventory.h"
#include "steps/heroku/lookup.h"
#include "steps/heroku/modules.h"
#include "steps/postgres/client.h"
#include "steps/postgres/count.h"

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

/* The rows of a database that an output of the step names. */
static bool count_rows(struct heroku *heroku, const char *step_name, const char *output,
                       struct value **counts, struct error *err)
{
	const struct value *name = step_output_of(heroku->step, step_name, output);
	struct value *addon = NULL;

	*counts = value_map(heroku->arena);
	if (!name)
		return fail(err, ERROR_PLAN, "`of` must be a step with heroku.postgres.copy");
	if (!find_addon(heroku, name, &addon, err))
		return false;
	struct value *url = lookup_database_url(heroku, addon, err);
	return url && (postgres_count_rows(value_reveal(url), heroku->step, *counts, err) ||
	               fail_while(err, "in %s", value_reveal(name)));
}

/* Of each table in one that another has not, or has more or fewer rows in. */
static int64_t compare_counts(struct arena *arena, const struct value *ones,
                              const struct value *others, const char **worst)
{
	int64_t apart = 0;

	for (const struct value *one = ones->as.items.first; one; one = one->next) {
		const struct value *other = value_get(others, one->key);
		int64_t difference = one->as.number - (other ? other->as.number : 0);
		if (difference == 0 && other)
			continue;
		apart += difference < 0 ? -difference : difference;
		*worst = arena_printf(arena, "%s%s%s", *worst ? *worst : "", *worst ? ", " : "",
		                      one->key);
	}
	return apart;
}

static bool measure_rows(struct step *step, const struct value *of, struct reading *reading,
                         struct error *err)
{
	struct heroku heroku;
	struct value *source, *copy, *extra = value_map(step->arena);
	const char *name = value_reveal(of), *worst = NULL;
	int64_t rows = 0;

	if (!heroku_open(&heroku, step, err) ||
	    !count_rows(&heroku, name, "source", &source, err) ||
	    !count_rows(&heroku, name, "database", &copy, err))
		return false;
	for (const struct value *one = copy->as.items.first; one; one = one->next)
		if (!value_get(source, one->key))
			value_set_number(step->arena, extra, one->key, one->as.number);
	for (const struct value *one = source->as.items.first; one; one = one->next)
		rows += one->as.number;
	int64_t apart = compare_counts(step->arena, source, copy, &worst) +
	                compare_counts(step->arena, extra, source, &worst);
	if (worst && apart == 0)
		apart = 1; /* a table without rows is missing */
	reading->value = value_number(step->arena, apart);
	reading->text = arena_printf(step->arena, "%lld rows of %lld in %zu tables%s%s",
	                             (long long)apart, (long long)rows, source->as.items.count,
	                             worst ? ", in " : "", worst ? worst : "");
	return true;
}

static bool measure_dynos(struct step *step, const struct value *of, struct reading *reading,
                          struct error *err)
{
	struct heroku heroku;
	struct dynos dynos;
	const char *app = of && of->kind == VALUE_TEXT ? of->as.text : NULL;

	if (!app)
		return fail(err, ERROR_PLAN, "`of` must be the name of an app");
	if (!heroku_open(&heroku, step, err) || !dynos_count(&heroku, app, &dynos, err))
		return false;
	/* Before the first release there is no process type: nothing is up, and nothing could be.
	 */
	bool all = dynos.any && dynos.up >= dynos.wanted && dynos.older == 0;
	const char *note = !dynos.any        ? ", without any process type"
	                   : dynos.pending   ? ", a release is pending"
	                   : dynos.older > 0 ? ", some of an older release"
	                                     : "";
	char *text = arena_printf(step->arena, "%lld of %lld%s", (long long)dynos.up,
	                          (long long)dynos.wanted, note);
	reading->value = value_text(step->arena, all && !dynos.pending ? "all" : text);
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
		.name = "heroku.postgres.row_difference",
		.type = METRIC_NUMBER,
		.unit = "rows",
		.of = OF_STEP,
		.text = "How many rows the tables of a copy have more or fewer than those it was "
			"made from, all counted; of: the step with heroku.postgres.copy.",
		.measure = measure_rows,
	},
	{
		.name = "heroku.dynos_up",
		.type = METRIC_TEXT,
		.unit = "",
		.of = OF_TEXT,
		.text = "\"all\" when every dyno of the formation is up with the newest release, "
			"also of one "
			"scaled to 0, "
			"else \"N of M\"; of: an app.",
		.measure = measure_dynos,
	},
	{
		.name = "heroku.inventory.drift",
		.type = METRIC_NUMBER,
		.unit = "things",
		.of = OF_STEP,
		.text = "How many things of the old app are not on the new one as they were when "
			"an inventory was taken: another release, config var, add-on, domain; of: "
			"the step with heroku.inventory.",
		.measure = inventory_drift,
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
