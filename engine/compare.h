/* SPDX-License-Identifier: MIT */
/* Two versions of a plan compared as plans, not as text: offline, without secrets, and pure. */
#ifndef PLAN_COMPARE_H
#define PLAN_COMPARE_H

#include "engine/plan.h"

/* What a difference is about, in the order in which a reviewer should read. */
enum topic {
	TOPIC_NO_RETURN,
	TOPIC_DOWNTIME,
	TOPIC_GATES,
	TOPIC_APPROVALS,
	TOPIC_DEADLINES,
	TOPIC_WAY_BACK,
	TOPIC_REACH,
	TOPIC_STEPS,
	TOPIC_ORDER,
	TOPIC_INPUTS,
	TOPIC_SECRETS,
	TOPIC_CONNECTIONS,
	TOPIC_WINDOWS,
	TOPIC_NOTIFY,
	TOPIC_PLAN,
	TOPIC_COUNT
};

enum difference_kind { DIFFERENCE_ADDED, DIFFERENCE_REMOVED, DIFFERENCE_CHANGED };

/* Whether less is demanded, awaited or made sure of than before, or more. */
enum effect { EFFECT_NONE, EFFECT_LOOSENED, EFFECT_TIGHTENED, EFFECT_COUNT };

struct topic_entry {
	const char *name;  /* for programs */
	const char *title; /* for people */
};

extern const struct topic_entry compare_topics[TOPIC_COUNT];
extern const char *const compare_kind_names[], *const compare_effect_names[];

struct difference {
	enum topic topic;
	enum difference_kind kind;
	enum effect effect;
	const char *subject; /* a step, an input, a thing in the world; NULL: the plan itself */
	const char *what;    /* which part of it; NULL: the whole */
	/* In the words of the plans, secrets hidden; NULL: not there. Where both are NULL the note
	 * says it all, with names. */
	const char *from, *to;
	const char *note;  /* in our words; NULL */
	const char *names; /* the steps that the note is about, "a, b"; NULL */
	bool unlike;       /* from and to differ although they read the same */
	bool destroys;     /* of TOPIC_REACH: destroyed from now on, and not before */
	size_t number;     /* order of discovery, for a stable order */
};

/* How far a plan reaches into the world. */
enum reach_level { REACH_NOT, REACH_READ, REACH_CHANGED, REACH_DESTROYED };

/* One thing in the world, from the `subjects`, `touches` and `reads` of the modules. Index 0 is the
 * old plan, 1 the new one. */
struct reach {
	const char *kind, *name; /* "heroku/app", "targetapp" */
	enum reach_level level[2];
	const char *text[2];  /* "changed (config, formation), read (addons)"; NULL: not reached */
	const char *steps[2]; /* "create-target, copy-config" */
};

/* A side at a glance. */
struct overview {
	bool present;  /* there is such a file */
	bool readable; /* its parts could be made out; there may be problems all the same */
	size_t steps, gates, approvals, points_of_no_return;
	size_t shut_out; /* steps from the begin of the downtime to its end */
	int64_t budget_ms;
	const char *point_names; /* "open-target, retire-source"; "" */
	size_t reached[4];       /* by reach_level */
};

struct comparison {
	struct arena *arena;
	struct difference *list; /* by topic, what loosens first */
	size_t count, capacity;
	struct reach *reaches; /* by kind and name */
	size_t reach_count;
	struct overview overview[2];
	size_t effects[EFFECT_COUNT]; /* how many differences loosen, tighten */
};

/* Both plans were read as written (plan_options.as_written), with problems or without. NULL: there
 * is no such file. All that the comparison points to lives in the arena or in the plans. */
void compare_plans(struct comparison *comparison, struct arena *arena, const struct plan *old,
                   const struct plan *new);

/* The same for programs: MAP; schemas/diff.schema.json describes it as part of the whole. */
struct value *compare_json(const struct comparison *comparison, struct arena *arena);

/* JSON Schema (draft-07) of `plan diff REV..REV --json`. */
struct value *compare_schema(struct arena *arena);

/* Control characters escaped, passwords in URLs hidden; what comes from plans passes here. */
const char *compare_clean(struct arena *arena, const char *text);

#endif
