/* SPDX-License-Identifier: MIT */
/* Builds what postgres.schema holds on the target, stage by stage, and compares both sides then, as
 * the switch does.
 *
 * usage: finish_schema SOURCE_URL TARGET_URL [SCHEMA...]; prints a line for each difference */
#include "engine/base/arena.h"
#include "engine/base/error.h"
#include "engine/base/value.h"
#include "steps/postgres/database.h"
#include "steps/postgres/held.h"
#include "steps/postgres/schema_compare.h"

#include <libpq-fe.h>
#include <stdio.h>

static PGconn *open_url(struct arena *arena, const char *name, const char *url, struct error *err)
{
	struct database database;

	return database_understand(arena, name, url, &database, err)
	               ? database_open(&database, "test", err)
	               : NULL;
}

static bool finish(PGconn *source, PGconn *target, const struct value *schemas, struct arena *arena,
                   struct error *err)
{
	static const char *const stages[] = {HELD_KEY, HELD_INDEX, HELD_PARENTS, HELD_SWITCH,
	                                     HELD_AFTER};
	struct schema_comparison found = {
		.source = source, .target = target, .schemas = schemas, .extent = SCHEMA_ALL};

	for (size_t i = 0; i < sizeof stages / sizeof *stages; i++)
		if (!held_build(target, stages[i], NULL, NULL, arena, err))
			return false;
	if (!schema_compare(&found, arena, err))
		return false;
	for (const struct value *one = found.differences->as.items.first; one; one = one->next)
		printf("%s %s is %s\n  source: %s\n  target: %s\n", value_get_text(one, "kind", ""),
		       value_get_text(one, "object", ""), value_get_text(one, "what", ""),
		       value_get_text(one, "source", ""), value_get_text(one, "target", ""));
	return true;
}

int main(int argc, char **argv)
{
	struct arena arena = {0};
	struct error err = {0};
	struct value *schemas = value_list(&arena);

	if (argc < 3)
		return 64;
	for (int i = 3; i < argc; i++)
		value_add(schemas, value_text(&arena, argv[i]));
	PGconn *source = open_url(&arena, "source", argv[1], &err);
	PGconn *target = source ? open_url(&arena, "target", argv[2], &err) : NULL;
	bool good = target && finish(source, target, schemas, &arena, &err);
	if (!good)
		printf("error: %s\n", err.text);
	PQfinish(source);
	PQfinish(target);
	arena_free(&arena);
	return good ? 0 : 1;
}
