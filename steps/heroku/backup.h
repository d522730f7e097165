/* SPDX-License-Identifier: MIT */
/* A logical backup of a database, which stays with the app. */
#ifndef PLAN_HEROKU_BACKUP_H
#define PLAN_HEROKU_BACKUP_H

#include "steps/heroku/client.h"

/* The number of the app's newest transfer, -1 for none: backups after it are ours. */
bool backup_last(struct heroku *heroku, int64_t *last, struct error *err);

/* Captures one of the add-on, or goes on with that of an earlier try; true when it is finished,
 * without warnings, and holds something. */
bool backup_capture(struct heroku *heroku, const struct value *addon, int64_t last,
                    struct error *err);

#endif
