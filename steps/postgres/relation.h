/* SPDX-License-Identifier: MIT */
/* The tables of a database as replication sees them: ordinary tables and leaves of partitioned
 * ones, each with the columns that are copied and the key by which its rows are told apart.
 *
 * Left out: tables that belong to an extension, foreign and temporary ones, the system's, and our
 * own. */
#ifndef PLAN_POSTGRES_RELATION_H
#define PLAN_POSTGRES_RELATION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct arena;
struct error;
struct value;
typedef struct pg_conn PGconn;

/* The schema of all that is ours, on both sides; nothing of ours lies elsewhere but triggers, whose
 * names begin with OUR_PREFIX. */
#define OUR_SCHEMA "plan_replication"
#define OUR_PREFIX "zz_plan_"

/* One that is not dropped. */
struct column {
	const char *name;
	const char *quoted; /* "name", in quotes */
	const char
		*type; /* as DDL says it, a domain replaced by what it stands on: "numeric(10,2)" */
	const char *log_type; /* of a key column in the log: bigint for every integer, else `type`
	                       * with its collation */
	const char
		*equals; /* of a key column: the equality of its index, "OPERATOR(pg_catalog.=)" */
	bool key;
	bool generated; /* not copied: the other side computes it; may be part of the key all the
	                   same */
};

struct relation {
	unsigned oid; /* where it was read */
	const char *schema, *name;
	const char *quoted;  /* "schema"."name", in quotes */
	const char *literal; /* the same as a string of SQL: '"schema"."name"' */
	struct column *columns;
	size_t column_count;
	const struct column **key; /* in the order of the key */
	size_t key_count; /* 0: no usable key; rows are told apart by the class of their text */
	const char *key_index; /* the unique index or constraint that the key comes from; NULL */
	bool binary;           /* every type is safe in binary COPY between databases */
	bool unlogged;
	bool partition; /* a leaf of a partitioned table */
	int64_t pages;  /* size of its heap now, in pages of 8 KiB */
	int64_t bytes;  /* with TOAST, without indexes */
	int64_t rows;   /* the planner's estimate; -1: not known */
	struct relation *next;
};

struct relations {
	struct relation *first, *last;
	size_t count;
};

/* All of the schemas, sorted by schema and name. schemas is a LIST of names; a list that holds
 * "all", or NULL, means every schema of the user's. ERROR_PLAN for a schema that does not exist. */
bool relation_list(PGconn *connection, const struct value *schemas, struct arena *arena,
                   struct relations *relations, struct error *err);

/* The one of that schema and name, or NULL. */
struct relation *relation_find(const struct relations *relations, const char *schema,
                               const char *name);

/* A condition in SQL that is true for namespaces n of the list (see relation_list()): "n.nspname IN
 * (...)", to be put behind WHERE or AND. In the arena. */
const char *relation_schemas_sql(PGconn *connection, const struct value *schemas,
                                 struct arena *arena);

/* `"a", "b"` of what is copied; prefix such as "t." is put before each, and may be "". In the
 * arena. */
const char *relation_columns_sql(const struct relation *relation, const char *prefix,
                                 struct arena *arena);

/* The class of a row of a table without a key, as an expression: md5(ROW(t."a", ...)::text). */
const char *relation_class_sql(const struct relation *relation, const char *prefix,
                               struct arena *arena);

#endif
