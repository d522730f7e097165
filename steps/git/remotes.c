/* SPDX-License-Identifier: MIT */
/* git.remotes: renames, adds, points and removes remotes, as `git remote` does; never the network.
 */
#include "steps/git/git.h"
#include "steps/git/rename.h"

#include <string.h>

static const struct field fields[] = {
	{"repository", FIELD_PATH, 0, ".", NULL, "The repository, or a directory in it."},
	{"rename", FIELD_STRING, FIELD_MAP, NULL, NULL, "Old name to new name; done first."},
	{"remove", FIELD_STRING, FIELD_LIST, NULL, NULL, "Names to remove."},
	{"add", FIELD_STRING, FIELD_MAP, NULL, NULL,
         "Name to URL; refused when it has another URL."},
	{"set", FIELD_STRING, FIELD_MAP, NULL, NULL, "Name to URL; added, or pointed there."},
	{0},
};

static const char *const subjects[] = {"git/${repository}/remotes", NULL};

static bool check(const struct value *with, struct error *err)
{
	static const char *const actions[] = {"rename", "remove", "add", "set"};

	for (size_t i = 0; i < 4; i++)
		if (value_get(with, actions[i]))
			return true;
	return fail(err, ERROR_PLAN, "git.remotes does nothing: give rename, remove, add or set");
}

/* ---- Looking ---- */

/* https://user:password@host/ is shown without the password. */
static struct value *url_value(struct arena *arena, const char *url)
{
	const char *scheme = strstr(url, "://"), *at = scheme ? strchr(scheme + 3, '@') : NULL;
	const char *colon = at ? memchr(scheme + 3, ':', (size_t)(at - scheme - 3)) : NULL;

	if (!colon || memchr(scheme + 3, '/', (size_t)(at - scheme - 3)))
		return value_text(arena, url);
	return value_secret(arena, url,
	                    arena_printf(arena, "%.*s:(hidden)%s", (int)(colon - url), url, at));
}

static bool list_remotes(struct repository *repository, struct step *step, struct value *remotes,
                         struct error *err)
{
	git_strarray names = {0};
	int code = git_remote_list(&names, repository->handle);

	for (size_t i = 0; i < names.count && code == 0; i++) {
		/* As written: git_remote_url() would apply insteadOf. */
		git_buf url = {0};
		const char *key = arena_printf(step->arena, "remote.%s.url", names.strings[i]);
		code = git_config_get_string_buf(&url, repository->config, key);
		if (code == 0 || code == GIT_ENOTFOUND)
			value_set(step->arena, remotes, names.strings[i],
			          url_value(step->arena, code == 0 ? url.ptr : ""));
		code = code == GIT_ENOTFOUND ? 0 : code;
		git_buf_dispose(&url);
	}
	git_strarray_dispose(&names);
	return code == 0 || repository_failed(err, code, "list the remotes");
}

static bool observe(struct step *step, struct value *seen, struct error *err)
{
	struct repository repository;
	struct value *remotes = value_map(step->arena);
	const char *path = value_get_text(step->with, "repository", ".");

	bool fine = repository_open(&repository, step, path, err) &&
	            repository_snapshot(&repository, step->arena, seen, err) &&
	            list_remotes(&repository, step, remotes, err);
	if (fine)
		value_set(step->arena, seen, "remotes", remotes);
	repository_close(&repository);
	return fine;
}

/* ---- Comparing ---- */

static const struct value *items(const struct value *collection)
{
	return collection ? collection->as.items.first : NULL;
}

/* After an apply that broke off, parts of the old name may be left: then all is done anew. */
static bool left_behind(const struct value *seen, const char *name)
{
	const char *config = value_reveal(value_get(seen, "config"));
	size_t length = strlen(name);

	for (const struct value *ref = items(value_get(seen, "refs")); ref; ref = ref->next)
		if (strncmp(ref->key, "refs/remotes/", 13) == 0 &&
		    strncmp(ref->key + 13, name, length) == 0 && ref->key[13 + length] == '/')
			return true;
	for (const char *line = config; line && (line = strstr(line, "emote = ")); line += 8)
		if (strncmp(line + 8, name, length) == 0 && line[8 + length] == '\n')
			return true;
	return false;
}

static bool plan_rename(struct step *step, const struct value *seen, const struct value *one,
                        struct changes *changes, struct error *err)
{
	const struct value *remotes = value_get(seen, "remotes");
	const struct value *old = value_get(remotes, one->key);
	const struct value *new = value_get(remotes, value_reveal(one));
	const struct value *wanted = value_get(value_get(step->with, "set"), one->key);

	if (old && wanted && value_equal(old, wanted))
		return true; /* it was renamed, or never had to be: the name means the new place
		                already */
	if (old && new && !step->attempted)
		return fail(
			err, ERROR_REFUSED,
			"both remotes %s and %s exist, so %s cannot be renamed; remove or rename "
			"one of them",
			one->key, value_reveal(one), one->key);
	if (!old && !new)
		return fail(err, ERROR_REFUSED, "there is no remote %s to rename", one->key);
	if (old || (step->attempted && left_behind(seen, one->key)))
		changes_add(changes, one->key, value_text(step->arena, one->key), one, "rename");
	return true;
}

static bool plan(struct step *step, const struct value *seen, struct changes *changes,
                 struct error *err)
{
	const struct value *remotes = value_get(seen, "remotes");
	const struct value *renames = value_get(step->with, "rename");

	for (const struct value *one = items(renames); one; one = one->next)
		if (!plan_rename(step, seen, one, changes, err))
			return false;
	for (const struct value *one = items(value_get(step->with, "remove")); one; one = one->next)
		if (value_get(remotes, value_reveal(one)))
			changes_add(changes, value_reveal(one),
			            value_get(remotes, value_reveal(one)), NULL, "remove");
	for (const struct value *one = items(value_get(step->with, "add")); one; one = one->next) {
		const struct value *now = value_get(remotes, one->key);
		if (now && !value_equal(now, one) && !value_get(renames, one->key))
			return fail(err, ERROR_REFUSED,
			            "remote %s exists with another URL; use `set` to point it "
			            "elsewhere",
			            one->key);
		if (!now || !value_equal(now, one))
			changes_add(changes, one->key, NULL, one, "add");
	}
	for (const struct value *one = items(value_get(step->with, "set")); one; one = one->next) {
		const struct value *now = value_get(remotes, one->key);
		bool renamed = value_get(renames, one->key) != NULL;
		if (!value_equal(now, one))
			changes_add(changes, one->key, renamed ? NULL : now, one,
			            now && !renamed ? "set" : "add");
	}
	return true;
}

/* ---- Acting ---- */

static bool set_remote(struct repository *repository, const char *name, const char *url,
                       struct error *err)
{
	git_remote *remote = NULL;
	int code = git_remote_lookup(&remote, repository->handle, name);

	if (code == 0)
		code = git_remote_set_url(repository->handle, name, url);
	else if (code == GIT_ENOTFOUND)
		code = git_remote_create(&remote, repository->handle, name, url);
	git_remote_free(remote);
	if (code == 0)
		return true;
	repository_failed(err, code, "set its URL");
	return fail_while(err, "remote %s", name);
}

static bool remove_remote(struct repository *repository, const char *name, struct error *err)
{
	int code = git_remote_delete(repository->handle, name);

	return code == 0 || code == GIT_ENOTFOUND ||
	       repository_failed(err, code, "remove a remote");
}

static bool apply_change(struct repository *repository, struct step *step,
                         const struct change *change, struct error *err)
{
	if (strcmp(change->note, "rename") == 0)
		return rename_remote(repository, step, change->path, value_reveal(change->to), err);
	if (strcmp(change->note, "remove") == 0)
		return remove_remote(repository, change->path, err);
	return set_remote(repository, change->path, value_reveal(change->to), err);
}

static bool is_partial(const struct step *step, const struct changes *changes,
                       const struct value *seen)
{
	/* A first try finds the repository as the intent saw it. */
	return step->before && changes->first &&
	       !value_equal(value_get(seen, "config"), value_get(step->before, "config"));
}

static bool apply_all(struct repository *repository, struct step *step,
                      const struct changes *changes, struct error *err)
{
	for (const struct change *change = changes->first; change; change = change->next)
		if (!apply_change(repository, step, change, err))
			return false;
	return true;
}

static bool apply(struct step *step, const struct changes *changes, struct error *err)
{
	struct repository repository;
	struct value *seen = value_map(step->arena);
	struct changes anew = *changes;
	const char *path = value_get_text(step->with, "repository", ".");
	bool fine = observe(step, seen, err) && repository_open(&repository, step, path, err);

	if (!fine)
		return false;
	if (is_partial(step, changes, seen)) {
		/* A try broke off in the middle. All of it is local: back to the start, and again.
		 */
		anew = (struct changes){.arena = step->arena};
		fine = repository_restore(&repository, step->arena, step->before, err) &&
		       plan(step, step->before, &anew, err);
		repository_close(&repository);
		fine = fine && repository_open(&repository, step, path, err);
	}
	fine = fine && apply_all(&repository, step, &anew, err);
	repository_close(&repository);
	return fine;
}

static bool revert(struct step *step, const struct value *before, struct error *err)
{
	struct repository repository;

	if (!repository_open(&repository, step, value_get_text(step->with, "repository", "."), err))
		return false;
	bool fine = repository_restore(&repository, step->arena, before, err);
	repository_close(&repository);
	return fine;
}

const struct step_module git_remotes = {
	.name = "git.remotes",
	.text = "Renames, adds, points and removes the remotes of a git repository.",
	.fields = fields,
	.subjects = subjects,
	.check = check,
	.observe = observe,
	.plan = plan,
	.apply = apply,
	.revert = revert,
};
