/* SPDX-License-Identifier: MIT */
/* Checks values against the tables of fields and gives them their final form. */
#include "engine/field.h"
#include "engine/base/address.h"
#include "engine/base/arena.h"
#include "engine/base/error.h"
#include "engine/base/nearest.h"
#include "engine/base/text.h"
#include "engine/unit.h"

#include <ctype.h>
#include <string.h>

static const char *const type_names[FIELD_TYPES] = {
	[FIELD_ANY] = "any",       [FIELD_STRING] = "string",     [FIELD_BOOL] = "bool",
	[FIELD_INT] = "int",       [FIELD_DURATION] = "duration", [FIELD_RATE] = "rate",
	[FIELD_APP] = "app",       [FIELD_DOMAIN] = "domain",     [FIELD_URL] = "url",
	[FIELD_PATH] = "path",     [FIELD_SECRET] = "secret",     [FIELD_CONTENT] = "content",
	[FIELD_CHOICE] = "choice", [FIELD_STEP] = "step",         [FIELD_CONNECTION] = "connection",
};

void field_type_name(const struct field *field, struct text *out)
{
	if (field->flags & FIELD_LIST)
		text_add(out, "list of ");
	if (field->flags & FIELD_MAP)
		text_add(out, "map of ");
	text_add(out, type_names[field->type]);
	if (field->flags & FIELD_OR_MAP)
		text_add(out, " or map");
}

bool field_type_from_name(const char *name, struct field *field)
{
	if (strncmp(name, "list of ", 8) == 0) {
		field->flags |= FIELD_LIST;
		name += 8;
	} else if (strncmp(name, "map of ", 7) == 0) {
		field->flags |= FIELD_MAP;
		name += 7;
	}
	for (size_t i = 0; i < FIELD_TYPES; i++) {
		if (strcmp(type_names[i], name) != 0)
			continue;
		field->type = (enum field_type)i;
		return true;
	}
	return false;
}

const struct field *field_find(const struct field *fields, const char *name)
{
	for (; fields && fields->name; fields++)
		if (strcmp(fields->name, name) == 0)
			return fields;
	return NULL;
}

const struct field *field_nearest(const struct field *fields, const char *name)
{
	struct nearest nearest = nearest_to(name);

	for (const struct field *field = fields; field && field->name; field++)
		nearest_try(&nearest, field->name);
	return nearest.best ? field_find(fields, nearest.best) : NULL;
}

/* ---- One function a type ---- */

static bool bad(const struct value *value, const char *wanted, struct error *err)
{
	struct text shown = {.limit = 80};

	value_print(value, &shown);
	fail(err, ERROR_PLAN, "`%s` is no %s", text_string(&shown), wanted);
	text_free(&shown);
	return false;
}

static const char *plain_text(const struct value *value)
{
	return value->kind == VALUE_TEXT ? value->as.text : NULL;
}

static bool is_app(const char *name)
{
	size_t length = strlen(name);

	if (length < 3 || length > 30 || !islower((unsigned char)name[0]) ||
	    name[length - 1] == '-')
		return false;
	for (const char *c = name; *c; c++)
		if (!islower((unsigned char)*c) && !isdigit((unsigned char)*c) && *c != '-')
			return false;
	return true;
}

static bool is_label(const char *label, size_t length)
{
	if (length == 0 || length > 63 || label[0] == '-' || label[length - 1] == '-')
		return false;
	for (size_t i = 0; i < length; i++)
		if (!isalnum((unsigned char)label[i]) && label[i] != '-' && label[i] != '_')
			return false;
	return true;
}

static bool is_domain(const char *name)
{
	if (strlen(name) > 253)
		return false;
	if (strncmp(name, "*.", 2) == 0)
		name += 2;
	for (;;) {
		size_t length = strcspn(name, ".");
		if (!is_label(name, length))
			return false;
		if (!name[length])
			return true;
		name += length + 1;
	}
}

/* http:// would show credentials to the network, and a user inside the URL to whoever reads the
 * plan. */
static bool is_url(const char *url)
{
	bool plain = strncmp(url, "http://", 7) == 0;
	const char *rest = strncmp(url, "https://", 8) == 0 ? url + 8 : plain ? url + 7 : "";
	size_t authority = strcspn(rest, "/?#\\");
	size_t host = rest[0] == '[' ? strcspn(rest, "]") + 1 : strcspn(rest, ":/?#\\");

	if (!authority || memchr(rest, '@', authority) ||
	    strcspn(url, " \t\r\n\"<>") != strlen(url))
		return false;
	bool whole = host == authority || (host < authority && rest[host] == ':');
	return !plain || (whole && address_is_loopback(rest, host));
}

static bool is_path(const char *path)
{
	if (!path[0] || path[0] == '/')
		return false;
	for (const char *part = path; *part;) {
		size_t length = strcspn(part, "/");
		if (length == 2 && strncmp(part, "..", 2) == 0)
			return false;
		part += length + (part[length] == '/');
	}
	return true;
}

static const struct {
	bool (*accepts)(const char *text);
	const char *wanted;
} text_checks[FIELD_TYPES] = {
	[FIELD_APP] = {is_app, "app name: 3 to 30 of a-z, 0-9 and -, beginning with a letter"},
	[FIELD_DOMAIN] = {is_domain,
                          "domain name such as www.example.com, without a dot at the end"},
	[FIELD_URL] = {is_url,
                       "address that begins with https:// (http:// only to loopback such as "
                       "127.0.0.1), without a user or password"},
	[FIELD_PATH] = {is_path, "path beneath the plan's directory (no leading / and no ..)"},
};

static struct value *accept_duration(const struct value *value, struct arena *arena,
                                     struct error *err)
{
	int64_t duration_ms;
	const char *text = plain_text(value);

	if (value->kind == VALUE_INT && value->as.number == 0)
		return value_number(arena, 0);
	if (!text) {
		bad(value, "duration; write it with a unit: 500ms, 5s, 10m, 24h, 7d", err);
		return NULL;
	}
	return unit_parse_duration(text, &duration_ms, err) ? value_number(arena, duration_ms)
	                                                    : NULL;
}

static struct value *accept_rate(const struct value *value, struct arena *arena, struct error *err)
{
	struct quantity quantity;
	const char *text = plain_text(value);

	if (text && strcmp(text, "unlimited") == 0)
		return value_number(arena, 0);
	if (!text || !unit_parse(text, &quantity, err) || strcmp(quantity.unit, "bytes/s") != 0 ||
	    !(quantity.number >= 1 && quantity.number < 9e18)) {
		bad(value, "rate; write 80 MiB/s, or unlimited", err);
		return NULL;
	}
	return value_number(arena, (int64_t)quantity.number);
}

static struct value *accept_choice(const struct field *field, const struct value *value,
                                   struct arena *arena, struct error *err)
{
	const char *text = plain_text(value);
	struct text list = {.limit = 400};
	struct nearest nearest = nearest_to(text ? text : "");

	for (size_t i = 0; field->choices && field->choices[i]; i++) {
		if (text && strcmp(text, field->choices[i]) == 0) {
			text_free(&list);
			return value_text(arena, text);
		}
		text_format(&list, "%s%s", i ? ", " : "", field->choices[i]);
		nearest_try(&nearest, field->choices[i]);
	}
	fail(err, ERROR_PLAN, "`%s` is not one of: %s%s%s%s",
	     text ? text : value_kind_name(value->kind), text_string(&list),
	     text && nearest.best ? "; did you mean " : "",
	     text && nearest.best ? nearest.best : "", text && nearest.best ? "?" : "");
	text_free(&list);
	return NULL;
}

static struct value *accept_secret(const struct field *field, const struct value *value,
                                   struct arena *arena, struct error *err)
{
	bool allowed = field->type == FIELD_SECRET || field->flags & FIELD_MAY_SECRET;

	if (allowed && field->type != FIELD_BOOL && field->type != FIELD_INT)
		return value_copy(arena, value);
	fail(err, ERROR_PLAN, "%s may not hold a secret", field->name);
	return NULL;
}

/* Scalars that YAML took for something else ("404", "true", "1.5") are texts where text is wanted.
 */
static struct value *accept_text(const struct field *field, const struct value *value,
                                 struct arena *arena, struct error *err)
{
	struct text printed = {0};
	const char *wanted = text_checks[field->type].wanted;

	if (value->kind == VALUE_INT || value->kind == VALUE_BOOL || value->kind == VALUE_REAL) {
		value_print(value, &printed);
		value = value_text(arena, text_string(&printed));
		text_free(&printed);
	}
	const char *text = plain_text(value);
	if (!text || (wanted && !text_checks[field->type].accepts(text))) {
		bad(value, wanted ? wanted : "text", err);
		return NULL;
	}
	if (field->choices)
		return accept_choice(field, value, arena, err);
	return value_text(arena, text);
}

static struct value *accept_one(const struct field *field, const struct value *value,
                                struct arena *arena, struct error *err)
{
	if (value->kind == VALUE_UNKNOWN)
		return value_copy(arena, value);
	if (value->kind == VALUE_SECRET)
		return accept_secret(field, value, arena, err);
	switch (field->type) {
	case FIELD_ANY:
		return value_copy(arena, value);
	case FIELD_BOOL:
		if (value->kind == VALUE_BOOL)
			return value_copy(arena, value);
		bad(value, "truth value; write true or false", err);
		return NULL;
	case FIELD_INT:
		if (value->kind == VALUE_INT)
			return value_copy(arena, value);
		bad(value, "whole number", err);
		return NULL;
	case FIELD_DURATION:
		return accept_duration(value, arena, err);
	case FIELD_RATE:
		return accept_rate(value, arena, err);
	case FIELD_CHOICE:
		return accept_choice(field, value, arena, err);
	case FIELD_SECRET:
		fail(err, ERROR_PLAN,
		     "%s takes a secret: name it under `secrets:` and write "
		     "${secrets.NAME} here; never the secret itself",
		     field->name);
		return NULL;
	case FIELD_STRING:
	case FIELD_APP:
	case FIELD_DOMAIN:
	case FIELD_URL:
	case FIELD_PATH:
	case FIELD_CONTENT:
	case FIELD_STEP:
	case FIELD_CONNECTION:
		return accept_text(field, value, arena, err);
	case FIELD_TYPES:
		break;
	}
	return NULL;
}

static struct value *accept_items(const struct field *field, const struct value *value,
                                  struct arena *arena, struct error *err)
{
	bool map = value->kind == VALUE_MAP;
	struct value *items = map ? value_map(arena) : value_list(arena);

	for (const struct value *item = value->as.items.first; item; item = item->next) {
		/* null in a map says that the key is to go: only modules that know it allow it. */
		struct value *one = item->kind == VALUE_NULL && map
		                            ? value_null(arena)
		                            : accept_one(field, item, arena, err);
		if (!one) {
			if (map)
				fail_while(err, "%s", item->key);
			return NULL;
		}
		if (map)
			one->key = arena_text(arena, item->key);
		value_add(items, one);
	}
	return items;
}

struct value *field_accept(const struct field *field, const struct value *value,
                           struct arena *arena, struct error *err)
{
	bool map = value->kind == VALUE_MAP, list = value->kind == VALUE_LIST;
	struct value *accepted;

	if (value->kind == VALUE_UNKNOWN)
		return value_copy(arena, value);
	if (field->flags & FIELD_LIST && !list) {
		bad(value, "list", err);
		return NULL;
	}
	if (field->flags & FIELD_MAP && !map) {
		bad(value, "map", err);
		return NULL;
	}
	if (field->flags & (FIELD_LIST | FIELD_MAP))
		accepted = accept_items(field, value, arena, err);
	else if (field->flags & FIELD_OR_MAP && map)
		accepted = value_copy(arena, value);
	else
		accepted = accept_one(field, value, arena, err);
	if (accepted)
		accepted->at = value->at;
	return accepted;
}

const struct value *field_refused(const struct field *field, const struct value *value,
                                  struct arena *arena)
{
	bool map = field->flags & FIELD_MAP && value->kind == VALUE_MAP;
	bool list = field->flags & FIELD_LIST && value->kind == VALUE_LIST;
	struct error ignored;

	for (const struct value *item = map || list ? value->as.items.first : NULL; item;
	     item = item->next)
		if (!(map && item->kind == VALUE_NULL) && !accept_one(field, item, arena, &ignored))
			return item;
	return value;
}
