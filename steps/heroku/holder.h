/* SPDX-License-Identifier: MIT */
/* Who holds the name of an attachment on an app: {addon, namespace}, or null for nobody. The add-on
 * is its name, the namespace is left out where there is none. */
#ifndef PLAN_HEROKU_HOLDER_H
#define PLAN_HEROKU_HOLDER_H

#include "steps/heroku/client.h"

/* attachment NULL: nobody. */
struct value *holder_describe(struct heroku *heroku, const struct value *attachment);

/* Gives the name to the holder; replaces: another one has it now. A lost reply is looked up. The
 * release that it makes is not waited for. */
bool holder_attach(struct heroku *heroku, const char *name, const struct value *holder,
                   bool replaces, struct error *err);

/* Also true when it is gone already. */
bool holder_detach(struct heroku *heroku, const struct value *attachment, struct error *err);

/* Whether the add-on may lose this one of the app's attachments: another app owns it, or it has
 * another name here. What lies in a namespace, as a connection pool does, is no name of its own. */
bool holder_may_lose(const struct value *list, const struct value *attachment);

#endif
