/* SPDX-License-Identifier: MIT */
/* Rows flow from one server to another: what COPY TO gives goes into COPY FROM as it comes, a row
 * at a time, so that memory does not depend on the size of anything but one row. */
#ifndef PLAN_POSTGRES_PUMP_H
#define PLAN_POSTGRES_PUMP_H

#include <stdbool.h>
#include <stdint.h>

struct error;
typedef struct pg_conn PGconn;

struct pump {
	int64_t bytes_per_second; /* at most; 0: as fast as it goes */
	int64_t rows, bytes;      /* of the last call */
};

/* After a failure both connections are of no further use: in the middle of a COPY, or lost. */
bool pump_copy(struct pump *pump, PGconn *from, const char *copy_to, PGconn *to,
               const char *copy_from, struct error *err);

#endif
