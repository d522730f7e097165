/* SPDX-License-Identifier: MIT */
/* The edges between steps, every cycle named in full, and an order that keeps that of the file. */
#include "engine/base/text.h"
#include "engine/decode.h"

#include <stdlib.h>
#include <string.h>

/* More edges than this no plan needs, but for_each beside for_each makes them easily. */
#define MOST_EDGES 4000000

/* Edges between instances, by their index in the file. The instances of a declaration need the
 * same. */
struct graph {
	struct decoder *decoder;
	struct arena *arena; /* for the time of the work */
	size_t *of;          /* instance -> declaration */
	size_t *first;       /* declaration -> its needs in edges; one more at the end */
	size_t *edges;       /* the instances needed */
	size_t edge_count, edge_room;
	size_t total;     /* edges of all instances, and what was passed on the way to them */
	size_t *seen;     /* stamp: the declaration + 1 for which an edge was last added */
	size_t *passed;   /* the same for declarations that were left out */
	size_t *open;     /* declarations that were left out and are still to be passed */
	size_t *position; /* instance -> place in the order */
};

static const size_t *needs_of(const struct graph *graph, size_t instance)
{
	return graph->edges + graph->first[graph->of[instance]];
}

static size_t need_count(const struct graph *graph, size_t instance)
{
	size_t declaration = graph->of[instance];

	return graph->first[declaration + 1] - graph->first[declaration];
}

static void add_edge(struct graph *graph, size_t instance)
{
	if (graph->edge_count == graph->edge_room) {
		size_t room = graph->edge_room * 2 + 1024;
		size_t *edges = arena_array(graph->arena, room, sizeof *edges);
		if (graph->edge_count)
			memcpy(edges, graph->edges, graph->edge_count * sizeof *edges);
		graph->edges = edges;
		graph->edge_room = room;
	}
	graph->edges[graph->edge_count++] = instance;
}

/* What a need stands for: the instances, or, when `if` left them out, what those needed. */
static void collect(struct graph *graph, const struct declaration *from)
{
	const struct declaration *all = graph->decoder->declarations;
	size_t stamp = from->index + 1, opened = 0;
	const struct declaration *at = from;

	for (;;) {
		for (size_t n = 0; n < at->need_count && graph->total <= MOST_EDGES; n++) {
			const struct declaration *needed = &all[at->needs[n]];
			graph->total += from->count * needed->count + 1;
			if (needed->count == 0 && graph->passed[needed->index] != stamp) {
				graph->passed[needed->index] = stamp;
				graph->open[opened++] = needed->index;
			}
			if (needed->count == 0 || graph->seen[needed->index] == stamp)
				continue;
			graph->seen[needed->index] = stamp;
			for (size_t i = 0; i < needed->count && graph->total <= MOST_EDGES; i++)
				add_edge(graph, needed->first + i);
		}
		if (opened == 0)
			return;
		at = &all[graph->open[--opened]];
	}
}

static bool draw_edges(struct graph *graph)
{
	struct decoder *decoder = graph->decoder;

	for (size_t d = 0; d < decoder->declaration_count; d++) {
		const struct declaration *declaration = &decoder->declarations[d];
		graph->first[d] = graph->edge_count;
		for (size_t i = 0; i < declaration->count; i++)
			graph->of[declaration->first + i] = d;
		if (declaration->count > 0)
			collect(graph, declaration);
		if (graph->total > MOST_EDGES) {
			problems_add(decoder->problems, declaration->map->key_at,
			             "here the plan comes to more than 4,000,000 dependencies; put "
			             "one step between those that need and those that are needed");
			return false;
		}
	}
	graph->first[decoder->declaration_count] = graph->edge_count;
	return true;
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
	struct arena *arena = graph->arena;
	struct users users = {.first = arena_array(arena, count + 2, sizeof(size_t))};

	for (size_t i = 0; i < count; i++)
		for (size_t n = 0; n < need_count(graph, i); n++, total++)
			users.first[needs_of(graph, i)[n] + 2]++;
	for (size_t i = 2; i < count + 2; i++)
		users.first[i] += users.first[i - 1];
	users.list = arena_array(arena, total + 1, sizeof(size_t));
	for (size_t i = 0; i < count; i++)
		for (size_t n = 0; n < need_count(graph, i); n++)
			users.list[users.first[needs_of(graph, i)[n] + 1]++] = i;
	return users;
}

static size_t sort(const struct graph *graph, const struct users *users, size_t *missing)
{
	size_t count = graph->decoder->step_count, heaped = 0, placed = 0;
	size_t *heap = arena_array(graph->arena, count + 1, sizeof *heap);

	for (size_t i = 0; i < count; i++)
		if ((missing[i] = need_count(graph, i)) == 0)
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
	struct arena *arena = graph->arena;
	size_t count = graph->decoder->step_count;
	struct trail trail = {arena_array(arena, count + 1, sizeof *trail.path),
	                      arena_array(arena, count + 1, sizeof *trail.place), 0};

	for (size_t start = 0; start < count; start++) {
		size_t at = start, before = trail.length;
		while (missing[at] > 0 && trail.place[at] == 0) {
			trail.path[trail.length] = at;
			trail.place[at] = ++trail.length;
			size_t n = 0;
			while (missing[needs_of(graph, at)[n]] == 0)
				n++;
			at = needs_of(graph, at)[n];
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

/* Puts each instance in its place in the order, within the one array. */
static void permute(const struct graph *graph, struct plan_step *steps)
{
	size_t count = graph->decoder->step_count;
	size_t *to = arena_array(graph->arena, count + 1, sizeof *to);

	memcpy(to, graph->position, count * sizeof *to);
	for (size_t i = 0; i < count; i++) {
		while (to[i] != i) {
			size_t there = to[i];
			struct plan_step step = steps[there];
			steps[there] = steps[i];
			steps[i] = step;
			to[i] = to[there];
			to[there] = there;
		}
	}
}

static void lay_out(const struct graph *graph, const struct users *users)
{
	struct decoder *decoder = graph->decoder;
	struct plan *plan = decoder->plan;
	struct plan_step *steps = decoder->steps;

	for (size_t i = 0; i < decoder->step_count; i++) {
		struct plan_step *step = &steps[i];
		step->order = graph->position[i];
		step->need_count = need_count(graph, i);
		step->user_count = users->first[i + 1] - users->first[i];
		step->needs =
			arena_array(decoder->arena, step->need_count + 1, sizeof *step->needs);
		step->users =
			arena_array(decoder->arena, step->user_count + 1, sizeof *step->users);
		for (size_t n = 0; n < step->need_count; n++)
			step->needs[n] = &steps[graph->position[needs_of(graph, i)[n]]];
		for (size_t u = 0; u < step->user_count; u++)
			step->users[u] = &steps[graph->position[users->list[users->first[i] + u]]];
	}
	permute(graph, steps);
	plan->steps = steps;
	plan->step_count = decoder->step_count;
}

bool graph_order(struct decoder *decoder)
{
	size_t count = decoder->step_count, declarations = decoder->declaration_count;
	struct arena *arena = &decoder->scratch;
	struct graph graph = {
		.decoder = decoder,
		.arena = arena,
		.of = arena_array(arena, count + 1, sizeof *graph.of),
		.first = arena_array(arena, declarations + 1, sizeof *graph.first),
		.seen = arena_array(arena, declarations + 1, sizeof *graph.seen),
		.passed = arena_array(arena, declarations + 1, sizeof *graph.passed),
		.open = arena_array(arena, declarations + 1, sizeof *graph.open),
		.position = arena_array(arena, count + 1, sizeof *graph.position),
	};
	size_t *missing = arena_array(arena, count + 1, sizeof *missing);

	if (!draw_edges(&graph))
		return false;
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
