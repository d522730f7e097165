/* SPDX-License-Identifier: MIT */
/* Makes new inputs for fuzz_reply: most often one value of a JSON or XML body becomes another, for
 * bytes changed at random seldom leave a body that is read to its end. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

size_t LLVMFuzzerMutate(uint8_t *data, size_t size, size_t most);
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t most, unsigned seed);

static const char *const values[] = {
	"null",
	"true",
	"false",
	"0",
	"-1",
	"9223372036854775807",
	"1e308",
	"\"\"",
	"\"x\"",
	"\"..\"",
	"\"a/b?c=d&e#f %00\\r\\n\"",
	"\"secret-of-token\"",
	"\"\\u00e9\\ud83d\\ude00\"",
	"[]",
	"{}",
	"[null]",
	"[[1],{\"id\":2}]",
	"{\"id\":null,\"name\":\"x\"}",
};

/* The value that begins there: a string, a number, or all up to the bracket that closes it. */
static size_t length_of(const uint8_t *at, const uint8_t *end)
{
	const uint8_t *from = at;
	size_t depth = 0;

	for (; at < end; at++) {
		if (*at == '"')
			for (at++; at < end && *at != '"'; at++)
				at += *at == '\\';
		else if (*at == '[' || *at == '{')
			depth++;
		else if (*at == ']' || *at == '}' || *at == ',' || *at == '\n' || *at == '<')
			depth -= depth && (*at == ']' || *at == '}');
		else
			continue;
		if (depth == 0)
			break;
	}
	if (at >= end)
		return (size_t)(end - from);
	return (size_t)(at - from) + (*at == '"' || *at == ']' || *at == '}');
}

/* Where a value begins, at `from` or behind; NULL when none does. */
static uint8_t *find_value(uint8_t *from, const uint8_t *end)
{
	for (; from < end; from++)
		if (strchr(":[,>", *from) && *from)
			return from + 1 < end ? from + 1 : NULL;
	return NULL;
}

static size_t put(uint8_t *data, size_t size, size_t most, uint8_t *at, const char *value)
{
	size_t old = length_of(at, data + size), new = strlen(value);

	if (size - old + new > most)
		return size;
	memmove(at + new, at + old, (size_t)(data + size - at) - old);
	memcpy(at, value, new);
	return size - old + new;
}

size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t most, unsigned seed)
{
	uint8_t *at = size ? find_value(data + seed / 7 % size, data + size) : NULL;

	if (!at || seed % 7 == 0)
		return LLVMFuzzerMutate(data, size, most);
	srand(seed);
	size = put(data, size, most, at, values[(size_t)rand() % (sizeof values / sizeof *values)]);
	return rand() % 4 ? size : LLVMFuzzerCustomMutator(data, size, most, (unsigned)rand());
}
