/* SPDX-License-Identifier: MIT */
/* The privileges of a dump as the target can have them. */
#include "steps/postgres/grants.h"
#include "engine/base/arena.h"
#include "engine/base/error.h"
#include "engine/base/text.h"
#include "engine/base/value.h"
#include "steps/postgres/lex.h"
#include "steps/postgres/query.h"
#include "steps/postgres/schema_list.h"

#include <libpq-fe.h>
#include <string.h>

bool grants_read(struct grants *grants, PGconn *source, PGconn *target, struct arena *arena,
                 struct error *err)
{
	*grants = (struct grants){.arena = arena, .left_out = value_list(arena)};
	return query_text(source, "SELECT current_user", arena, &grants->source_user, err) &&
	       query_text(target, "SELECT current_user", arena, &grants->target_user, err) &&
	       schema_names(target, "SELECT rolname FROM pg_roles", arena, &grants->roles, err) &&
	       schema_names(target, "SELECT rolname FROM pg_roles WHERE pg_has_role(oid, 'MEMBER')",
	                    arena, &grants->ours, err);
}

static bool is_in(const struct names *names, const char *name)
{
	size_t index;

	return name && names_find(names, name, &index);
}

/* Behind the last TO of a grant, or FROM of what is taken back. */
static bool is_for_known(const struct grants *grants, const char *sql)
{
	const char *at = sql;
	bool taken = lex_skip(&at, "REVOKE");

	if (!lex_find(&at, taken ? "FROM" : "TO"))
		return false;
	if (lex_skip(&at, "PUBLIC"))
		return true;
	const char *role = lex_name(&at, grants->arena);
	return is_in(&grants->roles, role) && strcmp(role, grants->target_user) != 0 &&
	       !(taken && strcmp(role, grants->source_user) == 0);
}

/* What future objects get depends on who makes them. NULL: nobody here. */
static const char *carry_default(const struct grants *grants, const char *sql)
{
	const char *at = sql;

	if (!lex_skip(&at, "ALTER DEFAULT PRIVILEGES FOR ROLE"))
		return NULL;
	const char *maker = lex_name(&at, grants->arena), *rest = at;
	if (!maker || (!lex_find(&at, "GRANT") && !lex_find(&at, "REVOKE")))
		return NULL;
	while (at > rest && at[-1] != ' ' && at[-1] != '\n')
		at--;
	if (!is_for_known(grants, at))
		return NULL;
	if (strcmp(maker, grants->source_user) == 0)
		return arena_printf(grants->arena, "ALTER DEFAULT PRIVILEGES%s", rest);
	return is_in(&grants->ours, maker) ? sql : NULL;
}

static const char *carry(const struct grants *grants, const char *sql)
{
	const char *at = sql;

	if (lex_skip(&at, "ALTER DEFAULT"))
		return carry_default(grants, sql);
	return is_for_known(grants, sql) ? sql : NULL;
}

/* Who granted it: around some grants of a dump. */
static bool is_about_grantor(const char *sql)
{
	return lex_skip(&sql, "SET SESSION AUTHORIZATION") ||
	       lex_skip(&sql, "RESET SESSION AUTHORIZATION");
}

const char *grants_carry(struct grants *grants, const char *sql)
{
	struct text out = {0};
	const char *statement;

	while ((statement = lex_statement(&sql, grants->arena))) {
		const char *carried = carry(grants, statement);
		if (is_about_grantor(statement))
			continue;
		if (carried)
			text_format(&out, "%s\n", carried);
		else
			value_add(grants->left_out, value_text(grants->arena, statement));
	}
	const char *copy = arena_text(grants->arena, text_string(&out));
	text_free(&out);
	return copy;
}
