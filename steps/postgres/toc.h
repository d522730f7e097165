/* SPDX-License-Identifier: MIT */
/* What pg_restore prints, split into the entries of the archive by the comments between them:
 * "-- Name: ...; Type: ...; Schema: ...; Owner: ...". */
#ifndef PLAN_POSTGRES_TOC_H
#define PLAN_POSTGRES_TOC_H

#include <stdbool.h>

struct arena;
struct error;

struct toc_entry {
	const char *type;   /* "TABLE", "FK CONSTRAINT" */
	const char *schema; /* "" for what is in none */
	const char *name;   /* as pg_dump says it: of a constraint "table constraint" */
	const char *sql;    /* its statements, without comments */
	struct toc_entry *next;
};

/* The entries in their order. What comes before the first, which is settings of the session, is
 * left out. False, with ERROR_FAILED, for a comment of another shape. */
bool toc_read(const char *text, struct arena *arena, struct toc_entry **first, struct error *err);

/* "INDEX public.orders_at", for messages. */
const char *toc_title(const struct toc_entry *entry, struct arena *arena);

#endif
