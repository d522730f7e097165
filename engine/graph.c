/* SPDX-License-Identifier: MIT */
/* The edges between steps, every cycle named in full, and an order that keeps that of the file. */
#include "engine/base/text.h"
#include "engine/decode.h"

#include <stdlib.h>
#include <string.h>

/* Edges between instances, by their index in the file. */
struct graph {
	struct decoder *decoder;
	size_t **needs; /* per instance */
	size_t *counts;
	size_t *seen;     /* stamp: the instance + 1 for which an edge was last added */
	size_t *passed;   /* the same for declarations that were left out */
	size_t *position; /* instance -> place in the order */
};

/* What a declaration stands for: its instances, or, when `if` left it out, what it needed itself.
 */
static void collect(struct graph *graph, size_t instance, const struct declaration *needed)
{
	struct decoder *decoder = graph->decoder;

	for (size_t i = 0; i < needed->count; i++) {
		size_t other = needed->first + i;
		if (graph->seen[other] == instance + 1)
			continue;
		graph->seen[other] = instance + 1;
		graph->needs[instance][graph->counts[instance]++] = other;
	}
	if (needed->count > 0 || graph->passed[needed->index] == instance + 1)
		return;
	graph->passed[needed->index] = instance + 1;
	for (size_t i = 0; i < needed->need_count; i++)
		collect(graph, instance, &decoder->declarations[needed->needs[i]]);
}

static size_t most_edges(struct decoder *decoder, const struct declaration *declaration)
{
	size_t most = 0;

	for (size_t i = 0; i < declaration->need_count; i++) {
		const struct declaration *needed = &decoder->declarations[declaration->needs[i]];
		/* One that was left out may stand for any of the others. */
		most += needed->count ? needed->count : decoder->step_count;
	}
	return most < decoder->step_count ? most : decoder->step_count;
}

static void draw_edges(struct graph *graph)
{
	struct decoder *decoder = graph->decoder;

	for (size_t d = 0; d < decoder->declaration_count; d++) {
		const struct declaration *declaration = &decoder->declarations[d];
		size_t most = most_edges(decoder, declaration);
		for (size_t i = 0; i < declaration->count; i++) {
			size_t instance = declaration->first + i;
			graph->needs[instance] =
				arena_array(decoder->arena, most + 1, sizeof(size_t));
			for (size_t n = 0; n < declaration->need_count; n++)
				collect(graph, instance,
				        &decoder->declarations[declaration->needs[n]]);
		}
	}
}

/* ---- A heap of instances, smallest index first ---- */

static void heap_push(size_t *heap, size_t *count, size_t item)
{
	size_t i = (*count)++;

	for (; i > 0 && heap[(i - 1) / 2] > item; i = (i - 1) / 2)
		heap[i] = heap[(i - 1) / 2];
	heap[i] = item;
}

static size_t heap_pop(size_t *heap, size_t *count)
{
	size_t top = heap[0], item = heap[--*count], i = 0;

	for (;;) {
		size_t child = 2 * i + 1;
		if (child >= *count)
			break;
		if (child + 1 < *count && heap[child + 1] < heap[child])
			child++;
		if (heap[child] >= item)
			break;
		heap[i] = heap[child];
		i = child;
	}
	heap[i] = item;
	return top;
}

/* The instances that need each one: offsets into one array. */
struct users {
	size_t *first, *list;
};

static struct users invert(const struct graph *graph)
{
	size_t count = graph->decoder->step_count, total = 0;
	struct arena *arena = graph->decoder->arena;
	struct users users = {.first = arena_array(arena, count + 2, sizeof(size_t))};

	for (size_t i = 0; i < count; i++)
		for (size_t n = 0; n < graph->counts[i]; n++, total++)
			users.first[graph->needs[i][n] + 2]++;
	for (size_t i = 2; i < count + 2; i++)
		users.first[i] += users.first[i - 1];
	users.list = arena_array(arena, total + 1, sizeof(size_t));
	for (size_t i = 0; i < count; i++)
		for (size_t n = 0; n < graph->counts[i]; n++)
			users.list[users.first[graph->needs[i][n] + 1]++] = i;
	return users;
}

static size_t sort(const struct graph *graph, const struct users *users, size_t *missing)
{
	size_t count = graph->decoder->step_count, heaped = 0, placed = 0;
	size_t *heap = arena_array(graph->decoder->arena, count + 1, sizeof *heap);

	for (size_t i = 0; i < count; i++)
		if ((missing[i] = graph->counts[i]) == 0)
			heap_push(heap, &heaped, i);
	while (heaped > 0) {
		size_t instance = heap_pop(heap, &heaped);
		graph->position[instance] = placed++;
		for (size_t u = users->first[instance]; u < users->first[instance + 1]; u++)
			if (--missing[users->list[u]] == 0)
				heap_push(heap, &heaped, users->list[u]);
	}
	return placed;
}

struct trail {
	size_t *path;  /* instances, in the order they were come by */
	size_t *place; /* of each instance in the path, from 1; 0: not come by yet */
	size_t length;
};

static void name_cycle(const struct graph *graph, const struct trail *trail, size_t back_at)
{
	const struct plan_step *steps = graph->decoder->steps;
	struct text cycle = {.limit = 900};

	for (size_t i = trail->place[back_at] - 1; i < trail->length; i++)
		text_format(&cycle, "%s needs ", steps[trail->path[i]].id);
	text_add(&cycle, steps[back_at].id);
	problems_add(graph->decoder->problems, steps[back_at].at,
	             "the steps wait for each other: %s; take one of these needs away",
	             text_string(&cycle));
	text_free(&cycle);
}

/* Every instance that is left has a need that is left: following those must come round, to this
 * walk's own beginning or to what an earlier walk has come by. */
static void name_cycles(const struct graph *graph, const size_t *missing)
{
	struct arena *arena = graph->decoder->arena;
	size_t count = graph->decoder->step_count;
	struct trail trail = {arena_array(arena, count + 1, sizeof *trail.path),
	                      arena_array(arena, count + 1, sizeof *trail.place), 0};

	for (size_t start = 0; start < count; start++) {
		size_t at = start, before = trail.length;
		while (missing[at] > 0 && trail.place[at] == 0) {
			trail.path[trail.length] = at;
			trail.place[at] = ++trail.length;
			size_t n = 0;
			while (missing[graph->needs[at][n]] == 0)
				n++;
			at = graph->needs[at][n];
		}
		if (trail.length > before && trail.place[at] > before)
			name_cycle(graph, &trail, at);
	}
}

/* A plan that is only compared is laid out all the same: what waits for itself comes last. */
static void place_rest(const struct graph *graph, const size_t *missing, size_t placed)
{
	for (size_t i = 0; i < graph->decoder->step_count; i++)
		if (missing[i] > 0)
			graph->position[i] = placed++;
}

static void lay_out(const struct graph *graph, const struct users *users)
{
	struct decoder *decoder = graph->decoder;
	struct plan *plan = decoder->plan;
	size_t count = decoder->step_count;

	plan->steps = arena_array(decoder->arena, count + 1, sizeof *plan->steps);
	plan->step_count = count;
	for (size_t i = 0; i < count; i++) {
		struct plan_step *step = &plan->steps[graph->position[i]];
		size_t user_count = users->first[i + 1] - users->first[i];
		*step = decoder->steps[i];
		step->order = graph->position[i];
		step->need_count = graph->counts[i];
		step->user_count = user_count;
		step->needs =
			arena_array(decoder->arena, step->need_count + 1, sizeof *step->needs);
		step->users = arena_array(decoder->arena, user_count + 1, sizeof *step->users);
		for (size_t n = 0; n < step->need_count; n++)
			step->needs[n] = &plan->steps[graph->position[graph->needs[i][n]]];
		for (size_t u = 0; u < user_count; u++)
			step->users[u] =
				&plan->steps[graph->position[users->list[users->first[i] + u]]];
	}
}

bool graph_order(struct decoder *decoder)
{
	size_t count = decoder->step_count;
	struct arena *arena = decoder->arena;
	struct graph graph = {
		.decoder = decoder,
		.needs = arena_array(arena, count + 1, sizeof *graph.needs),
		.counts = arena_array(arena, count + 1, sizeof *graph.counts),
		.seen = arena_array(arena, count + 1, sizeof *graph.seen),
		.passed = arena_array(arena, decoder->declaration_count + 1, sizeof *graph.passed),
		.position = arena_array(arena, count + 1, sizeof *graph.position),
	};
	size_t *missing = arena_array(arena, count + 1, sizeof *missing);

	draw_edges(&graph);
	struct users users = invert(&graph);
	size_t placed = sort(&graph, &users, missing);
	if (placed < count) {
		name_cycles(&graph, missing);
		if (!decode_as_written(decoder))
			return false;
		place_rest(&graph, missing, placed);
	}
	lay_out(&graph, &users);
	return placed == count;
}
