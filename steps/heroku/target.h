/* SPDX-License-Identifier: MIT */
/* Where the value of a config var leads: whether it is another way to write the connection URL of
 * an add-on. Copied to another app, such a value would let it write to the old app's data. */
#ifndef PLAN_HEROKU_TARGET_H
#define PLAN_HEROKU_TARGET_H

#include <stdbool.h>

/* Whether something in text leads to the same server and database as url: a URL of any scheme, also
 * within JDBC's or one of several; libpq's keywords and values; or the host alone, with or without
 * port and database. Case of host and scheme, user, password, options, and a default port that is
 * or is not written do not matter. Addresses are not resolved. */
bool target_is_same(const char *text, const char *url);

/* Whether text holds the password of url, where that is long enough to be one by itself. */
bool target_holds_password(const char *text, const char *url);

#endif
