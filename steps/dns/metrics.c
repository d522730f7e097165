/* SPDX-License-Identifier: MIT */
/* Checks of DNS: whether caches have forgotten the old time to live, and what servers answer. */
#include "engine/base/clock.h"
#include "engine/base/text.h"
#include "steps/dns/zone.h"

static bool old_ttl_elapsed(struct step *step, const struct value *of, struct reading *reading,
                            struct error *err)
{
	const char *name = value_reveal(of);
	const struct value *ttl = step_output_of(step, name, "old_ttl_s");
	const struct value *at = step_output_of(step, name, "answered_at_ms");

	if (!ttl || !at || ttl->kind != VALUE_INT || at->kind != VALUE_INT)
		return fail(err, ERROR_RETRY, "step %s is not done", name);
	int64_t holds_at_ms = at->as.number + ttl->as.number * 1000;
	int64_t left_ms = holds_at_ms - clock_now_ms();
	reading->value = value_bool(step->arena, left_ms <= 0);
	reading->holds_at_ms = holds_at_ms;
	reading->text = left_ms <= 0 ? "elapsed"
	                             : arena_printf(step->arena, "%s to go of the old %lld s",
	                                            clock_duration_text(step->arena, left_ms),
	                                            (long long)ttl->as.number);
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
         "dns.ttl step: the old one, counted from when all servers had the new one.",
         old_ttl_elapsed},
	{"dns.answers", METRIC_TEXT, "", OF_TEXT,
         "What all authoritative servers of the plan's zone answer for that name.", answers},
	{0},
};
