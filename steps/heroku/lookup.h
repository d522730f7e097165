/* SPDX-License-Identifier: MIT */
/* What several modules look up at Heroku: apps, add-ons, attachments, databases, releases. */
#ifndef PLAN_HEROKU_LOOKUP_H
#define PLAN_HEROKU_LOOKUP_H

#include "steps/heroku/client.h"

/* The app of that name, *app NULL when there is none. The first id met is pinned for the run. */
bool lookup_app(struct heroku *heroku, const char *name, struct value **app, struct error *err);

/* The same; an app that is not there is an error, except while looking, when it may come later. */
bool lookup_app_needed(struct heroku *heroku, const char *name, struct value **app,
                       struct error *err);

/* The field of that name as text, NULL when it is not known yet or not given. */
const char *lookup_field(const struct heroku *heroku, const char *name);

bool lookup_addon(struct heroku *heroku, const char *name, struct value **addon, struct error *err);

/* Attachments of an app with `config_vars`; NULL when there is no such app. */
bool lookup_attachments(struct heroku *heroku, const char *app, struct value **list,
                        struct error *err);

/* The item of a list whose text at path is that, or NULL. */
const struct value *lookup_item(const struct value *list, const char *path, const char *text);

/* The add-on that an app has attached as DATABASE; *addon NULL when there is none. */
bool lookup_primary(struct heroku *heroku, const char *app, struct value **addon,
                    struct error *err);

/* What the Data API says of a database; NULL while it does not know it. */
bool lookup_database(struct heroku *heroku, const char *addon_id, struct value **database,
                     struct error *err);

/* The values of an entry of its info list, first one as text; NULL. */
const char *lookup_info(struct heroku *heroku, const struct value *database, const char *name);

bool lookup_is_following(const struct value *database);

/* The connection URL of a database as the add-on's own config var has it: SECRET. NULL without an
 * error is never given: a var that is not set yet is ERROR_RETRY. */
struct value *lookup_database_url(struct heroku *heroku, const struct value *addon,
                                  struct error *err);

/* Waits until the add-on is provisioned. */
bool lookup_wait_addon(struct heroku *heroku, const char *name, struct value **addon,
                       struct error *err);

/* Waits until the Data API knows the database (up to 20 polls of 404) and it waits for nothing. */
bool lookup_wait_database(struct heroku *heroku, const char *addon_id, struct value **database,
                          struct error *err);

/* Waits while a release is pending (release phase); a failed one is an error. id NULL: the newest.
 */
bool lookup_wait_release(struct heroku *heroku, const char *app, const char *id, struct error *err);

/* The newest release for which is_ours is true while it is not in force: pending or failed, and no
 * newer one succeeded, which would have what it has. *open NULL when all is well. */
bool lookup_open_release(struct heroku *heroku, const char *app,
                         bool (*is_ours)(const struct value *release, const void *context),
                         const void *context, const struct value **open, struct error *err);

/* Sleeps before poll number n (0, 1, ...): short at first, 5 s later. */
bool lookup_pause(struct heroku *heroku, int poll, struct error *err);

/* "targetapp-0123456789ab" or, with a suffix, "targetapp-0123456789ab-2". */
char *lookup_addon_name(struct heroku *heroku, const char *app, const char *suffix);

/* Adds an add-on of that name and of the plan in the field `plan` to the app in `app`; config may
 * be NULL. A lost reply is looked up: true when the add-on is there then. */
bool lookup_create_addon(struct heroku *heroku, const char *name, struct value *config,
                         struct error *err);

/* MAP: each host name that a certificate of the app covers, patterns included -> the name of its
 * endpoint. */
bool lookup_certificates(struct heroku *heroku, const char *app, struct value *out,
                         struct error *err);

/* "postgres://user:password@host" as "postgres://host", wherever a URL stands in a text. */
char *lookup_without_passwords(struct arena *arena, const char *message);

#endif
