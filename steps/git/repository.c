/* SPDX-License-Identifier: MIT */
/* Opens repositories, takes snapshots of them and puts them back. */
#include "steps/git/repository.h"
#include "engine/base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define CONFIG_BYTES ((size_t)4 * 1024 * 1024)

bool repository_failed(struct error *err, int code, const char *doing)
{
	const git_error *last = git_error_last();
	enum error_kind kind = code == GIT_ELOCKED ? ERROR_RETRY : ERROR_FAILED;

	return fail(err, kind, "%s: %s%s", doing,
	            last && last->message ? last->message : "it failed",
	            code == GIT_ELOCKED ? "; another git process holds the lock" : "");
}

static bool open_config(struct repository *repository, struct step *step, struct error *err)
{
	const char *common = git_repository_commondir(repository->handle);

	repository->config_path = arena_printf(step->arena, "%sconfig", common);
	int code = git_config_open_ondisk(&repository->config, repository->config_path);
	return code == 0 || repository_failed(err, code, "open the repository's configuration");
}

bool repository_open(struct repository *repository, struct step *step, const char *path,
                     struct error *err)
{
	const char *start = file_join(step->arena, step_directory(step), path);
	unsigned flags = strcmp(path, ".") == 0 ? GIT_REPOSITORY_OPEN_FROM_ENV : 0;

	*repository = (struct repository){0};
	git_libgit2_init();
	int code = git_repository_open_ext(&repository->handle, start, flags, NULL);
	if (code == GIT_ENOTFOUND) {
		fail(err, ERROR_PLAN, "there is no git repository at or above %s", start);
		return false;
	}
	if (code != 0)
		return repository_failed(err, code, "open the git repository");
	return open_config(repository, step, err);
}

void repository_close(struct repository *repository)
{
	git_config_free(repository->config);
	git_repository_free(repository->handle);
	git_libgit2_shutdown();
	*repository = (struct repository){0};
}

/* ---- Snapshots ---- */

struct listing {
	struct arena *arena;
	struct value *refs;
};

static const char *target_of(struct arena *arena, const git_reference *reference)
{
	if (git_reference_type(reference) == GIT_REFERENCE_SYMBOLIC)
		return arena_printf(arena, "ref: %s", git_reference_symbolic_target(reference));
	char hash[GIT_OID_HEXSZ + 1];
	git_oid_tostr(hash, sizeof hash, git_reference_target(reference));
	return arena_text(arena, hash);
}

static int list_one(git_reference *reference, void *context)
{
	struct listing *listing = context;
	const char *name = git_reference_name(reference);

	if (strncmp(name, "refs/remotes/", 13) == 0)
		value_set_text(listing->arena, listing->refs, name,
		               target_of(listing->arena, reference));
	git_reference_free(reference);
	return 0;
}

bool repository_snapshot(struct repository *repository, struct arena *arena, struct value *into,
                         struct error *err)
{
	struct listing listing = {arena, value_map(arena)};
	char *text = file_read(arena, repository->config_path, CONFIG_BYTES, NULL, err);

	if (!text)
		return false;
	int code = git_reference_foreach(repository->handle, list_one, &listing);
	if (code != 0)
		return repository_failed(err, code, "list the refs");
	value_set(arena, into, "config",
	          value_secret(arena, text, "(configuration of the repository)"));
	value_set(arena, into, "refs", listing.refs);
	return true;
}

/* ---- Putting back ---- */

bool repository_write_config(struct repository *repository, const char *text, struct error *err)
{
	char lock[4096];
	struct stat status;

	if (stat(repository->config_path, &status) < 0)
		return fail(err, ERROR_FAILED, "%s: %s", repository->config_path, strerror(errno));
	snprintf(lock, sizeof lock, "%s.lock", repository->config_path);
	int descriptor = open(lock, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, status.st_mode & 0777);
	if (descriptor < 0)
		return fail(err, errno == EEXIST ? ERROR_RETRY : ERROR_FAILED,
		            "%s: %s; another git process holds it, or died and left it", lock,
		            strerror(errno));
	size_t length = strlen(text);
	bool fine = write(descriptor, text, length) == (ssize_t)length && fsync(descriptor) == 0;
	close(descriptor);
	if (fine && rename(lock, repository->config_path) == 0)
		return true;
	fail(err, ERROR_FAILED, "write %s: %s", repository->config_path, strerror(errno));
	unlink(lock);
	return false;
}

static bool restore_ref(struct repository *repository, const char *name, const char *target,
                        struct error *err)
{
	git_reference *made = NULL;
	git_oid oid;
	int code;

	if (strncmp(target, "ref: ", 5) == 0)
		code = git_reference_symbolic_create(&made, repository->handle, name, target + 5, 1,
		                                     NULL);
	else if ((code = git_oid_fromstr(&oid, target)) == 0)
		code = git_reference_create(&made, repository->handle, name, &oid, 1, NULL);
	git_reference_free(made);
	return code == 0 || repository_failed(err, code, "restore a ref");
}

static bool restore_refs(struct repository *repository, struct arena *arena,
                         const struct value *wanted, struct error *err)
{
	struct listing now = {arena, value_map(arena)};
	int code = git_reference_foreach(repository->handle, list_one, &now);

	if (code != 0)
		return repository_failed(err, code, "list the refs");
	for (const struct value *one = now.refs->as.items.first; one; one = one->next)
		if (!value_get(wanted, one->key) &&
		    (code = git_reference_remove(repository->handle, one->key)) != 0)
			return repository_failed(err, code, "remove a ref");
	for (const struct value *one = wanted ? wanted->as.items.first : NULL; one; one = one->next)
		if (!value_equal(value_get(now.refs, one->key), one) &&
		    !restore_ref(repository, one->key, value_reveal(one), err))
			return false;
	return true;
}

bool repository_restore(struct repository *repository, struct arena *arena,
                        const struct value *snapshot, struct error *err)
{
	const char *text = value_reveal(value_get(snapshot, "config"));

	if (!text)
		return fail(err, ERROR_FAILED,
		            "the configuration as it was cannot be read from the journal: its key "
		            "is gone");
	return restore_refs(repository, arena, value_get(snapshot, "refs"), err) &&
	       repository_write_config(repository, text, err);
}
