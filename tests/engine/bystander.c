/* SPDX-License-Identifier: MIT */
/* What another process sees of a small world while it is walked through, and asks for. */
#include "tests/engine/world.h"

#include <string.h>
#include <unistd.h>

static const char *journal_of(struct world *world)
{
	return arena_printf(&world->arena, "%s/.plan", world->directory);
}

bool world_ask(struct world *world, enum request_kind kind)
{
	struct error err;
	struct request request = {
		.kind = kind, .who = "ann@host", .step = "", .digest = "", .text = ""};
	const char *directory = journal_of(world);
	struct journal *journal = journal_open(directory, "test", false, &err);
	bool asked = journal && journal_request(journal, &request, &err);

	journal_close(journal);
	return asked;
}

int world_awaits(struct world *world, const char *line, int count)
{
	for (int i = 0; i < 400 && world_effects(world, line) < count; i++)
		usleep(50000);
	return world_effects(world, line);
}

bool world_shows(struct world *world, const char *step, const char *state)
{
	struct error err;
	const char *directory = journal_of(world), *seen = "";
	struct journal *journal = journal_open(directory, "test", false, &err);

	for (int i = 0; journal && i < 1000 && strcmp(seen, state) != 0; i++) {
		usleep(20000);
		seen = value_get_text(value_get(journal_live(journal, &world->arena), step),
		                      "state", "");
	}
	journal_close(journal);
	return strcmp(seen, state) == 0;
}
