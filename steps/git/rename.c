/* SPDX-License-Identifier: MIT */
/* Renames a remote, in the same order as the git program, so that the file ends equal. */
#include "steps/git/rename.h"
#include "engine/base/file.h"
#include "engine/base/text.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* ---- The section ----
 * git rewrites the header where it stands, takes the fetch lines out, and puts them back with the
 * new name behind the last entry of the section. libgit2 would write a section of its own at the
 * end of the file, so the text is edited here. */

struct section {
	const char *header, *new_header;     /* [remote "old"], [remote "new"] */
	const char *tracking, *new_tracking; /* :refs/remotes/old/, :refs/remotes/new/ */
	struct text out;                     /* the file so far */
	struct text fetches;                 /* to be put behind the last entry */
	size_t last_entry; /* length of out behind the last entry of the section; 0: not inside */
	bool found;
};

static void close_section(struct section *section)
{
	struct text tail = {0};

	if (section->last_entry && section->fetches.length) {
		text_put(&tail, section->out.data + section->last_entry,
		         section->out.length - section->last_entry);
		section->out.length = section->last_entry;
		text_put(&section->out, section->fetches.data, section->fetches.length);
		text_put(&section->out, text_string(&tail), tail.length);
	}
	text_clear(&section->fetches);
	text_free(&tail);
	section->last_entry = 0;
}

static void move_fetch(struct section *section, const char *line, size_t length)
{
	char *copy = strndup(line, length);
	char *equals = copy ? strchr(copy, '=') : NULL;
	const char *value = equals ? equals + 1 + strspn(equals + 1, " \t") : "";
	const char *at = strstr(value, section->tracking);

	if (at)
		text_format(&section->fetches, "\tfetch = %.*s%s%s", (int)(at - value), value,
		            section->new_tracking, at + strlen(section->tracking));
	else
		text_format(&section->fetches, "\tfetch = %s", value);
	if (section->fetches.data[section->fetches.length - 1] != '\n')
		text_add(&section->fetches, "\n");
	free(copy);
}

static bool is_fetch(const char *line)
{
	size_t after = 5 + strspn(line + 5, " \t");

	return strncasecmp(line, "fetch", 5) == 0 && line[after] == '=';
}

static void take_line(struct section *section, const char *line, size_t length)
{
	size_t indent = strspn(line, " \t"), header = strlen(section->header);
	const char *first = line + indent;
	bool entry = *first != '#' && *first != ';' && *first != '\n' && *first != '\0';

	if (*first == '[') {
		close_section(section);
		if (strncmp(first, section->header, header) == 0) {
			text_add(&section->out, section->new_header);
			text_put(&section->out, first + header, length - indent - header);
			section->last_entry = section->out.length;
			section->found = true;
			return;
		}
	} else if (section->last_entry && is_fetch(first)) {
		move_fetch(section, line, length);
		return;
	}
	text_put(&section->out, line, length);
	if (section->last_entry && entry)
		section->last_entry = section->out.length;
}

static bool rename_section(struct repository *repository, struct step *step, const char *from,
                           const char *to, struct error *err)
{
	struct section section = {
		.header = arena_printf(step->arena, "[remote \"%s\"]", from),
		.new_header = arena_printf(step->arena, "[remote \"%s\"]", to),
		.tracking = arena_printf(step->arena, ":refs/remotes/%s/", from),
		.new_tracking = arena_printf(step->arena, ":refs/remotes/%s/", to),
	};
	char *text = file_read(step->arena, repository->config_path, (size_t)4 << 20, NULL, err);

	if (!text)
		return false;
	for (const char *line = text; *line;) {
		size_t length = strcspn(line, "\n") + (strchr(line, '\n') != NULL);
		take_line(&section, line, length);
		line += length;
	}
	close_section(&section);
	bool fine = section.found
	                    ? repository_write_config(repository, text_string(&section.out), err)
	                    : fail(err, ERROR_REFUSED,
	                           "remote %s is not written as [remote \"%s\"] in the "
	                           "repository's own "
	                           "configuration; rename it by hand",
	                           from, from);
	text_free(&section.out);
	text_free(&section.fetches);
	return fine;
}

/* ---- Branches and pushDefault ---- */

struct branches {
	struct step *step;
	const char *from;
	struct value *names; /* of the keys to set, in the order of the file */
};

static int note_branch(const git_config_entry *entry, void *context)
{
	struct branches *branches = context;

	size_t length = strlen(entry->name), push = strlen(".pushremote");

	if (!entry->value || strcmp(entry->value, branches->from) != 0)
		return 0;
	/* libgit2 gives keys in lower case; git writes this one with a capital. */
	const char *name = entry->name;
	if (length > push && strcmp(name + length - push, ".pushremote") == 0)
		name = arena_printf(branches->step->arena, "%.*s.pushRemote", (int)(length - push),
		                    name);
	value_add(branches->names, value_text(branches->step->arena, name));
	return 0;
}

static bool rename_in_branches(struct repository *repository, struct step *step, const char *from,
                               const char *to, struct error *err)
{
	struct branches branches = {step, from, value_list(step->arena)};
	int code = git_config_foreach_match(
		repository->config, "^branch\\..*\\.(remote|pushremote)$", note_branch, &branches);

	for (const struct value *one = branches.names->as.items.first; one && code == 0;
	     one = one->next)
		code = git_config_set_string(repository->config, one->as.text, to);
	return code == 0 || repository_failed(err, code, "point branches at the new name");
}

static bool rename_push_default(struct repository *repository, const char *from, const char *to,
                                struct error *err)
{
	git_buf buffer = {0};
	int code = git_config_get_string_buf(&buffer, repository->config, "remote.pushdefault");
	bool same = code == 0 && strcmp(buffer.ptr, from) == 0;

	git_buf_dispose(&buffer);
	if (!same)
		return true;
	code = git_config_set_string(repository->config, "remote.pushDefault", to);
	return code == 0 || repository_failed(err, code, "point pushDefault at the new name");
}

/* ---- Tracking refs ---- */

static bool move_ref(struct repository *repository, struct step *step, const struct value *ref,
                     const char *from, const char *to, struct error *err)
{
	const char *tail = ref->key + strlen("refs/remotes/") + strlen(from);
	const char *name = arena_printf(step->arena, "refs/remotes/%s%s", to, tail);
	const char *prefix = arena_printf(step->arena, "ref: refs/remotes/%s/", from);
	const char *target = ref->as.text;
	git_reference *made = NULL, *old = NULL;
	git_oid oid;
	int code;

	if (strncmp(target, "ref: ", 5) == 0) {
		if (strncmp(target, prefix, strlen(prefix)) == 0)
			target = arena_printf(step->arena, "ref: refs/remotes/%s/%s", to,
			                      target + strlen(prefix));
		code = git_reference_symbolic_create(&made, repository->handle, name, target + 5, 1,
		                                     NULL);
		if (code == 0)
			code = git_reference_remove(repository->handle, ref->key);
	} else if ((code = git_reference_lookup(&old, repository->handle, ref->key)) == 0) {
		code = git_oid_fromstr(&oid, target);
		if (code == 0)
			code = git_reference_rename(&made, old, name, 1,
			                            arena_printf(step->arena,
			                                         "remote: renamed %s to %s",
			                                         ref->key, name));
	}
	git_reference_free(old);
	git_reference_free(made);
	return code == 0 || repository_failed(err, code, "rename a tracking ref");
}

static bool rename_refs(struct repository *repository, struct step *step, const char *from,
                        const char *to, struct error *err)
{
	struct value *now = value_map(step->arena);
	const char *prefix = arena_printf(step->arena, "refs/remotes/%s/", from);

	if (!repository_snapshot(repository, step->arena, now, err))
		return false;
	/* Symbolic refs last: what they point at must be there. */
	for (int symbolic = 0; symbolic < 2; symbolic++)
		for (const struct value *ref = value_get(now, "refs")->as.items.first; ref;
		     ref = ref->next)
			if (strncmp(ref->key, prefix, strlen(prefix)) == 0 &&
			    (strncmp(ref->as.text, "ref: ", 5) == 0) == (symbolic == 1) &&
			    !move_ref(repository, step, ref, from, to, err))
				return false;
	return true;
}

bool rename_remote(struct repository *repository, struct step *step, const char *from,
                   const char *to, struct error *err)
{
	return rename_section(repository, step, from, to, err) &&
	       rename_in_branches(repository, step, from, to, err) &&
	       rename_refs(repository, step, from, to, err) &&
	       rename_push_default(repository, from, to, err);
}
