/* SPDX-License-Identifier: MIT */
/* A shop whose tables are closed and opened: in two schemas, with partitions, inheritance, odd
 * names, a view and a function of its owner's. Roles: owner, granted, stranger. */
#ifndef PLAN_TEST_POSTGRES_SHOP_H
#define PLAN_TEST_POSTGRES_SHOP_H

#include "scene.h"
#include "steps/postgres/fence.h"

#define COUNT(array) (sizeof(array) / sizeof *(array))

enum { SHOP_TABLES = 8, SHOP_FORMS = 8, SHOP_CLOSED = 10 };

extern const char *const shop_tables[SHOP_TABLES]; /* and a view */

/* Every way to write; %1$s is the table. Rows that are there and rows that are not. */
extern const char *const shop_forms[SHOP_FORMS];

/* Set-up of a test: a fresh shop. */
int shop_make(void **state);

struct fence shop_fence(struct scene *scene);

/* Closes and opens it, or fails the test. */
void shop_close(struct scene *scene, struct fence_report *report);
void shop_open(struct scene *scene);

/* The SQLSTATE of one form on one table, in a transaction that is rolled back; "" when it worked.
 */
const char *shop_try(PGconn *connection, const char *form, const char *table, char state[6]);

/* A view takes not every form. */
bool shop_impossible(const char *form, const char *table);

#endif
