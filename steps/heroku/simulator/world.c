/* SPDX-License-Identifier: MIT */
/* Lists of resources, and the helpers by which requests are answered. */
#include "steps/heroku/simulator/world.h"
#include "engine/base/arena.h"
#include "engine/base/clock.h"

#include <sodium.h>
#include <stdio.h>
#include <string.h>

json_t *world_list(struct world *world, const char *name)
{
	json_t *list = json_object_get(world->lists, name);

	if (!list) {
		list = json_array();
		json_object_set_new(world->lists, name, list);
	}
	return list;
}

const char *text_of(const json_t *item, const char *key)
{
	const char *dot = strchr(key, '.');
	const char *text;
	char first[64];

	if (dot) {
		snprintf(first, sizeof first, "%.*s", (int)(dot - key), key);
		return text_of(json_object_get(item, first), dot + 1);
	}
	text = json_string_value(json_object_get(item, key));
	return text ? text : "";
}

json_t *world_find_by(struct world *world, const char *list, const char *key, const char *value)
{
	json_t *item;
	size_t i;

	json_array_foreach(world_list(world, list), i,
	                   item) if (*value && strcmp(text_of(item, key), value) == 0) return item;
	return NULL;
}

json_t *world_find(struct world *world, const char *list, const char *identity)
{
	json_t *item = world_find_by(world, list, "id", identity);

	return item ? item : world_find_by(world, list, "name", identity);
}

bool world_is_of(const json_t *item, const json_t *app)
{
	return !app || strcmp(text_of(item, "app.id"), text_of(app, "id")) == 0;
}

json_t *world_find_of(struct world *world, const char *list, const json_t *app,
                      const char *identity)
{
	static const char *const keys[] = {"id",    "name", "hostname",  "url",
	                                   "token", "type", "user.email"};
	json_t *item;
	size_t i;

	json_array_foreach(world_list(world, list), i, item)
	{
		if (!world_is_of(item, app))
			continue;
		for (size_t k = 0; k < sizeof keys / sizeof *keys; k++)
			if (*identity && strcmp(text_of(item, keys[k]), identity) == 0)
				return item;
	}
	return NULL;
}

json_t *world_add(struct world *world, const char *list, json_t *item)
{
	json_array_append_new(world_list(world, list), item);
	return item;
}

void world_remove(struct world *world, const char *name, const json_t *item)
{
	json_t *list = world_list(world, name);

	for (size_t i = 0; i < json_array_size(list); i++)
		if (json_array_get(list, i) == item) {
			json_array_remove(list, i);
			return;
		}
}

json_t *new_id(void)
{
	unsigned char noise[16];
	char hex[33], out[37];

	randombytes_buf(noise, sizeof noise);
	noise[6] = (unsigned char)((noise[6] & 0x0f) | 0x40);
	noise[8] = (unsigned char)((noise[8] & 0x3f) | 0x80);
	sodium_bin2hex(hex, sizeof hex, noise, sizeof noise);
	snprintf(out, sizeof out, "%.8s-%.4s-%.4s-%.4s-%.12s", hex, hex + 8, hex + 12, hex + 16,
	         hex + 20);
	return json_string(out);
}

json_t *new_time(void)
{
	struct arena arena = {0};
	json_t *time = json_string(clock_text(&arena, clock_now_ms()));

	arena_free(&arena);
	return time;
}

json_t *reference_to(const json_t *item)
{
	return json_pack("{s:s, s:s}", "id", text_of(item, "id"), "name", text_of(item, "name"));
}

json_t *visible(const json_t *item)
{
	json_t *copy = json_deep_copy(item);
	const char *key;
	json_t *value;
	void *next;

	json_object_foreach_safe(copy, next, key, value) if (key[0] == '_')
		json_object_del(copy, key);
	return copy;
}

void reply(struct call *call, unsigned status, json_t *answer)
{
	json_decref(call->answer);
	call->status = status;
	call->answer = answer;
}

void refuse(struct call *call, unsigned status, const char *id, const char *format, ...)
{
	char message[512];
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(message, sizeof message, format, arguments);
	va_end(arguments);
	reply(call, status, json_pack("{s:s, s:s}", "id", id, "message", message));
}

void reply_list(struct call *call, const char *list, const json_t *app)
{
	json_t *all = json_array(), *item;
	size_t i;

	json_array_foreach(world_list(call->world, list), i, item) if (world_is_of(item, app))
		json_array_append_new(all, visible(item));
	reply(call, 200, all);
}

void effect(struct call *call, const json_t *app, const char *format, ...)
{
	char what[256];
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(what, sizeof what, format, arguments);
	va_end(arguments);
	json_array_append_new(call->world->ledger,
	                      json_pack("{s:i, s:s, s:s, s:o, s:s, s:s}", "n",
	                                (int)json_array_size(call->world->ledger) + 1, "method",
	                                call->method, "path", call->path, "at", new_time(), "what",
	                                what, "app", text_of(app, "name")));
}

json_t *app_of(struct call *call)
{
	json_t *app = world_find(call->world, "apps", call->part[0]);

	if (!app)
		reply(call, 404,
		      json_pack("{s:s, s:s, s:s}", "resource", "app", "id", "not_found", "message",
		                "Couldn't find that app."));
	return app;
}

json_t *team_app_of(struct call *call)
{
	json_t *app = app_of(call);

	if (!app || json_is_object(json_object_get(app, "team")))
		return app;
	refuse(call, 404, "not_found", "Couldn't find that team app.");
	return NULL;
}
