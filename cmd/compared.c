/* SPDX-License-Identifier: MIT */
/* plan diff REV..REV [FILE]: which plans changed between two revisions, and in what. Offline,
 * without secrets, and nothing of a plan is carried out. */
#include "cmd/compared.h"
#include "engine/base/text.h"
#include "engine/yaml.h"
#include "steps/git/revision.h"
#include "steps/registry.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

/* ---- Which files are plans ---- */

/* `plan: 1` at the margin, the key perhaps in quotes: what every plan has, and other YAML has not.
 */
static bool is_version_line(const char *line)
{
	char quote = '\0';

	if (*line == '"' || *line == '\'')
		quote = *line;
	line += quote != '\0';
	if (strncmp(line, "plan", 4) != 0)
		return false;
	line += 4;
	if (quote && *line++ != quote)
		return false;
	line += strspn(line, " ");
	if (*line++ != ':')
		return false;
	line += strspn(line, " \t");
	return isdigit((unsigned char)*line);
}

static bool is_plan(const char *data)
{
	if (strncmp(data, "\xef\xbb\xbf", 3) == 0)
		data += 3;
	for (const char *line = data; line; line = strchr(line, '\n')) {
		line += line != data;
		if (is_version_line(line))
			return true;
	}
	/* A plan may be JSON, which is YAML. */
	data += strspn(data, " \t\r\n{");
	return *data == '"' && is_version_line(data);
}

/* ---- Reading ---- */

struct texts {
	enum revision_found found[2];
	struct revision_text side[2];
	struct error err[2];
};

static void read_texts(struct revisions *revisions, const struct revision_change *change,
                       struct texts *texts)
{
	for (int side = 0; side < 2; side++)
		texts->found[side] = revisions_read(revisions, side ? REVISION_NEW : REVISION_OLD,
		                                    change->path[side], YAML_BYTES,
		                                    &texts->side[side], &texts->err[side]);
}

static bool holds_plan(const struct texts *texts)
{
	for (int side = 0; side < 2; side++)
		if (texts->found[side] == REVISION_FOUND && is_plan(texts->side[side].data))
			return true;
	return false;
}

static const char *status_of(const struct compared_plan *plan, const struct texts *texts)
{
	if (!plan->present[0] || !plan->present[1])
		return plan->present[0] ? "removed" : "added";
	if (strcmp(plan->path[0], plan->path[1]) != 0)
		return "renamed";
	return texts->found[0] == REVISION_FOUND && texts->found[1] == REVISION_FOUND &&
	                       texts->side[0].length == texts->side[1].length &&
	                       memcmp(texts->side[0].data, texts->side[1].data,
	                              texts->side[0].length) == 0
	               ? "unchanged"
	               : "changed";
}

static void parse(struct compared_plan *plan, const struct texts *texts, int side,
                  const struct value *inputs)
{
	struct plan_options options = {.inputs = inputs, .directory = ".", .as_written = true};
	struct plan_source source = {.file = plan->path[side],
	                             .data = texts->side[side].data,
	                             .length = texts->side[side].length};

	if (texts->found[side] == REVISION_FOUND)
		plan_parse(&plan->plan[side], &source, &steps_registry, &options,
		           &plan->problems[side]);
	else
		problems_add(&plan->problems[side], (struct place){0}, "%s", texts->err[side].text);
}

static struct compared_plan *compare_file(struct compared *compared, const struct texts *texts,
                                          const struct revision_change *change,
                                          const struct value *inputs)
{
	struct compared_plan *plan = arena_alloc(compared->arena, sizeof *plan);
	const struct plan *sides[2] = {NULL, NULL};

	for (int side = 0; side < 2; side++) {
		plan->path[side] = compare_clean(compared->arena, change->path[side]);
		plan->present[side] = texts->found[side] != REVISION_MISSING;
		if (!plan->present[side])
			continue;
		parse(plan, texts, side, inputs);
		sides[side] = &plan->plan[side];
		compared->invalid[side] += plan->problems[side].count > 0;
	}
	plan->status = status_of(plan, texts);
	compare_plans(&plan->comparison, compared->arena, sides[0], sides[1]);
	compared->plans++;
	compared->differences += plan->comparison.count;
	for (size_t i = 0; i < EFFECT_COUNT; i++)
		compared->effects[i] += plan->comparison.effects[i];
	return plan;
}

static bool compare_files(struct compared *compared, struct revisions *revisions,
                          const struct value *inputs, struct error *err)
{
	struct revision_change one, *changes = &one;
	struct compared_plan **link = &compared->first;
	bool fine = compared->file ? revisions_file(revisions, compared->file, &one, err)
	                           : revisions_changes(revisions, &changes, err);

	for (const struct revision_change *change = fine ? changes : NULL; change;
	     change = change->next) {
		struct texts texts = {0};
		read_texts(revisions, change, &texts);
		if (!compared->file && !holds_plan(&texts))
			continue;
		*link = compare_file(compared, &texts, change, inputs);
		link = &(*link)->next;
	}
	return fine;
}

static bool knows_input(const struct compared *compared, const char *name)
{
	for (const struct compared_plan *one = compared->first; one; one = one->next)
		for (int side = 0; side < 2; side++)
			for (size_t i = 0; i < one->plan[side].input_count; i++)
				if (strcmp(one->plan[side].inputs[i].name, name) == 0)
					return true;
	return false;
}

static bool check_inputs(const struct compared *compared, const struct value *inputs,
                         struct error *err)
{
	for (const struct value *one = inputs->as.items.first; one; one = one->next)
		if (!knows_input(compared, one->key))
			return fail(err, ERROR_PLAN,
			            "neither side has an input %s (set on the command line)",
			            one->key);
	return true;
}

/* ---- The command ---- */

static int print(const struct invocation *invocation, const struct compared *compared)
{
	const char *format = invocation->text[OPTION_FORMAT];

	if (invocation->given[OPTION_JSON] || (format && strcmp(format, "json") == 0))
		compared_json(compared);
	else if (format && strcmp(format, "markdown") == 0)
		compared_markdown(compared);
	else
		compared_text(compared, invocation->color);
	/* What cannot be carried out must not look fine to CI. */
	if (compared->invalid[1])
		return EXIT_BAD_USAGE;
	bool changes = compared->differences || compared->invalid[0];
	return changes && invocation->given[OPTION_DETAILED_EXITCODE] ? EXIT_CHANGES : EXIT_DONE;
}

static void free_plans(struct compared *compared)
{
	for (struct compared_plan *one = compared->first; one; one = one->next)
		for (int side = 0; side < 2; side++) {
			plan_free(&one->plan[side]);
			problems_free(&one->problems[side]);
		}
}

int compared_run(struct invocation *invocation)
{
	struct error err = {0};
	struct compared compared = {
		.arena = &invocation->arena,
		.file = invocation->argument_count > 1 ? invocation->arguments[1] : NULL,
	};
	struct revisions *revisions =
		revisions_open(invocation->arguments[0], &invocation->arena, &err);

	if (!revisions)
		return command_fail(&err);
	compared.range = compare_clean(compared.arena, invocation->arguments[0]);
	for (int side = 0; side < 2; side++) {
		enum revision_side which = side ? REVISION_NEW : REVISION_OLD;
		compared.revision[side] =
			compare_clean(compared.arena, revisions_name(revisions, which));
		compared.commit[side] = revisions_commit(revisions, which);
	}
	bool fine = compare_files(&compared, revisions, invocation->inputs, &err) &&
	            check_inputs(&compared, invocation->inputs, &err);
	int code = fine ? print(invocation, &compared) : command_fail(&err);
	free_plans(&compared);
	revisions_close(revisions);
	return code;
}
