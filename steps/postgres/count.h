/* SPDX-License-Identifier: MIT */
/* How many rows the tables of a database have. */
#ifndef PLAN_POSTGRES_COUNT_H
#define PLAN_POSTGRES_COUNT_H

#include <stdbool.h>

struct error;
struct step;
struct value;

/* Gives the quoted name of each table of the user's, sorted: "public.orders". What replication
 * keeps for itself is none. */
extern const char postgres_tables_sql[];

/* Adds "public.orders" -> number for each table to counts, all as of one moment. Asks between two
 * tables whether to stop. */
bool postgres_count_rows(const char *conninfo, struct step *step, struct value *counts,
                         struct error *err);

#endif
