/* SPDX-License-Identifier: MIT */
/* Files as they are in two states of a git repository. */
#include "steps/git/revision.h"
#include "engine/base/arena.h"
#include "engine/base/file.h"
#include "steps/git/repository.h"

#include <limits.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

enum state_kind { STATE_COMMIT, STATE_INDEX, STATE_WORKTREE };

struct state {
	enum state_kind kind;
	const char *name;
	git_tree *tree; /* of STATE_COMMIT */
	git_oid oid;    /* the commit; of the others HEAD, where there is one */
	char commit[GIT_OID_HEXSZ + 1];
};

struct revisions {
	struct arena *arena;
	git_repository *repository;
	git_odb *objects;
	struct state states[2];
};

/* ---- What was written ---- */

/* The `..` or `...` between two revisions: its neighbours are no slashes. */
static const char *find_dots(const char *text)
{
	if (strncmp(text, "./", 2) == 0 || strncmp(text, "../", 3) == 0 || text[0] == '/')
		return NULL;
	for (const char *dots = strstr(text, ".."); dots; dots = strstr(dots, "..")) {
		const char *after = dots + 2 + (dots[2] == '.');
		bool in_path = after[0] == '/' || (dots > text && dots[-1] == '/') ||
		               (dots == text && !after[0]);
		if (!in_path)
			return dots;
		dots = after;
	}
	return NULL;
}

bool revisions_are_named(const char *text)
{
	return find_dots(text) != NULL;
}

static bool failed(struct error *err, int code, const char *doing)
{
	if (code == GIT_EOWNER)
		return fail(err, ERROR_REFUSED,
		            "%s: the repository belongs to another user; allow it with `git config "
		            "--global --add safe.directory DIRECTORY`",
		            doing);
	return repository_failed(err, code, doing);
}

static bool resolve_commit(struct revisions *revisions, struct state *state, const char *spec,
                           struct error *err)
{
	git_object *object = NULL, *commit = NULL;
	int code = git_revparse_single(&object, revisions->repository, spec);

	if (code == 0)
		code = git_object_peel(&commit, object, GIT_OBJECT_COMMIT);
	if (code == 0)
		git_oid_cpy(&state->oid, git_object_id(commit));
	git_object_free(commit);
	git_object_free(object);
	return code == 0 || fail(err, ERROR_PLAN,
	                         "there is no revision %s here; in a shallow clone fetch more of "
	                         "the history first",
	                         spec);
}

static bool load_tree(struct revisions *revisions, struct state *state, struct error *err)
{
	git_commit *commit = NULL;
	int code = git_commit_lookup(&commit, revisions->repository, &state->oid);

	if (code == 0)
		code = git_commit_tree(&state->tree, commit);
	git_commit_free(commit);
	git_oid_tostr(state->commit, sizeof state->commit, &state->oid);
	return code == 0 || failed(err, code, "read a commit");
}

/* Of the index and the working tree the commit is HEAD: merge bases are looked for from there. */
static bool resolve_state(struct revisions *revisions, struct state *state, const char *spec,
                          struct error *err)
{
	struct error unborn = {0};

	state->name = spec[0] ? spec : "HEAD";
	if (strcmp(spec, REVISION_INDEX) == 0)
		state->kind = STATE_INDEX;
	else if (strcmp(spec, REVISION_WORKTREE) == 0)
		state->kind = STATE_WORKTREE;
	else
		return resolve_commit(revisions, state, state->name, err);
	if (state->kind == STATE_WORKTREE && git_repository_is_bare(revisions->repository))
		return fail(err, ERROR_PLAN, "a bare repository has no working tree");
	resolve_commit(revisions, state, "HEAD", &unborn);
	return true;
}

static bool use_merge_base(struct revisions *revisions, struct error *err)
{
	struct state *old = &revisions->states[REVISION_OLD];
	const struct state *new = &revisions->states[REVISION_NEW];
	git_oid base;
	int code = git_merge_base(&base, revisions->repository, &old->oid, &new->oid);

	if (code != 0)
		return fail(err, ERROR_PLAN,
		            "%s and %s have no commit in common; in a shallow clone fetch more of "
		            "the history first",
		            old->name, new->name);
	git_oid_cpy(&old->oid, &base);
	old->kind = STATE_COMMIT;
	old->name = arena_printf(revisions->arena, "merge base of %s and %s", old->name, new->name);
	return true;
}

static bool resolve_both(struct revisions *revisions, const char *text, struct error *err)
{
	const char *dots = find_dots(text), *old;
	bool from_base = dots && dots[2] == '.';

	if (!dots)
		return fail(err, ERROR_PLAN, "`%s` names no two revisions", text);
	old = arena_text_n(revisions->arena, text, (size_t)(dots - text));
	if (!resolve_state(revisions, &revisions->states[REVISION_OLD], old, err) ||
	    !resolve_state(revisions, &revisions->states[REVISION_NEW], dots + 2 + from_base,
	                   err) ||
	    (from_base && !use_merge_base(revisions, err)))
		return false;
	for (size_t i = 0; i < 2; i++)
		if (revisions->states[i].kind == STATE_COMMIT &&
		    !load_tree(revisions, &revisions->states[i], err))
			return false;
	return true;
}

struct revisions *revisions_open(const char *text, struct arena *arena, struct error *err)
{
	struct revisions *revisions = arena_alloc(arena, sizeof *revisions);

	revisions->arena = arena;
	git_libgit2_init();
	int code = git_repository_open_ext(&revisions->repository, ".",
	                                   GIT_REPOSITORY_OPEN_FROM_ENV, NULL);
	if (code == 0)
		code = git_repository_odb(&revisions->objects, revisions->repository);
	if (code == GIT_ENOTFOUND)
		fail(err, ERROR_PLAN, "there is no git repository here or above");
	else if (code != 0)
		failed(err, code, "open the git repository");
	else if (resolve_both(revisions, text, err))
		return revisions;
	revisions_close(revisions);
	return NULL;
}

void revisions_close(struct revisions *revisions)
{
	for (size_t i = 0; i < 2; i++)
		git_tree_free(revisions->states[i].tree);
	git_odb_free(revisions->objects);
	git_repository_free(revisions->repository);
	git_libgit2_shutdown();
}

const char *revisions_name(const struct revisions *revisions, enum revision_side side)
{
	return revisions->states[side].name;
}

const char *revisions_commit(const struct revisions *revisions, enum revision_side side)
{
	return revisions->states[side].commit;
}

/* ---- What changed ---- */

static int make_diff(struct revisions *revisions, git_diff_options *options, git_diff **diff)
{
	git_repository *repository = revisions->repository;
	const struct state *old = &revisions->states[REVISION_OLD];
	const struct state *new = &revisions->states[REVISION_NEW];

	if (old->kind > new->kind) { /* libgit2 has each pair in one direction only */
		const struct state *other = old;
		old = new;
		new = other;
		options->flags |= GIT_DIFF_REVERSE;
	}
	if (old->kind == STATE_COMMIT && new->kind == STATE_COMMIT)
		return git_diff_tree_to_tree(diff, repository, old->tree, new->tree, options);
	if (old->kind == STATE_COMMIT && new->kind == STATE_INDEX)
		return git_diff_tree_to_index(diff, repository, old->tree, NULL, options);
	if (old->kind == STATE_COMMIT)
		return git_diff_tree_to_workdir(diff, repository, old->tree, options);
	if (old->kind == STATE_INDEX && new->kind == STATE_WORKTREE)
		return git_diff_index_to_workdir(diff, repository, NULL, options);
	*diff = NULL; /* one and the same */
	return 0;
}

static bool find_changes(struct revisions *revisions, const char *pattern, git_diff **diff,
                         struct error *err)
{
	const char *patterns[] = {"*.yaml", "*.yml", pattern};
	git_diff_options options;
	git_diff_find_options find;

	git_diff_options_init(&options, GIT_DIFF_OPTIONS_VERSION);
	git_diff_find_options_init(&find, GIT_DIFF_FIND_OPTIONS_VERSION);
	options.flags |= GIT_DIFF_INCLUDE_UNTRACKED | GIT_DIFF_RECURSE_UNTRACKED_DIRS |
	                 GIT_DIFF_SHOW_UNTRACKED_CONTENT | GIT_DIFF_INCLUDE_TYPECHANGE;
	options.pathspec.strings = (char **)(uintptr_t)patterns;
	options.pathspec.count = pattern ? 3 : 2;
	find.flags = GIT_DIFF_FIND_RENAMES | GIT_DIFF_FIND_FOR_UNTRACKED;
	find.rename_limit = 1000;
	int code = make_diff(revisions, &options, diff);
	if (code == 0 && *diff)
		code = git_diff_find_similar(*diff, &find);
	return code == 0 || failed(err, code, "compare the two revisions");
}

static struct revision_change change_of(struct arena *arena, const git_diff_delta *delta)
{
	return (struct revision_change){.path = {arena_text(arena, delta->old_file.path),
	                                         arena_text(arena, delta->new_file.path)}};
}

bool revisions_changes(struct revisions *revisions, struct revision_change **changes,
                       struct error *err)
{
	git_diff *diff = NULL;
	struct revision_change **link = changes;
	bool fine = find_changes(revisions, NULL, &diff, err);

	*changes = NULL;
	/* Deltas are sorted by name. */
	for (size_t i = 0; fine && diff && i < git_diff_num_deltas(diff); i++) {
		*link = arena_alloc(revisions->arena, sizeof **link);
		**link = change_of(revisions->arena, git_diff_get_delta(diff, i));
		link = &(*link)->next;
	}
	git_diff_free(diff);
	return fine;
}

/* ---- One file ---- */

/* Takes `.` and `..` out of a path; NULL when it leads out. */
static const char *normalize(struct arena *arena, const char *path)
{
	char *out = arena_alloc(arena, strlen(path) + 2), *end = out;

	for (const char *part = path; *part;) {
		size_t length = strcspn(part, "/");
		if (length == 2 && strncmp(part, "..", 2) == 0) {
			if (end == out)
				return NULL;
			while (end > out && *--end != '/')
				;
		} else if (length > 0 && !(length == 1 && part[0] == '.')) {
			if (end > out)
				*end++ = '/';
			memcpy(end, part, length);
			end += length;
		}
		part += length + (part[length] == '/');
	}
	*end = '\0';
	return out[0] ? out : NULL;
}

static const char *real_path(struct arena *arena, const char *path)
{
	char resolved[PATH_MAX];

	return realpath(path, resolved) ? arena_text(arena, resolved) : NULL;
}

/* A file named from the current directory, as git names it: from the top of the working tree. */
static const char *path_in_repository(struct revisions *revisions, const char *file)
{
	struct arena *arena = revisions->arena;
	const char *workdir = git_repository_workdir(revisions->repository);
	const char *top = workdir ? real_path(arena, workdir) : NULL, *here = real_path(arena, ".");
	size_t length = top ? strlen(top) : 0;

	if (!top || !here)
		return file[0] == '/' ? NULL : normalize(arena, file);
	const char *whole = file[0] == '/' ? file : arena_printf(arena, "%s/%s", here, file);
	whole = normalize(arena, whole);
	if (!whole || strncmp(whole, top + 1, length - 1) != 0 || whole[length - 1] != '/')
		return NULL;
	return whole + length;
}

static bool exists(struct revisions *revisions, enum revision_side side, const char *path)
{
	struct error err = {0};
	struct revision_text text;

	return revisions_read(revisions, side, path, 0, &text, &err) != REVISION_MISSING;
}

bool revisions_file(struct revisions *revisions, const char *file, struct revision_change *change,
                    struct error *err)
{
	const char *path = path_in_repository(revisions, file);
	const char *ending = path ? strrchr(path, '.') : NULL;
	git_diff *diff = NULL;

	if (!path)
		return fail(err, ERROR_PLAN, "%s does not lie in this git repository", file);
	/* A rename is found among the files that are named alike. */
	if (ending && (strchr(ending, '/') || strpbrk(ending, "*?[\\!")))
		ending = NULL;
	const char *pattern = ending ? arena_printf(revisions->arena, "*%s", ending) : "*";
	bool fine = find_changes(revisions, pattern, &diff, err), found = false;
	*change = (struct revision_change){.path = {path, path}};
	for (size_t i = 0; fine && !found && diff && i < git_diff_num_deltas(diff); i++) {
		const git_diff_delta *delta = git_diff_get_delta(diff, i);
		found = strcmp(delta->new_file.path, path) == 0 ||
		        strcmp(delta->old_file.path, path) == 0;
		if (found)
			*change = change_of(revisions->arena, delta);
	}
	git_diff_free(diff);
	if (fine && !found && !exists(revisions, REVISION_OLD, path) &&
	    !exists(revisions, REVISION_NEW, path))
		fine = fail(err, ERROR_PLAN, "there is no file %s, neither in %s nor in %s", path,
		            revisions->states[0].name, revisions->states[1].name);
	return fine;
}

/* ---- Reading ---- */

static enum revision_found read_blob(struct revisions *revisions, const git_oid *oid, size_t limit,
                                     struct revision_text *text, struct error *err)
{
	git_object_t type;
	git_blob *blob = NULL;
	/* The size first: what is too large is not read at all. */
	int code = git_odb_read_header(&text->length, &type, revisions->objects, oid);

	if (code == 0 && text->length > limit) {
		fail(err, ERROR_PLAN, "the file is larger than %zu bytes", limit);
		return REVISION_UNREADABLE;
	}
	if (code == 0)
		code = git_blob_lookup(&blob, revisions->repository, oid);
	if (code == 0)
		text->data =
			arena_text_n(revisions->arena, git_blob_rawcontent(blob), text->length);
	else
		failed(err, code, "read the file from git");
	git_blob_free(blob);
	return code == 0 ? REVISION_FOUND : REVISION_UNREADABLE;
}

static enum revision_found no_regular_file(struct error *err)
{
	fail(err, ERROR_PLAN, "it is no regular file (a symbolic link or a submodule perhaps)");
	return REVISION_UNREADABLE;
}

static bool is_regular(git_filemode_t mode)
{
	return mode == GIT_FILEMODE_BLOB || mode == GIT_FILEMODE_BLOB_EXECUTABLE;
}

static enum revision_found find_in_tree(const struct state *state, const char *path, git_oid *oid,
                                        struct error *err)
{
	git_tree_entry *entry = NULL;
	int code = git_tree_entry_bypath(&entry, state->tree, path);
	enum revision_found found = REVISION_FOUND;

	if (code == GIT_ENOTFOUND)
		return REVISION_MISSING;
	if (code != 0) {
		failed(err, code, "read a directory from git");
		return REVISION_UNREADABLE;
	}
	git_oid_cpy(oid, git_tree_entry_id(entry));
	if (!is_regular(git_tree_entry_filemode(entry)))
		found = no_regular_file(err);
	git_tree_entry_free(entry);
	return found;
}

static enum revision_found find_in_index(git_repository *repository, const char *path, git_oid *oid,
                                         struct error *err)
{
	git_index *index = NULL;
	int code = git_repository_index(&index, repository);
	const git_index_entry *entry = code == 0 ? git_index_get_bypath(index, path, 0) : NULL;
	enum revision_found found = REVISION_FOUND;

	if (code != 0) {
		failed(err, code, "read the index");
		found = REVISION_UNREADABLE;
	} else if (entry && !is_regular((git_filemode_t)entry->mode)) {
		found = no_regular_file(err);
	} else if (entry) {
		git_oid_cpy(oid, &entry->id);
	} else if (git_index_get_bypath(index, path, 2) || git_index_get_bypath(index, path, 3)) {
		fail(err, ERROR_PLAN, "it has an unresolved conflict in the index");
		found = REVISION_UNREADABLE;
	} else {
		found = REVISION_MISSING;
	}
	git_index_free(index);
	return found;
}

enum revision_found revisions_read(struct revisions *revisions, enum revision_side side,
                                   const char *path, size_t limit, struct revision_text *text,
                                   struct error *err)
{
	const struct state *state = &revisions->states[side];
	const char *workdir = git_repository_workdir(revisions->repository);
	enum revision_found found;
	struct stat status;
	git_oid oid;

	if (state->kind == STATE_WORKTREE) {
		if (lstat(arena_printf(revisions->arena, "%s%s", workdir, path), &status) != 0)
			return REVISION_MISSING;
		text->data = file_read_beneath(revisions->arena, workdir, path, limit,
		                               &text->length, err);
		return text->data ? REVISION_FOUND : REVISION_UNREADABLE;
	}
	if (state->kind == STATE_COMMIT)
		found = find_in_tree(state, path, &oid, err);
	else
		found = find_in_index(revisions->repository, path, &oid, err);
	if (found != REVISION_FOUND)
		return found;
	return read_blob(revisions, &oid, limit, text, err);
}
