#include "catalog/statement.h"

#include "base/memory.h"

#include <assert.h>
#include <errno.h>
#include <string.h>

#define INSTANCE_COLUMNS \
	"id, key, process, version, state, args, result, error, started_ms, finished_ms, step, failing, limits"
#define CALL_COLUMNS \
	"instance, ref, process, state, args, result, error, attempts, node, called_ms, returned_ms, kind, version, " \
	"attempt, step, started_ms, due_ms"
#define KEY_COLUMNS "key, value, version, lease, created"
#define NODE_COLUMNS \
	"id, name, role, address, datacenter, state, generation, tags, cpu, memory, port_low, port_high"
#define JOB_COLUMNS \
	"id, key, name, version, type, state, args, error, count, running, completed, failed, lost, submitted_ms, started_ms, " \
	"finished_ms, next_task, parent, instance, ref, attempt, output, priority, next_ms"
#define ALLOCATION_COLUMNS \
	"id, job, task, version, node, state, attempt, ports, healthy, exit_code, exit_signal, error, placed_ms, started_ms, " \
	"finished_ms, registered, stopping, failures, window_ms"

/* Whatever gives several rows has a total order. */
static const char *const texts[STATEMENT_COUNT] = {
	[STATEMENT_BEGIN] = "BEGIN IMMEDIATE",
	[STATEMENT_COMMIT] = "COMMIT",
	[STATEMENT_PROBE] = "SELECT 1 FROM meta LIMIT 1",
	[STATEMENT_META_GET] = "SELECT value FROM meta WHERE key = ?1",
	[STATEMENT_META_SET] = "INSERT OR REPLACE INTO meta (key, value) VALUES (?1, ?2)",
	[STATEMENT_SETTING_SET] = "INSERT OR REPLACE INTO setting (name, value) VALUES (?1, ?2)",
	[STATEMENT_SETTINGS] = "SELECT name, value FROM setting ORDER BY name",
	[STATEMENT_UNIT_INSERT] = "INSERT INTO unit (id, files, attachments, registered_ms) VALUES (?1, ?2, ?3, ?4)",
	[STATEMENT_UNITS] = "SELECT id, files, attachments FROM unit ORDER BY id",
	[STATEMENT_UNIT_READ] = "SELECT files, attachments FROM unit WHERE id = ?1",
	[STATEMENT_FILE_INSERT] = "INSERT INTO file (hash, executable, content) VALUES (?1, ?2, ?3)"
				  " ON CONFLICT (hash) DO NOTHING",
	[STATEMENT_FILE_READ] = "SELECT executable, content FROM file WHERE hash = ?1",
	[STATEMENT_PROCESS_INSERT] = "INSERT INTO process (name, version, kind, signature, source, registered_ms, unit)"
				     " VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
	[STATEMENT_INSTANCE_INSERT] = "INSERT INTO pi_instance (" INSTANCE_COLUMNS ")"
				      " VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13)",
	/* The usual case, which leaves the index on finished_ms alone. */
	[STATEMENT_INSTANCE_SAVE] = "UPDATE pi_instance SET state = ?2, result = ?3, error = ?4, step = ?5, failing = ?6"
				    " WHERE id = ?1 AND finished_ms IS NULL",
	[STATEMENT_INSTANCE_UPDATE] = "UPDATE pi_instance SET state = ?2, result = ?3, error = ?4, step = ?5, failing = ?6,"
				      " finished_ms = ?7 WHERE id = ?1",
	[STATEMENT_INSTANCE_READ] = "SELECT " INSTANCE_COLUMNS " FROM pi_instance WHERE id = ?1",
	[STATEMENT_INSTANCE_BY_KEY] = "SELECT id FROM pi_instance WHERE key = ?1",
	[STATEMENT_INSTANCES_OPEN] = "SELECT id FROM pi_instance INDEXED BY pi_instance_finished"
				     " WHERE finished_ms IS NULL AND id > ?1 ORDER BY id LIMIT ?2",
	[STATEMENT_INSTANCES_EXPIRED] = "SELECT id FROM pi_instance INDEXED BY pi_instance_finished"
					" WHERE finished_ms < ?1 ORDER BY finished_ms, id LIMIT 1",
	[STATEMENT_INSTANCE_DELETE] = "DELETE FROM pi_instance WHERE id = ?1",
	/* Without a second index, REPLACE overwrites in place: one search, no delete. */
	[STATEMENT_CALL_PUT] = "INSERT OR REPLACE INTO pi_call (" CALL_COLUMNS ") VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8,"
			       " ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17)",
	[STATEMENT_CALLS_BY_REF] = "SELECT " CALL_COLUMNS " FROM pi_call WHERE instance = ?1 ORDER BY ref",
	[STATEMENT_CALLS_BY_STEP] = "SELECT " CALL_COLUMNS " FROM pi_call WHERE instance = ?1 AND state = 'done'"
				    " ORDER BY step, ref",
	[STATEMENT_CALLS_DELETE] = "DELETE FROM pi_call WHERE instance = ?1 AND ref <= (SELECT max(ref) FROM"
				   " (SELECT ref FROM pi_call WHERE instance = ?1 ORDER BY ref LIMIT ?2))",
	[STATEMENT_HISTORY_APPEND] = "INSERT INTO pi_history (seq, instance, time_ms, kind, ref, detail)"
				     " VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
	[STATEMENT_HISTORY_DELETE] = "DELETE FROM pi_history WHERE instance = ?1 AND seq <= (SELECT max(seq) FROM"
				     " (SELECT seq FROM pi_history WHERE instance = ?1 ORDER BY seq LIMIT ?2))",
	[STATEMENT_TIMER_INSERT] = "INSERT OR REPLACE INTO timer (due_ms, instance, ref) VALUES (?1, ?2, ?3)",
	[STATEMENT_TIMER_DELETE] = "DELETE FROM timer WHERE due_ms = ?1 AND instance = ?2 AND ref = ?3",
	[STATEMENT_TIMER_NEXT] = "SELECT due_ms FROM timer ORDER BY due_ms LIMIT 1",
	[STATEMENT_TIMERS_DUE] = "SELECT due_ms, instance, ref FROM timer WHERE due_ms <= ?1"
				 " ORDER BY due_ms, instance, ref LIMIT ?2",
	[STATEMENT_SIGNAL_PUSH] = "INSERT INTO signal (instance, name, key, seq, value) VALUES (?1, ?2, ?3, ?4, ?5)",
	[STATEMENT_SIGNAL_FIRST] = "SELECT seq, value FROM signal WHERE instance = ?1 AND name = ?2 AND key = ?3"
				   " ORDER BY seq LIMIT 1",
	[STATEMENT_SIGNAL_DELETE] = "DELETE FROM signal WHERE instance = ?1 AND name = ?2 AND key = ?3 AND seq = ?4",
	[STATEMENT_SIGNALS_DROP] = "DELETE FROM signal WHERE instance = ?1",
	[STATEMENT_SESSION_PUT] = "INSERT OR REPLACE INTO session (id, opened_ms, answered_below, answers, ttl_ms, proof)"
				  " VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
	[STATEMENT_SESSION_DELETE] = "DELETE FROM session WHERE id = ?1",
	[STATEMENT_SESSIONS] = "SELECT id, opened_ms, answered_below, answers, ttl_ms, proof FROM session ORDER BY id",
	[STATEMENT_NODE_PUT] = "INSERT INTO node (" NODE_COLUMNS ") VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12)"
			       " ON CONFLICT (id) DO UPDATE SET name = ?2, role = ?3, address = ?4, datacenter = ?5, state = ?6,"
			       " generation = ?7, tags = ?8, cpu = ?9, memory = ?10, port_low = ?11, port_high = ?12",
	[STATEMENT_NODE_ELIGIBLE] = "UPDATE node SET eligible = ?2 WHERE id = ?1",
	[STATEMENT_NODE_DRAIN] = "UPDATE node SET drain = ?2, drain_until_ms = ?3 WHERE id = ?1",
	[STATEMENT_KEY_READ] = "SELECT " KEY_COLUMNS " FROM kv WHERE key = ?1",
	[STATEMENT_KEY_STAT] = "SELECT version, lease, created FROM kv WHERE key = ?1",
	/* Without a second index, REPLACE overwrites in place, too. */
	[STATEMENT_KEY_PUT] = "INSERT OR REPLACE INTO kv (" KEY_COLUMNS ") VALUES (?1, ?2, ?3, ?4, ?5)",
	[STATEMENT_KEY_DELETE] = "DELETE FROM kv WHERE key = ?1",
	[STATEMENT_KEYS] = "SELECT " KEY_COLUMNS " FROM kv WHERE key >= ?1 ORDER BY key",
	[STATEMENT_CHANGE_APPEND] = "INSERT INTO kv_change (" KEY_COLUMNS ", seq, bytes)"
				    " VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
	[STATEMENT_CHANGES] = "SELECT " KEY_COLUMNS ", seq, bytes FROM kv_change WHERE seq >= ?1 ORDER BY seq",
	[STATEMENT_CHANGE_SIZES] = "SELECT version, seq, bytes FROM kv_change WHERE seq >= ?1 ORDER BY seq",
	[STATEMENT_CHANGE_FIRST] = "SELECT version, seq, bytes FROM kv_change ORDER BY seq LIMIT 1",
	[STATEMENT_CHANGE_LAST] = "SELECT version, seq, bytes FROM kv_change ORDER BY seq DESC LIMIT 1",
	[STATEMENT_CHANGE_VERSION] = "SELECT version FROM kv_change WHERE seq = ?1",
	[STATEMENT_CHANGES_DELETE] = "DELETE FROM kv_change WHERE seq < ?1",
	[STATEMENT_LEASE_PUT] = "INSERT OR REPLACE INTO lease (id, ttl_ms, owner, granted_ms, state)"
				" VALUES (?1, ?2, ?3, ?4, ?5)",
	[STATEMENT_LEASE_END] = "UPDATE lease SET state = 'ending' WHERE id = ?1",
	[STATEMENT_LEASE_DELETE] = "DELETE FROM lease WHERE id = ?1",
	[STATEMENT_LEASES] = "SELECT id, ttl_ms, owner, granted_ms, state FROM lease ORDER BY id",
	[STATEMENT_LEASE_KEY_INSERT] = "INSERT OR REPLACE INTO lease_key (lease, key) VALUES (?1, ?2)",
	[STATEMENT_LEASE_KEY_DELETE] = "DELETE FROM lease_key WHERE lease = ?1 AND key = ?2",
	[STATEMENT_LEASE_KEY_FIRST] = "SELECT key FROM lease_key WHERE lease = ?1 ORDER BY key LIMIT 1",
	[STATEMENT_NODES] = "SELECT " NODE_COLUMNS ", eligible, drain, drain_until_ms FROM node ORDER BY id",
	[STATEMENT_JOB_INSERT] = "INSERT INTO job (" JOB_COLUMNS ") VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12,"
				 " ?13, ?14, ?15, ?16, ?17, ?18, ?19, ?20, ?21, ?22, ?23, ?24)",
	[STATEMENT_JOB_UPDATE] = "UPDATE job SET version = ?2, state = ?3, error = ?4, count = ?5, running = ?6, completed = ?7,"
				 " failed = ?8, lost = ?9, started_ms = ?10, finished_ms = ?11, next_task = ?12, priority = ?13,"
				 " next_ms = ?14 WHERE id = ?1",
	[STATEMENT_JOB_BY_KEY] = "SELECT id FROM job WHERE key = ?1",
	[STATEMENT_JOB_STATE] = "SELECT state, coalesce(error, '') FROM job WHERE id = ?1",
	[STATEMENT_JOBS_OPEN] = "SELECT " JOB_COLUMNS " FROM job WHERE finished_ms IS NULL ORDER BY id",
	[STATEMENT_JOBS_EXPIRE] = "DELETE FROM job WHERE id IN (SELECT id FROM job INDEXED BY job_finished"
				  " WHERE finished_ms < ?1 AND NOT EXISTS (SELECT 1 FROM allocation WHERE job = job.id)"
				  " ORDER BY finished_ms, id LIMIT ?2)",
	[STATEMENT_JOB_EXPIRED] = "SELECT 1 FROM job INDEXED BY job_finished WHERE finished_ms < ?1 LIMIT 1",
	[STATEMENT_ALLOCATION_PUT] = "INSERT OR REPLACE INTO allocation (" ALLOCATION_COLUMNS ") VALUES (?1, ?2, ?3, ?4, ?5, ?6,"
				     " ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, ?19)",
	[STATEMENT_ALLOCATIONS_OPEN] = "SELECT " ALLOCATION_COLUMNS " FROM allocation WHERE finished_ms IS NULL ORDER BY id",
	[STATEMENT_ALLOCATIONS_EXPIRE] = "DELETE FROM allocation WHERE id IN (SELECT id FROM allocation"
					 " INDEXED BY allocation_finished WHERE finished_ms < ?1 ORDER BY finished_ms, id LIMIT ?2)",
	[STATEMENT_ALLOCATION_EXPIRED] = "SELECT 1 FROM allocation INDEXED BY allocation_finished WHERE finished_ms < ?1 LIMIT 1",
	[STATEMENT_TASK_PUT] = "INSERT OR REPLACE INTO job_task (job, task, attempts, failures, window_ms, due_ms)"
			       " VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
	[STATEMENT_TASK_DELETE] = "DELETE FROM job_task WHERE job = ?1 AND task = ?2",
	[STATEMENT_TASKS_DELETE] = "DELETE FROM job_task WHERE job = ?1 AND task >= ?2",
	[STATEMENT_TASKS] = "SELECT job, task, attempts, failures, window_ms, due_ms FROM job_task ORDER BY job, task",
	[STATEMENT_TOPIC_PUT] = "INSERT INTO topic (id, name, kind, schema, partitions, version, created_ms)"
				" VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
	[STATEMENT_TOPIC_VERSION] = "UPDATE topic SET version = ?2 WHERE id = ?1",
	[STATEMENT_TOPIC_DELETE] = "DELETE FROM topic WHERE id = ?1",
	[STATEMENT_TOPICS] = "SELECT id, name, kind, schema, partitions, version, created_ms FROM topic ORDER BY id",
	[STATEMENT_PUBLICATION_PUT] = "INSERT INTO publication (id, topic, part, session, address, job, allocation, published_ms)"
				      " VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
	[STATEMENT_PUBLICATION_DELETE] = "DELETE FROM publication WHERE id = ?1",
	[STATEMENT_PUBLICATIONS] = "SELECT id, topic, part, session, address, job, allocation, published_ms FROM publication"
				   " ORDER BY id",
	[STATEMENT_SUBSCRIPTION_PUT] = "INSERT INTO subscription (id, topic, part, session, subscribed_ms)"
				       " VALUES (?1, ?2, ?3, ?4, ?5)",
	[STATEMENT_SUBSCRIPTION_DELETE] = "DELETE FROM subscription WHERE id = ?1",
	[STATEMENT_SUBSCRIPTIONS] = "SELECT id, topic, part, session, subscribed_ms FROM subscription ORDER BY id",
	[STATEMENT_ROWS_FIRST + CATALOG_EXECUTOR] = "SELECT * FROM executor WHERE id BETWEEN ?1 AND ?2 ORDER BY id",
	[STATEMENT_ROWS_FIRST + CATALOG_JOB] = "SELECT * FROM job WHERE id BETWEEN ?1 AND ?2 ORDER BY id",
	[STATEMENT_ROWS_FIRST + CATALOG_ALLOCATION] = "SELECT * FROM allocation WHERE id BETWEEN ?1 AND ?2 ORDER BY id",
	[STATEMENT_ROWS_FIRST + CATALOG_TOPIC] = "SELECT * FROM topic WHERE id BETWEEN ?1 AND ?2 ORDER BY id",
	[STATEMENT_ROWS_FIRST + CATALOG_PUBLICATION] = "SELECT * FROM publication WHERE id BETWEEN ?1 AND ?2 ORDER BY id",
	[STATEMENT_ROWS_FIRST + CATALOG_SUBSCRIPTION] = "SELECT * FROM subscription WHERE id BETWEEN ?1 AND ?2 ORDER BY id",
	[STATEMENT_ROWS_FIRST + CATALOG_MEMBER] = "SELECT id, name, role, address, datacenter, state, generation, tags FROM node"
						  " WHERE id BETWEEN ?1 AND ?2 ORDER BY id",
	[STATEMENT_PAGES] = "PRAGMA page_count",
	[STATEMENT_FREE_PAGES] = "PRAGMA freelist_count",
	[STATEMENT_VACUUM] = "PRAGMA incremental_vacuum(64)",
};

/* --- result codes ------------------------------------------------------------------------------------------------- */

static int error_code_of(sqlite3 *database, int code)
{
	switch (code & 0xFF) {
	case SQLITE_FULL:
		return ERR_NO_SPACE;
	case SQLITE_IOERR: {
		int cause = database != NULL ? sqlite3_system_errno(database) : 0;
		return cause == ENOSPC || cause == EDQUOT ? ERR_NO_SPACE : ERR_IO;
	}
	case SQLITE_NOTADB:
	case SQLITE_CORRUPT:
	case SQLITE_SCHEMA:
	case SQLITE_ERROR: /* our own SQL does not fit the tables */
		return ERR_CORRUPT;
	case SQLITE_BUSY:
		return ERR_BUSY;
	case SQLITE_CONSTRAINT:
		return ERR_EXISTS;
	case SQLITE_TOOBIG:
		return ERR_LIMIT;
	default:
		return ERR_IO;
	}
}

int sqlite_failure(sqlite3 *database, int code, struct error *error, const char *action, const char *path)
{
	int error_code = error_code_of(database, code);
	int cause = database != NULL ? sqlite3_system_errno(database) : 0;
	bool system = cause != 0 && ((code & 0xFF) == SQLITE_IOERR || (code & 0xFF) == SQLITE_CANTOPEN);
	const char *message = database != NULL ? sqlite3_errmsg(database) : sqlite3_errstr(code);
	return error_set(error, error_code, "%s %s: %s (SQLite code %d)%s%s", action, path, message, code,
	                 system ? ": " : "", system ? strerror(cause) : "");
}

int catalog_failure(struct catalog *catalog, int code, const char *action)
{
	assert((code & 0xFF) != SQLITE_MISUSE && (code & 0xFF) != SQLITE_RANGE);
	const char *path = sqlite3_db_filename(catalog->database, "main");
	int error_code = sqlite_failure(catalog->database, code, &catalog->error, action, path != NULL ? path : "catalog");
	if (error_code != ERR_BUSY && error_code != ERR_EXISTS && error_code != ERR_LIMIT)
		catalog->failed = error_code;
	return error_code;
}

int catalog_refuse(struct catalog *catalog, int error_code, const char *text)
{
	return error_set(&catalog->error, error_code, "%s", text);
}

void sqlite_set_up(void)
{
	int code = sqlite3_config(SQLITE_CONFIG_MEMSTATUS, 0);
	assert(code == SQLITE_OK || code == SQLITE_MISUSE); /* the latter: SQLite is in use, so it was set up before */
	(void)code;
}

int sqlite_open_file(const char *path, int flags, const char *vfs, sqlite3 **ret_database, struct error *error)
{
	/* Names such as ":memory:" and "file:…" mean something else to SQLite, unless they begin as paths do. */
	char *name = mem_format("%s%s", path[0] == '/' ? "" : "./", path);
	sqlite3 *database = NULL;
	sqlite_set_up();
	int code = sqlite3_open_v2(name, &database, flags | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_PRIVATECACHE, vfs);
	mem_free(name);
	if (code != SQLITE_OK) {
		int result = sqlite_failure(database, code, error, "open", path);
		sqlite3_close(database);
		return result;
	}
	sqlite3_extended_result_codes(database, 1);
	*ret_database = database;
	return 0;
}

void catalog_note_version(struct catalog *catalog)
{
	sqlite3_file_control(catalog->database, "main", SQLITE_FCNTL_DATA_VERSION, &catalog->data_version);
}

/* --- statements --------------------------------------------------------------------------------------------------- */

int statement_get(struct catalog *catalog, enum statement_id id, sqlite3_stmt **ret_statement)
{
	if (catalog->failed != 0)
		return catalog->failed;
	sqlite3_stmt *statement = catalog->statements[id];
	if (statement == NULL) {
		int code = sqlite3_prepare_v3(catalog->database, texts[id], -1, SQLITE_PREPARE_PERSISTENT, &statement,
		                              NULL);
		if (code != SQLITE_OK)
			return catalog_failure(catalog, code, "prepare a statement for");
		catalog->statements[id] = statement;
	}
	assert(!sqlite3_stmt_busy(statement)); /* called again from within its own callback */
	*ret_statement = statement;
	return 0;
}

int statement_run(struct catalog *catalog, sqlite3_stmt *statement)
{
	int code;
	do
		code = sqlite3_step(statement);
	while (code == SQLITE_ROW);
	int result = code == SQLITE_DONE ? 0 : catalog_failure(catalog, code, "write to");
	statement_end(statement);
	if (!catalog->in_transaction)
		catalog_note_version(catalog);
	return result;
}

int statement_row(struct catalog *catalog, sqlite3_stmt *statement)
{
	int code = sqlite3_step(statement);
	if (code == SQLITE_ROW)
		return 1;
	return code == SQLITE_DONE ? 0 : catalog_failure(catalog, code, "read");
}

void statement_end(sqlite3_stmt *statement)
{
	sqlite3_reset(statement);
	sqlite3_clear_bindings(statement); /* what was bound is not ours */
}

void bind_number(sqlite3_stmt *statement, int index, uint64_t value)
{
	int code = sqlite3_bind_int64(statement, index, (sqlite3_int64)value);
	assert(code == SQLITE_OK);
}

void bind_time(sqlite3_stmt *statement, int index, msec time)
{
	if (time != 0)
		bind_number(statement, index, (uint64_t)time);
	else
		sqlite3_bind_null(statement, index);
}

void bind_text(sqlite3_stmt *statement, int index, struct slice text)
{
	int code = sqlite3_bind_text64(statement, index, text.data, text.size, SQLITE_STATIC, SQLITE_UTF8);
	assert(code == SQLITE_OK);
}

void bind_name(sqlite3_stmt *statement, int index, struct slice text)
{
	bind_text(statement, index, text.data != NULL ? text : SLICE(""));
}

void bind_id(sqlite3_stmt *statement, int index, uint64_t id)
{
	if (id != 0)
		bind_number(statement, index, id);
	else
		sqlite3_bind_null(statement, index);
}

void bind_bytes(sqlite3_stmt *statement, int index, struct slice bytes)
{
	int code = sqlite3_bind_blob64(statement, index, bytes.data != NULL ? bytes.data : "", bytes.size, SQLITE_STATIC);
	assert(code == SQLITE_OK);
}

uint64_t column_number(sqlite3_stmt *statement, int index)
{
	return (uint64_t)sqlite3_column_int64(statement, index);
}

struct slice column_bytes(sqlite3_stmt *statement, int index)
{
	const char *data = sqlite3_column_blob(statement, index);
	if (data == NULL && sqlite3_column_type(statement, index) != SQLITE_NULL)
		data = "";
	return (struct slice){data, (size_t)sqlite3_column_bytes(statement, index)};
}

struct slice column_text(sqlite3_stmt *statement, int index)
{
	const char *data = (const char *)sqlite3_column_text(statement, index);
	return (struct slice){data, (size_t)sqlite3_column_bytes(statement, index)};
}
