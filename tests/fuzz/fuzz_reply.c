/* SPDX-License-Identifier: MIT */
/* What Heroku and the APIs of DNS providers reply, any bytes: a module that reads it does what it
 * can or says why not, asks nobody else, and tells no secret.
 *
 * The first line names a step of reply.yaml, or a connection whose records are read and replaced;
 * `look`, `tried` and `done` behind it say in which state the step is. Then come replies, in the
 * order in which they are given, with a line `---8<---` before each: the status, lines "name:
 * value" of headers, an empty line, and the body. When none is left, somebody has asked to stop. */
#include "engine/base/error.h"
#include "engine/base/json.h"
#include "engine/base/text.h"
#include "engine/condition.h"
#include "engine/host.h"
#include "engine/look.h"
#include "steps/dns/provider.h"
#include "steps/http/client.h"
#include "steps/registry.h"

#include <ctype.h>
#include <libpq-fe.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* The linker puts these in the place of what would leave the process. */
bool __wrap_http_send(const struct http_request *request, struct http_response *response,
                      struct arena *arena, struct error *err);
PGconn *__wrap_PQconnectdbParams(const char *const *keywords, const char *const *values,
                                 int expand_dbname);
bool __wrap_step_sleep(struct step *step, int64_t duration_ms, struct error *err);
bool __wrap_channel_send(struct channel *channel, const struct value *message);
int64_t __wrap_clock_now_ms(void);
int64_t __wrap_clock_real_ms(void);

#define SLEEPS_MOST 1000
#define BEGIN_MS INT64_C(1796040000000) /* 2026-11-30T12:00:00Z */

static const char cut[] = "---8<---\n";

/* The input, one string; `next` is what is left of it. */
static const char *next, *end;
static int sleeps;
static int64_t now_ms;

static const char *take_line(struct arena *arena)
{
	const char *stop = next < end ? memchr(next, '\n', (size_t)(end - next)) : NULL;
	char *line = arena_text_n(arena, next, (size_t)((stop ? stop : end) - next));

	next = stop ? stop + 1 : end;
	return line;
}

/* ---- In the place of the network ---- */

/* No character that needs an escape, and no name that is empty or leads up. */
static bool is_sound(const char *url)
{
	const char *path = strchr(strstr(url, "://") + 3, '/');
	size_t length = strcspn(path, "?");

	for (const char *c = url; *c; c++)
		if (!isgraph((unsigned char)*c))
			return false;
	for (const char *part = path + 1; part < path + length; part++) {
		size_t name = strcspn(part, "/?");
		if (name == 0 || (name <= 2 && strspn(part, ".") >= name))
			return false;
		part += name;
	}
	return true;
}

/* Nothing that a server said may lead a request, and the credentials with it, elsewhere. */
static void check_request(const struct http_request *request)
{
	static const char *const servers[] = {
		"https://api.heroku.com/",          "https://api.data.heroku.com/",
		"http://127.0.0.1:8081/api/v1/",    "https://api.cloudflare.com/client/v4/",
		"https://route53.amazonaws.com/20", "https://www.example.com/"};
	bool known = false, credentials = request->sign != NULL;

	for (size_t i = 0; i < sizeof servers / sizeof *servers; i++)
		known = known || strncmp(request->url, servers[i], strlen(servers[i])) == 0;
	for (const char *const *header = request->headers; header && *header; header++)
		credentials = credentials || strstr(*header, "secret-of-");
	if ((credentials && !known) || (known && !is_sound(request->url)))
		abort();
}

static void take_headers(struct arena *arena, struct value *headers)
{
	for (;;) {
		char *line = (char *)(uintptr_t)take_line(arena), *colon = strchr(line, ':');
		if (!colon)
			return;
		*colon = '\0';
		for (char *c = line; *c; c++)
			*c = (char)tolower((unsigned char)*c);
		value_set_text(arena, headers, line, colon + 1 + strspn(colon + 1, " "));
	}
}

bool __wrap_http_send(const struct http_request *request, struct http_response *response,
                      struct arena *arena, struct error *err)
{
	*response = (struct http_response){.headers = value_map(arena), .body = ""};
	check_request(request);
	if (!http_url_allowed(request->url, err))
		return false;
	if (next == end)
		return fail(err, ERROR_CANCELLED, "no reply is left");
	response->status = strtol(take_line(arena), NULL, 10);
	take_headers(arena, response->headers);
	const char *stop = next < end ? memmem(next, (size_t)(end - next), cut, strlen(cut)) : NULL;
	response->length = (size_t)((stop ? stop : end) - next);
	response->body = arena_text_n(arena, next, response->length);
	response->reached = true;
	next = stop ? stop + strlen(cut) : end;
	return true;
}

PGconn *__wrap_PQconnectdbParams(const char *const *keywords, const char *const *values,
                                 int expand_dbname)
{
	(void)keywords, (void)values, (void)expand_dbname;
	return NULL; /* libpq takes it for a connection that failed */
}

/* ---- In the place of the engine's process ---- */

bool __wrap_step_sleep(struct step *step, int64_t duration_ms, struct error *err)
{
	(void)step;
	now_ms += duration_ms + 1;
	if (next < end && sleeps++ < SLEEPS_MOST)
		return true;
	return fail(err, ERROR_CANCELLED, "no reply is left to wait for");
}

int64_t __wrap_clock_now_ms(void)
{
	return now_ms;
}

int64_t __wrap_clock_real_ms(void)
{
	return now_ms;
}

/* ---- The plan ---- */

static struct plan plan;
static struct arena lasting;
static struct value *secrets, *outputs;

bool __wrap_channel_send(struct channel *channel, const struct value *message)
{
	static const char *const told[] = {"text", "changes", "conditions"};
	struct text text = {0};

	(void)channel;
	for (size_t i = 0; i < sizeof told / sizeof *told; i++) {
		text_clear(&text);
		json_write(value_get(message, told[i]), NULL, &text);
		for (const struct value *one = secrets->as.items.first; one; one = one->next)
			if (strstr(text_string(&text), value_reveal(one)))
				abort();
	}
	text_free(&text);
	return true;
}

static const struct value *outputs_of(const struct scope *scope, const struct plan_step *step)
{
	(void)scope, (void)step;
	return outputs;
}

static void load_plan(void)
{
	struct problems problems = {0};

	if (plan.step_count)
		return;
	if (!plan_load(&plan, PLAN_SOURCE_DIR "/tests/fuzz/reply.yaml", &steps_registry, NULL,
	               &problems))
		abort();
	secrets = value_map(&lasting);
	for (size_t i = 0; i < plan.secret_count; i++)
		value_set(&lasting, secrets, plan.secrets[i].name,
		          value_secret(&lasting,
		                       arena_printf(&lasting, "secret-of-%s", plan.secrets[i].name),
		                       "(hidden)"));
	outputs = value_map(&lasting);
	value_set_text(&lasting, outputs, "source", "sourceapp-db");
	value_set_text(&lasting, outputs, "database", "targetapp-db");
}

static void tell(struct step *step, const struct error *err)
{
	struct error ignored;
	struct value *message = host_message(step, "failed");

	if (err->kind == ERROR_NONE || !err->text[0])
		abort(); /* no reason */
	value_set_text(step->arena, message, "text", err->text);
	host_send(step, message, &ignored);
}

/* ---- A step ---- */

static bool look(struct step *step, struct value **seen, struct changes *changes, struct error *err)
{
	struct value *message = host_message(step, "looked");

	if (!look_at(step, seen, changes, err))
		return false;
	value_set(step->arena, message, "changes", look_describe(step->arena, changes));
	value_set(step->arena, message, "outputs", step->outputs);
	value_set(step->arena, message, "subjects", look_subjects(step));
	return host_send(step, message, err);
}

/* As engine/perform.c does it, without anybody to ask. */
static bool apply_once(struct step *step, struct error *err)
{
	const struct plan_step *plan_step = step->host->plan_step;
	struct value *seen;
	struct changes changes;

	if (!look(step, &seen, &changes, err) || step->looking)
		return step->looking && err->kind == ERROR_NONE;
	if (!step->before)
		step->before = value_copy(step->arena, seen);
	step->attempted = true;
	if (!conditions_hold_now(step, &plan_step->preconditions, err))
		return false;
	if (changes.count == 0)
		return true;
	if (!step->module->apply(step, &changes, err))
		return false;
	return step->module->verify ? step->module->verify(step, err)
	                            : look(step, &seen, &changes, err);
}

static void carry_out(struct step *step)
{
	struct error err = {0};

	if (apply_once(step, &err))
		step->was_done = true;
	else
		tell(step, &err);
	if (!step->before || !step->module->revert)
		return;
	step->outputs = value_map(step->arena);
	err.kind = ERROR_NONE;
	if (!step->module->observe(step, value_map(step->arena), &err) ||
	    !step->module->revert(step, step->before, &err))
		tell(step, &err);
}

/* ---- A zone ---- */

static void check_records(const struct value *records)
{
	for (const struct value *set = records->as.items.first; set; set = set->next) {
		int64_t ttl_s = value_get_number(set, "ttl_s", -1);
		if (ttl_s < 0 || ttl_s > UINT32_MAX)
			abort(); /* a wait that is as long could not be counted */
		for (const struct value *one = value_get(set, "values")->as.items.first; one;
		     one = one->next)
			if (!value_reveal(one))
				abort();
	}
}

static bool use_zone(struct zone *zone, struct error *err)
{
	struct arena *arena = zone->step->arena;
	const char *name = arena_printf(arena, "www.%s", zone->name);
	struct value *records;

	if (!zone->provider->find_servers(zone, err))
		return false;
	for (const struct value *one = zone->servers->as.items.first; one; one = one->next)
		if (!value_reveal(one))
			abort();
	if (!zone->provider->read(zone, name, &records, err))
		return false;
	check_records(records);
	zone_describe(arena, records);
	const struct value *wanted = zone_records(arena, "CNAME", 60, "target.example.net");
	return zone->provider->replace(zone, name, records, wanted, err) &&
	       (!zone->provider->settle || zone->provider->settle(zone, err));
}

static void try_zone(struct step *step, const struct value *connection)
{
	struct error err = {0};
	struct zone zone;

	if (!zone_open(&zone, step, value_get_text(connection, "zone", ""), &err) ||
	    !use_zone(&zone, &err))
		tell(step, &err);
}

/* ---- The whole ---- */

static const struct value *find_connection(const struct value *connections, const char *name)
{
	for (const struct value *one = connections->as.items.first; one; one = one->next)
		if (strcmp(value_get_text(one, "name", ""), name) == 0 && value_get(one, "zone"))
			return one;
	return NULL;
}

static void run_words(struct arena *arena, char *words)
{
	char *rest = words, *word = strtok_r(rest, " ", &rest);
	struct plan_step *plan_step = word ? plan_find(&plan, word) : NULL;
	struct error err = {0};
	struct run run = {0};
	struct scope scope = {
		.plan = &plan, .step = plan_step, .secrets = secrets, .outputs = outputs_of};
	struct value *connections = resolve_connections(&scope, arena, &err);
	struct step_host host = {.plan = &plan,
	                         .plan_step = plan_step,
	                         .run = &run,
	                         .scope = &scope,
	                         .connections = connections,
	                         .token = "0123456789ab"};
	struct step step = {.id = "it", .arena = arena, .host = &host, .attempted_at_ms = 1};
	const struct value *zone = word ? find_connection(connections, word) : NULL;

	while ((word = strtok_r(rest, " ", &rest))) {
		step.looking = host.looking = step.looking || strcmp(word, "look") == 0;
		step.attempted = step.attempted || strcmp(word, "tried") == 0;
		step.was_done = step.was_done || strcmp(word, "done") == 0;
	}
	if (plan_step) {
		step.id = plan_step->id;
		step.module = plan_step->module;
		step.with = resolve_with(&scope, plan_step, arena, &err);
		carry_out(&step);
	} else if (zone) {
		try_zone(&step, zone);
	}
	run_free(&run);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct arena arena = {0};

	load_plan();
	next = (const char *)data;
	end = next + size;
	sleeps = 0;
	now_ms = BEGIN_MS;
	char *words = (char *)(uintptr_t)take_line(&arena);
	take_line(&arena);
	run_words(&arena, words);
	arena_free(&arena);
	return 0;
}
