/* SPDX-License-Identifier: MIT */
/* Reads YAML event by event: limits are checked before the next event is asked for. */
#include "engine/yaml.h"
#include "engine/base/names.h"

#include <ctype.h>
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <yaml.h>

#define BYTE_ORDER_MARK "\xef\xbb\xbf"

/* Words of at most this length that came by lately are kept only once. */
#define WORD_BYTES 32
#define WORDS 2048

struct reader {
	yaml_parser_t parser;
	struct arena *arena;
	struct problems *problems;
	const char *data;
	size_t length;
	size_t fed, fed_at_event; /* bytes that libyaml has, and that it had at the last event */
	size_t events, depth;
	/* Of the part that is being read: all that is no step, or one step. */
	struct part {
		size_t events, bytes;
	} head, step;
	size_t last_index; /* where the last event began */
	bool in_steps;
	bool too_silent; /* YAML_SILENT_BYTES without an event */
	bool broken;     /* no use in reading on */
	const char *words[WORDS];
};

/* libyaml knows no limits: it would take a text of any length before it says so. */
static int feed(void *context, unsigned char *buffer, size_t size, size_t *size_read)
{
	struct reader *reader = context;
	size_t left = reader->length - reader->fed;

	reader->too_silent = reader->fed - reader->fed_at_event > YAML_SILENT_BYTES;
	if (reader->too_silent)
		return 0;
	*size_read = left < size ? left : size;
	memcpy(buffer, reader->data + reader->fed, *size_read);
	reader->fed += *size_read;
	return 1;
}

static struct place place_of(const yaml_mark_t *mark)
{
	return (struct place){(int)mark->line + 1, (int)mark->column + 1};
}

static struct place place_in(const char *data, size_t offset)
{
	struct place at = {1, 1};

	for (const char *c = data; c < data + offset; c++) {
		at.column = *c == '\n' ? 1 : at.column + 1;
		at.line += *c == '\n';
	}
	return at;
}

static bool give_up(struct reader *reader, const yaml_mark_t *mark, const char *text)
{
	problems_add(reader->problems, place_of(mark), "%s", text);
	reader->broken = true;
	return false;
}

static void not_yaml(struct reader *reader)
{
	const char *problem = reader->parser.problem ? reader->parser.problem : "not readable";
	const char *context = reader->parser.context;
	struct place at = reader->parser.error == YAML_READER_ERROR
	                          ? place_in(reader->data, reader->parser.problem_offset)
	                          : place_of(&reader->parser.problem_mark);

	if (reader->too_silent)
		problems_add(reader->problems, place_of(&reader->parser.mark),
		             "a text (longer than 64 KiB) or a comment goes on and on here; put it "
		             "in a file");
	else
		problems_add(reader->problems, at, "this is not YAML: %s%s%s", problem,
		             context ? " " : "", context ? context : "");
	reader->broken = true;
}

/* Counts the event to the part it stands in; false and the reason when that is too much. */
static const char *too_much(struct reader *reader, const yaml_event_t *event)
{
	bool in_step = reader->in_steps && reader->depth >= 2;
	struct part *part = in_step ? &reader->step : &reader->head;

	part->bytes += event->end_mark.index - reader->last_index;
	part->events++;
	reader->last_index = event->end_mark.index;
	if (++reader->events > YAML_EVENTS)
		return "the file has more than 2,500,000 parts; split the plan";
	if (part->events > YAML_PART_EVENTS)
		return in_step ? "this step has more than 100,000 parts; split it"
		               : "there are more than 100,000 parts outside of `steps`; "
		                 "split the plan";
	if (part->bytes > YAML_PART_BYTES)
		return in_step ? "this step is larger than 1 MiB; split it"
		               : "what stands outside of `steps` is larger than 1 MiB; "
		                 "split the plan";
	return NULL;
}

static bool next_event(struct reader *reader, yaml_event_t *event)
{
	if (reader->broken)
		return false;
	if (!yaml_parser_parse(&reader->parser, event)) {
		not_yaml(reader);
		return false;
	}
	reader->fed_at_event = reader->fed;
	const char *why = too_much(reader, event);
	if (!why && !problems_full(reader->problems))
		return true;
	if (why)
		give_up(reader, &event->start_mark, why);
	reader->broken = true;
	yaml_event_delete(event);
	return false;
}

/* ---- Scalars: the core schema of YAML 1.2 ---- */

static bool is_one_of(const char *text, const char *const *words)
{
	for (; *words; words++)
		if (strcmp(text, *words) == 0)
			return true;
	return false;
}

static bool read_integer(const char *text, int64_t *number)
{
	const char *digits = text + (*text == '-' || *text == '+');
	int base = 10;
	char *end;

	if (strncmp(digits, "0x", 2) == 0 || strncmp(digits, "0o", 2) == 0) {
		base = digits[1] == 'x' ? 16 : 8;
		digits += 2;
		if (digits - text != 2)
			return false;
	}
	if (!isxdigit((unsigned char)*digits))
		return false;
	errno = 0;
	*number = strtoll(base == 10 ? text : digits, &end, base);
	return errno == 0 && *end == '\0';
}

static bool read_real(const char *text, double *real)
{
	char *end;

	if (strspn(text, "0123456789+-.eE") != strlen(text) || !strpbrk(text, "0123456789"))
		return false;
	*real = strtod(text, &end);
	return *end == '\0' && isfinite(*real);
}

/* A copy in the arena, or the one that is there already. */
static const char *keep_word(struct reader *reader, const char *text, size_t length)
{
	size_t hash = length;

	if (length > WORD_BYTES)
		return arena_text_n(reader->arena, text, length);
	for (size_t i = 0; i < length; i++)
		hash = hash * 31 + (unsigned char)text[i];
	const char **word = &reader->words[hash % WORDS];
	if (!*word || strcmp(*word, text) != 0)
		*word = arena_text_n(reader->arena, text, length);
	return *word;
}

static struct value *read_plain(struct reader *reader, const char *text, size_t length)
{
	struct arena *arena = reader->arena;
	static const char *const nulls[] = {"", "~", "null", "Null", "NULL", NULL};
	static const char *const truths[] = {"true", "True", "TRUE", NULL};
	static const char *const lies[] = {"false", "False", "FALSE", NULL};
	int64_t number;
	double real;

	if (is_one_of(text, nulls))
		return value_null(arena);
	if (is_one_of(text, truths) || is_one_of(text, lies))
		return value_bool(arena, is_one_of(text, truths));
	if (read_integer(text, &number))
		return value_number(arena, number);
	if (read_real(text, &real))
		return value_real(arena, real);
	return value_text_shared(arena, keep_word(reader, text, length));
}

static bool check_scalar(struct reader *reader, const yaml_event_t *event)
{
	const char *text = (const char *)event->data.scalar.value;
	size_t length = event->data.scalar.length;

	if (length > YAML_SCALAR_BYTES)
		return give_up(reader, &event->start_mark,
		               "a text is longer than 64 KiB; put it in a file");
	if (strlen(text) != length)
		return give_up(reader, &event->start_mark,
		               "a text holds a NUL character; take it out");
	return true;
}

static struct value *read_scalar(struct reader *reader, const yaml_event_t *event)
{
	const char *text = (const char *)event->data.scalar.value;
	size_t length = event->data.scalar.length;

	if (!check_scalar(reader, event))
		return NULL;
	if (event->data.scalar.style == YAML_PLAIN_SCALAR_STYLE)
		return read_plain(reader, text, length);
	return value_text_shared(reader->arena, keep_word(reader, text, length));
}

/* ---- Trees ---- */

static struct value *read_node(struct reader *reader, yaml_event_t *event);

static void refuse_extras(struct reader *reader, const yaml_event_t *event,
                          const yaml_char_t *anchor, const yaml_char_t *tag)
{
	struct place at = place_of(&event->start_mark);

	if (anchor)
		problems_add(reader->problems, at,
		             "anchors (&%s) are not part of the plan language; write the value out",
		             (const char *)anchor);
	if (tag)
		problems_add(reader->problems, at,
		             "tags (%s) are not part of the plan language; take it away",
		             (const char *)tag);
}

static bool deeper(struct reader *reader, const yaml_event_t *event)
{
	if (++reader->depth <= YAML_DEPTH)
		return true;
	return give_up(reader, &event->start_mark, "this is nested deeper than 64 levels");
}

static void read_items(struct reader *reader, struct value *list)
{
	yaml_event_t event;

	while (next_event(reader, &event)) {
		bool over = event.type == YAML_SEQUENCE_END_EVENT;
		struct value *item = over ? NULL : read_node(reader, &event);
		yaml_event_delete(&event);
		if (over)
			return;
		if (item)
			value_add(list, item);
	}
}

/* Steps are the entries of `steps` in the outermost map. */
static struct value *read_value_of(struct reader *reader, const char *key)
{
	struct value *item = NULL;
	yaml_event_t event;

	if (reader->in_steps && reader->depth == 2)
		reader->step = (struct part){0};
	if (next_event(reader, &event)) {
		bool outermost = reader->depth == 1;
		if (outermost)
			reader->in_steps =
				event.type == YAML_MAPPING_START_EVENT && strcmp(key, "steps") == 0;
		item = read_node(reader, &event);
		reader->in_steps = reader->in_steps && !outermost;
		yaml_event_delete(&event);
	}
	return item;
}

static void read_entry(struct reader *reader, struct value *map, const yaml_event_t *key)
{
	if (key->type != YAML_SCALAR_EVENT) {
		give_up(reader, &key->start_mark, "a key must be a plain word");
		return;
	}
	if (!check_scalar(reader, key))
		return;
	const char *name =
		keep_word(reader, (const char *)key->data.scalar.value, key->data.scalar.length);
	struct place at = place_of(&key->start_mark);
	struct value *item = read_value_of(reader, name);
	if (!item)
		return;
	item->key = name;
	item->key_at = at;
	value_add(map, item);
}

static void written_twice(struct reader *reader, const struct value *item, int first_line)
{
	problems_add(reader->problems, item->key_at,
	             "%s is written twice, first in line %d; keep one", item->key, first_line);
}

static void refuse_duplicates_among_few(struct reader *reader, const struct value *map)
{
	for (const struct value *item = map->as.items.first; item; item = item->next)
		for (const struct value *first = map->as.items.first; first != item;
		     first = first->next)
			if (strcmp(first->key, item->key) == 0) {
				written_twice(reader, item, first->key_at.line);
				break;
			}
}

static void refuse_duplicates(struct reader *reader, const struct value *map)
{
	struct arena scratch = {0};
	struct names names = {0};
	size_t line;

	if (map->as.items.count <= 8) {
		refuse_duplicates_among_few(reader, map);
		return;
	}
	names_begin(&names, &scratch, map->as.items.count);
	for (const struct value *item = map->as.items.first; item; item = item->next)
		if (!names_add(&names, item->key, (size_t)item->key_at.line, &line))
			written_twice(reader, item, (int)line);
	arena_free(&scratch);
}

static void read_entries(struct reader *reader, struct value *map)
{
	yaml_event_t event;

	while (next_event(reader, &event)) {
		bool over = event.type == YAML_MAPPING_END_EVENT;
		if (!over)
			read_entry(reader, map, &event);
		yaml_event_delete(&event);
		if (over)
			break;
	}
	if (!reader->broken)
		refuse_duplicates(reader, map);
}

static struct value *read_collection(struct reader *reader, const yaml_event_t *event, bool map)
{
	struct value *value = map ? value_map(reader->arena) : value_list(reader->arena);

	if (!deeper(reader, event))
		return NULL;
	if (map)
		read_entries(reader, value);
	else
		read_items(reader, value);
	reader->depth--;
	return reader->broken ? NULL : value;
}

static struct value *read_node(struct reader *reader, yaml_event_t *event)
{
	struct value *value = NULL;
	struct place at = place_of(&event->start_mark);

	switch (event->type) {
	case YAML_SCALAR_EVENT:
		refuse_extras(reader, event, event->data.scalar.anchor, event->data.scalar.tag);
		value = read_scalar(reader, event);
		break;
	case YAML_SEQUENCE_START_EVENT:
		refuse_extras(reader, event, event->data.sequence_start.anchor,
		              event->data.sequence_start.tag);
		value = read_collection(reader, event, false);
		break;
	case YAML_MAPPING_START_EVENT:
		refuse_extras(reader, event, event->data.mapping_start.anchor,
		              event->data.mapping_start.tag);
		value = read_collection(reader, event, true);
		break;
	case YAML_ALIAS_EVENT:
		problems_add(reader->problems, at,
		             "aliases (*%s) are not part of the plan language; write the value out",
		             (const char *)event->data.alias.anchor);
		value = value_null(reader->arena);
		break;
	case YAML_NO_EVENT:
	case YAML_STREAM_START_EVENT:
	case YAML_STREAM_END_EVENT:
	case YAML_DOCUMENT_START_EVENT:
	case YAML_DOCUMENT_END_EVENT:
	case YAML_SEQUENCE_END_EVENT:
	case YAML_MAPPING_END_EVENT:
		give_up(reader, &event->start_mark, "a value is missing here");
		break;
	}
	if (value)
		value->at = at;
	return value;
}

static bool skip_to_document(struct reader *reader)
{
	yaml_event_t event;

	while (next_event(reader, &event)) {
		yaml_event_type_t type = event.type;
		yaml_event_delete(&event);
		if (type == YAML_DOCUMENT_START_EVENT)
			return true;
		if (type == YAML_STREAM_END_EVENT)
			break;
	}
	if (!reader->broken)
		problems_add(reader->problems, (struct place){1, 1},
		             "the file is empty; a plan begins with `plan: 1`");
	return false;
}

static void refuse_second_document(struct reader *reader)
{
	yaml_event_t event;

	while (next_event(reader, &event)) {
		yaml_event_type_t type = event.type;
		if (type == YAML_DOCUMENT_START_EVENT)
			give_up(reader, &event.start_mark,
			        "a second document begins here; a file holds one plan");
		yaml_event_delete(&event);
		if (type == YAML_STREAM_END_EVENT)
			return;
	}
}

static bool check_bytes(const char *data, size_t length, struct problems *problems)
{
	struct place first = {1, 1};

	if (length > YAML_BYTES) {
		problems_add(problems, first, "the file is larger than 32 MiB; split the plan");
		return false;
	}
	if (length >= 2 && ((unsigned char)data[0] >= 0xfe || data[0] == '\0' || data[1] == '\0')) {
		problems_add(problems, first,
		             "the file is not UTF-8 (UTF-16 perhaps); save it as UTF-8");
		return false;
	}
	const char *nul = memchr(data, '\0', length);
	if (nul) {
		problems_add(problems, place_in(data, (size_t)(nul - data)),
		             "a NUL character; a plan is text, take it out");
		return false;
	}
	return true;
}

struct value *yaml_read(struct arena *arena, const char *data, size_t length,
                        struct problems *problems)
{
	struct value *root = NULL;
	yaml_event_t event;

	if (!check_bytes(data, length, problems))
		return NULL;
	if (length >= 3 && memcmp(data, BYTE_ORDER_MARK, 3) == 0) {
		data += 3;
		length -= 3;
	}
	struct reader reader = {
		.arena = arena, .problems = problems, .data = data, .length = length};
	if (!yaml_parser_initialize(&reader.parser))
		return NULL;
	yaml_parser_set_encoding(&reader.parser, YAML_UTF8_ENCODING);
	yaml_parser_set_input(&reader.parser, feed, &reader);
	if (skip_to_document(&reader) && next_event(&reader, &event)) {
		root = read_node(&reader, &event);
		yaml_event_delete(&event);
		refuse_second_document(&reader);
	}
	yaml_parser_delete(&reader.parser);
	return reader.broken ? NULL : root;
}
