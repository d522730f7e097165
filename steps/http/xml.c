/* SPDX-License-Identifier: MIT */
/* Reads XML with expat. */
#include "steps/http/xml.h"
#include "engine/base/arena.h"
#include "engine/base/error.h"
#include "engine/base/text.h"

#include <expat.h>
#include <limits.h>
#include <string.h>

enum { DEPTH_MAX = 64, ELEMENTS_MAX = 100000 };

struct reader {
	XML_Parser parser;
	struct arena *arena;
	struct value *open[DEPTH_MAX + 1]; /* open[0] holds the root */
	size_t depth, elements;
	struct text text; /* of the innermost element */
	const char *refused;
};

static void refuse(struct reader *reader, const char *why)
{
	reader->refused = why;
	XML_StopParser(reader->parser, XML_FALSE);
}

/* Names may repeat, as they may not in other maps: readers take the first, or walk all. */
static void append(struct value *map, struct value *item)
{
	if (map->as.items.last)
		map->as.items.last->next = item;
	else
		map->as.items.first = item;
	map->as.items.last = item;
	map->as.items.count++;
}

static void begin_element(void *context, const char *name, const char **attributes)
{
	struct reader *reader = context;

	(void)attributes;
	if (reader->depth == DEPTH_MAX || ++reader->elements > ELEMENTS_MAX) {
		refuse(reader, "it is nested too deep or has too many elements");
		return;
	}
	const char *colon = strrchr(name, ':');
	struct value *element = value_map(reader->arena);
	element->key = arena_text(reader->arena, colon ? colon + 1 : name);
	append(reader->open[reader->depth], element);
	reader->open[++reader->depth] = element;
	text_clear(&reader->text);
}

static void end_element(void *context, const char *name)
{
	struct reader *reader = context;
	struct value *element = reader->open[reader->depth--];

	(void)name;
	if (element->as.items.count == 0) {
		element->kind = VALUE_TEXT;
		element->as.text = arena_text(reader->arena, text_string(&reader->text));
	}
	text_clear(&reader->text);
}

static void take_text(void *context, const char *data, int length)
{
	struct reader *reader = context;

	text_put(&reader->text, data, (size_t)length);
}

/* Entities could make a small reply a huge one. */
static void begin_doctype(void *context, const char *name, const char *system_id,
                          const char *public_id, int has_internal_subset)
{
	(void)name, (void)system_id, (void)public_id, (void)has_internal_subset;
	refuse(context, "it has a document type");
}

static bool parse(struct reader *reader, const char *data, size_t length, struct error *err)
{
	if (length > INT_MAX)
		return fail(err, ERROR_FAILED, "it is too large");
	XML_SetUserData(reader->parser, reader);
	XML_SetElementHandler(reader->parser, begin_element, end_element);
	XML_SetCharacterDataHandler(reader->parser, take_text);
	XML_SetStartDoctypeDeclHandler(reader->parser, begin_doctype);
	if (XML_Parse(reader->parser, data, (int)length, XML_TRUE) == XML_STATUS_OK)
		return true;
	return fail(err, ERROR_FAILED, "line %lu: %s",
	            (unsigned long)XML_GetCurrentLineNumber(reader->parser),
	            reader->refused ? reader->refused
	                            : XML_ErrorString(XML_GetErrorCode(reader->parser)));
}

struct value *xml_read(struct arena *arena, const char *data, size_t length, struct error *err)
{
	struct reader reader = {.arena = arena, .parser = XML_ParserCreate(NULL)};

	reader.open[0] = value_map(arena);
	if (!reader.parser) {
		fail(err, ERROR_RETRY, "out of memory");
		return NULL;
	}
	bool fine = parse(&reader, data, length, err);
	XML_ParserFree(reader.parser);
	text_free(&reader.text);
	return fine ? reader.open[0] : NULL;
}

const char *xml_escape(struct arena *arena, const char *text)
{
	struct text out = {0};

	for (const char *c = text; *c; c++)
		switch (*c) {
		case '&':
			text_add(&out, "&amp;");
			break;
		case '<':
			text_add(&out, "&lt;");
			break;
		case '>':
			text_add(&out, "&gt;");
			break;
		default:
			text_put(&out, c, 1);
		}
	const char *copy = arena_text(arena, text_string(&out));
	text_free(&out);
	return copy;
}
