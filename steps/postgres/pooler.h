/* SPDX-License-Identifier: MIT */
/* Whether a connection leads through a pooler that gives each transaction another server process.
 *
 * Everything that is kept in a session would be lost there, and what we set would be left in
 * sessions of the application. */
#ifndef PLAN_POSTGRES_POOLER_H
#define PLAN_POSTGRES_POOLER_H

#include <stdbool.h>

struct database;
struct error;

/* *why is a constant text, or NULL when it leads to a server. Sets nothing there. */
bool pooler_probe(const struct database *database, const char **why, struct error *err);

#endif
