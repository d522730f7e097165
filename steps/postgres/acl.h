/* SPDX-License-Identifier: MIT */
/* The second layer of a fence: INSERT, UPDATE, DELETE and TRUNCATE are revoked, and given back.
 *
 * REVOKE takes no lock and waits for nobody, so it is no fence by itself: see fence.h. The lists
 * before (pg_class.relacl, pg_attribute.attacl) are recorded in plan_replication.acl in the same
 * transaction.
 *
 * What is given back is equal byte for byte, order of entries, grantors and grant options
 * included: a table is only touched after giving it back was tried, in the same transaction, and
 * gave the same bytes. Left as they are, with the fence alone before them:
 *  - a relacl that is NULL, which means the owner's default rights: no statement makes it NULL
 * again
 *  - entries of a grantor whose role ours cannot take, and what depends on them
 *  - with keep_ours, entries of the roles whose rights our own session has */
#ifndef PLAN_POSTGRES_ACL_H
#define PLAN_POSTGRES_ACL_H

#include <stdbool.h>
#include <stddef.h>

struct arena;
struct error;
typedef struct pg_conn PGconn;

struct acl_report {
	size_t tables;    /* that had entries to look at */
	size_t changed;   /* of them, changed or given back now */
	const char *left; /* "public.a (why); public.b (why)": not changed; "" */
	const char *
		drifted; /* changed by somebody meanwhile: given back in effect, not by bytes; "" */
};

/* keep_ours: this session goes on to write, as on the way back, so its own rights stay. Raise the
 * fence first. May be repeated. */
bool acl_revoke(PGconn *connection, const char *namespaces, bool keep_ours, struct arena *arena,
                struct acl_report *report, struct error *err);

/* Gives back what is recorded, table by table, before the fence is lowered. May be repeated. */
bool acl_restore(PGconn *connection, struct arena *arena, struct acl_report *report,
                 struct error *err);

#endif
