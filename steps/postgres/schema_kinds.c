/* SPDX-License-Identifier: MIT */
/* The kinds of objects a schema is made of. */
#include "steps/postgres/schema_kinds.h"

#include <stddef.h>
#include <string.h>

const struct schema_group schema_groups[] = {
	{schema_types, false}, {schema_functions, false}, {schema_tables, false},
	{schema_said, false},  {schema_late, true},       {schema_said_late, true},
	{NULL, false},
};

const struct schema_kind *schema_kind_find(const char *name)
{
	for (const struct schema_group *group = schema_groups; group->kinds; group++)
		for (const struct schema_kind *kind = group->kinds; kind->name; kind++)
			if (strcmp(kind->name, name) == 0)
				return kind;
	return NULL;
}
