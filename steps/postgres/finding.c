/* SPDX-License-Identifier: MIT */
/* What was found wrong or worth knowing before a migration, and how it is told. */
#include "steps/postgres/finding.h"
#include "engine/base/text.h"
#include "engine/base/value.h"

#include <string.h>

enum { TOLD_OF_ONE_ID = 3 };

static const char *const level_names[FINDING_LEVELS] = {
	[FINDING_NOTE] = "note",
	[FINDING_WARNING] = "warning",
	[FINDING_BLOCKER] = "blocker",
};

void finding_add(struct arena *arena, struct value *list, const struct finding *finding)
{
	struct value *map = value_map(arena);

	value_set_text(arena, map, "id", finding->id);
	value_set_text(arena, map, "level", level_names[finding->level]);
	value_set_text(arena, map, "side", finding->side);
	value_set_text(arena, map, "object", finding->object);
	value_set_text(arena, map, "text", finding->text);
	value_set_text(arena, map, "remedy", finding->remedy);
	value_set_bool(arena, map, "stops", finding->stops);
	value_add(list, map);
}

static bool is_chosen(const struct value *finding, struct finding_choice choice)
{
	const char *level = value_get_text(finding, "level", "");

	for (enum finding_level one = choice.least; one <= choice.most; one++)
		if (strcmp(level, level_names[one]) == 0)
			return value_get_bool(finding, "stops", false) == choice.stops;
	return false;
}

static bool are_alike(const struct value *a, const struct value *b)
{
	return strcmp(value_get_text(a, "id", ""), value_get_text(b, "id", "")) == 0 &&
	       strcmp(value_get_text(a, "side", ""), value_get_text(b, "side", "")) == 0;
}

static size_t count_alike(const struct value *from, const struct value *end,
                          const struct value *like, struct finding_choice choice)
{
	size_t count = 0;

	for (; from != end; from = from->next)
		count += is_chosen(from, choice) && are_alike(from, like);
	return count;
}

size_t finding_tell(const struct value *list, struct finding_choice choice, struct text *out)
{
	size_t count = 0;

	for (const struct value *one = list->as.items.first; one; one = one->next) {
		size_t before = count_alike(list->as.items.first, one, one, choice);
		const char *remedy = value_get_text(one, "remedy", "");
		if (!is_chosen(one, choice))
			continue;
		count++;
		if (before < TOLD_OF_ONE_ID)
			text_format(out, "%s%s: %s [%s]%s%s", count > 1 ? "; " : "",
			            value_get_text(one, "side", ""),
			            value_get_text(one, "text", ""), value_get_text(one, "id", ""),
			            remedy[0] ? " -> " : "", remedy);
		else if (before == TOLD_OF_ONE_ID)
			text_format(out, "; and %zu more of %s",
			            count_alike(one, NULL, one, choice),
			            value_get_text(one, "id", ""));
	}
	return count;
}
