/* SPDX-License-Identifier: MIT */
/* Judges a plan of which one key or value was spoilt. test_mutation.c says which lines count. */
#include "tests/language/mutation.h"
#include "engine/base/arena.h"
#include "engine/base/text.h"
#include "engine/compare.h"
#include "steps/registry.h"

#include <assert.h>
#include <ctype.h>
#include <stdio.h>
#include <string.h>

#define SHOWN_MOST 40

/* ---- Spans ---- */

struct span mutation_span(struct original *original, int index)
{
	const yaml_node_t *node = yaml_document_get_node(&original->document, index);
	struct span span = {node->start_mark.index, node->end_mark.index};
	int last = 0;

	if (node->type == YAML_MAPPING_NODE && node->data.mapping.style != YAML_FLOW_MAPPING_STYLE)
		last = node->data.mapping.pairs.top[-1].value;
	if (node->type == YAML_SEQUENCE_NODE &&
	    node->data.sequence.style != YAML_FLOW_SEQUENCE_STYLE)
		last = node->data.sequence.items.top[-1];
	if (last) /* libyaml ends a block where the next one begins */
		span.end = mutation_span(original, last).end;
	return span;
}

static int line_of(const char *data, size_t offset)
{
	int line = 1;

	for (size_t i = 0; i < offset && data[i]; i++)
		line += data[i] == '\n';
	return line;
}

const char *mutation_scalar(const yaml_node_t *node)
{
	return node->type == YAML_SCALAR_NODE ? (const char *)node->data.scalar.value : "";
}

/* ---- Verdicts ---- */

static bool is_word_byte(char c)
{
	return isalnum((unsigned char)c) || c == '-' || c == '_';
}

static bool line_names(const char *data, int line, const char *name)
{
	size_t length = strlen(name);

	for (; --line > 0; data++)
		data = strchr(data, '\n');
	const char *end = strchr(data, '\n');
	for (const char *at = data; (at = strstr(at, name)) && at < end; at++)
		if (!is_word_byte(at[length]) && (at == data || !is_word_byte(at[-1])))
			return true;
	return false;
}

bool mutation_holds_names(const char *path)
{
	static const char *const sections[] = {"inputs", "secrets", "connections", "windows",
	                                       "steps"};

	for (size_t i = 0; i < sizeof sections / sizeof *sections; i++)
		if (strcmp(path, sections[i]) == 0)
			return true;
	return false;
}

/* One of the names that went with their section. */
static bool line_names_any_of(const struct entry *section, const char *data, int line)
{
	const yaml_node_t *map = section->node;

	if (map->type != YAML_MAPPING_NODE)
		return false;
	for (const yaml_node_pair_t *pair = map->data.mapping.pairs.start;
	     pair < map->data.mapping.pairs.top; pair++)
		if (line_names(
			    data, line,
			    mutation_scalar(yaml_document_get_node(section->document, pair->key))))
			return true;
	return false;
}

static bool is_about_order(const struct entry *entry)
{
	return strcmp(entry->section, "steps") == 0 && strstr(entry->path, ".needs");
}

static bool in_declaration(const struct entry *entry, const struct mutation *mutation,
                           const char *data, int line)
{
	size_t end = entry->declaration.end + strlen(mutation->put) -
	             (mutation->cut.end - mutation->cut.begin);

	return line >= line_of(data, entry->declaration.begin) && line <= line_of(data, end);
}

static bool line_is_allowed(const struct entry *entry, const struct mutation *mutation,
                            const char *data, int line)
{
	int first = line_of(data, entry->key.end ? entry->key.begin : mutation->cut.begin);
	int last = line_of(data, mutation->cut.begin + strlen(mutation->put));

	if (line >= first && line <= last)
		return true;
	if (mutation->removed && (line == line_of(data, entry->holder_key) ||
	                          line == line_of(data, entry->holder_begin)))
		return true;
	if (mutation_holds_names(entry->path))
		return line_names_any_of(entry, data, line);
	if (mutation->removed && strstr(entry->path, ".for_each") && line_names(data, line, "each"))
		return true;
	if (is_about_order(entry) && in_declaration(entry, mutation, data, line))
		return true;
	if (entry->is_name || strcmp(entry->section, "inputs") == 0 || is_about_order(entry))
		return entry->name[0] && line_names(data, line, entry->name);
	return false;
}

static void complain(struct original *original, const struct entry *entry,
                     const struct mutation *mutation, const char *data,
                     const struct problems *problems)
{
	if (original->wrong++ >= SHOWN_MOST)
		return;
	fprintf(stderr, "%s: %s: %s, line %d%s\n", original->file, mutation->what, entry->path,
	        line_of(data, mutation->cut.begin),
	        problems->count ? ", but only these:" : ": it is valid and the same plan");
	for (size_t i = 0; i < problems->count; i++)
		fprintf(stderr, "    %d:%d: %s\n", problems->list[i].at.line,
		        problems->list[i].at.column, problems->list[i].text);
}

/* What `plan diff` would find between the two. */
static size_t count_differences(struct original *original, const struct plan_source *source)
{
	struct plan_options as_written = {.as_written = true};
	struct comparison comparison = {0};
	struct problems problems = {0};
	struct arena arena = {0};
	struct plan plan;

	bool fine = plan_parse(&plan, source, &steps_registry, &as_written, &problems);

	assert(fine);
	(void)fine;
	compare_plans(&comparison, &arena, &original->plan, &plan);
	plan_free(&plan);
	problems_free(&problems);
	arena_free(&arena);
	return comparison.count;
}

/* All of these steps are referred to in the same step: what the references imply. */
static bool are_implied(const struct original *original, const struct entry *entry)
{
	const yaml_node_t *needs = entry->node;
	char reference[160];

	if (needs->type != YAML_SEQUENCE_NODE)
		return false;
	for (const yaml_node_item_t *item = needs->data.sequence.items.start;
	     item < needs->data.sequence.items.top; item++) {
		const char *name = mutation_scalar(yaml_document_get_node(entry->document, *item));
		snprintf(reference, sizeof reference, "${steps.%s.", name);
		const char *at = strstr(original->data + entry->declaration.begin, reference);
		if (!at || at >= original->data + entry->declaration.end)
			return false;
	}
	return true;
}

static bool means_the_same(const struct original *original, const struct entry *entry,
                           const struct mutation *mutation)
{
	static const struct {
		const char *key, *value;
	} implied[] = {{".backoff", "2s to 60s"}, {".equals", "true"}};
	const char *key = strrchr(entry->path, '.');

	if (key && strcmp(key, ".needs") == 0)
		return are_implied(original, entry);
	for (size_t i = 0; key && i < sizeof implied / sizeof *implied; i++)
		if (mutation->removed && strcmp(implied[i].key, key) == 0 &&
		    strcmp(implied[i].value, mutation_scalar(entry->node)) == 0)
			return true;
	return false;
}

static void judge(struct original *original, const struct entry *entry,
                  const struct mutation *mutation, const char *data)
{
	struct plan_source source = {original->file, data, strlen(data)};
	struct problems problems = {0};
	struct plan plan;
	bool well = false;

	original->tried++;
	if (plan_parse(&plan, &source, &steps_registry, NULL, &problems)) {
		original->other++;
		well = strcmp(plan.digest, original->digest) != 0 &&
		       (count_differences(original, &source) > 0 ||
		        means_the_same(original, entry, mutation));
	} else {
		original->refused++;
		for (size_t i = 0; i < problems.count; i++)
			well |= line_is_allowed(entry, mutation, data, problems.list[i].at.line);
	}
	if (!well)
		complain(original, entry, mutation, data, &problems);
	plan_free(&plan);
	problems_free(&problems);
}

void mutation_try(struct original *original, const struct entry *entry,
                  const struct mutation *mutation)
{
	struct text out = {0};

	text_put(&out, original->data, mutation->cut.begin);
	text_add(&out, mutation->put);
	text_add(&out, original->data + mutation->cut.end);
	if (strcmp(text_string(&out), original->data) != 0)
		judge(original, entry, mutation, text_string(&out));
	text_free(&out);
}
