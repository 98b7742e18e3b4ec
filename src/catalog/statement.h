/* The handle's inside: prepared statements, kept once made; binding without copying; SQLite's result codes as ERR_. */
#ifndef CLUSTERD_CATALOG_STATEMENT_H
#define CLUSTERD_CATALOG_STATEMENT_H

#include "base/buffer.h"
#include "catalog/catalog.h"
#include "base/error.h"
#include "base/time.h"

#include <sqlite3.h>
#include <stdbool.h>

enum statement_id {
	STATEMENT_BEGIN,
	STATEMENT_COMMIT,
	STATEMENT_PROBE,
	STATEMENT_META_GET,
	STATEMENT_META_SET,
	STATEMENT_SETTING_SET,
	STATEMENT_SETTINGS,
	STATEMENT_UNIT_INSERT,
	STATEMENT_UNITS,
	STATEMENT_UNIT_READ,
	STATEMENT_FILE_INSERT,
	STATEMENT_FILE_READ,
	STATEMENT_PROCESS_INSERT,
	STATEMENT_INSTANCE_INSERT,
	STATEMENT_INSTANCE_SAVE,
	STATEMENT_INSTANCE_UPDATE,
	STATEMENT_INSTANCE_READ,
	STATEMENT_INSTANCE_BY_KEY,
	STATEMENT_INSTANCES_OPEN,
	STATEMENT_INSTANCES_EXPIRED,
	STATEMENT_INSTANCE_DELETE,
	STATEMENT_CALL_PUT,
	STATEMENT_CALLS_BY_REF,
	STATEMENT_CALLS_BY_STEP,
	STATEMENT_CALLS_DELETE,
	STATEMENT_HISTORY_APPEND,
	STATEMENT_HISTORY_DELETE,
	STATEMENT_TIMER_INSERT,
	STATEMENT_TIMER_DELETE,
	STATEMENT_TIMER_NEXT,
	STATEMENT_TIMERS_DUE,
	STATEMENT_SIGNAL_PUSH,
	STATEMENT_SIGNAL_FIRST,
	STATEMENT_SIGNAL_DELETE,
	STATEMENT_SIGNALS_DROP,
	STATEMENT_SESSION_PUT,
	STATEMENT_SESSION_DELETE,
	STATEMENT_SESSIONS,
	STATEMENT_NODE_PUT,
	STATEMENT_KEY_READ,
	STATEMENT_KEY_STAT,
	STATEMENT_KEY_PUT,
	STATEMENT_KEY_DELETE,
	STATEMENT_KEYS,
	STATEMENT_CHANGE_APPEND,
	STATEMENT_CHANGES,
	STATEMENT_CHANGE_SIZES,
	STATEMENT_CHANGE_FIRST,
	STATEMENT_CHANGE_LAST,
	STATEMENT_CHANGE_VERSION,
	STATEMENT_CHANGES_DELETE,
	STATEMENT_LEASE_PUT,
	STATEMENT_LEASE_END,
	STATEMENT_LEASE_DELETE,
	STATEMENT_LEASES,
	STATEMENT_LEASE_KEY_INSERT,
	STATEMENT_LEASE_KEY_DELETE,
	STATEMENT_LEASE_KEY_FIRST,
	STATEMENT_NODES,
	STATEMENT_NODE_ELIGIBLE,
	STATEMENT_NODE_DRAIN,
	STATEMENT_JOB_INSERT,
	STATEMENT_JOB_UPDATE,
	STATEMENT_JOB_BY_KEY,
	STATEMENT_JOB_STATE,
	STATEMENT_JOBS_OPEN,
	STATEMENT_JOBS_EXPIRE,
	STATEMENT_JOB_EXPIRED,
	STATEMENT_ALLOCATION_PUT,
	STATEMENT_ALLOCATIONS_OPEN,
	STATEMENT_ALLOCATIONS_EXPIRE,
	STATEMENT_ALLOCATION_EXPIRED,
	STATEMENT_TASK_PUT,
	STATEMENT_TASK_DELETE,
	STATEMENT_TASKS_DELETE,
	STATEMENT_TASKS,
	STATEMENT_TOPIC_PUT,
	STATEMENT_TOPIC_VERSION,
	STATEMENT_TOPIC_DELETE,
	STATEMENT_TOPICS,
	STATEMENT_PUBLICATION_PUT,
	STATEMENT_PUBLICATION_DELETE,
	STATEMENT_PUBLICATIONS,
	STATEMENT_SUBSCRIPTION_PUT,
	STATEMENT_SUBSCRIPTION_DELETE,
	STATEMENT_SUBSCRIPTIONS,
	STATEMENT_ROWS_FIRST, /* one for each of enum catalog_table, in its order */
	STATEMENT_ROWS_LAST = STATEMENT_ROWS_FIRST + CATALOG_TABLE_COUNT - 1,
	STATEMENT_PAGES,
	STATEMENT_FREE_PAGES,
	STATEMENT_VACUUM,
	STATEMENT_COUNT
};

/* What has changed of late: a ring of numbers `begin` … `end` − 1, by their index. */
struct recent {
	struct recent_change *ring;
	size_t capacity;
	uint64_t begin, end;
	uint64_t known_from; /* all that has changed from this index on is there */
	uint64_t index;      /* of the entry that is being applied */
};

struct catalog {
	struct recent recent;
	sqlite3 *database;
	struct wal_writes *writes;
	sqlite3_stmt *statements[STATEMENT_COUNT]; /* prepared at their first use */
	int failed;                                /* the I/O error that ended this handle; 0: none */
	bool in_transaction;
	bool foreign_write;        /* noticed, not asked for yet */
	unsigned int data_version; /* of the file, after our last commit */
	uint32_t page_size;
	uint64_t wal_size;
	struct buffer row;         /* what catalog_instance_read gave out */
	struct error error;
};

/* Result codes. A code that says that the file or the disk cannot be trusted is remembered: everything fails after
 * it. */
int catalog_failure(struct catalog *catalog, int code, const char *action);
int catalog_refuse(struct catalog *catalog, int error_code, const char *text);
/* For connections that are not the handle: ERR_ and a text. */
int sqlite_failure(sqlite3 *database, int code, struct error *error, const char *action, const char *path);
/* Before anything else of SQLite is called in this process; again: nothing. It does not count its memory then, which nobody asks for, and
 * for which each allocation would take a lock. */
void sqlite_set_up(void);
/* Opens `path` as the plain name of a file, whatever it looks like. */
int sqlite_open_file(const char *path, int flags, const char *vfs, sqlite3 **ret_database, struct error *error);
void recent_row_written(void *context, int operation, const char *database, const char *table, sqlite3_int64 id);
/* Remembers what the file looks like after a write of our own. */
void catalog_note_version(struct catalog *catalog);

/* Ready to be bound. Ends with statement_run or statement_end. */
int statement_get(struct catalog *catalog, enum statement_id id, sqlite3_stmt **ret_statement);
/* Runs it to its end. What is bound must live until then, not longer. */
int statement_run(struct catalog *catalog, sqlite3_stmt *statement);
/* 1: a row, 0: no more, or an ERR_. */
int statement_row(struct catalog *catalog, sqlite3_stmt *statement);
void statement_end(sqlite3_stmt *statement);

void bind_number(sqlite3_stmt *statement, int index, uint64_t value);
void bind_time(sqlite3_stmt *statement, int index, msec time);    /* 0: NULL */
void bind_id(sqlite3_stmt *statement, int index, uint64_t id);    /* 0: NULL */
void bind_text(sqlite3_stmt *statement, int index, struct slice text); /* data NULL: NULL */
void bind_name(sqlite3_stmt *statement, int index, struct slice text); /* data NULL: '' */
void bind_bytes(sqlite3_stmt *statement, int index, struct slice bytes);
uint64_t column_number(sqlite3_stmt *statement, int index);
struct slice column_bytes(sqlite3_stmt *statement, int index); /* text or blob; NULL: data NULL. Until the next step */
struct slice column_text(sqlite3_stmt *statement, int index); /* NULL: data NULL. Until the next step */

#endif
