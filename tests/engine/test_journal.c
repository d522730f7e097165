/* SPDX-License-Identifier: MIT */
/* The journal: damage is found, one process holds it, secrets are not in it, full disks end it. */
#include "engine/base/arena.h"
#include "engine/base/error.h"
#include "engine/journal.h"

#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

struct place_of_journal {
	char directory[64], path[96], key[96];
};

static struct place_of_journal make_place(void)
{
	struct place_of_journal place = {.directory = "/tmp/plan-journal-XXXXXX"};

	if (!mkdtemp(place.directory))
		abort();
	snprintf(place.path, sizeof place.path, "%s/test.db", place.directory);
	snprintf(place.key, sizeof place.key, "%s/test.key", place.directory);
	return place;
}

static void remove_place(const struct place_of_journal *place)
{
	char command[128];

	snprintf(command, sizeof command, "rm -rf '%s'", place->directory);
	if (system(command) != 0)
		abort();
}

static bool append(struct journal *journal, const char *text, bool secret, struct error *err)
{
	struct arena arena = {0};
	struct value *body = value_map(&arena);

	if (secret)
		value_set(&arena, body, "text", value_secret(&arena, text, "(hidden)"));
	else
		value_set_text(&arena, body, "text", text);
	struct record record = {.run = 1, .kind = RECORD_NOTE, .step = "one", .body = body};
	bool fine = journal_append(journal, &record, err);
	arena_free(&arena);
	return fine;
}

static struct journal *open_locked(const struct place_of_journal *place)
{
	struct error err = {0};
	struct journal *journal = journal_open(place->directory, "test", true, &err);

	if (!journal || !journal_lock(journal, "test", &err)) {
		fprintf(stderr, "%s\n", err.text);
		abort();
	}
	return journal;
}

static size_t read_all(const char *path, unsigned char *data, size_t size)
{
	int descriptor = open(path, O_RDONLY);
	ssize_t length = descriptor < 0 ? -1 : read(descriptor, data, size);

	if (length < 0)
		abort();
	close(descriptor);
	return (size_t)length;
}

static void write_all(const char *path, const unsigned char *data, size_t length)
{
	int descriptor = open(path, O_WRONLY | O_TRUNC);

	if (descriptor < 0 || write(descriptor, data, length) != (ssize_t)length)
		abort();
	close(descriptor);
}

struct reading_back {
	struct arena arena;
	char last[128];
	int count;
};

static bool keep_last(void *context, const struct record *record)
{
	struct reading_back *back = context;
	const char *text = value_reveal(value_get(record->body, "text"));

	snprintf(back->last, sizeof back->last, "%s", text ? text : "(none)");
	back->count++;
	return true;
}

static void what_was_appended_is_there_for_the_next_process(void **state)
{
	struct place_of_journal place = make_place();
	struct reading_back back = {0};
	struct error err = {0};
	int64_t count;
	(void)state;

	struct journal *journal = open_locked(&place);
	for (int i = 0; i < 20; i++)
		assert_true(append(journal, "remembered", i == 19, &err));
	journal_close(journal);
	journal = journal_open(place.directory, "test", false, &err);
	assert_non_null(journal);
	assert_true(journal_read(journal, 1, &back.arena, keep_last, &back, &err));
	assert_int_equal(back.count, 20);
	assert_string_equal(back.last, "remembered");
	assert_true(journal_verify(journal, &count, &err));
	assert_int_equal(count, 20);
	journal_close(journal);
	arena_free(&back.arena);
	remove_place(&place);
}

static void a_secret_is_not_in_the_file_and_comes_back_only_with_the_key(void **state)
{
	struct place_of_journal place = make_place();
	struct reading_back back = {0};
	struct error err = {0};
	static unsigned char data[1 << 20];
	(void)state;

	struct journal *journal = open_locked(&place);
	assert_true(append(journal, "canary-secret", true, &err));
	journal_close(journal);
	size_t length = read_all(place.path, data, sizeof data);
	assert_null(memmem(data, length, "canary-secret", 13));
	assert_int_equal(unlink(place.key), 0);
	journal = journal_open(place.directory, "test", false, &err);
	assert_true(journal_read(journal, 1, &back.arena, keep_last, &back, &err));
	assert_string_equal(back.last, "(none)");
	journal_close(journal);
	arena_free(&back.arena);
	remove_place(&place);
}

/* Whoever looks while a journal is made reads an empty one, or finds none. */
static void a_journal_being_made_is_never_half_there(void **state)
{
	struct error err = {0};
	(void)state;

	for (int i = 0; i < 20; i++) {
		struct place_of_journal place = make_place();
		struct reading_back back = {0};
		int status = 0;
		pid_t maker = fork();
		if (maker == 0) {
			struct journal *made = journal_open(place.directory, "test", true, &err);
			_exit(made && journal_lock(made, "test", &err) ? 0 : 1);
		}
		while (waitpid(maker, &status, WNOHANG) == 0) {
			struct journal *journal =
				journal_open(place.directory, "test", false, &err);
			if (journal &&
			    !journal_read(journal, 1, &back.arena, keep_last, &back, &err))
				fail_msg("%s", err.text);
			if (!journal && err.kind != ERROR_NONE)
				fail_msg("%s", err.text);
			journal_close(journal);
		}
		assert_int_equal(status, 0);
		arena_free(&back.arena);
		remove_place(&place);
	}
}

/* A flipped byte is found, or lies where nothing is kept; it never crashes, never reads as another
 * record. */
static void no_flipped_byte_changes_what_is_read(void **state)
{
	struct place_of_journal place = make_place();
	static unsigned char data[1 << 20];
	struct error err = {0};
	int found = 0, tried = 0;
	int64_t count;
	(void)state;

	struct journal *journal = open_locked(&place);
	for (int i = 0; i < 3; i++)
		assert_true(append(journal, "0123456789", false, &err));
	journal_close(journal);
	size_t length = read_all(place.path, data, sizeof data);
	for (size_t at = 0; at < length; at += 7, tried++) {
		struct reading_back back = {0};
		data[at] ^= 0x15;
		write_all(place.path, data, length);
		journal = journal_open(place.directory, "test", false, &err);
		bool whole = journal && journal_verify(journal, &count, &err) && count == 3;
		if (whole) {
			assert_true(journal_read(journal, 1, &back.arena, keep_last, &back, &err));
			assert_string_equal(back.last, "0123456789");
			assert_int_equal(back.count, 3);
		}
		found += !whole;
		journal_close(journal);
		arena_free(&back.arena);
		data[at] ^= 0x15;
	}
	assert_true(found > 50);
	remove_place(&place);
}

static void of_two_that_want_the_lock_exactly_one_gets_it(void **state)
{
	struct place_of_journal place = make_place();
	struct error err = {0};
	(void)state;

	journal_close(journal_open(place.directory, "test", true, &err));
	for (int race = 0; race < 30; race++) {
		int winners = 0, start[2], hold[2], status;
		pid_t pids[2];
		assert_int_equal(pipe(start) | pipe(hold), 0);
		for (int i = 0; i < 2; i++) {
			if ((pids[i] = fork()) != 0)
				continue;
			char byte;
			close(start[1]);
			close(hold[1]);
			struct journal *journal =
				journal_open(place.directory, "test", false, &err);
			(void)!read(start[0], &byte, 1);
			bool won = journal_lock(journal, "test", &err);
			if (won)
				(void)!read(hold[0], &byte, 1); /* until the other has tried too */
			_exit(won ? 1 : err.kind == ERROR_REFUSED ? 0 : 2);
		}
		close(start[0]);
		close(hold[0]);
		close(start[1]);
		pid_t first = waitpid(-1, &status, 0); /* the loser ends first */
		assert_int_equal(WEXITSTATUS(status), 0);
		close(hold[1]);
		waitpid(first == pids[0] ? pids[1] : pids[0], &status, 0);
		winners += WEXITSTATUS(status);
		assert_int_equal(winners, 1);
	}
	remove_place(&place);
}

static void a_full_disk_stops_the_run_and_leaves_the_journal_whole(void **state)
{
	struct place_of_journal place = make_place();
	struct error err = {0};
	int64_t count;
	int status;
	(void)state;

	struct journal *journal = open_locked(&place);
	assert_true(append(journal, "before", false, &err));
	journal_close(journal);
	pid_t child = fork();
	if (child == 0) {
		struct rlimit limit = {65536, 65536};
		signal(SIGXFSZ, SIG_IGN);
		setrlimit(RLIMIT_FSIZE, &limit);
		journal = open_locked(&place);
		for (int i = 0; i < 10000; i++)
			if (!append(journal, "a line that takes its place on the disk", false,
			            &err))
				_exit(err.kind == ERROR_FAILED &&
				                      strstr(err.text, "nothing more was done")
				              ? 0
				              : 2);
		_exit(3);
	}
	waitpid(child, &status, 0);
	assert_int_equal(WEXITSTATUS(status), 0);
	journal = journal_open(place.directory, "test", false, &err);
	assert_true(journal_verify(journal, &count, &err));
	assert_true(count > 1);
	journal_close(journal);
	remove_place(&place);
}

static void who_was_overtaken_appends_nothing_more(void **state)
{
	struct place_of_journal place = make_place();
	struct error err = {0};
	(void)state;

	struct journal *old = open_locked(&place);
	char lock[96];
	snprintf(lock, sizeof lock, "%s/test.lock", place.directory);
	assert_int_equal(unlink(lock), 0); /* what a file system that loses locks would do */
	struct journal *new = open_locked(&place);
	assert_true(append(new, "mine", false, &err));
	assert_false(append(old, "zombie", false, &err));
	assert_int_equal(err.kind, ERROR_REFUSED);
	journal_close(old);
	journal_close(new);
	remove_place(&place);
}

static void a_journal_that_others_can_read_or_of_a_newer_plan_is_refused(void **state)
{
	struct place_of_journal place = make_place();
	struct error err = {0};
	(void)state;

	journal_close(open_locked(&place));
	assert_int_equal(chmod(place.path, 0644), 0);
	assert_null(journal_open(place.directory, "test", false, &err));
	assert_int_equal(err.kind, ERROR_REFUSED);
	assert_int_equal(chmod(place.path, 0600), 0);
	int descriptor = open(place.path, O_WRONLY);
	assert_int_equal(pwrite(descriptor, "\0\0\0\7", 4, 60),
	                 4); /* user_version, SQLite file format 1.3 */
	close(descriptor);
	assert_null(journal_open(place.directory, "test", false, &err));
	assert_non_null(strstr(err.text, "newer plan"));
	assert_int_equal(chmod(place.directory, 0777), 0);
	assert_null(journal_open(place.directory, "other", true, &err));
	assert_non_null(strstr(err.text, "others can write"));
	remove_place(&place);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_was_appended_is_there_for_the_next_process),
		cmocka_unit_test(a_secret_is_not_in_the_file_and_comes_back_only_with_the_key),
		cmocka_unit_test(a_journal_being_made_is_never_half_there),
		cmocka_unit_test(no_flipped_byte_changes_what_is_read),
		cmocka_unit_test(of_two_that_want_the_lock_exactly_one_gets_it),
		cmocka_unit_test(a_full_disk_stops_the_run_and_leaves_the_journal_whole),
		cmocka_unit_test(who_was_overtaken_appends_nothing_more),
		cmocka_unit_test(a_journal_that_others_can_read_or_of_a_newer_plan_is_refused),
	};

	return cmocka_run_group_tests_name("journal", tests, NULL, NULL);
}
