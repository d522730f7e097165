/* SPDX-License-Identifier: MIT */
/* Sums that tell whether a part of a table is the same on both sides, whatever the order of rows.
 *
 * Every row becomes md5 of the text of all its columns, generated ones too; with the settings of
 * our sessions two values have one text only when they are the same (1.0 and 1.00 are two). Two
 * numbers of 64 bits of it are summed up exactly (numeric), beside the count of rows. Rows that
 * differ by accident would have to have sums that agree in all 128 bits: one chance in 3 * 10^38
 * for each part that differs. Against somebody who makes up rows to that end it proves nothing. */
#ifndef PLAN_POSTGRES_CHECKSUM_H
#define PLAN_POSTGRES_CHECKSUM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct arena;
struct error;
struct pair;
struct range;
struct twin;

struct checksum {
	int64_t rows;
	char sums[2][48];
};

/* Of both sides, indexed HERE and THERE. */
bool checksum_take(struct pair *pair, const struct twin *twin, const struct range *range,
                   struct checksum sides[2], struct error *err);

bool checksum_is_equal(const struct checksum *one, const struct checksum *other);

/* Parts of a part: rows whose key begins with the same hexadecimal digits of its md5. */
struct buckets {
	size_t digits;         /* of checksum_digits() */
	int64_t most;          /* rows that shall be looked at */
	const char *differing; /* an array as PostgreSQL reads it: "{0a,f3}" */
	int64_t rows;          /* in those, the larger of both sides */
	int64_t left_out;      /* at least so many rows differ in others, that were too many */
};

/* How many digits, so that a bucket of so many rows is small; 0: they are few already. */
size_t checksum_digits(int64_t rows);

/* Which of the 16^digits buckets differ; those that make more than `most` rows are left out, but
 * for the first. Fill digits and most before. */
bool checksum_buckets(struct pair *pair, const struct twin *twin, const struct range *range,
                      struct buckets *buckets, struct arena *arena, struct error *err);

/* A table of the rows in the range as an item of FROM: "(SELECT ... ) x", with k, the md5 of the
 * key (of the row, when it has none), and r, that of the row. more is added to what it selects. In
 * the arena. */
const char *checksum_rows_sql(const struct twin *twin, int side, const struct range *range,
                              const char *more, struct arena *arena);

#endif
