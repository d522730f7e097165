/* SPDX-License-Identifier: MIT */
/* Which rows of a part of a table differ, told by their keys.
 *
 * Keys are shown, values of other columns never. A row of a table without a key is told by where it
 * lies (ctid) in the snapshot that was read. */
#ifndef PLAN_POSTGRES_DIFFERENCE_H
#define PLAN_POSTGRES_DIFFERENCE_H

#include <stdbool.h>
#include <stdint.h>

struct error;
struct discrepancies;
struct pair;
struct range;
struct twin;

/* rows: how many there are, about. Some are added to the discrepancies when it returns true, if
 * there are any. */
bool difference_find(struct pair *pair, const struct twin *twin, const struct range *range,
                     int64_t rows, struct discrepancies *discrepancies, struct error *err);

#endif
