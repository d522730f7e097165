/* SPDX-License-Identifier: MIT */
/* Transfers of the Data API: copies of databases, and backups. They belong to the step's app. */
#ifndef PLAN_HEROKU_TRANSFER_H
#define PLAN_HEROKU_TRANSFER_H

#include "steps/heroku/client.h"

/* They count on within an app. */
int64_t transfer_number(const struct value *transfer);

/* The newest one for which is_one is true; *newest NULL when there is none. */
bool transfer_find(struct heroku *heroku,
                   bool (*is_one)(const struct value *transfer, const void *context),
                   const void *context, const struct value **newest, struct error *err);

bool transfer_is_finished(const struct value *transfer);

/* It came to its end, and nothing was passed over. */
bool transfer_is_good(const struct value *transfer);

/* True when it is good; else the error says how it ended, with the end of its log, and names it, so
 * that a later try knows that this one was told. */
bool transfer_judge(struct heroku *heroku, const struct value *transfer, struct error *err);

/* False while nobody heard how it ended: a new one is started only by a try after that. */
bool transfer_was_told(const struct step *step, const struct value *transfer);

#endif
