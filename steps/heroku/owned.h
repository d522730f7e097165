/* SPDX-License-Identifier: MIT */
/* Config vars that attachments of add-ons set, and nobody can overwrite. */
#ifndef PLAN_HEROKU_OWNED_H
#define PLAN_HEROKU_OWNED_H

#include "steps/heroku/reads.h"

/* The attachment of a list that owns the key, or NULL. */
const struct value *owned_attachment(struct heroku *heroku, const struct value *list,
                                     const char *key);

/* Of each key of wanted that an attachment of the step's app owns: {attachment, addon, namespace,
 * last: whether the add-on has no other name there and needs one, others: keys that go with it,
 * left: keys of its pools and credentials, which stay}. */
bool owned_read_holders(struct heroku *heroku, const struct value *wanted, struct value *holders,
                        struct error *err);

#endif
