/* SPDX-License-Identifier: MIT */
/* What a comparison found: how many rows differ, and the first of them by key. */
#include "steps/postgres/discrepancy.h"
#include "engine/base/arena.h"
#include "engine/base/text.h"
#include "engine/base/value.h"

#include <string.h>

/* So much of an error is about single rows; the list is whole in the output of the step. */
#define PRINTED_BYTES 2500

void discrepancy_begin(struct discrepancies *discrepancies, struct arena *arena, size_t limit)
{
	*discrepancies = (struct discrepancies){
		.arena = arena, .limit = limit, .told = value_list(arena), .table = ""};
}

bool discrepancy_is_wanted(const struct discrepancies *discrepancies)
{
	return discrepancies->count < discrepancies->limit;
}

void discrepancy_add(struct discrepancies *discrepancies, const char *table, int64_t rows,
                     const char *text)
{
	if (rows <= 0)
		return;
	discrepancies->rows += rows;
	if (strcmp(discrepancies->table, table) != 0) {
		discrepancies->tables++;
		discrepancies->table = arena_text(discrepancies->arena, table);
	}
	if (!text || !discrepancy_is_wanted(discrepancies))
		return;
	discrepancies->count++;
	value_add(discrepancies->told,
	          value_text_shared(discrepancies->arena,
	                            arena_printf(discrepancies->arena, "%s: %s", table, text)));
}

void discrepancy_forget(struct discrepancies *discrepancies, const struct discrepancies *before)
{
	struct value *told = value_list(discrepancies->arena);
	const struct value *one = discrepancies->told->as.items.first;

	*discrepancies = *before;
	for (size_t i = 0; i < before->count; i++, one = one->next)
		value_add(told, value_text_shared(discrepancies->arena, one->as.text));
	discrepancies->told = told;
}

void discrepancy_print(const struct discrepancies *discrepancies, struct text *out)
{
	size_t printed = 0, from = out->length;

	text_format(out, "%s%lld %s of %zu %s", discrepancies->more ? "at least " : "",
	            (long long)discrepancies->rows, discrepancies->rows == 1 ? "row" : "rows",
	            discrepancies->tables,
	            discrepancies->tables == 1 ? "table differs" : "tables differ");
	for (const struct value *one = discrepancies->told->as.items.first; one; one = one->next) {
		if (out->length - from > PRINTED_BYTES)
			break;
		text_format(out, "%s%s", printed++ ? "; " : ": ", one->as.text);
	}
	if (discrepancies->more || (int64_t)printed < discrepancies->rows)
		text_format(out, "; and %lld more",
		            (long long)(discrepancies->rows - (int64_t)printed));
}
