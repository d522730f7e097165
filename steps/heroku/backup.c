/* SPDX-License-Identifier: MIT */
/* A logical backup captured, awaited and verified. */
#include "steps/heroku/backup.h"
#include "steps/heroku/lookup.h"
#include "steps/heroku/transfer.h"

#include <string.h>

/* Which transfers are backups of ours. Heroku names the source after the add-on or an attachment.
 */
struct sought {
	int64_t after;
	const struct value *names; /* MAP */
};

static bool is_any(const struct value *transfer, const void *context)
{
	(void)transfer, (void)context;
	return true;
}

bool backup_last(struct heroku *heroku, int64_t *last, struct error *err)
{
	const struct value *newest;

	if (!transfer_find(heroku, is_any, NULL, &newest, err))
		return false;
	*last = newest ? transfer_number(newest) : -1;
	return true;
}

static bool is_sought(const struct value *transfer, const void *context)
{
	const struct sought *sought = context;

	return transfer_number(transfer) > sought->after &&
	       strcmp(value_get_text(transfer, "from_type", ""), "pg_dump") == 0 &&
	       strcmp(value_get_text(transfer, "to_type", ""), "gof3r") == 0 &&
	       value_get(sought->names, value_get_text(transfer, "from_name", ""));
}

static bool read_names(struct heroku *heroku, const struct value *addon, struct value *names,
                       struct error *err)
{
	struct value *list;
	const char *id = heroku_text(addon, "id", err);
	const char *name = id ? heroku_text(addon, "name", err) : NULL;

	if (!name || !lookup_attachments(heroku, lookup_field(heroku, "app"), &list, err))
		return false;
	value_set_bool(heroku->arena, names, name, true);
	for (const struct value *one = list ? list->as.items.first : NULL; one; one = one->next) {
		const char *other = heroku_text_or_null(one, "addon.id");
		const char *as = heroku_text_or_null(one, "name");
		if (!other || !as || strcmp(other, id) != 0)
			continue;
		value_set_bool(heroku->arena, names, as, true);
		value_set_bool(heroku->arena, names, arena_printf(heroku->arena, "%s_URL", as),
		               true);
	}
	return true;
}

/* A lost reply is looked up. */
static bool start(struct heroku *heroku, const char *id, const struct sought *sought,
                  const struct value **transfer, struct error *err)
{
	const char *path = heroku_path(heroku, "/client/v11/databases/%s/backups", id);
	struct value *made;
	enum heroku_outcome outcome = heroku_data_write(heroku, "POST", path, NULL, &made, err);

	*transfer = made;
	if (outcome == HEROKU_DONE)
		return true;
	struct error unsure = *err;
	if (outcome != HEROKU_UNSURE || !transfer_find(heroku, is_sought, sought, transfer, err))
		return false;
	*err = unsure;
	return *transfer != NULL;
}

static bool await(struct heroku *heroku, const struct value **transfer, struct error *err)
{
	const char *app = lookup_field(heroku, "app"), *uuid = heroku_text(*transfer, "uuid", err);
	struct value *now;

	for (int poll = 0; uuid && !transfer_is_finished(*transfer); poll++) {
		step_progress(heroku->step, "backup: %lld bytes",
		              (long long)value_get_number(*transfer, "processed_bytes", 0));
		if (!lookup_pause(heroku, poll, err) ||
		    !heroku_data_get(
			    heroku,
			    heroku_path(heroku, "/client/v11/apps/%s/transfers/%s", app, uuid),
			    &now, err))
			return false;
		if (!now)
			return fail(err, ERROR_FAILED, "the backup %s is gone", uuid);
		*transfer = now;
	}
	return uuid != NULL;
}

static bool find_or_start(struct heroku *heroku, const char *id, const struct sought *sought,
                          const struct value **transfer, struct error *err)
{
	if (!transfer_find(heroku, is_sought, sought, transfer, err))
		return false;
	if (*transfer && (transfer_is_good(*transfer) || !transfer_is_finished(*transfer) ||
	                  !transfer_was_told(heroku->step, *transfer)))
		return true;
	return start(heroku, id, sought, transfer, err);
}

bool backup_capture(struct heroku *heroku, const struct value *addon, int64_t last,
                    struct error *err)
{
	struct value *names = value_map(heroku->arena);
	const struct sought sought = {.after = last, .names = names};
	const struct value *transfer;
	const char *id = heroku_text(addon, "id", err), *app = lookup_field(heroku, "app");

	if (!id || !read_names(heroku, addon, names, err) ||
	    !find_or_start(heroku, id, &sought, &transfer, err) || !await(heroku, &transfer, err) ||
	    !transfer_judge(heroku, transfer, err))
		return fail_while(err, "back up %s", value_get_text(addon, "name", "it"));
	int64_t bytes = value_get_number(transfer, "processed_bytes", 0);
	long long number = (long long)transfer_number(transfer);
	if (bytes <= 0)
		return fail(err, ERROR_FAILED, "the backup b%03lld of %s is empty", number, app);
	step_note(heroku->step,
	          "the backup b%03lld (%lld bytes) of %s stays with %s as long as Heroku keeps it; "
	          "`heroku pg:backups:download b%03lld -a %s` gets it",
	          number, (long long)bytes, value_get_text(addon, "name", ""), app, number, app);
	return true;
}
