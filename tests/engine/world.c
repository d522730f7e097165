/* SPDX-License-Identifier: MIT */
/* Files as a world: modules that observe, apply and revert for real. */
#include "tests/engine/world.h"
#include "engine/base/file.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static const char *path_of(struct arena *arena, const char *directory, const char *name)
{
	return arena_printf(arena, "%s/%s", directory, name);
}

static char *read_or_null(struct arena *arena, const char *path)
{
	struct error err;

	return access(path, F_OK) == 0 ? file_read(arena, path, 65536, NULL, &err) : NULL;
}

static void write_file(const char *path, const char *content, int flags)
{
	int descriptor = open(path, O_WRONLY | O_CREAT | flags, 0600);

	if (descriptor < 0 || write(descriptor, content, strlen(content)) < 0)
		abort();
	close(descriptor);
}

static void add_effect(struct step *step, const char *what)
{
	const char *line = arena_printf(step->arena, "%s %s\n", what, step->id);

	write_file(path_of(step->arena, step_directory(step), "ledger"), line, O_APPEND);
}

/* ---- test.file ---- */

static const struct field file_fields[] = {
	{"path", FIELD_STRING, FIELD_REQUIRED, NULL, NULL, "Name of the file."},
	{"content", FIELD_STRING, FIELD_REQUIRED, NULL, NULL, "What is to be in it."},
	{0},
};

static const struct field file_outputs[] = {
	{"content", FIELD_STRING, 0, NULL, NULL, "What is in it."},
	{0},
};

static const char *const file_subjects[] = {"file/${path}", NULL};

static const char *file_path(struct step *step)
{
	return path_of(step->arena, step_directory(step), value_get_text(step->with, "path", ""));
}

static bool observe_file(struct step *step, struct value *seen, struct error *err)
{
	const char *content = read_or_null(step->arena, file_path(step));

	(void)err;
	value_set_text(step->arena, seen, "content", content);
	step_output_text(step, "content", value_get_text(step->with, "content", NULL));
	return true;
}

static bool apply_file(struct step *step, const struct changes *changes, struct error *err)
{
	(void)changes;
	(void)err;
	write_file(file_path(step), value_get_text(step->with, "content", ""), O_TRUNC);
	add_effect(step, "apply");
	return true;
}

static bool revert_file(struct step *step, const struct value *before, struct error *err)
{
	const char *content = value_get_text(before, "content", NULL);

	(void)err;
	if (content)
		write_file(file_path(step), content, O_TRUNC);
	else
		unlink(file_path(step));
	add_effect(step, "revert");
	return true;
}

static const struct step_module file_module = {
	.name = "test.file",
	.text = "A file has a content.",
	.fields = file_fields,
	.outputs = file_outputs,
	.subjects = file_subjects,
	.observe = observe_file,
	.apply = apply_file,
	.revert = revert_file,
};

/* ---- test.copy: a file is like another one; test.gone: a file is no more ---- */

static const struct field copy_fields[] = {
	{"path", FIELD_STRING, FIELD_REQUIRED, NULL, NULL, "Name of the file."},
	{"like", FIELD_STRING, FIELD_REQUIRED, NULL, NULL, "The other file."},
	{0},
};

static bool observe_copy(struct step *step, struct value *seen, struct error *err)
{
	const char *like = value_get_text(step->with, "like", "");
	const char *wanted =
		read_or_null(step->arena, path_of(step->arena, step_directory(step), like));

	if (!wanted)
		return fail(err, ERROR_FAILED, "there is no file %s", like);
	value_set_text(step->arena, seen, "content", read_or_null(step->arena, file_path(step)));
	value_set_text(step->arena, seen, "wanted", wanted);
	return true;
}

static bool plan_copy(struct step *step, const struct value *seen, struct changes *changes,
                      struct error *err)
{
	(void)step;
	(void)err;
	if (!value_equal(value_get(seen, "content"), value_get(seen, "wanted")))
		changes_add(changes, "content", value_get(seen, "content"),
		            value_get(seen, "wanted"), NULL);
	return true;
}

static bool apply_copy(struct step *step, const struct changes *changes, struct error *err)
{
	(void)err;
	write_file(file_path(step), value_reveal(changes->first->to), O_TRUNC);
	add_effect(step, "apply");
	return true;
}

static const struct step_module copy_module = {
	.name = "test.copy",
	.text = "A file is like another one.",
	.fields = copy_fields,
	.subjects = (const char *const[]){"file/${path}", NULL},
	.reads = (const char *const[]){"file/${like}", NULL},
	.observe = observe_copy,
	.plan = plan_copy,
	.apply = apply_copy,
	.revert = revert_file,
};

static const struct field gone_fields[] = {
	{"path", FIELD_STRING, FIELD_REQUIRED, NULL, NULL, "Name of the file."},
	{0},
};

static bool observe_gone(struct step *step, struct value *seen, struct error *err)
{
	(void)err;
	value_set_bool(step->arena, seen, "there", access(file_path(step), F_OK) == 0);
	return true;
}

static bool plan_gone(struct step *step, const struct value *seen, struct changes *changes,
                      struct error *err)
{
	(void)err;
	if (value_get_bool(seen, "there", false))
		changes_add(changes, "", value_get(step->with, "path"), NULL, NULL);
	return true;
}

static bool apply_gone(struct step *step, const struct changes *changes, struct error *err)
{
	(void)changes;
	(void)err;
	unlink(file_path(step));
	add_effect(step, "apply");
	return true;
}

static const struct step_module gone_module = {
	.name = "test.gone",
	.text = "A file is no more.",
	.traits = STEP_IRREVERSIBLE | STEP_DESTROYS,
	.fields = gone_fields,
	.subjects = (const char *const[]){"file/${path}", NULL},
	.observe = observe_gone,
	.plan = plan_gone,
	.apply = apply_gone,
};

/* ---- test.look: a file is there ---- */

static bool observe_look(struct step *step, struct value *seen, struct error *err)
{
	(void)seen;
	if (access(file_path(step), F_OK) != 0)
		return fail(err, ERROR_FAILED, "there is no such file");
	add_effect(step, "look");
	return true;
}

static const struct step_module look_module = {
	.name = "test.look",
	.text = "A file is there.",
	.traits = STEP_READ_ONLY,
	.fields = gone_fields,
	.reads = (const char *const[]){"file/${path}", NULL},
	.observe = observe_look,
};

/* ---- test.fail: fails a number of times, counted in the ledger ---- */

static const struct field fail_fields[] = {
	{"kind", FIELD_STRING, 0, "failed", NULL, "Kind of error."},
	{"times", FIELD_INT, 0, "1000", NULL, "How often it fails."},
	{0},
};

static int count_lines(const char *text, const char *line)
{
	int count = 0;
	size_t length = strlen(line);

	for (const char *at = text; at && *at; at = strchr(at, '\n') ? strchr(at, '\n') + 1 : NULL)
		count += strncmp(at, line, length) == 0 && at[length] == '\n';
	return count;
}

static const char *ledger(struct arena *arena, const char *directory)
{
	const char *text = read_or_null(arena, path_of(arena, directory, "ledger"));

	return text ? text : "";
}

static bool observe_fail(struct step *step, struct value *seen, struct error *err)
{
	const char *text = ledger(step->arena, step_directory(step));

	(void)err;
	value_set_number(step->arena, seen, "tried",
	                 count_lines(text, arena_printf(step->arena, "try %s", step->id)));
	return true;
}

static bool plan_fail(struct step *step, const struct value *seen, struct changes *changes,
                      struct error *err)
{
	(void)err;
	if (value_get_number(seen, "tried", 0) <= value_get_number(step->with, "times", 0))
		changes_add(changes, "tries", value_get(seen, "tried"), NULL, NULL);
	return true;
}

static bool apply_fail(struct step *step, const struct changes *changes, struct error *err)
{
	int64_t tried = changes->first->from->as.number;

	add_effect(step, "try");
	if (tried >= value_get_number(step->with, "times", 0))
		return true;
	return fail(err, error_kind_from_name(value_get_text(step->with, "kind", "")),
	            "it was told to fail");
}

static bool revert_fail(struct step *step, const struct value *before, struct error *err)
{
	(void)before;
	(void)err;
	add_effect(step, "revert");
	return true;
}

static const struct step_module fail_module = {
	.name = "test.fail",
	.text = "Fails as told.",
	.fields = fail_fields,
	.observe = observe_fail,
	.plan = plan_fail,
	.apply = apply_fail,
	.revert = revert_fail,
};

/* ---- test.hang: acts until it is stopped ---- */

static bool observe_hang(struct step *step, struct value *seen, struct error *err)
{
	(void)err;
	value_set_bool(step->arena, seen, "hung", false);
	return true;
}

static bool plan_hang(struct step *step, const struct value *seen, struct changes *changes,
                      struct error *err)
{
	(void)step;
	(void)err;
	changes_add(changes, "hung", value_get(seen, "hung"), NULL, NULL);
	return true;
}

static bool apply_hang(struct step *step, const struct changes *changes, struct error *err)
{
	(void)changes;
	add_effect(step, "hang");
	return step_sleep(step, 600000, err);
}

static const struct step_module hang_module = {
	.name = "test.hang",
	.text = "Hangs.",
	.observe = observe_hang,
	.plan = plan_hang,
	.apply = apply_hang,
	.revert = revert_fail,
};

/* ---- test.serve: dies the first two times, then serves, and rests while the run is paused ---- */

static bool observe_serve(struct step *step, struct value *seen, struct error *err)
{
	(void)err;
	value_set_bool(step->arena, seen, "ready", true);
	return true;
}

static bool serve(struct step *step, struct error *err)
{
	const char *text = ledger(step->arena, step_directory(step));
	const char *line = arena_printf(step->arena, "serve %s", step->id);
	int times = count_lines(text, line);

	add_effect(step, "serve");
	if (times < 2)
		return fail(err, ERROR_FAILED, "it was told to die");
	step_progress(step, "it serves");
	for (bool rests = false; step_sleep(step, 100, err);)
		if (step_paused(step) != rests) {
			rests = !rests;
			add_effect(step, rests ? "rest" : "work");
		}
	add_effect(step, "served");
	return true;
}

static const struct step_module serve_module = {
	.name = "test.serve",
	.text = "Serves.",
	.traits = STEP_SERVICE | STEP_READ_ONLY,
	.observe = observe_serve,
	.serve = serve,
};

/* ---- test.number ---- */

static bool measure_number(struct step *step, const struct value *of, struct reading *reading,
                           struct error *err)
{
	const char *text = read_or_null(
		step->arena, path_of(step->arena, step_directory(step), value_reveal(of)));

	if (!text)
		return fail(err, ERROR_RETRY, "there is no such file");
	reading->value = value_number(step->arena, strtol(text, NULL, 10));
	return true;
}

static const struct metric numbers[] = {
	{"test.number", METRIC_NUMBER, "commits", OF_TEXT, "The number in a file.", measure_number},
	{0},
};

static const struct step_module *const modules[] = {&file_module,  &fail_module, &hang_module,
                                                    &serve_module, &copy_module, &gone_module,
                                                    &look_module,  NULL};
static const struct connection_kind *const connections[] = {NULL};
static const struct metric *const metrics[] = {numbers, NULL};

const struct registry world_registry = {modules, connections, metrics};

/* ---- The world ---- */

static void load(struct world *world)
{
	struct problems problems = {0};
	struct error err = {0};
	const char *file = path_of(&world->arena, world->directory, "plan.yaml");

	if (!plan_load(&world->plan, file, &world_registry, NULL, &problems)) {
		for (size_t i = 0; i < problems.count; i++)
			fprintf(stderr, "%d:%d %s\n", problems.list[i].at.line,
			        problems.list[i].at.column, problems.list[i].text);
		abort();
	}
	problems_free(&problems);
	world->journal =
		journal_open(path_of(&world->arena, world->directory, ".plan"), "test", true, &err);
	if (!world->journal || !journal_lock(world->journal, "test", &err) ||
	    !run_load(&world->run, world->journal, &err)) {
		fprintf(stderr, "%s\n", err.text);
		abort();
	}
}

void world_begin(struct world *world, const char *yaml)
{
	struct error err = {0};

	*world = (struct world){.directory = "/tmp/plan-test-XXXXXX"};
	if (!mkdtemp(world->directory))
		abort();
	world_write(world, "plan.yaml", yaml);
	load(world);
	struct value *body = value_map(&world->arena);
	value_set_text(&world->arena, body, "digest", world->plan.digest);
	value_set_text(&world->arena, body, "identity", "0123456789abcdef");
	struct record begin = {.run = 1, .kind = RECORD_BEGIN, .step = "", .body = body};
	if (!journal_append(world->journal, &begin, &err))
		abort();
	run_apply(&world->run, &begin);
}

static void close_all(struct world *world)
{
	journal_close(world->journal);
	run_free(&world->run);
	plan_free(&world->plan);
}

void world_end(struct world *world)
{
	char command[128];

	close_all(world);
	arena_free(&world->arena);
	snprintf(command, sizeof command, "rm -rf '%s'", world->directory);
	if (system(command) != 0)
		abort();
}

void world_reopen(struct world *world)
{
	close_all(world);
	load(world);
}

void world_walk(struct world *world, enum walk_mode mode, const char *back_to)
{
	struct walk_options options = {
		.mode = mode,
		.plan = &world->plan,
		.journal = world->journal,
		.run = &world->run,
		.back_to = back_to,
	};

	if (!walk(&options, &world->result)) {
		fprintf(stderr, "%s\n", world->result.error.text);
		abort();
	}
}

void world_write(const struct world *world, const char *name, const char *content)
{
	struct arena arena = {0};

	write_file(path_of(&arena, world->directory, name), content, O_TRUNC);
	arena_free(&arena);
}

const char *world_read(struct world *world, const char *name)
{
	const char *text =
		read_or_null(&world->arena, path_of(&world->arena, world->directory, name));

	return text ? text : "";
}

int world_effects(struct world *world, const char *line)
{
	return count_lines(ledger(&world->arena, world->directory), line);
}
