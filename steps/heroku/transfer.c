/* SPDX-License-Identifier: MIT */
/* Transfers of the Data API, and how they ended. */
#include "steps/heroku/transfer.h"
#include "engine/base/text.h"
#include "steps/heroku/lookup.h"

#include <stdlib.h>
#include <string.h>

#define LOG_TAIL 5 /* messages of a transfer's log that are told when it failed */

/* The published schema has numbers of transfers as text; a number is understood as well. */
int64_t transfer_number(const struct value *transfer)
{
	const char *text = heroku_text_or_null(transfer, "num");

	return text ? strtoll(text, NULL, 10) : value_get_number(transfer, "num", 0);
}

bool transfer_find(struct heroku *heroku,
                   bool (*is_one)(const struct value *transfer, const void *context),
                   const void *context, const struct value **newest, struct error *err)
{
	struct value *list;
	const char *path =
		heroku_path(heroku, "/client/v11/apps/%s/transfers", lookup_field(heroku, "app"));
	int64_t most = -1;

	*newest = NULL;
	if (!heroku_data_get(heroku, path, &list, err))
		return false;
	if (list && list->kind != VALUE_LIST)
		return fail(err, ERROR_FAILED, "the list of transfers is no list");
	for (const struct value *one = list ? list->as.items.first : NULL; one; one = one->next) {
		int64_t number = transfer_number(one);
		if (number < most || !is_one(one, context))
			continue;
		*newest = one;
		most = number;
	}
	return true;
}

bool transfer_is_finished(const struct value *transfer)
{
	return heroku_text_or_null(transfer, "finished_at") ||
	       heroku_text_or_null(transfer, "canceled_at");
}

bool transfer_is_good(const struct value *transfer)
{
	return transfer_is_finished(transfer) && value_get_bool(transfer, "succeeded", false) &&
	       value_get_number(transfer, "warnings", 0) == 0;
}

/* What its log says last, for people; passwords of connection URLs are left out. */
static bool read_log_tail(struct heroku *heroku, const struct value *transfer, struct text *tail,
                          struct error *err)
{
	const char *uuid = heroku_text(transfer, "uuid", err);
	struct value *whole;
	size_t left = 0;

	if (!uuid ||
	    !heroku_data_get(heroku,
	                     heroku_path(heroku, "/client/v11/apps/%s/transfers/%s?verbose=true",
	                                 lookup_field(heroku, "app"), uuid),
	                     &whole, err))
		return false;
	const struct value *logs = value_get(whole, "logs");
	if (!logs || logs->kind != VALUE_LIST)
		return true;
	size_t skip = logs->as.items.count > LOG_TAIL ? logs->as.items.count - LOG_TAIL : 0;
	for (const struct value *one = logs->as.items.first; one; one = one->next) {
		if (left++ < skip)
			continue;
		text_format(tail, "%s%s", tail->length ? " | " : "",
		            lookup_without_passwords(heroku->arena,
		                                     value_get_text(one, "message", "")));
	}
	return true;
}

bool transfer_judge(struct heroku *heroku, const struct value *transfer, struct error *err)
{
	int64_t warnings = value_get_number(transfer, "warnings", 0);
	bool succeeded = value_get_bool(transfer, "succeeded", false);
	bool cancelled = heroku_text_or_null(transfer, "canceled_at") != NULL;
	struct text tail = {0};

	if (transfer_is_good(transfer))
		return true;
	if (!read_log_tail(heroku, transfer, &tail, err)) {
		text_free(&tail);
		return fail_while(err, "read the log of transfer %s",
		                  value_get_text(transfer, "uuid", "?"));
	}
	const char *what =
		cancelled   ? "was cancelled"
		: succeeded ? arena_printf(
				      heroku->arena,
				      "finished with %lld warnings: rows or objects may be missing",
				      (long long)warnings)
			    : "failed";
	fail(err, succeeded || cancelled ? ERROR_FAILED : ERROR_RETRY,
	     "transfer %lld (%s) %s; its log ends: %.2000s", (long long)transfer_number(transfer),
	     value_get_text(transfer, "uuid", "?"), what,
	     tail.length ? text_string(&tail) : "(it is empty)");
	text_free(&tail);
	return false;
}

bool transfer_was_told(const struct step *step, const struct value *transfer)
{
	const char *uuid = heroku_text_or_null(transfer, "uuid");

	return uuid && step->last_error && strstr(step->last_error, uuid);
}
