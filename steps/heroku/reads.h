/* SPDX-License-Identifier: MIT */
/* What an app has, as the module that carries it over reads it, and the inventory too. Each adds to
 * out, a MAP from what it is called to what it is; an app that is not there has nothing. */
#ifndef PLAN_HEROKU_READS_H
#define PLAN_HEROKU_READS_H

#include "steps/heroku/client.h"

/* e-mail -> true */
bool collaborators_read(struct heroku *heroku, const char *app, struct value *out,
                        struct error *err);

/* "feature:NAME", "drain:URL" (none of an add-on's) and "pipeline:ID:STAGE" -> true */
bool features_read(struct heroku *heroku, const char *app, struct value *out, struct error *err);

/* process type -> {quantity, size} */
bool formation_read(struct heroku *heroku, const char *app, struct value *out, struct error *err);

/* "HOST LEVEL ENTITIES HASH" -> {url (SECRET), include, level}. The whole URL is not shown: it
 * often lets in whoever knows it. Adds name -> id to ids, unless that is NULL. */
bool webhooks_read(struct heroku *heroku, const char *app, struct value *out, struct value *ids,
                   struct error *err);

/* name -> {hour, timezone}; ids in the same way. */
bool schedules_read(struct heroku *heroku, const char *addon_id, struct value *out,
                    struct value *ids, struct error *err);

/* A LIST of URLs, in their order. */
bool buildpacks_read(struct heroku *heroku, const char *app, struct value **urls,
                     struct error *err);

/* The newest good release with a slug; "" and 0 when there is none. */
bool release_read_slug(struct heroku *heroku, const char *app, const char **slug, int64_t *version,
                       struct error *err);

/* Whether what it runs is a container image, which has no slug. */
bool release_is_image(const struct value *app);

/* config var -> the attachment that owns it */
bool config_read_owned(struct heroku *heroku, const char *app, struct value *owned,
                       struct error *err);

/* How a text betrays the value of an owned var ("points at the same place as KEY of WHOSE"); NULL
 * when it does not. */
const char *config_points_at_owned(struct heroku *heroku, const struct value *vars,
                                   const struct value *owned, const char *whose, const char *text);

#endif
