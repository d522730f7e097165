/* SPDX-License-Identifier: MIT */
/* The Platform API and the Data API of Heroku: paging, rate limits, errors, and what a write that
 * got no clear answer means. There are no idempotency keys: callers choose names that are the same
 * each time and look before they write. */
#ifndef PLAN_HEROKU_CLIENT_H
#define PLAN_HEROKU_CLIENT_H

#include "engine/registry.h"
#include "steps/http/api.h"

extern const struct connection_kind heroku_connection;

/* Every module has it: which connection to use when the plan has more than one. */
#define HEROKU_CONNECTION_FIELD                                                     \
	{                                                                           \
		"connection", FIELD_CONNECTION, 0, NULL, NULL,                      \
			"Which connection to use, when the plan has more than one." \
	}

struct heroku {
	struct step *step;
	struct arena *arena; /* the step's */
	const char *url, *data_url, *token, *ca_file;
};

/* As with any API: see enum api_outcome. */
enum heroku_outcome {
	HEROKU_DONE = API_DONE,
	HEROKU_ABSENT = API_ABSENT,
	HEROKU_UNSURE = API_UNSURE,
	HEROKU_REFUSED = API_REFUSED,
};

/* From the connection that the step names in `connection`, or the only one there is. */
bool heroku_open(struct heroku *heroku, struct step *step, struct error *err);

/* path begins with '/'. *found is a MAP, of the Data API any value; NULL when there is nothing
 * there (404). Transport errors, 429 and 5xx are tried again a few times, then ERROR_RETRY. */
bool heroku_get(struct heroku *heroku, const char *path, struct value **found, struct error *err);
bool heroku_data_get(struct heroku *heroku, const char *path, struct value **found,
                     struct error *err);

/* All pages of a list. An absent owner gives NULL. */
bool heroku_list(struct heroku *heroku, const char *path, struct value **list, struct error *err);

/* The same for attachments, with their config var names. */
bool heroku_list_included(struct heroku *heroku, const char *path, struct value **list,
                          struct error *err);

/* The newest entries of a list that has versions, newest first, at most count. */
bool heroku_newest(struct heroku *heroku, const char *path, int count, struct value **list,
                   struct error *err);

/* body NULL: none. answer may be NULL; it is set for HEROKU_DONE. Only 429 is tried again. */
enum heroku_outcome heroku_write(struct heroku *heroku, const char *method, const char *path,
                                 const struct value *body, struct value **answer,
                                 struct error *err);
enum heroku_outcome heroku_data_write(struct heroku *heroku, const char *method, const char *path,
                                      const struct value *body, struct value **answer,
                                      struct error *err);

/* For writes where the next try looks first anyway: true only for HEROKU_DONE; 404 is an error. */
bool heroku_must(struct heroku *heroku, const char *method, const char *path,
                 const struct value *body, struct value **answer, struct error *err);

/* True when it is gone, also when it was gone before. */
bool heroku_delete(struct heroku *heroku, const char *path, struct error *err);

/* "/apps/%s/domains": every argument is escaped. */
char *heroku_path(struct heroku *heroku, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

/* The text, number or map at a path such as "app.name" that an answer must have; NULL (or false)
 * with the path in the error. */
const char *heroku_text(const struct value *answer, const char *path, struct error *err);
bool heroku_number(const struct value *answer, const char *path, int64_t *number,
                   struct error *err);

/* The text there, or NULL when it is absent, null or empty. */
const char *heroku_text_or_null(const struct value *answer, const char *path);

/* "2026-01-02T03:04:05Z" as milliseconds since 1970; -1 when it is no time. */
int64_t heroku_time_ms(const char *text);

#endif
