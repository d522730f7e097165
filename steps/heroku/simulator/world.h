/* SPDX-License-Identifier: MIT */
/* The inside of the Heroku simulator: its state, one request, and what each resource offers.
 *
 * Resources are kept as JSON in the shape in which they are answered; keys that begin with '_' are
 * the simulator's own and are taken out of answers. One lock guards everything. */
#ifndef PLAN_SIMULATOR_WORLD_H
#define PLAN_SIMULATOR_WORLD_H

#include "engine/base/error.h"
#include "steps/heroku/simulator.h"
#include "steps/postgres/scratch.h"

#include <jansson.h>
#include <pthread.h>
#include <stdint.h>

struct MHD_Connection;

/* A database server behind an add-on. */
struct cluster {
	char addon[40]; /* id; "" when the place is free */
	struct scratch scratch;
};

enum { CLUSTERS_MOST = 64, PARTS_MOST = 4 };

/* The generation of all apps and pipelines. */
#define CEDAR_ID "f1c3c2f0-0c5e-4c7c-9a7e-0d8f5d0c0001"

enum job_kind { JOB_PROVISION, JOB_DESTROY, JOB_UNFOLLOW, JOB_TRANSFER, JOB_RELEASE };

/* Work for the main thread, which owns the servers. */
struct job {
	enum job_kind kind;
	char subject[40]; /* id of the add-on, transfer or release */
	bool fails;       /* of JOB_PROVISION */
	struct job *next;
};

struct world {
	pthread_mutex_t lock;
	pthread_cond_t changed;
	json_t *lists;  /* name of resource -> array */
	json_t *ledger; /* array */
	json_t *faults; /* array */
	struct cluster clusters[CLUSTERS_MOST];
	struct job *jobs;
	char state_dir[256], base_url[64];
	int router_port, router_tls_port;
	int64_t remaining, refilled_ms; /* of the rate limit */
	int64_t count;                  /* for names */
	bool seeding;                   /* releases are good at once */
	bool stopping;
};

/* One request and its answer. */
struct call {
	struct world *world;
	struct MHD_Connection *connection;
	const char *method, *path;
	char *part[PARTS_MOST]; /* what stood at each ? of the route */
	json_t *body;           /* or NULL */
	json_t *answer;         /* ours to release */
	char *plain;            /* a text instead of JSON, ours to free; or NULL */
	unsigned status;
	bool unreadable;                  /* the body is no JSON */
	bool with_plan, with_vars;        /* Accept-Inclusion */
	bool expand_plan, expand_service; /* Accept-Expansion */
	bool provision_fails;
};

struct route {
	const char *method, *path; /* "/apps/?/dynos" */
	void (*answer)(struct call *call);
};

/* Tables that end with {0}, one a resource. */
extern const struct route account_routes[], app_routes[], config_routes[], addon_routes[],
	attachment_routes[], dyno_routes[], release_routes[], setting_routes[], domain_routes[],
	certificate_routes[], data_routes[], transfer_routes[], schedule_routes[], webhook_routes[],
	team_routes[], log_routes[], pipeline_routes[], control_routes[];

/* ---- state ---- */

void world_fill_catalogue(struct world *world);
json_t *world_list(struct world *world, const char *name);

/* By id, name or the given other key; NULL. */
json_t *world_find(struct world *world, const char *list, const char *identity);
json_t *world_find_by(struct world *world, const char *list, const char *key, const char *value);

/* The same among those of an app. */
json_t *world_find_of(struct world *world, const char *list, const json_t *app,
                      const char *identity);
bool world_is_of(const json_t *item, const json_t *app);

/* Appends; the list takes the reference. Gives it back, borrowed. */
json_t *world_add(struct world *world, const char *list, json_t *item);
void world_remove(struct world *world, const char *list, const json_t *item);

/* "name" or "app.name" as text, "" when absent. */
const char *text_of(const json_t *item, const char *key);

/* New references. */
json_t *new_id(void);
json_t *new_time(void);
json_t *reference_to(const json_t *item); /* {id, name} */
json_t *visible(const json_t *item);      /* without keys that begin with '_' */

/* ---- answers ---- */

void reply(struct call *call, unsigned status, json_t *answer);
void refuse(struct call *call, unsigned status, const char *id, const char *format, ...)
	__attribute__((format(printf, 4, 5)));
void reply_list(struct call *call, const char *list, const json_t *app);

/* Notes an effect in the ledger. */
void effect(struct call *call, const json_t *app, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

/* The app of part[0]; NULL with 404 answered. */
json_t *app_of(struct call *call);
json_t *team_app_of(struct call *call); /* must be one of a team */
const json_t *account_of(struct call *call);

/* ---- resources ---- */

json_t *app_make(struct world *world, const char *name, const json_t *region, const json_t *stack);
json_t *app_create(struct call *call); /* what is asked for; NULL with the refusal answered */
json_t *release_make(struct world *world, json_t *app, const char *description, const json_t *slug);
json_t *release_current(struct world *world, const json_t *app);
json_t *release_reference(const json_t *release); /* {id, version} */
/* The config vars that a dyno began with; borrowed, NULL without a dyno. */
const json_t *release_vars(struct world *world, const json_t *dyno);
json_t *slug_make(struct world *world, const json_t *app, const json_t *asked);
json_t *domain_make(struct world *world, const json_t *app, const char *hostname);
json_t *collaborator_make(struct world *world, const json_t *app, const char *email);
json_t *drain_make(struct world *world, const json_t *app, const char *url);
json_t *webhook_make(struct world *world, const json_t *app, const json_t *asked);
json_t *review_app_make(struct world *world, const json_t *coupling, const char *branch);
void features_make(struct world *world, const json_t *app);
/* False: there is no such feature. */
bool feature_set(struct world *world, const json_t *app, const char *name, bool enabled);
json_t *pipeline_make(struct world *world, const char *name);
json_t *coupling_make(struct world *world, const json_t *app, const json_t *pipeline,
                      const char *stage);
void buildpacks_set(json_t *app, const json_t *urls);
json_t *formation_set(struct world *world, const json_t *app, const char *type, int64_t quantity);
json_t *dyno_make(struct world *world, const json_t *app, const char *type, int number,
                  const char *command);
/* The app runs another release: its dynos start anew. */
void dynos_release(struct world *world, const json_t *app);
/* The first one of that type; NULL. */
const json_t *dyno_of(struct world *world, const json_t *app, const char *type);

/* A one-off dyno lives as long as its command says, or time_to_live_s (0: 24 hours); what became of
 * it stands in the log. settle ends those whose time has come. */
void one_off_begin(struct world *world, json_t *dyno, int64_t time_to_live_s);
void one_off_end(struct world *world, json_t *dyno, int status);
void one_off_settle(struct world *world);

/* What an app sees: its own config vars and those of its attachments. New reference. */
json_t *config_of(struct world *world, const json_t *app);
json_t *attachment_make(struct world *world, const json_t *addon, const json_t *app,
                        const char *name);
json_t *attachment_vars(struct world *world, const json_t *attachment);
/* One that the app does not use yet: DATABASE, then HEROKU_POSTGRESQL_BLUE and so on. */
void attachment_name(struct world *world, const json_t *app, const char *service, char *out,
                     size_t size);

/* NULL with the refusal answered. */
json_t *addon_make(struct call *call, json_t *app, const json_t *asked);
json_t *addon_find(struct world *world, const char *identity);
void addon_destroy(struct world *world, json_t *addon);

/* ---- databases (main thread runs the jobs) ---- */

void job_add(struct world *world, enum job_kind kind, const char *subject, bool fails);
bool jobs_run_one(struct world *world); /* with the lock held; false: none */
struct cluster *cluster_of(struct world *world, const char *addon_id);
int64_t cluster_behind(struct world *world, const json_t *addon); /* commits; -1 not known */

/* The database add-on of part[0], once the Data API knows it; NULL with 404 answered. */
json_t *database_of(struct call *call);
json_t *schedule_make(struct world *world, const json_t *addon, const json_t *asked);
int64_t credentials_count(const json_t *addon); /* the default one is there always */
void transfer_run(struct world *world, const char *uuid);
void release_settle(struct world *world, const char *id);

/* ---- parts of the process ---- */

bool seed_app(struct call *call, const json_t *asked);
struct MHD_Daemon *server_start(struct world *world, int port, struct error *err);
struct MHD_Daemon *router_start(struct world *world, int port, const char *cert, const char *key,
                                struct error *err);
void *writers_run(void *world);

/* One row into visits through a connection URL; false when the database refuses. */
bool visit_write(const char *url, const char *key, const char *source);

/* True when the fault says that this request's connection just ends. */
enum fault_outcome { FAULT_NONE, FAULT_ANSWERED, FAULT_DROP, FAULT_HALF };
enum fault_outcome fault_strike(struct call *call, const char *when);

#endif
