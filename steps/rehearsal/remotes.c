/* SPDX-License-Identifier: MIT */
/* Makes and reads the scratch repository. */
#include "steps/rehearsal/remotes.h"

#include <git2.h>
#include <stdio.h>
#include <string.h>

static bool failed(struct error *err, const char *doing)
{
	const git_error *problem = git_error_last();

	return fail(err, ERROR_FAILED, "%s: %s", doing, problem ? problem->message : "failed");
}

/* As `git remote add` writes it. git_remote_create() would leak what its regular expressions took.
 */
static bool add(git_config *config, const char *name, const char *url)
{
	char key[256], refspec[256];

	snprintf(refspec, sizeof refspec, "+refs/heads/*:refs/remotes/%s/*", name);
	snprintf(key, sizeof key, "remote.%s.url", name);
	if (git_config_set_string(config, key, url) != 0)
		return false;
	snprintf(key, sizeof key, "remote.%s.fetch", name);
	return git_config_set_string(config, key, refspec) == 0;
}

bool remotes_make(const char *path, const struct value *remotes, struct error *err)
{
	git_repository *repository = NULL;
	git_config *config = NULL;

	git_libgit2_init();
	bool fine = git_repository_init(&repository, path, 0) == 0 &&
	            git_repository_config(&config, repository) == 0;
	for (const struct value *one = remotes ? remotes->as.items.first : NULL; fine && one;
	     one = one->next)
		fine = add(config, one->key, one->as.text);
	if (!fine)
		failed(err, "make a git repository");
	git_config_free(config);
	git_repository_free(repository);
	git_libgit2_shutdown();
	return fine;
}

/* "remote.NAME.url" gives NAME and its URL. */
static void note(const git_config_entry *entry, struct arena *arena, struct value *remotes)
{
	static const char opening[] = "remote.", ending[] = ".url";
	size_t length = strlen(entry->name), before = strlen(opening), after = strlen(ending);

	if (length > before + after && strncmp(entry->name, opening, before) == 0 &&
	    strcmp(entry->name + length - after, ending) == 0)
		value_set_text(arena, remotes,
		               arena_text_n(arena, entry->name + before, length - before - after),
		               entry->value);
}

static bool list(git_repository *repository, struct arena *arena, struct value *remotes)
{
	git_config *config = NULL;
	git_config_iterator *iterator = NULL;
	git_config_entry *entry;
	bool fine = git_repository_config(&config, repository) == 0 &&
	            git_config_iterator_new(&iterator, config) == 0;

	while (fine && git_config_next(&entry, iterator) == 0)
		note(entry, arena, remotes);
	git_config_iterator_free(iterator);
	git_config_free(config);
	return fine;
}

struct value *remotes_read(const char *path, struct arena *arena, struct error *err)
{
	git_repository *repository = NULL;
	struct value *remotes = value_map(arena);

	git_libgit2_init();
	bool fine = git_repository_open(&repository, path) == 0 && list(repository, arena, remotes);
	if (!fine)
		failed(err, "read the remotes of the git repository");
	git_repository_free(repository);
	git_libgit2_shutdown();
	return fine ? remotes : NULL;
}
