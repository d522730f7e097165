/* SPDX-License-Identifier: MIT */
/* Whether a database takes writes. */
#include "steps/postgres/probe.h"
#include "engine/base/arena.h"
#include "engine/base/json.h"
#include "engine/base/text.h"
#include "engine/step.h"
#include "steps/postgres/database.h"
#include "steps/postgres/query.h"
#include "steps/postgres/table.h"

#include <libpq-fe.h>
#include <string.h>

/* Who may write to which table: owners, whoever a right was given to, and we. pg_has_role() knows
 * SET since 16, before that a member may always take the role. */
static const char roles_sql[] =
	"WITH wanted AS (SELECT x.oid, x.kind, r.role FROM (%s) x CROSS JOIN LATERAL ("
	"  SELECT c.relowner AS role FROM pg_catalog.pg_class c WHERE c.oid = x.oid"
	"  UNION SELECT a.grantee FROM pg_catalog.pg_class c,"
	"    pg_catalog.aclexplode(c.relacl) a WHERE c.oid = x.oid"
	"    AND a.privilege_type IN ('INSERT', 'UPDATE', 'DELETE', 'TRUNCATE')"
	"  UNION SELECT a.grantee FROM pg_catalog.pg_attribute c,"
	"    pg_catalog.aclexplode(c.attacl) a WHERE c.attrelid = x.oid"
	"    AND a.privilege_type IN ('INSERT', 'UPDATE')"
	"  UNION SELECT u.oid FROM pg_catalog.pg_roles u WHERE u.rolname = current_user) r"
	"  WHERE r.role <> 0) "
	"SELECT w.oid::pg_catalog.regclass::text AS target, w.kind, u.rolname AS role,"
	" pg_catalog.pg_has_role(u.oid, '%s') AS possible,"
	" (SELECT pg_catalog.quote_ident(a.attname) FROM pg_catalog.pg_attribute a"
	"   WHERE a.attrelid = w.oid AND a.attnum > 0 AND NOT a.attisdropped ORDER BY"
	"   pg_catalog.has_column_privilege(w.role, w.oid, a.attnum, 'UPDATE') DESC, a.attnum"
	"   LIMIT 1) AS col "
	"FROM wanted w JOIN pg_catalog.pg_roles u ON u.oid = w.role";

/* All of it runs in the server: a round trip for each attempt would take minutes. An exception
 * takes back the attempt and the role, so the accepted ones end in one as well. */
static const char probe_sql[] =
	"DECLARE t record; verb text; fenced bool; state text; tried int := 0; refused int := 0;"
	" accepted int := 0; unknown int := 0; roles text[] := '{}'; not_tried text[] := '{}';"
	" holes json[] := '{}'; "
	"BEGIN FOR t IN %s LOOP"
	" IF NOT t.possible THEN not_tried := not_tried || t.role::text; CONTINUE; END IF;"
	" roles := roles || t.role::text; fenced := false;"
	" FOREACH verb IN ARRAY '{INSERT,UPDATE,DELETE,TRUNCATE}'::text[] LOOP"
	"  CONTINUE WHEN (verb = 'UPDATE' AND t.col IS NULL) OR (verb = 'TRUNCATE' AND NOT fenced);"
	"  tried := tried + 1;"
	"  BEGIN"
	"   EXECUTE pg_catalog.format('SET LOCAL ROLE %%I', t.role);"
	"   EXECUTE CASE verb"
	"    WHEN 'INSERT' THEN 'INSERT INTO ' || t.target || ' SELECT WHERE false'"
	"    WHEN 'UPDATE' THEN 'UPDATE ' || t.target || ' SET ' || t.col ||"
	"      ' = DEFAULT WHERE false'"
	"    WHEN 'DELETE' THEN 'DELETE FROM ' || t.target || ' WHERE false'"
	"    ELSE 'TRUNCATE ' || CASE t.kind WHEN 'p' THEN '' ELSE 'ONLY ' END || t.target END;"
	"   RAISE SQLSTATE 'ZZ999';"
	"  EXCEPTION WHEN OTHERS THEN state := SQLSTATE; END;"
	"  IF state = 'ZZ999' THEN accepted := accepted + 1;"
	"   IF pg_catalog.cardinality(holes) < 20 THEN holes := holes ||"
	"    pg_catalog.json_build_array(t.target, t.role, verb); END IF;"
	/* A table that others refer to takes no TRUNCATE, fence or not. */
	"  ELSIF state IN ('25006', '42501') OR (state = '0A000' AND verb = 'TRUNCATE') THEN"
	"   refused := refused + 1; fenced := fenced OR state = '25006';"
	"  ELSE unknown := unknown + 1; END IF; "
	" END LOOP; END LOOP; "
	"PERFORM pg_catalog.set_config('plan_replication.probe', pg_catalog.json_build_object("
	" 'tried', tried, 'refused', refused, 'accepted', accepted, 'unknown', unknown,"
	" 'roles', (SELECT pg_catalog.count(DISTINCT r) FROM pg_catalog.unnest(roles) r),"
	" 'not_tried', (SELECT pg_catalog.string_agg(DISTINCT r, ', ') FROM"
	"   pg_catalog.unnest(not_tried) r), 'holes', holes)::text, true); END";

static const char tables_sql[] = "SELECT c.oid, c.relkind AS kind FROM pg_catalog.pg_class c "
				 "WHERE c.oid = ANY ('{%s}'::pg_catalog.oid[])";

static const char *oids(const struct tables *tables, struct arena *arena)
{
	struct text out = {0};

	for (const struct table *table = tables->first; table; table = table->next)
		text_format(&out, "%s%u", out.length ? "," : "", table->oid);
	const char *text = arena_text(arena, text_string(&out));
	text_free(&out);
	return text;
}

static const char *statement(PGconn *connection, const struct tables *tables, bool standby,
                             struct arena *arena)
{
	const char *right = PQserverVersion(connection) >= 160000 ? "SET" : "MEMBER";
	const char *list = arena_printf(arena, tables_sql, oids(tables, arena));
	const char *body =
		arena_printf(arena, probe_sql, arena_printf(arena, roles_sql, list, right));
	char *literal = PQescapeLiteral(connection, body, strlen(body));
	const char *sql = arena_printf(
		arena,
		"BEGIN%s; SET LOCAL lock_timeout = 50; SET LOCAL statement_timeout = 60000; DO %s; "
		"SELECT pg_catalog.current_setting('plan_replication.probe')",
		standby ? "" : " READ WRITE", literal ? literal : "''");

	PQfreemem(literal);
	return sql;
}

static void take_holes(struct probe_report *report, const struct value *holes, struct arena *arena)
{
	struct probe_hole **last = &report->first;

	for (const struct value *one = holes ? holes->as.items.first : NULL; one; one = one->next) {
		const struct value *table = one->as.items.first;
		struct probe_hole *hole = arena_alloc(arena, sizeof *hole);
		hole->table = table->as.text;
		hole->role = table->next->as.text;
		hole->statement = table->next->next->as.text;
		*last = hole;
		last = &hole->next;
	}
}

static bool take_answer(struct probe_report *report, const char *text, struct arena *arena,
                        struct error *err)
{
	struct value *answer = json_read(arena, text, strlen(text), 0, NULL, err);

	if (!answer)
		return false;
	report->tried = (size_t)value_get_number(answer, "tried", 0);
	report->refused = (size_t)value_get_number(answer, "refused", 0);
	report->accepted = (size_t)value_get_number(answer, "accepted", 0);
	report->unknown = (size_t)value_get_number(answer, "unknown", 0);
	report->roles = (size_t)value_get_number(answer, "roles", 0);
	report->not_tried = value_get_text(answer, "not_tried", "");
	take_holes(report, value_get(answer, "holes"), arena);
	return true;
}

bool probe_writes(PGconn *connection, const char *namespaces, struct arena *arena,
                  struct probe_report *report, struct error *err)
{
	struct tables tables;
	const char *standby = NULL, *answer = NULL;
	struct error ignored = {0};

	*report = (struct probe_report){.not_tried = ""};
	if (!table_list(connection, namespaces, arena, &tables, err) ||
	    !query_text(connection, "SELECT pg_catalog.pg_is_in_recovery()", arena, &standby, err))
		return false;
	bool fine = query_text(connection,
	                       statement(connection, &tables, strcmp(standby, "t") == 0, arena),
	                       arena, &answer, err);
	if (PQstatus(connection) == CONNECTION_OK)
		query_run(connection, "ROLLBACK", &ignored);
	if (!fine)
		return fail_while(err, "try whether writes are accepted");
	return take_answer(report, answer, arena, err);
}

enum probe_verdict probe_verdict(const struct probe_report *report)
{
	if (report->unknown || (report->accepted && report->refused))
		return PROBE_PARTLY;
	return report->accepted ? PROBE_ACCEPTED : PROBE_REFUSED;
}

static const char *const verdicts[] = {
	[PROBE_REFUSED] = "refused",
	[PROBE_ACCEPTED] = "accepted",
	[PROBE_PARTLY] = "partly",
};

const char *probe_verdict_name(enum probe_verdict verdict)
{
	return verdicts[verdict];
}

/* ---- The metric ---- */

enum { TRIES = 20, AGAIN_MS = 200 };

static const char *for_people(const struct probe_report *report, struct arena *arena)
{
	struct text out = {.limit = 1000};

	text_format(&out, "%s: %zu of %zu attempts to write, as %zu role%s, were accepted",
	            probe_verdict_name(probe_verdict(report)), report->accepted, report->tried,
	            report->roles, report->roles == 1 ? "" : "s");
	if (report->unknown)
		text_format(&out, ", %zu could not be tried", report->unknown);
	if (report->first)
		text_format(&out, "; the first: %s on %s as %s", report->first->statement,
		            report->first->table, report->first->role);
	if (report->not_tried[0])
		text_format(&out, "; not tried, as our role cannot take them: %s",
		            report->not_tried);
	const char *text = arena_text(arena, text_string(&out));
	text_free(&out);
	return text;
}

static bool measure(struct step *step, const struct value *of, struct reading *reading,
                    struct error *err)
{
	struct database database;
	struct probe_report report;
	const char *name = value_reveal(of);

	if (!database_find(step, name, &database, err))
		return false;
	PGconn *connection = database_open(&database, "probe", err);
	if (!connection)
		return false;
	bool fine = probe_writes(connection, NULL, step->arena, &report, err);
	/* A lock that somebody has for a moment says nothing of rights. */
	for (int i = 1; fine && report.unknown && !report.accepted && i < TRIES; i++)
		fine = step_sleep(step, AGAIN_MS, err) &&
		       probe_writes(connection, NULL, step->arena, &report, err);
	PQfinish(connection);
	if (!fine)
		return false;
	reading->value = value_text(step->arena, probe_verdict_name(probe_verdict(&report)));
	reading->text = for_people(&report, step->arena);
	return true;
}

const struct metric probe_metrics[] = {
	{"postgres.write_probe", METRIC_TEXT, "", OF_CONNECTION,
         "Whether the database takes writes: refused, accepted or partly. Tried on every table as "
         "every role that may write to it, in transactions that are rolled back.",
         measure},
	{0},
};
