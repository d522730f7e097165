/* SPDX-License-Identifier: MIT */
/* What is asked of a server before a migration: version, role, settings, and who is at work. */
#include "steps/postgres/preflight.h"
#include "steps/postgres/relation.h"

/* Other people's locks on our tables that a CREATE TRIGGER waits for, and does not share. A plain
 * role sees of others' sessions neither query nor times; who holds what is for everyone to see. */
#define HOLDERS                                                                                    \
	"SELECT format('%I.%I', n.nspname, c.relname) AS name, l.pid, l.mode, a.usename, "         \
	"a.application_name, a.backend_type, a.xact_start, "                                       \
	"coalesce(a.query LIKE '%(to prevent wraparound)%', false) OR (a.usesysid IS NULL AND "    \
	"(age(c.relfrozenxid) > current_setting('autovacuum_freeze_max_age')::int OR "             \
	"mxid_age(c.relminmxid) > current_setting('autovacuum_multixact_freeze_max_age')::int)) "  \
	"AS wraparound "                                                                           \
	"FROM pg_locks l JOIN pg_class c ON c.oid = l.relation JOIN pg_namespace n "               \
	"ON n.oid = c.relnamespace LEFT JOIN pg_stat_activity a ON a.pid = l.pid "                 \
	"WHERE l.locktype = 'relation' AND l.granted AND l.pid IS DISTINCT FROM pg_backend_pid() " \
	"AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database()) "       \
	"AND c.relkind IN ('r', 'p') AND n.nspname = ANY ($1) AND l.mode IN "                      \
	"('ShareUpdateExclusiveLock', 'ShareLock', 'ShareRowExclusiveLock', 'ExclusiveLock', "     \
	"'AccessExclusiveLock')"

const struct check preflight_server[] = {
	{
		.id = "source_version",
		.level = FINDING_BLOCKER,
		.where = ON_SOURCE,
		.sql = "SELECT current_setting('server_version') WHERE "
		       "current_setting('server_version_num')::int / 10000 NOT BETWEEN 13 AND 18",
		.text = "PostgreSQL {0} as a source is not known here: 13 to 18 are",
		.remedy = "upgrade the source",
	},
	{
		.id = "target_version",
		.level = FINDING_BLOCKER,
		.where = ON_TARGET,
		.sql = "SELECT current_setting('server_version') WHERE "
		       "current_setting('server_version_num')::int / 10000 NOT BETWEEN 15 AND 18",
		.text = "PostgreSQL {0} as a target is not known here: 15 to 18 are",
		.remedy = "make the target with another version",
	},
	{
		.id = "follower",
		.level = FINDING_BLOCKER,
		.where = ON_BOTH,
		.sql = "SELECT current_database() WHERE pg_is_in_recovery()",
		.text = "{0} is a follower: it takes no writes, and may show what its leader does "
			"not",
		.remedy = "give the connection string of the leader",
	},
	{
		.id = "read_only",
		.level = FINDING_BLOCKER,
		.where = ON_BOTH,
		.sql = "SELECT quote_ident(current_user) WHERE NOT pg_is_in_recovery() AND "
		       "current_setting('transaction_read_only') = 'on'",
		.text = "sessions of {0} are read only by default",
		.remedy = "ALTER ROLE {0} SET default_transaction_read_only = off",
	},
	{
		.id = "create_in_database",
		.level = FINDING_BLOCKER,
		.where = ON_BOTH,
		.sql = "SELECT quote_ident(current_database()), quote_ident(current_user) WHERE "
		       "NOT has_database_privilege(current_database(), 'CREATE')",
		.text = "{1} may not make a schema in {0}",
		.remedy = "GRANT CREATE ON DATABASE {0} TO {1}",
	},
	{
		.id = "temporary_in_database",
		.level = FINDING_BLOCKER,
		.where = ON_TARGET,
		.sql = "SELECT quote_ident(current_database()), quote_ident(current_user) WHERE "
		       "NOT has_database_privilege(current_database(), 'TEMPORARY')",
		.text = "{1} may not make temporary tables in {0}",
		.remedy = "GRANT TEMPORARY ON DATABASE {0} TO {1}",
	},
	{
		.id = "connections",
		.level = FINDING_WARNING,
		.where = ON_BOTH,
		.sql = "SELECT current_user, least(s.room, r.room, d.room) FROM "
		       "(SELECT current_setting('max_connections')::int - "
		       "current_setting('superuser_reserved_connections')::int - count(*) FILTER "
		       "(WHERE a.datid IS NOT NULL) AS room FROM pg_stat_activity a) s, "
		       "(SELECT CASE WHEN rolconnlimit >= 0 AND NOT rolsuper THEN rolconnlimit - "
		       "(SELECT count(*) FROM pg_stat_activity WHERE usename = rolname) END AS "
		       "room FROM pg_roles WHERE rolname = current_user) r, "
		       "(SELECT CASE WHEN datconnlimit >= 0 THEN datconnlimit - (SELECT count(*) "
		       "FROM pg_stat_activity WHERE datid = d.oid) END AS room FROM pg_database d "
		       "WHERE datname = current_database()) d "
		       "WHERE least(s.room, r.room, d.room) < 10",
		.text = "{0} can open {1} more connections, and copying wants up to ten",
		.remedy = "give the copy fewer workers, or end idle sessions of the application",
	},
	{
		.id = "wraparound_vacuum",
		.level = FINDING_WARNING,
		.where = ON_SOURCE,
		.sql = "SELECT name, pid FROM (" HOLDERS ") h WHERE wraparound ORDER BY 1",
		.text = "an autovacuum to prevent wraparound (process {1}) works on {0}: it gives "
			"way "
			"to nobody, and no trigger can be made meanwhile",
		.remedy = "wait until it is through",
	},
	{
		.id = "table_held",
		.level = FINDING_WARNING,
		.where = ON_SOURCE,
		.sql = "SELECT name, coalesce('process ' || pid || ' (' || coalesce(nullif("
		       "application_name, ''), backend_type, 'of ' || usename, '?') || ')', 'a "
		       "prepared transaction'), mode, coalesce('SELECT pg_cancel_backend(' || pid "
		       "|| ')', "
		       "'end it') FROM (" HOLDERS ") h WHERE NOT wraparound ORDER BY 1, 2",
		.text = "{1} holds {0} with {2}: no trigger can be made meanwhile, as during "
			"VACUUM, "
			"CREATE INDEX or a migration",
		.remedy = "wait until it is through, or {3}",
	},
	{
		.id = "wraparound_due",
		.level = FINDING_NOTE,
		.where = ON_SOURCE,
		.sql = "SELECT format('%I.%I', n.nspname, c.relname), age(c.relfrozenxid) FROM "
		       "pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE "
		       "n.nspname = ANY ($1) AND c.relkind = 'r' AND (age(c.relfrozenxid) > "
		       "current_setting('autovacuum_freeze_max_age')::int OR "
		       "mxid_age(c.relminmxid) > "
		       "current_setting('autovacuum_multixact_freeze_max_age')::int) ORDER BY 1",
		.text = "an autovacuum to prevent wraparound is due on {0} (age {1}), and may come "
			"in the way",
		.remedy = "VACUUM (FREEZE) {0}",
	},
	{
		.id = "long_transaction",
		.level = FINDING_WARNING,
		.where = ON_SOURCE,
		.sql = "SELECT pid, coalesce(nullif(application_name, ''), usename::text), "
		       "state, round(extract(epoch FROM now() - xact_start)) FROM "
		       "pg_stat_activity WHERE datname = current_database() AND pid <> "
		       "pg_backend_pid() AND backend_type = 'client backend' AND xact_start < "
		       "clock_timestamp() - $3 * interval '1 ms' ORDER BY xact_start",
		.text = "process {0} ({1}, {2}) has been in one transaction for {3} s: what it has "
			"written to waits with its trigger for its end",
		.remedy = "end it, or SELECT pg_terminate_backend({0})",
	},
	{
		.id = "prepared_transaction",
		.level = FINDING_WARNING,
		.where = ON_SOURCE,
		.sql = "SELECT quote_literal(gid), quote_ident(owner), "
		       "round(extract(epoch FROM now() - prepared)) "
		       "FROM pg_prepared_xacts WHERE database = current_database() ORDER BY "
		       "prepared",
		.text = "the prepared transaction {0} of {1} is open since {2} s and holds its "
			"locks",
		.remedy = "COMMIT PREPARED {0}, or ROLLBACK PREPARED {0}",
	},
	{
		.id = "hidden_sessions",
		.level = FINDING_NOTE,
		.where = ON_SOURCE,
		.sql = "SELECT count(*), string_agg(DISTINCT quote_ident(usename), ', '), "
		       "quote_ident(current_user) FROM pg_stat_activity WHERE datname = "
		       "current_database() AND usesysid IS NOT NULL AND query = "
		       "'<insufficient privilege>' HAVING count(*) > 0",
		.text = "{2} cannot see since when {0} sessions of {1} are in a transaction",
		.remedy = "GRANT pg_read_all_stats TO {2}",
	},
	{
		.id = "role_settings",
		.level = FINDING_NOTE,
		.where = ON_BOTH,
		.sql = "SELECT setting, coalesce('role ' || quote_ident(r.rolname), 'database ' || "
		       "quote_ident(current_database())) FROM pg_db_role_setting s LEFT JOIN "
		       "pg_roles r ON r.oid = s.setrole, unnest(s.setconfig) setting WHERE "
		       "s.setrole IN (0, (SELECT oid FROM pg_roles WHERE rolname = current_user)) "
		       "AND s.setdatabase IN (0, (SELECT oid FROM pg_database WHERE datname = "
		       "current_database())) AND split_part(setting, '=', 1) IN "
		       "('statement_timeout', 'lock_timeout', 'transaction_timeout', "
		       "'idle_in_transaction_session_timeout', 'idle_session_timeout', "
		       "'session_replication_role', 'default_transaction_isolation') ORDER BY 1, 2",
		.text = "{1} has {0}; sessions of the copy set their own",
	},
	{
		.id = "event_trigger",
		.level = FINDING_NOTE,
		.where = ON_SOURCE,
		.sql = "SELECT quote_ident(evtname), evtevent FROM pg_event_trigger WHERE "
		       "evtenabled "
		       "<> 'D' AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.objid = "
		       "pg_event_trigger.oid AND d.deptype = 'e') ORDER BY 1",
		.text = "the event trigger {0} ({1}) sees what is made for capturing, and is not "
			"carried over",
		.remedy = "make it on the target when all is done",
	},
	{
		.id = "publication",
		.level = FINDING_NOTE,
		.where = ON_SOURCE,
		.sql = "SELECT quote_ident(pubname) FROM pg_publication ORDER BY 1",
		.text = "the publication {0} is not carried over",
		.remedy = "make it on the target before its readers change over",
	},
	{
		.id = "subscription",
		.level = FINDING_WARNING,
		.where = ON_BOTH,
		.sql = "SELECT quote_ident(subname) FROM pg_subscription WHERE subdbid = (SELECT "
		       "oid "
		       "FROM pg_database WHERE datname = current_database()) ORDER BY 1",
		.text = "the subscription {0} writes here, and is neither fenced nor carried over",
		.remedy = "ALTER SUBSCRIPTION {0} DISABLE before the switch",
	},
	{
		.id = "replication_slot",
		.level = FINDING_WARNING,
		.where = ON_SOURCE,
		.sql = "SELECT quote_literal(slot_name), plugin FROM pg_replication_slots WHERE "
		       "database = current_database() ORDER BY 1",
		.text = "somebody reads changes through the slot {0} ({1}), which is not carried "
			"over",
		.remedy = "have that reader begin anew at the target",
	},
	{
		.id = "database_collation_version",
		.level = FINDING_WARNING,
		.where = ON_BOTH,
		.since = 150000,
		.sql = "SELECT quote_ident(datname), datcollversion, "
		       "pg_database_collation_actual_version(oid) FROM pg_database WHERE datname = "
		       "current_database() AND datcollversion <> "
		       "pg_database_collation_actual_version(oid)",
		.text = "{0} was made with version {1} of its collation and runs with {2}: indexes "
			"over texts may be out of order",
		.remedy = "REINDEX DATABASE {0}; ALTER DATABASE {0} REFRESH COLLATION VERSION",
	},
	{
		.id = "foreign_schema",
		.level = FINDING_BLOCKER,
		.where = ON_BOTH,
		.sql = "SELECT nspname FROM pg_namespace WHERE nspname = '" OUR_SCHEMA "' AND "
		       "NOT EXISTS (SELECT FROM pg_class WHERE relnamespace = pg_namespace.oid AND "
		       "relname IN ('stream', 'held') OR relnamespace = pg_namespace.oid AND "
		       "relname LIKE 'log%')",
		.text = "there is a schema {0} that is not ours, and the name is needed",
		.remedy = "ALTER SCHEMA {0} RENAME TO something_else",
	},
	{
		.id = "earlier_run",
		.level = FINDING_WARNING,
		.where = ON_BOTH,
		.sql = "SELECT nspname FROM pg_namespace WHERE nspname = '" OUR_SCHEMA
		       "' AND EXISTS "
		       "(SELECT FROM pg_class WHERE relnamespace = pg_namespace.oid AND (relname "
		       "IN "
		       "('stream', 'held') OR relname LIKE 'log%'))",
		.text = "the schema {0} is there from an earlier run, which is gone on with if it "
			"was "
			"one of this plan",
		.remedy =
			"apply postgres.complete of the plan that made it, if it is another one's",
	},
	{
		.id = "bucardo",
		.level = FINDING_WARNING,
		.where = ON_BOTH,
		.sql = "SELECT 'bucardo', count(*) FILTER (WHERE kind = 't') FROM (SELECT 'n' AS "
		       "kind FROM pg_namespace WHERE nspname = 'bucardo' UNION ALL SELECT 't' FROM "
		       "pg_trigger WHERE tgname LIKE 'bucardo\\_%' AND NOT tgisinternal) f HAVING "
		       "count(*) > 0",
		.text = "Bucardo has left {1} triggers, and its schema: each write pays for them",
		.remedy = "DROP SCHEMA bucardo CASCADE, at a quiet time: it locks every table",
	},
	{
		.id = "replication_tool",
		.level = FINDING_WARNING,
		.where = ON_BOTH,
		.sql = "SELECT quote_ident(nspname), v.tool FROM pg_namespace, (VALUES "
		       "('pglogical', "
		       "'pglogical'), ('londiste', 'Londiste'), ('pgq', 'PgQ'), ('_slony', "
		       "'Slony'), "
		       "('pgcopydb', 'pgcopydb'), ('spock', 'Spock'), ('mimeo', 'mimeo'), "
		       "('bdr', 'BDR'), ('awsdms', 'AWS DMS')) v (name, tool) "
		       "WHERE nspname = v.name ORDER BY 1",
		.text = "the schema {0} belongs to {1}, which may replicate here too",
		.remedy = "take it down, or leave {0} out of `schemas`",
	},
	{0},
};
