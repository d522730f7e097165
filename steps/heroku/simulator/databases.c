/* SPDX-License-Identifier: MIT */
/* The servers behind heroku-postgresql add-ons, and the jobs that make and change them. */
#include "engine/base/clock.h"
#include "steps/heroku/simulator/world.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

void job_add(struct world *world, enum job_kind kind, const char *subject, bool fails)
{
	struct job *job = calloc(1, sizeof *job), **end = &world->jobs;

	if (!job)
		abort();
	job->kind = kind;
	job->fails = fails;
	snprintf(job->subject, sizeof job->subject, "%s", subject);
	while (*end)
		end = &(*end)->next;
	*end = job;
	pthread_cond_broadcast(&world->changed);
}

struct cluster *cluster_of(struct world *world, const char *addon_id)
{
	for (size_t i = 0; i < CLUSTERS_MOST; i++)
		if (strcmp(world->clusters[i].addon, addon_id) == 0)
			return &world->clusters[i];
	return NULL;
}

static bool number_of(const struct scratch *scratch, const char *sql, int64_t *number)
{
	char text[32];
	struct error err = {0};

	if (!scratch_query(scratch, sql, text, sizeof text, &err))
		return false;
	*number = atoll(text);
	return true;
}

int64_t cluster_behind(struct world *world, const json_t *addon)
{
	static const char sql[] = "SELECT pg_snapshot_xmax(pg_current_snapshot())";
	struct cluster *own = cluster_of(world, text_of(addon, "id"));
	struct cluster *leader = cluster_of(world, text_of(addon, "_leader"));
	int64_t assigned, replayed;

	if (!*text_of(addon, "_leader") || !own || !leader ||
	    !number_of(&own->scratch, sql, &replayed) ||
	    !number_of(&leader->scratch, sql, &assigned))
		return -1;
	return assigned > replayed ? assigned - replayed : 0;
}

/* Without the lock: takes seconds. */
static bool make_cluster(struct world *world, struct cluster *cluster, const struct cluster *leader,
                         const char *id, struct error *err)
{
	struct scratch *scratch = &cluster->scratch;
	char sql[400];

	if (leader)
		return scratch_follow(scratch, &leader->scratch, world->state_dir, id, err);
	if (!scratch_make(scratch, world->state_dir, id, NULL, err))
		return false;
	snprintf(sql, sizeof sql,
	         "CREATE TABLE visits (id uuid PRIMARY KEY DEFAULT gen_random_uuid(), "
	         "key text NOT NULL UNIQUE, source text NOT NULL, "
	         "at timestamptz NOT NULL DEFAULT clock_timestamp()); "
	         "ALTER TABLE visits OWNER TO %s",
	         scratch->owner);
	return scratch_query(scratch, sql, NULL, 0, err);
}

static bool make_database(struct world *world, const char *id, const char *leader_id)
{
	struct cluster *cluster = cluster_of(world, ""), *leader = NULL;
	struct error err = {0};

	if (*leader_id)
		leader = cluster_of(world, leader_id);
	if (!cluster || (*leader_id && !leader))
		return false;
	snprintf(cluster->addon, sizeof cluster->addon, "%s", id);
	pthread_mutex_unlock(&world->lock);
	bool made = make_cluster(world, cluster, leader, id, &err);
	pthread_mutex_lock(&world->lock);
	if (made)
		return true;
	fprintf(stderr, "simulator: database: %s\n", err.text);
	scratch_destroy(&cluster->scratch);
	cluster->addon[0] = '\0';
	return false;
}

static void provision(struct world *world, const struct job *job)
{
	json_t *addon = world_find(world, "addons", job->subject);
	char url[300], leader[40];
	bool good = !job->fails;

	if (!addon)
		return;
	snprintf(url, sizeof url, "https://addons.example.com/%s", job->subject);
	snprintf(leader, sizeof leader, "%s", text_of(addon, "_leader"));
	if (good && strcmp(text_of(addon, "addon_service.name"), "heroku-postgresql") == 0) {
		good = make_database(world, job->subject, leader);
		if (good)
			scratch_url(&cluster_of(world, job->subject)->scratch, url, sizeof url);
	} else {
		pthread_mutex_unlock(&world->lock);
		nanosleep(&(struct timespec){.tv_nsec = 100000000}, NULL);
		pthread_mutex_lock(&world->lock);
	}
	addon = world_find(world, "addons", job->subject);
	if (!addon)
		return;
	json_object_set_new(addon, "state", json_string(good ? "provisioned" : "deprovisioned"));
	json_object_set_new(addon, "_known_at", json_integer(clock_real_ms() + 400));
	json_t *app = world_find(world, "apps", text_of(addon, "app.id"));
	if (good)
		json_object_set_new(addon, "_url", json_string(url));
	const json_t *attachment =
		world_find_by(world, "attachments", "addon.id", text_of(addon, "id"));
	snprintf(url, sizeof url, "Attach %s (@ref:%s)", text_of(attachment, "name"),
	         text_of(addon, "name"));
	if (good && app)
		release_make(world, app, url, NULL);
}

static void unfollow(struct world *world, const char *id)
{
	struct cluster *cluster = cluster_of(world, id);
	struct error err = {0};

	if (!cluster)
		return;
	pthread_mutex_unlock(&world->lock);
	bool good = scratch_promote(&cluster->scratch, &err);
	pthread_mutex_lock(&world->lock);
	json_t *addon = world_find(world, "addons", id);
	if (!good)
		fprintf(stderr, "simulator: unfollow: %s\n", err.text);
	if (good && addon)
		json_object_set_new(addon, "_leader", json_string(""));
	if (addon)
		json_object_del(addon, "_unfollowing");
}

static void destroy(struct world *world, const char *id)
{
	struct cluster *cluster = cluster_of(world, id);

	if (!cluster)
		return;
	scratch_destroy(&cluster->scratch);
	cluster->addon[0] = '\0';
}

bool jobs_run_one(struct world *world)
{
	struct job *job = world->jobs;

	if (!job)
		return false;
	world->jobs = job->next;
	switch (job->kind) {
	case JOB_PROVISION:
		provision(world, job);
		break;
	case JOB_DESTROY:
		destroy(world, job->subject);
		break;
	case JOB_UNFOLLOW:
		unfollow(world, job->subject);
		break;
	case JOB_TRANSFER:
		transfer_run(world, job->subject);
		break;
	case JOB_RELEASE:
		release_settle(world, job->subject);
		break;
	}
	free(job);
	pthread_cond_broadcast(&world->changed);
	return true;
}
