/* SPDX-License-Identifier: MIT */
/* plan rehearse: carries a plan out, whole, against stand-ins under write load, on a clock that
 * passes over waits; then tells what happened and proves that nothing was lost. */
#include "cmd/command.h"
#include "cmd/rehearsed.h"
#include "cmd/report.h"
#include "cmd/show.h"
#include "engine/base/clock.h"
#include "steps/registry.h"
#include "steps/rehearsal/rehearsal.h"

/* Who hears of what the walk does. */
struct audience {
	struct report report;
	struct rehearsal *rehearsal;
	bool silent;
};

static void tell_all(void *context, const struct walk_event *event)
{
	struct audience *audience = context;

	if (!audience->silent)
		report_event(&audience->report, event);
	rehearsal_event(audience->rehearsal, event);
}

static void tell_building(const char *text)
{
	show_line(stderr, false, TONE_PLAIN, "  building     %s", text);
}

static int finish(struct invocation *invocation, struct session *session,
                  struct rehearsal *rehearsal, const struct walk_result *result, int code)
{
	struct value *report = value_map(&session->arena);
	struct error err = {0};

	value_set_number(&session->arena, report, "format", 1);
	if (!rehearsed_read(session, result, code, report, &err) ||
	    !rehearsal_examine(rehearsal, report, &err))
		return command_fail(&err);
	if (code == EXIT_DONE && !rehearsed_is_good(report)) {
		code = EXIT_FAILED;
		value_set_number(&session->arena, report, "exit", code);
	}
	value_set_text(&session->arena, report, "next",
	               arena_printf(&session->arena, "plan %s %s",
	                            code == EXIT_DONE ? "diff" : "journal --rehearsal",
	                            session->plan->file));
	if (invocation->given[OPTION_JSON])
		show_json(stdout, report);
	else
		rehearsed_print(report, session->plan, invocation->color);
	return code;
}

/* One walk over the plan, with its beginning and end in the journal. */
static int carry_out(struct audience *audience, struct session *session, enum walk_mode mode,
                     const char *step, struct walk_result *result)
{
	struct walk_options options = {
		.mode = mode,
		.plan = session->plan,
		.journal = session->journal,
		.run = &session->run,
		.secrets = audience->rehearsal->secrets,
		.connections = audience->rehearsal->connections,
		.through = mode == WALK_APPLY ? step : NULL,
		.back_to = mode == WALK_REVERT ? step : NULL,
		.approve_as = "rehearsal",
		.wait_for_people = true,
		.tell = tell_all,
		.context = audience,
	};
	struct error err = {0};

	if (!walk(&options, result))
		return command_fail(&result->error);
	int code = report_exit_code(result);
	if (result->error.kind != ERROR_NONE)
		show_line(stderr, audience->report.color, TONE_BAD, "  %s%s%s", result->step,
		          result->step[0] ? ": " : "", result->error.text);
	const char *outcome = mode == WALK_REVERT && result->outcome == WALK_DONE
	                              ? "rolled back"
	                              : report_outcome(result->outcome);
	return session_end(session, outcome, code, result->downtime_ms, &err) ? code
	                                                                      : command_fail(&err);
}

/* As another `plan` would after this one ended. */
static bool take_up(struct session *session, const struct plan *plan, const char *mode,
                    struct error *err)
{
	session_close(session);
	*session = (struct session){.rehearsal = true};
	return session_open(session, plan, true, err) &&
	       session_take(session, TAKE_OPEN, mode, err);
}

/* There and back, so that the way back is proven; EXIT_DONE when the plan can go on, or has none.
 */
static int prove_way_back(struct audience *audience, struct session *session,
                          struct walk_result *result)
{
	struct rehearsal *rehearsal = audience->rehearsal;
	const struct plan *plan = session->plan;
	struct error err = {0};
	const char *through, *back_to;

	if (!rehearsal_way_back(rehearsal, &through, &back_to))
		return EXIT_DONE;
	int code = carry_out(audience, session, WALK_APPLY, through, result);
	if (code != EXIT_DONE)
		return code;
	if (!rehearsal_pass(rehearsal, true, &err) || !take_up(session, plan, "rollback", &err))
		return command_fail(&err);
	code = carry_out(audience, session, WALK_REVERT, back_to, result);
	if (code != EXIT_DONE)
		return code;
	if (!rehearsal_pass(rehearsal, false, &err) || !take_up(session, plan, "rehearse", &err))
		return command_fail(&err);
	return EXIT_DONE;
}

static int carry_out_and_examine(struct invocation *invocation, struct session *session,
                                 struct rehearsal *rehearsal)
{
	struct audience audience = {
		.report = {.stream = stderr, .color = show_wants_color(NULL, stderr)},
		.rehearsal = rehearsal,
		.silent = invocation->given[OPTION_JSON],
	};
	struct walk_result result = {.downtime_ms = -1};
	int code = prove_way_back(&audience, session, &result);

	if (code == EXIT_DONE)
		code = carry_out(&audience, session, WALK_APPLY, NULL, &result);
	return session->journal ? finish(invocation, session, rehearsal, &result, code) : code;
}

static int rehearse(struct invocation *invocation, struct rehearsal *rehearsal,
                    const struct plan *plan)
{
	struct session session = {.rehearsal = true};
	struct error err = {0};
	int code;

	if (!invocation->given[OPTION_JSON])
		rehearsal->tell = tell_building;
	walk_catch_signals();
	clock_share_jumps();
	if (!rehearsal_build(rehearsal, plan, &err) || !session_open(&session, plan, true, &err) ||
	    !session_take(&session, TAKE_NEW, "rehearse", &err))
		code = command_fail(&err);
	else
		code = carry_out_and_examine(invocation, &session, rehearsal);
	session_close(&session);
	return code;
}

static int run(struct invocation *invocation)
{
	struct plan plan;
	struct rehearsal rehearsal;
	struct error err = {0};
	int code = EXIT_BAD_USAGE;

	if (!rehearsal_open(&rehearsal, &err))
		return command_fail(&err);
	if (command_load_plan_in(invocation, invocation->arguments[0], rehearsal.directory,
	                         &plan)) {
		code = rehearse(invocation, &rehearsal, &plan);
		plan_free(&plan);
	}
	rehearsal_close(&rehearsal);
	return code;
}

const struct command command_rehearse = {
	.name = "rehearse",
	.usage = "FILE [--json]",
	.text = "Carry a plan out against stand-ins, under write load",
	.least = 1,
	.most = 1,
	.options = {OPTION_JSON, OPTION_SET, OPTION_INPUTS, OPTION_COLOR},
	.run = run,
};
