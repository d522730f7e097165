/* SPDX-License-Identifier: MIT */
/* Checks of DNS: whether caches have forgotten the old time to live, and what servers answer. */
#include "engine/base/clock.h"
#include "engine/base/text.h"
#include "steps/dns/provider.h"

#include <strings.h>

/* A server that has fallen back to the old time to live gives it to caches again. (What an ALIAS is
 * answered with has a time to live of its own.) */
static bool check_ttl(struct step *step, const struct value *old, int64_t new_s, struct error *err)
{
	struct zone zone;
	struct value *records;

	if (!zone_open(&zone, step, old->key, err))
		return false;
	bool is_alias = zone.provider->alias && strcasecmp(old->key, zone.name) == 0;
	if (is_alias || old->as.number <= new_s)
		return true;
	if (!zone_ask_all(&zone, old->key, &records, err))
		return false;
	for (const struct value *set = records->as.items.first; set; set = set->next)
		if (value_get_number(set, "ttl_s", 0) >= old->as.number)
			return fail(
				err, ERROR_RETRY,
				"the servers of %s give out %s with its old time to live again: %s",
				zone.name, old->key, zone_describe(step->arena, records));
	return true;
}

static bool old_ttl_elapsed(struct step *step, const struct value *of, struct reading *reading,
                            struct error *err)
{
	const char *name = value_reveal(of);
	const struct value *old = step_output_of(step, name, "old_ttl_s");
	const struct value *at = step_output_of(step, name, "answered_at_ms");
	const struct value *ttl = step_output_of(step, name, "ttl_s");
	const struct value *each = step_output_of(step, name, "old_ttls_s");

	if (!old || !at || old->kind != VALUE_INT || at->kind != VALUE_INT)
		return fail(err, ERROR_RETRY, "step %s is not done", name);
	for (const struct value *one = ttl && each ? each->as.items.first : NULL; one;
	     one = one->next)
		if (!check_ttl(step, one, ttl->as.number, err))
			return false;
	int64_t holds_at_ms = at->as.number + old->as.number * 1000;
	int64_t left_ms = holds_at_ms - clock_now_ms();
	reading->value = value_bool(step->arena, left_ms <= 0);
	reading->holds_at_ms = holds_at_ms;
	reading->text = left_ms <= 0 ? "elapsed"
	                             : arena_printf(step->arena, "%s to go of the old %lld s",
	                                            clock_duration_text(step->arena, left_ms),
	                                            (long long)old->as.number);
	return true;
}

static bool answers(struct step *step, const struct value *of, struct reading *reading,
                    struct error *err)
{
	struct zone zone;
	struct value *records;
	struct text all = {0};

	if (!zone_open(&zone, step, value_reveal(of), err) ||
	    !zone_ask_all(&zone, value_reveal(of), &records, err))
		return false;
	for (const struct value *set = records->as.items.first; set; set = set->next)
		for (const struct value *one = value_get(set, "values")->as.items.first; one;
		     one = one->next)
			text_format(&all, "%s%s", all.length ? " " : "", value_reveal(one));
	reading->value = value_text(step->arena, all.length ? text_string(&all) : "nothing");
	text_free(&all);
	return true;
}

const struct metric dns_metrics[] = {
	{"dns.old_ttl_elapsed", METRIC_BOOL, "", OF_STEP,
         "Whether caches have forgotten what they learnt with the time to live from before that "
         "dns.ttl step: the old one, counted from when all servers had the new one. It does not "
         "hold while a server "
         "differs, is not authoritative or cannot be reached.",
         old_ttl_elapsed},
	{"dns.answers", METRIC_TEXT, "", OF_TEXT,
         "What all authoritative servers of the plan's zone answer for that name.", answers},
	{0},
};
