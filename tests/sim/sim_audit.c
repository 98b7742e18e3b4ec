#include "sim/sim_audit.h"
#include "sim/sim_jobs.h"
#include "sim/sim_topics.h"

#include <inttypes.h>

/* What the catalog must say, asked with SQL as anybody may. */

sqlite3 *audit_open(struct server *server)
{
	sqlite3 *database;
	if (server->node != NULL)
		node_settle(server->node);
	if (sqlite3_open_v2(SIM_CATALOG, &database, SQLITE_OPEN_READWRITE, server->vfs_name) != SQLITE_OK)
		server_fail(server, "the catalog cannot be opened to read");
	sqlite3_db_config(database, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, NULL);
	return database;
}

sqlite3_stmt *audit_prepare(struct sim *sim, sqlite3 *database, const char *sql)
{
	sqlite3_stmt *statement;
	if (sqlite3_prepare_v2(database, sql, -1, &statement, NULL) != SQLITE_OK)
		sim_fail(sim, "%s: %s", sql, sqlite3_errmsg(database));
	return statement;
}

bool audit_row(struct sim *sim, sqlite3 *database, sqlite3_stmt *statement)
{
	int code = sqlite3_step(statement);
	if (code != SQLITE_ROW && code != SQLITE_DONE)
		sim_fail(sim, "%s: %s", sqlite3_sql(statement), sqlite3_errmsg(database));
	return code == SQLITE_ROW;
}

struct slice audit_text(sqlite3_stmt *statement, int column)
{
	const char *text = (const char *)sqlite3_column_text(statement, column);
	return text != NULL ? (struct slice){text, (size_t)sqlite3_column_bytes(statement, column)} : SLICE("");
}

void audit_expect_nothing(struct sim *sim, sqlite3 *database, const char *const *queries, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		sqlite3_stmt *statement = audit_prepare(sim, database, queries[i]);
		if (audit_row(sim, database, statement))
			sim_fail(sim, "%s", (const char *)sqlite3_column_text(statement, 0));
		sqlite3_finalize(statement);
	}
}

static const char *const always[] = {
	"SELECT 'a gap or repetition in seq before ' || seq FROM (SELECT seq, lag(seq, 1, 0) OVER (ORDER BY seq) AS last"
	" FROM pi_history) WHERE seq <> last + 1",
	"SELECT 'time goes back at seq ' || seq FROM (SELECT seq, time_ms, lag(time_ms, 1, 0) OVER (ORDER BY seq) AS last"
	" FROM pi_history) WHERE time_ms < last",
	"SELECT 'meta.history_seq is not the last seq' FROM meta WHERE key = 'history_seq'"
	" AND value <> (SELECT coalesce(max(seq), 0) FROM pi_history)",
	"SELECT 'call ' || ref || ' of workflow ' || instance || ' returned ' || count(*) || ' times' FROM pi_history"
	" WHERE kind = 'return' GROUP BY instance, ref HAVING count(*) > 1",
	"SELECT 'call ' || ref || ' of workflow ' || instance || ' was called ' || count(*) || ' times' FROM pi_history"
	" WHERE kind = 'call' GROUP BY instance, ref HAVING count(*) > 1",
	"SELECT 'call ' || ref || ' of workflow ' || instance || ' is ' || state || ', and its history says otherwise'"
	" FROM pi_call AS c WHERE (state = 'done') <> EXISTS (SELECT 1 FROM pi_history AS h"
	" WHERE h.instance = c.instance AND h.ref = c.ref AND h.kind = 'return')",
	"SELECT 'workflow ' || id || ' did not start once' FROM pi_instance AS i WHERE 1 <>"
	" (SELECT count(*) FROM pi_history AS h WHERE h.instance = i.id AND h.kind = 'start')",
	"SELECT 'workflow ' || id || ' is ' || state || ', and has other ends than that' FROM pi_instance AS i WHERE"
	" (state <> 'running') <> (SELECT total(kind IN ('result', 'failed', 'cancelled', 'no_result', 'runaway', 'overflow'))"
	" - total(kind = 'retried') FROM pi_history AS h WHERE h.instance = i.id)",
	"SELECT 'workflow ' || instance || ' goes on after its end' FROM pi_history AS h WHERE kind IN ('result', 'cancelled')"
	" AND EXISTS (SELECT 1 FROM pi_history AS l WHERE l.instance = h.instance AND l.seq > h.seq)",
	"SELECT 'workflow ' || id || ' is ' || state || ' without a time of its end, or with one' FROM pi_instance"
	" WHERE (state = 'running') <> (finished_ms IS NULL)",
	"SELECT 'workflow ' || i.id || ' is ' || i.state || ', and its call ' || ref || ' is open' FROM pi_call AS c"
	" JOIN pi_instance AS i ON i.id = c.instance WHERE i.state <> 'running'"
	" AND c.state IN ('ready', 'running', 'backoff')",
	"SELECT 'a timer for call ' || t.ref || ' of workflow ' || t.instance || ', which does not wait for it' FROM timer AS t"
	" LEFT JOIN pi_call AS c ON c.instance = t.instance AND c.ref = t.ref AND c.due_ms = t.due_ms"
	" AND (c.state = 'backoff' OR c.kind = 'sleep' AND c.state = 'running') WHERE c.instance IS NULL",
	"SELECT 'call ' || c.ref || ' of workflow ' || c.instance || ' waits for no timer' FROM pi_call AS c"
	" LEFT JOIN timer AS t ON c.instance = t.instance AND c.ref = t.ref AND c.due_ms = t.due_ms"
	" WHERE (c.state = 'backoff' OR c.kind = 'sleep' AND c.state = 'running') AND t.instance IS NULL",
	"SELECT 'a signal is kept for workflow ' || s.instance || ', which is finished' FROM signal AS s"
	" LEFT JOIN pi_instance AS i ON i.id = s.instance WHERE i.state IS NULL OR i.state <> 'running'",
	"SELECT 'workflow ' || min(id) || ' and ' || max(id) || ' have the same key' FROM pi_instance"
	" WHERE key IS NOT NULL GROUP BY key HAVING count(*) > 1",
	"SELECT 'call ' || ref || ' of workflow ' || instance || ' had ' || attempts || ' attempts, and ' ||"
	" (SELECT count(*) FROM pi_history AS h WHERE h.instance = c.instance AND h.ref = c.ref"
	" AND h.kind IN ('attempt_failed', 'call_failed')) || ' of them failed' FROM pi_call AS c WHERE c.kind = 'process'"
	" AND c.state <> 'cancelled' AND c.attempts < (SELECT count(*) FROM pi_history AS h WHERE h.instance = c.instance"
	" AND h.ref = c.ref AND h.kind IN ('attempt_failed', 'call_failed') AND h.seq > (SELECT coalesce(max(seq), 0)"
	" FROM pi_history AS r WHERE r.instance = c.instance AND r.kind = 'retried'))",
	"SELECT 'the file is damaged: ' || integrity_check FROM pragma_integrity_check WHERE integrity_check <> 'ok'",
};

static const char *const when_done[] = {
	("SELECT 'workflow ' || id || ' (' || process || ') is ' || state || ', its calls: ' || (SELECT coalesce(group_concat("
	 "ref || ' ' || process || ' ' || state, ', '), 'none') FROM pi_call WHERE instance = id AND state <> 'done')"
	 " FROM pi_instance WHERE state NOT IN ('completed', 'cancelled')"),
	("SELECT 'call ' || c.ref || ' of workflow ' || i.id || ' is ' || c.state FROM pi_call AS c"
	 " JOIN pi_instance AS i ON i.id = c.instance WHERE i.state = 'completed' AND c.state <> 'done'"),
	"SELECT 'timers are left' FROM timer",
	"SELECT 'signals are left for workflow ' || instance FROM signal",
};

/* --- against what the clients know --------------------------------------------------------------------------------- */

static void check_run(struct sim *sim, const struct flow_run *run, sqlite3_stmt *found)
{
	struct buffer expected = BUFFER_EMPTY;
	uint64_t id = (uint64_t)sqlite3_column_int64(found, 0);
	struct slice state = audit_text(found, 4);
	if (run->id != 0 && run->id != id)
		sim_fail(sim, "x %" PRIu64 " was acknowledged as workflow %" PRIu64 ", and is %" PRIu64, run->x, run->id, id);
	if (!slice_is(audit_text(found, 1), run->key) || !slice_is(audit_text(found, 2), flow_name(run->flow)))
		sim_fail(sim, "workflow %" PRIu64 " is not what was started", id);
	if (run->cancelled != slice_is(state, "cancelled"))
		sim_fail(sim, "workflow %" PRIu64 " is %.*s, though its cancellation was%s acknowledged", id, SLICE_ARGS(state),
		         run->cancelled ? "" : " not");
	if (!run->cancelled) {
		flow_expected(run->flow, run->x, flows_depth(audit_text(found, 6)), &expected);
		if (!slice_equal(buffer_slice(&expected), audit_text(found, 5)))
			sim_fail(sim, "workflow %" PRIu64 " (%s, x %" PRIu64 ") has the result %.*s instead of %.*s", id,
			         flow_name(run->flow), run->x, SLICE_ARGS(audit_text(found, 5)),
			         SLICE_ARGS(buffer_slice(&expected)));
		buffer_finish(&expected);
	}
}

static void check_runs(struct sim *sim, sqlite3 *database)
{
	uint64_t count = 0;
	sqlite3_stmt *statement = audit_prepare(sim, database,
		"SELECT i.id, i.key, i.process, i.version, i.state, i.result, p.source FROM pi_instance AS i"
		" JOIN process AS p ON p.name = i.process AND p.version = i.version WHERE i.args = ?1");
	for (const struct flow_run *run = sim->runs; run != NULL; run = run->next) {
		buffer_clear(&sim->scratch);
		buffer_format(&sim->scratch, "{\"x\":%" PRIu64 "}", run->x);
		sqlite3_bind_text(statement, 1, sim->scratch.data, (int)sim->scratch.size, SQLITE_STATIC);
		if (!audit_row(sim, database, statement))
			sim_fail(sim, "workflow %" PRIu64 " (x %" PRIu64 "), whose start was acknowledged, is not there", run->id, run->x);
		check_run(sim, run, statement);
		count++;
		if (audit_row(sim, database, statement))
			sim_fail(sim, "x %" PRIu64 " was started twice", run->x);
		sqlite3_reset(statement);
	}
	sqlite3_finalize(statement);
	statement = audit_prepare(sim, database, "SELECT count(*) FROM pi_instance");
	audit_row(sim, database, statement);
	if ((uint64_t)sqlite3_column_int64(statement, 0) != count)
		sim_fail(sim, "there are %" PRIu64 " workflows, and %" PRIu64 " were started",
		         (uint64_t)sqlite3_column_int64(statement, 0), count);
	sqlite3_finalize(statement);
}

/* Each call has the result that its process gives for its arguments. */
static void check_calls(struct sim *sim, sqlite3 *database)
{
	sqlite3_stmt *statement = audit_prepare(sim, database,
		"SELECT instance, ref, process, args, result FROM pi_call WHERE kind = 'process' AND state = 'done'");
	while (audit_row(sim, database, statement)) {
		buffer_clear(&sim->scratch);
		flows_compute(audit_text(statement, 2), audit_text(statement, 3), &sim->scratch);
		if (!slice_equal(buffer_slice(&sim->scratch), audit_text(statement, 4)))
			sim_fail(sim, "call %d of workflow %lld has the result %.*s instead of %.*s", sqlite3_column_int(statement, 1),
			         sqlite3_column_int64(statement, 0), SLICE_ARGS(audit_text(statement, 4)),
			         SLICE_ARGS(buffer_slice(&sim->scratch)));
	}
	sqlite3_finalize(statement);
}

/* --- the doors ----------------------------------------------------------------------------------------------------- */

#define COUNT(array) (sizeof(array) / sizeof(array)[0])

void audit_catalog(struct server *server)
{
	sqlite3 *database = audit_open(server);
	audit_expect_nothing(server->sim, database, always, COUNT(always));
	check_calls(server->sim, database);
	jobs_audit_always(server->sim, database);
	topics_audit_always(server->sim, database);
	sqlite3_close(database);
}

void audit_end(struct server *server)
{
	sqlite3 *database = audit_open(server);
	audit_expect_nothing(server->sim, database, when_done, COUNT(when_done));
	check_runs(server->sim, database);
	sqlite3_close(database);
}

void audit_empty(struct server *server)
{
	static const char *const nothing[] = {
		"SELECT 'workflow ' || id || ' is left' FROM pi_instance",
		"SELECT 'a call of workflow ' || instance || ' is left' FROM pi_call",
		"SELECT 'history of workflow ' || instance || ' is left' FROM pi_history",
		"SELECT 'job ' || id || ' is left' FROM job",
		"SELECT 'allocation ' || id || ' is left' FROM allocation",
		"SELECT 'task ' || task || ' of job ' || job || ' waits' FROM job_task",
	};
	sqlite3 *database = audit_open(server);
	audit_expect_nothing(server->sim, database, nothing, COUNT(nothing));
	sqlite3_close(database);
}
