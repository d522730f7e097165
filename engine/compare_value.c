/* SPDX-License-Identifier: MIT */
/* Values compared and put into words: secrets hidden, times exact, control characters escaped. */
#include "engine/compare_parts.h"
#include "engine/reference.h"

#include <string.h>

static const struct field hidden = {.name = "", .type = FIELD_SECRET};

const struct field *compare_field(const struct field *fields, const char *name)
{
	const struct field *field = field_find(fields, name);

	return field ? field : &hidden;
}

const struct value *compare_items(const struct value *value)
{
	bool holds = value && (value->kind == VALUE_LIST || value->kind == VALUE_MAP);

	return holds ? value->as.items.first : NULL;
}

/* ---- Words ---- */

/* https://user:password@host: from behind the colon to before the @. */
static const char *find_password(const char *text, size_t *length)
{
	for (const char *url = strstr(text, "://"); url; url = strstr(url + 3, "://")) {
		const char *end = url + 3 + strcspn(url + 3, "/ \"'<>");
		const char *colon = memchr(url + 3, ':', (size_t)(end - url - 3));
		const char *at = colon ? memrchr(colon, '@', (size_t)(end - colon)) : NULL;
		if (!at)
			continue;
		*length = (size_t)(at - colon) - 1;
		return colon + 1;
	}
	return NULL;
}

static const char *hide_passwords(struct arena *arena, const char *text)
{
	struct text out = {0};
	size_t length = 0;
	const char *password;

	while ((password = find_password(text, &length))) {
		text_put(&out, text, (size_t)(password - text));
		text_add(&out, "(hidden)");
		text = password + length;
	}
	text_add(&out, text);
	char *copy = arena_text(arena, text_string(&out));
	text_free(&out);
	return copy;
}

/* How many bytes the UTF-8 character there has; 0 when it is none. */
static size_t character_length(const unsigned char *c)
{
	size_t length = 1;

	if (*c >= 0x80)
		length = *c < 0xc2 ? 0 : *c < 0xe0 ? 2 : *c < 0xf0 ? 3 : *c < 0xf5 ? 4 : 0;
	for (size_t i = 1; i < length; i++)
		if ((c[i] & 0xc0) != 0x80)
			return 0;
	return length;
}

/* Names of files and revisions may hold any bytes. */
static void put_utf8(const char *text, struct text *out)
{
	while (*text) {
		size_t length = character_length((const unsigned char *)text);
		if (length)
			text_put(out, text, length);
		else
			text_format(out, "\\x%02x", (unsigned char)*text);
		text += length ? length : 1;
	}
}

const char *compare_clean(struct arena *arena, const char *text)
{
	struct text utf8 = {0}, out = {0};

	put_utf8(text, &utf8);
	value_print(value_text(arena, text_string(&utf8)), &out);
	const char *copy = hide_passwords(arena, text_string(&out));
	text_free(&utf8);
	text_free(&out);
	return copy;
}

const char *compare_name(const struct compare *compare, const struct plan_step *old,
                         const struct plan_step *new)
{
	const struct plan_step *step = new ? new : old;

	return compare_clean(compare->arena, step ? step->name : "");
}

const char *compare_print(struct compare *compare, const struct value *value)
{
	struct text out = {0};

	if (!value)
		return NULL;
	value_print(value, &out);
	const char *copy = hide_passwords(compare->arena, text_string(&out));
	text_free(&out);
	return copy[0] ? copy : "\"\"";
}

const char *compare_duration(struct compare *compare, int64_t duration_ms)
{
	static const struct {
		const char *name;
		int64_t ms;
	} units[] = {{"d", 86400000}, {"h", 3600000}, {"min", 60000}, {"s", 1000}, {"ms", 1}};
	struct text out = {0};

	for (size_t i = 0; i < sizeof units / sizeof *units; i++) {
		if (duration_ms / units[i].ms > 0)
			text_format(&out, "%s%lld %s", out.length ? " " : "",
			            (long long)(duration_ms / units[i].ms), units[i].name);
		duration_ms %= units[i].ms;
	}
	char *copy = arena_text(compare->arena, out.length ? text_string(&out) : "0 s");
	text_free(&out);
	return copy;
}

/* ---- Hiding ---- */

static bool is_secret_reference(const struct value *value)
{
	struct reference reference;
	struct error err = {0};

	return value->kind == VALUE_TEXT && reference_next(value->as.text, &reference, &err) &&
	       reference.kind == REFERENCE_SECRET && reference_is_whole(value->as.text, &reference);
}

struct value *compare_masked(struct compare *compare, const struct value *value,
                             const struct field *field)
{
	if (value->kind == VALUE_LIST || value->kind == VALUE_MAP) {
		struct value *copy = value->kind == VALUE_MAP ? value_map(compare->arena)
		                                              : value_list(compare->arena);
		for (const struct value *one = value->as.items.first; one; one = one->next) {
			struct value *masked = compare_masked(compare, one, field);
			masked->key = one->key;
			value_add(copy, masked);
		}
		return copy;
	}
	if (field && field->type == FIELD_SECRET && !is_secret_reference(value))
		return value_secret(compare->arena, "", "(hidden)");
	return value_copy(compare->arena, value);
}

/* ---- References to renamed steps ---- */

static const char *new_name(const struct compare *compare, const struct reference *reference)
{
	const struct plan_step *old = reference->kind == REFERENCE_STEP
	                                      ? plan_find(compare->plan[OLD], reference->name)
	                                      : NULL;
	size_t pair = old ? compare->pair[OLD][old->order] : NO_PAIR;

	return pair == NO_PAIR ? NULL : compare->plan[NEW]->steps[pair].name;
}

const char *compare_step_name(struct compare *compare, const char *old)
{
	const struct plan_step *step = old ? plan_find(compare->plan[OLD], old) : NULL;
	size_t pair = step ? compare->pair[OLD][step->order] : NO_PAIR;

	if (pair != NO_PAIR)
		old = compare->plan[NEW]->steps[pair].name;
	return old ? compare_clean(compare->arena, old) : NULL;
}

static const char *rename_in_text(struct compare *compare, const char *text)
{
	struct text out = {0};
	struct reference reference;
	struct error err = {0};

	while (reference_next(text, &reference, &err)) {
		const char *name = new_name(compare, &reference);
		text_put(&out, text, (size_t)(reference.begin - text));
		if (name)
			text_format(&out, "${steps.%s.%s}", name, reference.member);
		else
			text_put(&out, reference.begin, (size_t)(reference.end - reference.begin));
		text = reference.end;
	}
	text_add(&out, text);
	char *copy = arena_text(compare->arena, text_string(&out));
	text_free(&out);
	return copy;
}

const struct value *compare_renamed(struct compare *compare, const struct value *value)
{
	if (!value || compare->renamed == 0)
		return value;
	if (value->kind == VALUE_TEXT)
		return strstr(value->as.text, "${steps.")
		               ? value_text(compare->arena, rename_in_text(compare, value->as.text))
		               : value;
	if (value->kind != VALUE_LIST && value->kind != VALUE_MAP)
		return value;
	struct value *copy =
		value->kind == VALUE_MAP ? value_map(compare->arena) : value_list(compare->arena);
	for (const struct value *one = value->as.items.first; one; one = one->next) {
		struct value *item = value_copy(compare->arena, compare_renamed(compare, one));
		item->key = one->key;
		value_add(copy, item);
	}
	return copy;
}

/* ---- Comparing ---- */

/* 60s and 1m are the same. */
static bool means_the_same(struct compare *compare, const struct value *old,
                           const struct value *new, const struct field *field)
{
	struct error err = {0};

	if (value_equal(old, new))
		return true;
	if (!field || (field->type != FIELD_DURATION && field->type != FIELD_RATE))
		return false;
	const struct value *before = field_accept(field, old, compare->arena, &err);
	const struct value *after = field_accept(field, new, compare->arena, &err);
	return before && after && value_equal(before, after);
}

static const char *masked_text(struct compare *compare, const struct value *value,
                               const struct field *field)
{
	return value ? compare_print(compare, compare_masked(compare, value, field)) : NULL;
}

void compare_values(struct compare *compare, struct difference difference, const struct value *old,
                    const struct value *new, const struct field *field)
{
	if (old && new && old->kind == VALUE_MAP &&new->kind == VALUE_MAP) {
		const char *path = difference.what;
		for (const struct value *one = new->as.items.first; one; one = one->next) {
			difference.what = arena_printf(compare->arena, "%s.%s", path, one->key);
			compare_values(compare, difference, value_get(old, one->key), one, field);
		}
		for (const struct value *one = old->as.items.first; one; one = one->next) {
			difference.what = arena_printf(compare->arena, "%s.%s", path, one->key);
			if (!value_get(new, one->key))
				compare_values(compare, difference, one, NULL, field);
		}
		return;
	}
	bool both = old && new;
	if (both && means_the_same(compare, old, new, field))
		return;
	difference.what = compare_clean(compare->arena, difference.what);
	difference.from = masked_text(compare, old, field);
	difference.to = masked_text(compare, new, field);
	if (both && strcmp(difference.from, difference.to) == 0) {
		difference.unlike = true;
		difference.note = value_has_secret(compare_masked(compare, new, field))
		                          ? "another value"
		                          : "another kind of value";
	}
	compare_add(compare, difference);
}

void compare_entries(struct compare *compare, struct difference difference,
                     const struct compare_maps *maps)
{
	for (int side = NEW; side >= OLD; side--) {
		const struct value *map = side == NEW ? maps->new : maps->old;
		for (const struct value *one = compare_items(map); one; one = one->next) {
			const struct value *old = value_get(maps->old, one->key);
			const struct value *new = value_get(maps->new, one->key);
			bool passed = !one->key || (side == OLD && new) ||
			              (maps->except && strcmp(one->key, maps->except) == 0);
			if (passed)
				continue;
			difference.what =
				arena_printf(compare->arena, "%s%s", maps->prefix, one->key);
			compare_values(compare, difference, old, new,
			               maps->fields ? compare_field(maps->fields, one->key) : NULL);
		}
	}
}
