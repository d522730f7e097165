/* SPDX-License-Identifier: MIT */
/* Every key and every value of a plan is spoilt, one at a time. Each time the plan is either
 * refused, with a line that lies in what was spoilt, or it is another plan for `plan diff`.
 *
 * Lines that are allowed besides:
 *  - a key was removed: the line where the map that held it begins, or its key;
 *  - a name of the author's was spoilt (an input, secret, connection, window or step), or what an
 *    input says: the lines that use that name; so with all names when their section was spoilt;
 *  - the order of steps was spoilt (`needs`): the lines of that step, and those that name it;
 *  - `for_each` was removed: the lines with ${each}.
 * What may be taken away and means the same (see means_the_same()): what the language would put in
 * its place, and `needs` that a reference implies.
 * usage: test_language_mutation FILE
 */
#include "engine/base/arena.h"
#include "steps/registry.h"
#include "tests/language/mutation.h"

#include <ctype.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* ---- Keys ---- */

/* All lines of a block entry, or in flow the entry with the comma that goes with it. */
static struct span without_trace(const struct original *original, const struct entry *entry)
{
	struct span span = entry->whole;
	const char *data = original->data;
	size_t before = span.begin;

	if (entry->flow) {
		size_t after = span.end + strspn(data + span.end, " ");
		if (data[after] == ',')
			return (struct span){span.begin, after + 1 + strspn(data + after + 1, " ")};
		while (before > 0 && strchr(" ,", data[before - 1]))
			before--;
		return (struct span){before, span.end};
	}
	while (before > 0 && data[before - 1] == ' ')
		before--;
	size_t end = span.end + strcspn(data + span.end, "\n");
	if (before == 0 || data[before - 1] == '\n')
		return (struct span){before, end + (data[end] == '\n')};
	/* The first key after a dash: what follows takes its place. */
	return (struct span){span.begin, end + strspn(data + end, "\n ")};
}

static void spoil_key(struct original *original, const struct entry *entry, struct arena *arena)
{
	const char *whole = arena_text_n(arena, original->data + entry->whole.begin,
	                                 entry->whole.end - entry->whole.begin);
	struct span end_of_key = {entry->key.end, entry->key.end};
	struct span after = {entry->whole.end, entry->whole.end};
	size_t margin = entry->key.begin;
	struct mutation removed = {"key removed", without_trace(original, entry), "", true};

	if (original->data[entry->key.end - 1] == '"')
		end_of_key.begin = --end_of_key.end;
	mutation_try(original, entry, &(struct mutation){"typo in key", end_of_key, "xx", false});
	mutation_try(original, entry, &removed);
	while (margin > 0 && original->data[margin - 1] != '\n')
		margin--;
	const char *again = entry->flow ? arena_printf(arena, ", %s", whole)
	                                : arena_printf(arena, "\n%*s%s",
	                                               (int)(entry->key.begin - margin), "", whole);
	mutation_try(original, entry, &(struct mutation){"key doubled", after, again, false});
}

/* ---- Values ---- */

static void put_value(struct original *original, const struct entry *entry, const char *what,
                      const char *put, struct arena *arena)
{
	/* A block is replaced from its key on, so that what comes stands on the line of the key. */
	size_t key_end = entry->key.end;
	bool block = key_end && entry->value.begin > key_end &&
	             memchr(original->data + key_end, '\n', entry->value.begin - key_end);
	struct span cut = {block ? key_end : entry->value.begin, entry->value.end};

	if (block)
		put = arena_printf(arena, ": %s", put);
	mutation_try(original, entry, &(struct mutation){what, cut, put, false});
}

static void spoil_references(struct original *original, const struct entry *entry,
                             struct arena *arena)
{
	static const char *const kinds[] = {"${inputs.", "${secrets.", "${steps."};
	const char *begin = original->data + entry->value.begin;
	const char *end = original->data + entry->value.end;

	for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
		const char *at = strstr(begin, kinds[i]);
		if (!at || at >= end)
			continue;
		size_t name = (size_t)(at - original->data) + strlen(kinds[i]);
		size_t length = strcspn(original->data + name, ".}");
		mutation_try(
			original, entry,
			&(struct mutation){
				"reference to nothing", {name, name + length}, "nowhere", false});
		if (original->data[name + length] == '.')
			mutation_try(
				original, entry,
				&(struct mutation){"reference to no output",
			                           {name + length + 1,
			                            name + strcspn(original->data + name, "}")},
			                           "nothing",
			                           false});
	}
	const char *text = mutation_scalar(entry->node);
	const char *last = original->plan.steps[original->plan.step_count - 1].name;
	bool goes_back = strncmp(text, "roll back to ", 13) == 0;
	bool step = plan_find(&original->plan, text) && strchr(text, '-');
	if (goes_back || step) {
		const char *before = goes_back ? "roll back to " : "";
		put_value(original, entry, "reference to nothing",
		          arena_printf(arena, "%snowhere-at-all", before), arena);
		if (!strstr(entry->path, ".needs") && !strstr(entry->path, "downtime.begins"))
			put_value(original, entry, "reference to a later step",
			          arena_printf(arena, "%s%s", before, last), arena);
	}
}

static void spoil_numbers(struct original *original, const struct entry *entry, struct arena *arena)
{
	static const char *const numbers[] = {"-1", "0", "99999999999999999999", "1e400"};
	const char *text = mutation_scalar(entry->node);
	const char *unit = text + strspn(text, "0123456789");

	if (!isdigit((unsigned char)*text) ||
	    strspn(unit, "abcdefghijklmnopqrstuvwxyz ") != strlen(unit))
		return;
	for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++)
		put_value(original, entry, "number out of range",
		          arena_printf(arena, "%s%s", numbers[i], unit), arena);
}

static void spoil_value(struct original *original, const struct entry *entry, struct arena *arena)
{
	static const char *const others[] = {"{zzz: 1}", "[zzz]", "12345", "1.5", "true", "zzz"};
	static const char *const empty[] = {"\"\"", "~", "{}", "[]"};

	for (size_t i = 0; i < sizeof others / sizeof *others; i++)
		put_value(original, entry, arena_printf(arena, "value is %s", others[i]), others[i],
		          arena);
	for (size_t i = 0; i < sizeof empty / sizeof *empty; i++)
		put_value(original, entry, arena_printf(arena, "value is %s", empty[i]), empty[i],
		          arena);
	if (entry->node->type != YAML_SCALAR_NODE)
		return;
	spoil_references(original, entry, arena);
	spoil_numbers(original, entry, arena);
}

/* ---- All of them ---- */

static void walk(struct original *original, int index, const struct entry *around);

static void walk_pair(struct original *original, const yaml_node_pair_t *pair, int holder,
                      const struct entry *around)
{
	const yaml_node_t *map = yaml_document_get_node(&original->document, holder);
	const char *key = mutation_scalar(yaml_document_get_node(&original->document, pair->key));
	struct arena arena = {0};
	struct entry entry = {
		.key = mutation_span(original, pair->key),
		.value = mutation_span(original, pair->value),
		.holder = holder,
		.holder_begin = mutation_span(original, holder).begin,
		.holder_key = around->key.begin,
		.document = &original->document,
		.flow = map->data.mapping.style == YAML_FLOW_MAPPING_STYLE,
		.node = yaml_document_get_node(&original->document, pair->value),
		.section = around->section,
		.name = around->name,
		.is_name = mutation_holds_names(around->path),
		.declaration = around->declaration,
	};

	entry.whole = (struct span){entry.key.begin, entry.value.end};
	snprintf(entry.path, sizeof entry.path, "%.120s%s%.120s", around->path,
	         around->path[0] ? "." : "", key);
	if (!around->path[0])
		entry.section = key;
	if (entry.is_name) {
		entry.name = key;
		entry.declaration = entry.whole;
	}
	spoil_key(original, &entry, &arena);
	spoil_value(original, &entry, &arena);
	arena_free(&arena);
	walk(original, pair->value, &entry);
}

static void walk(struct original *original, int index, const struct entry *around)
{
	const yaml_node_t *node = yaml_document_get_node(&original->document, index);

	if (node->type == YAML_MAPPING_NODE)
		for (const yaml_node_pair_t *pair = node->data.mapping.pairs.start;
		     pair < node->data.mapping.pairs.top; pair++)
			walk_pair(original, pair, index, around);
	if (node->type != YAML_SEQUENCE_NODE)
		return;
	for (const yaml_node_item_t *item = node->data.sequence.items.start;
	     item < node->data.sequence.items.top; item++) {
		struct arena arena = {0};
		struct entry entry = *around;
		entry.key = (struct span){0};
		entry.value = entry.whole = mutation_span(original, *item);
		entry.holder = index;
		entry.node = yaml_document_get_node(&original->document, *item);
		entry.is_name = false;
		snprintf(entry.path, sizeof entry.path, "%.200s[%td]", around->path,
		         item - node->data.sequence.items.start);
		spoil_value(original, &entry, &arena);
		arena_free(&arena);
		walk(original, *item, &entry);
	}
}

static void load(struct original *original, const char *file)
{
	struct problems problems = {0};
	struct plan_options as_written = {.as_written = true};
	char path[512];
	yaml_parser_t parser;

	snprintf(path, sizeof path, "%s/plans/%s", PLAN_SOURCE_DIR, file);
	FILE *in = fopen(path, "rb");
	assert_non_null(in);
	original->file = file;
	original->data = calloc(1, (size_t)1 << 20);
	original->length = fread(original->data, 1, ((size_t)1 << 20) - 1, in);
	fclose(in);
	yaml_parser_initialize(&parser);
	yaml_parser_set_input_string(&parser, (unsigned char *)original->data, original->length);
	assert_true(yaml_parser_load(&parser, &original->document));
	yaml_parser_delete(&parser);
	struct plan_source source = {file, original->data, original->length};
	assert_true(plan_parse(&original->plan, &source, &steps_registry, NULL, &problems));
	memcpy(original->digest, original->plan.digest, sizeof original->digest);
	plan_free(&original->plan);
	assert_true(plan_parse(&original->plan, &source, &steps_registry, &as_written, &problems));
	problems_free(&problems);
}

static void spoil_all_of(const char *file)
{
	struct original original = {0};

	load(&original, file);
	walk(&original, 1, &(struct entry){.section = "", .name = ""});
	fprintf(stderr, "%s: %zu spoilt, %zu refused, %zu are other plans, %zu are neither\n", file,
	        original.tried, original.refused, original.other, original.wrong);
	size_t wrong = original.wrong, tried = original.tried;
	plan_free(&original.plan);
	yaml_document_delete(&original.document);
	free(original.data);
	assert_int_equal(wrong, 0);
	assert_true(tried > 200);
}

static void every_key_and_value_counts(void **state)
{
	spoil_all_of(*state);
}

int main(int argc, char **argv)
{
	char fallback[] = "region-migration.yaml", *file = argc > 1 ? argv[1] : fallback;
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_prestate(every_key_and_value_counts, file),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
