/* SPDX-License-Identifier: MIT */
/* The kinds of objects a schema is made of, and how each is read from the catalogs.
 *
 * What the server decides by itself, or writes differently from one major version to another for no
 * reason of the user's, is in no definition. */
#ifndef PLAN_POSTGRES_SCHEMA_KINDS_H
#define PLAN_POSTGRES_SCHEMA_KINDS_H

#include <stdbool.h>

enum {
	KIND_WRITTEN = 1 << 0, /* the definition is SQL the server made from a parse tree: its
	                        * parentheses and qualifications belong to a major version */
	KIND_CLOSED = 1 << 1,  /* more of them on the target than on the source change what an
	                        * object means */
};

struct schema_kind {
	const char *name;
	const char *drop; /* DROP what; NULL: it goes with what it is a part of */
	unsigned flags;

	/* SQL: FROM from WHERE where. */
	const char *from;
	const char *where;  /* NULL: all */
	const char *schema; /* its oid; NULL: it is in none, and dumped with all of them only */
	const char *class, *oid; /* what may belong to an extension, and is left out then: catalog
	                          * and oid */
	const char *identity;    /* as SQL writes it: "public.orders", "public.f(integer)" */
	const char *definition;  /* NULL: being there is all */
	const char *of;          /* the identity of what it is a part of; NULL: it stands alone */
	const char *role;        /* the role it speaks of; NULL */
};

/* Each ends with {0}. */
extern const struct schema_kind schema_types[], schema_functions[], schema_tables[], schema_late[],
	schema_said[], schema_said_late[];

/* All of them, ended by NULL: what others are parts of comes first. */
extern const struct schema_group {
	const struct schema_kind *kinds;
	bool late; /* made after the rows: see held.h */
} schema_groups[];

/* The kind of that name, or NULL. */
const struct schema_kind *schema_kind_find(const char *name);

#endif
