/* SPDX-License-Identifier: MIT */
/* Looks at a rehearsed world from outside: data, outage, effects, DNS, remotes, what is left over.
 */
#include "engine/base/json.h"
#include "engine/base/text.h"
#include "steps/rehearsal/control.h"
#include "steps/rehearsal/rehearsal.h"
#include "steps/rehearsal/remotes.h"

#include <stdio.h>
#include <string.h>

/* How long the users may need to find the app open again once the plan is through. */
#define LAST_LOOK_MS 3000

static const struct value *find_by(const struct value *list, const char *path, const char *text)
{
	const struct value *one = list ? list->as.items.first : NULL;

	for (; one; one = one->next) {
		const struct value *found = value_find(one, path);
		if (found && value_reveal(found) && strcmp(value_reveal(found), text) == 0)
			return one;
	}
	return NULL;
}

/* The app that serves the users now; NULL when there is none. */
static const char *serving_app(const struct rehearsal *rehearsal, const struct value *world)
{
	const struct surroundings *s = &rehearsal->surroundings;
	const struct value *domain = s->domains->as.items.first;
	const struct value *apps = value_get(world, "apps");

	if (!domain)
		return find_by(apps, "name", s->app) ? s->app : NULL;
	const struct value *found =
		find_by(value_get(world, "domains"), "hostname", domain->as.text);
	const struct value *id = value_find(found, "app.id");
	return id ? value_get_text(find_by(apps, "id", value_reveal(id)), "name", NULL) : NULL;
}

/* Where its data is; "" when it has none. */
static bool serving_database(struct rehearsal *rehearsal, struct arena *arena, const char **url,
                             struct error *err)
{
	struct value *world, *config;

	*url = "";
	if (!control_get(&rehearsal->heroku, "/_sim/world", arena, &world, err))
		return false;
	const char *app = serving_app(rehearsal, world);
	if (!app)
		return true;
	if (!control_get(&rehearsal->heroku, arena_printf(arena, "/apps/%s/config-vars", app),
	                 arena, &config, err))
		return false;
	*url = value_get_text(config, "DATABASE_URL", "");
	return true;
}

bool rehearsal_compare(struct rehearsal *rehearsal, struct error *err)
{
	struct arena arena = {0};
	const char *url;
	struct comparison comparison;
	bool fine = serving_database(rehearsal, &arena, &url, err);

	/* A database that was replicated is compared when both are to be equal. */
	if (fine && !rehearsal->replication.servers && *url && rehearsal->first_database[0] &&
	    strcmp(url, rehearsal->first_database) != 0) {
		fine = compare_databases(rehearsal->first_database, url, &comparison, err);
		if (fine) {
			rehearsal->comparison = comparison;
			rehearsal->compared = true;
		}
	}
	arena_free(&arena);
	return fine;
}

/* ---- Data ---- */

static bool examine_rows(struct rehearsal *rehearsal, struct value *report, struct error *err)
{
	struct arena *arena = &rehearsal->arena;
	struct users_story story;
	struct error unreachable = {0};
	const char *url;
	int64_t lost = 0;

	users_see_success(&rehearsal->users, LAST_LOOK_MS);
	users_stop(&rehearsal->users);
	if (!users_read(&rehearsal->users, rehearsal->pass_at_ms, arena, &story, err) ||
	    !serving_database(rehearsal, arena, &url, err))
		return false;
	/* The first database may be gone by now, after it was compared. */
	rehearsal_compare(rehearsal, &unreachable);
	if (!*url)
		return fail(err, ERROR_FAILED, "no app with a database serves the users any more");
	if (!compare_keys(url, story.keys, story.key_count, &lost, err))
		return false;
	value_set_number(arena, report, "rows_written", (int64_t)story.key_count);
	value_set_number(arena, report, "rows_lost", lost + rehearsal->comparison.missing);
	value_set_number(arena, report, "rows_compared", rehearsal->comparison.rows);
	value_set_number(arena, report, "tables_compared", rehearsal->comparison.tables);
	value_set_bool(arena, report, "open_at_end", story.open_at_end);
	value_set(arena, report, "downtime_s",
	          value_real(arena, story.outage_ms < 0 ? 0 : (double)story.outage_ms / 1000));
	return true;
}

/* ---- Effects ---- */

static const char *effect_key(struct arena *arena, const struct value *effect)
{
	return arena_printf(arena, "%s %s %s", value_get_text(effect, "method", ""),
	                    value_get_text(effect, "path", ""), value_get_text(effect, "what", ""));
}

/* A plan may copy into one database again, on purpose: once for each step that says so. */
static int64_t count_repeated_copies(const struct plan *plan)
{
	int64_t count = 0;

	for (size_t i = 0; i < plan->step_count; i++)
		count += strcmp(plan->steps[i].module->name, "heroku.postgres.copy") == 0 &&
		         value_get(plan->steps[i].with, "into");
	return count;
}

/* Whether the path is where copies into a database begin. */
static bool is_copy(const struct value *effect)
{
	const char *path = value_get_text(effect, "path", "");
	size_t length = strlen(path), suffix = strlen("/transfers");

	return length > suffix && strcmp(path + length - suffix, "/transfers") == 0;
}

static bool examine_effects(struct rehearsal *rehearsal, struct value *report, struct error *err)
{
	struct arena *arena = &rehearsal->arena;
	struct value *ledger, *seen = value_map(arena);
	int64_t number = 0, effects = 0, duplicates = 0;
	size_t pass = 0;
	int64_t copies = count_repeated_copies(rehearsal->plan);

	if (!control_get(&rehearsal->heroku, "/_sim/ledger", arena, &ledger, err))
		return false;
	for (const struct value *one = ledger->as.items.first; one; one = one->next) {
		if (++number <= rehearsal->effects_before[0])
			continue;
		/* What was undone is done again. */
		while (pass + 1 < rehearsal->passes &&
		       number > rehearsal->effects_before[pass + 1]) {
			seen = value_map(arena);
			pass++;
		}
		const char *key = effect_key(arena, one);
		effects++;
		if (value_get(seen, key) && !(is_copy(one) && copies-- > 0))
			duplicates++;
		value_set_bool(arena, seen, key, true);
	}
	value_set_number(arena, report, "effects", effects);
	value_set_number(arena, report, "duplicate_effects", duplicates);
	return true;
}

/* Databases that no app has as its DATABASE: somebody would go on paying for them. */
static bool examine_leftovers(struct rehearsal *rehearsal, struct value *report, struct error *err)
{
	struct arena *arena = &rehearsal->arena;
	struct value *world, *left = value_list(arena);

	if (!control_get(&rehearsal->heroku, "/_sim/world", arena, &world, err))
		return false;
	const struct value *addons = value_get(world, "addons"), *one;
	for (one = addons ? addons->as.items.first : NULL; one; one = one->next) {
		const struct value *service = value_find(one, "addon_service.name");
		const struct value *attached = value_get(world, "attachments");
		bool used = false;
		if (!service || strcmp(value_reveal(service), "heroku-postgresql") != 0)
			continue;
		for (attached = attached ? attached->as.items.first : NULL; attached;
		     attached = attached->next) {
			const struct value *of = value_find(attached, "addon.id");
			used = used ||
			       (of && value_equal(of, value_get(one, "id")) &&
			        strcmp(value_get_text(attached, "name", ""), "DATABASE") == 0);
		}
		if (!used)
			value_add(left, value_text(arena, value_get_text(one, "name", "?")));
	}
	value_set_number(arena, report, "leftovers", (int64_t)left->as.items.count);
	value_set(arena, report, "left_over", left);
	return true;
}

/* ---- DNS and git ---- */

static const char *answer_text(struct arena *arena, const struct value *records)
{
	const struct value *set = records ? records->as.items.first : NULL;
	const struct value *values = value_get(set, "values");
	const struct value *first = values ? values->as.items.first : NULL;

	if (!set || !first)
		return "nothing";
	return arena_printf(arena, "%s %s (%lld s)", set->key, value_reveal(first),
	                    (long long)value_get_number(set, "ttl_s", 0));
}

bool rehearsal_dns(struct rehearsal *rehearsal, struct value **answers, struct error *err)
{
	struct arena *arena = &rehearsal->arena;
	const struct value *domains = rehearsal->surroundings.domains;

	*answers = value_map(arena);
	for (size_t i = 0; i < rehearsal->name_server_count; i++) {
		const char *zone = rehearsal->zones[i];
		for (const struct value *one = domains->as.items.first; one; one = one->next) {
			struct value *records;
			const char *name = one->as.text;
			size_t length = strlen(name), suffix = strlen(zone);
			if (length < suffix || strcmp(name + length - suffix, zone) != 0)
				continue;
			if (!name_server_ask(&rehearsal->name_servers[i], name, arena, &records,
			                     err))
				return false;
			value_set_text(arena, *answers, name, answer_text(arena, records));
		}
	}
	return true;
}

static struct value *before_after(struct arena *arena, const struct value *before,
                                  const struct value *after)
{
	struct value *both = value_map(arena);

	value_set(arena, both, "before", value_copy(arena, before));
	value_set(arena, both, "after", value_copy(arena, after));
	return both;
}

static bool examine_dns(struct rehearsal *rehearsal, struct value *report, struct error *err)
{
	struct arena *arena = &rehearsal->arena;
	struct value *after, *dns = value_map(arena);

	if (!rehearsal_dns(rehearsal, &after, err))
		return false;
	for (const struct value *one = after->as.items.first; one; one = one->next)
		value_set(arena, dns, one->key,
		          before_after(arena, value_get(rehearsal->dns_before, one->key), one));
	value_set(arena, report, "dns", dns);
	return true;
}

static bool examine_remotes(struct rehearsal *rehearsal, struct value *report, struct error *err)
{
	struct arena *arena = &rehearsal->arena;
	struct value *remotes = value_map(arena);

	for (const struct value *one = rehearsal->remotes_before->as.items.first; one;
	     one = one->next) {
		struct value *after = remotes_read(
			arena_printf(arena, "%s/%s", rehearsal->directory, one->key), arena, err);
		if (!after)
			return false;
		value_set(arena, remotes, one->key, before_after(arena, one, after));
	}
	value_set(arena, report, "remotes", remotes);
	return true;
}

static bool examine_replication(struct rehearsal *rehearsal, struct value *report,
                                struct error *err)
{
	const char *url = NULL;

	return (!rehearsal->users.log_path[0] ||
	        serving_database(rehearsal, &rehearsal->arena, &url, err)) &&
	       replication_examine(&rehearsal->replication, url, &rehearsal->arena, report, err);
}

bool rehearsal_examine(struct rehearsal *rehearsal, struct value *report, struct error *err)
{
	if (rehearsal->users.pid && !examine_rows(rehearsal, report, err))
		return fail_while(err, "look at the data");
	if (rehearsal->heroku.pid && (!examine_effects(rehearsal, report, err) ||
	                              !examine_leftovers(rehearsal, report, err)))
		return false;
	return examine_replication(rehearsal, report, err) && examine_dns(rehearsal, report, err) &&
	       examine_remotes(rehearsal, report, err);
}
