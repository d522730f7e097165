/* SPDX-License-Identifier: MIT */
/* Every object of a database's schemas, with its definition. */
#ifndef PLAN_POSTGRES_SCHEMA_LIST_H
#define PLAN_POSTGRES_SCHEMA_LIST_H

#include <stdbool.h>
#include <stddef.h>

struct arena;
struct error;
struct names;
struct schema_kind;
struct value;
typedef struct pg_conn PGconn;

/* Which objects. */
enum schema_extent {
	SCHEMA_EARLY, /* what stands before the rows come */
	SCHEMA_ALL,   /* all, when everything that was held is built */
};

struct schema_object {
	const struct schema_kind *kind;
	int order;              /* of its kind */
	const char *identity;   /* quoted where SQL would: "public.orders", "public.f(integer)" */
	const char *definition; /* "" where being there is all */
	const char *of;         /* identity of what it is a part of; NULL */
	const char *role;       /* NULL */
};

/* Sorted by kind, then identity. */
struct schema_list {
	struct schema_object *objects;
	size_t count;
	int version; /* PQserverVersion() */
};

bool schema_list(PGconn *connection, const struct value *schemas, enum schema_extent extent,
                 struct arena *arena, struct schema_list *list, struct error *err);

/* Negative, 0 or positive: the order of the list. */
int schema_object_order(const struct schema_object *one, const struct schema_object *other);

/* The first column of what the query gives; its index is the row's number. */
bool schema_names(PGconn *connection, const char *sql, struct arena *arena, struct names *names,
                  struct error *err);

/* The identities of all in it. */
void schema_identities(const struct schema_list *list, struct arena *arena, struct names *names);

#endif
