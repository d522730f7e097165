/* SPDX-License-Identifier: MIT */
/* In which columns of their keys two databases agree about the order.
 *
 * Numbers, times, uuids and bytes have one order everywhere. Texts have that of a collation, which
 * differs between operating systems and their releases: it counts as the same when both sides name
 * the same provider, locale and version, or when both go by bytes. */
#ifndef PLAN_POSTGRES_TWIN_ORDER_H
#define PLAN_POSTGRES_TWIN_ORDER_H

#include <stdbool.h>

struct arena;
struct error;
struct twins;
typedef struct pg_conn PGconn;

/* Fills `ordered` and `convert` of every twin. */
bool twin_order_find(struct twins *twins, PGconn *const sides[2], struct arena *arena,
                     struct error *err);

#endif
