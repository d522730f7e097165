/* SPDX-License-Identifier: MIT */
/* One spoilt key or value of a plan, and what becomes of the plan. */
#ifndef MUTATION_H
#define MUTATION_H

#include "engine/plan.h"

#include <yaml.h>

struct original {
	const char *file;
	char *data;
	size_t length;
	yaml_document_t document;
	struct plan plan; /* as written, to compare with */
	char digest[65];
	size_t tried, refused, other, wrong;
};

/* Where something is in the file: [begin, end). */
struct span {
	size_t begin, end;
};

/* One key with its value, or one item of a list. */
struct entry {
	struct span key, value; /* key is empty for an item of a list */
	struct span whole;      /* key and value */
	int holder;             /* the map or list around it */
	size_t holder_begin;    /* where that begins */
	size_t holder_key;      /* where its key is */
	bool flow;              /* it stands between braces or brackets */
	const yaml_node_t *node;
	yaml_document_t *document;
	const char *section, *name; /* "inputs", "source_app": the declaration it is part of */
	bool is_name;               /* its key is the author's own word */
	struct span declaration;    /* from its name on */
	char path[256];
};

struct mutation {
	const char *what; /* "key removed" */
	struct span cut;  /* is replaced */
	const char *put;
	bool removed;
};

/* Where a node is in the file. */
struct span mutation_span(struct original *original, int index);

/* "" when it is no scalar. */
const char *mutation_scalar(const yaml_node_t *node);

/* Inputs, secrets, ...: the keys in it are names of the author's own. */
bool mutation_holds_names(const char *path);

/* Spoils the plan, and counts and prints it when nobody notices. */
void mutation_try(struct original *original, const struct entry *entry,
                  const struct mutation *mutation);

#endif
