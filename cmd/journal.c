/* SPDX-License-Identifier: MIT */
/* plan journal: the records of a plan's runs, and whether they are whole. */
#include "cmd/command.h"
#include "cmd/session.h"
#include "cmd/show.h"
#include "engine/base/clock.h"

struct printing {
	const struct invocation *invocation;
	struct arena arena;
};

static bool print_record(void *context, const struct record *record)
{
	struct printing *printing = context;
	struct arena *arena = &printing->arena;

	if (printing->invocation->given[OPTION_JSON]) {
		struct value *line = value_map(arena);
		value_set_number(arena, line, "seq", record->seq);
		value_set_number(arena, line, "run", record->run);
		value_set_text(arena, line, "kind", record_kind_name(record->kind));
		value_set_text(arena, line, "step", record->step);
		value_set_number(arena, line, "at_ms", record->at_ms);
		value_set(arena, line, "body", value_copy(arena, record->body));
		show_json(stdout, line);
	} else {
		const char *text = value_get_text(record->body, "text", NULL);
		show_line(stdout, false, TONE_PLAIN, "%5lld %s %-12s %s%s%s",
		          (long long)record->seq, clock_text(arena, record->at_ms),
		          record_kind_name(record->kind), record->step, text ? "  " : "",
		          text ? text : "");
	}
	arena_free(arena);
	return true;
}

static int print_journal(const struct invocation *invocation, struct session *session)
{
	struct printing printing = {.invocation = invocation};
	struct error err = {0};
	int64_t count = 0;

	if (!session->journal) {
		show_line(stdout, invocation->color, TONE_PLAIN, "%s has no journal yet",
		          session->plan->name);
		return EXIT_DONE;
	}
	if (!invocation->given[OPTION_VERIFY])
		return journal_read(session->journal, 1, &session->arena, print_record, &printing,
		                    &err)
		               ? EXIT_DONE
		               : command_fail(&err);
	if (!journal_verify(session->journal, &count, &err))
		return command_fail(&err);
	show_line(stdout, invocation->color, TONE_GOOD, "%s: %lld records, the chain is whole",
	          journal_path(session->journal), (long long)count);
	return EXIT_DONE;
}

static int run(struct invocation *invocation)
{
	struct plan plan;
	struct session session = {.rehearsal = invocation->given[OPTION_REHEARSAL]};
	struct error err = {0};
	const char *file = invocation->argument_count ? invocation->arguments[0] : NULL;

	if (!command_load_plan(invocation, file, &plan))
		return EXIT_BAD_USAGE;
	int code = session_open(&session, &plan, false, &err) ? print_journal(invocation, &session)
	                                                      : command_fail(&err);
	session_close(&session);
	plan_free(&plan);
	return code;
}

const struct command command_journal = {
	.name = "journal",
	.usage = "[FILE] [--verify] [--rehearsal]",
	.text = "Print the records of a plan's runs",
	.most = 1,
	.options = {OPTION_VERIFY, OPTION_REHEARSAL, OPTION_JSON, OPTION_SET, OPTION_INPUTS,
                    OPTION_COLOR},
	.run = run,
};
