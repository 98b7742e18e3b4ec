#include "catalog/query.h"

#include "base/json.h"
#include "base/memory.h"
#include "catalog/statement.h"

#include <assert.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define CACHED_STATEMENTS 16
#define CACHED_SQL_SIZE 4096      /* longer texts are not kept */
#define SQL_SIZE_MAX (1 << 20)
#define VALUE_SIZE_MAX (16 << 20) /* of one text or blob, stored or made by a function */
#define PATTERN_SIZE_MAX 256      /* LIKE and GLOB take size of text × size of pattern, and cannot be interrupted */
#define STEPS_BETWEEN_LOOKS 1000  /* of SQLite's virtual machine, at the clock */
#define BUSY_TIMEOUT_MS 1000
#define ROWS_SIZE_MAX (QUERY_SIZE_MAX - 2) /* the last two brackets must still fit */

struct cached {
	char *sql;
	sqlite3_stmt *statement;
	uint64_t used; /* count of queries when it was used last */
};

struct query_reader {
	sqlite3 *database;
	struct cached cache[CACHED_STATEMENTS];
	uint64_t count;      /* of queries */
	bool refused;        /* the authorizer said no */
	int64_t deadline_ms; /* of the query that runs */
};

/* --- what may be asked -------------------------------------------------------------------------------------------- */

static bool listed(const char *const *names, size_t count, const char *name)
{
	for (size_t i = 0; i < count; i++)
		if (name != NULL && sqlite3_stricmp(names[i], name) == 0)
			return true;
	return false;
}

/* Asked by SQLite for each thing that a statement would do, when it is prepared. */
static int authorize(void *context, int action, const char *first, const char *second, const char *database,
                     const char *trigger)
{
	static const char *const pragmas[] = {
		"compile_options", "database_list", "foreign_key_list", "freelist_count", "function_list",
		"index_info",      "index_list",    "index_xinfo",      "page_count",     "table_info",
		"table_list",      "table_xinfo",
	};
	static const char *const functions[] = {"load_extension", "fts3_tokenizer"};
	struct query_reader *reader = context;
	bool allowed = false;
	(void)database;
	(void)trigger;
	switch (action) {
	case SQLITE_SELECT:
	case SQLITE_READ:
	case SQLITE_RECURSIVE:
		allowed = true;
		break;
	case SQLITE_FUNCTION:
		allowed = !listed(functions, sizeof functions / sizeof functions[0], second);
		break;
	case SQLITE_UPDATE:
		/* SQLite asks so when it declares a table-valued function (json_each, pragma_…) at its first use. A statement
		 * that would in truth change this table is refused by SQLite itself. */
		allowed = strcmp(first, "sqlite_master") == 0;
		break;
	case SQLITE_PRAGMA:
		allowed = listed(pragmas, sizeof pragmas / sizeof pragmas[0], first);
		break;
	default: /* writes, ATTACH, BEGIN, SAVEPOINT, … */
		break;
	}
	if (allowed)
		return SQLITE_OK;
	reader->refused = true;
	return SQLITE_DENY;
}

static int64_t clock_ms(void)
{
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static int out_of_time(void *context)
{
	const struct query_reader *reader = context;
	return clock_ms() >= reader->deadline_ms;
}

/* --- the reader --------------------------------------------------------------------------------------------------- */

int query_reader_open(const char *catalog_path, struct query_reader **ret_reader, struct error *error)
{
	sqlite3 *database;
	int result = sqlite_open_file(catalog_path, SQLITE_OPEN_READONLY, NULL, &database, error);
	if (result != 0)
		return result;
	sqlite3_busy_timeout(database, BUSY_TIMEOUT_MS);
	sqlite3_db_config(database, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
	sqlite3_db_config(database, SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0, NULL);
	sqlite3_limit(database, SQLITE_LIMIT_LENGTH, VALUE_SIZE_MAX);
	sqlite3_limit(database, SQLITE_LIMIT_SQL_LENGTH, SQL_SIZE_MAX);
	sqlite3_limit(database, SQLITE_LIMIT_LIKE_PATTERN_LENGTH, PATTERN_SIZE_MAX);
	sqlite3_limit(database, SQLITE_LIMIT_ATTACHED, 0);
	/* What a query sorts or gathers goes to temporary files when it is larger than the cache. */
	int code = sqlite3_exec(database,
	                        "PRAGMA query_only = ON; PRAGMA cache_size = -1024; PRAGMA temp_store = FILE;"
	                        "PRAGMA mmap_size = 0; SELECT count(*) FROM sqlite_schema",
	                        NULL, NULL, NULL);
	if (code != SQLITE_OK) {
		result = sqlite_failure(database, code, error, "read", catalog_path);
		sqlite3_close(database);
		return result;
	}
	struct query_reader *reader = mem_zero(sizeof *reader);
	reader->database = database;
	sqlite3_set_authorizer(database, authorize, reader);
	sqlite3_progress_handler(database, STEPS_BETWEEN_LOOKS, out_of_time, reader);
	*ret_reader = reader;
	return 0;
}

void query_reader_close(struct query_reader *reader)
{
	if (reader == NULL)
		return;
	for (int i = 0; i < CACHED_STATEMENTS; i++) {
		sqlite3_finalize(reader->cache[i].statement);
		mem_free(reader->cache[i].sql);
	}
	int code = sqlite3_close(reader->database);
	assert(code == SQLITE_OK);
	mem_free(reader);
}

static int query_failure(struct query_reader *reader, int code, msec time_limit, struct error *error)
{
	const char *message = sqlite3_errmsg(reader->database);
	if (reader->refused)
		return error_set(error, ERR_INVALID, "only a single statement that reads is accepted (%s)", message);
	switch (code & 0xFF) {
	case SQLITE_INTERRUPT:
		return error_set(error, ERR_TIMEOUT, "the query was stopped: it took longer than %lld ms",
		                 (long long)time_limit);
	case SQLITE_TOOBIG:
		return error_set(error, ERR_LIMIT, "SQL of more than %d bytes, or a value of more than %d: %s", SQL_SIZE_MAX,
		                 VALUE_SIZE_MAX, message);
	case SQLITE_ERROR:
	case SQLITE_AUTH:
	case SQLITE_MISMATCH:
	case SQLITE_RANGE:
	case SQLITE_CONSTRAINT:
		return error_set(error, ERR_INVALID, "%s", message);
	default:
		return sqlite_failure(reader->database, code, error, "read", "the catalog");
	}
}

/* --- statements --------------------------------------------------------------------------------------------------- */

/* Exactly one statement; space, comments and semicolons around it do not count. */
static int prepare(struct query_reader *reader, const char *sql, msec time_limit, sqlite3_stmt **ret_statement,
                   struct error *error)
{
	sqlite3_stmt *statement = NULL;
	const char *at = sql;
	reader->refused = false;
	while (*at != '\0') {
		sqlite3_stmt *next = NULL;
		const char *from = at;
		int code = sqlite3_prepare_v3(reader->database, from, -1, SQLITE_PREPARE_PERSISTENT, &next, &at);
		bool second = statement != NULL && (code != SQLITE_OK || next != NULL);
		if (code == SQLITE_OK && !second) {
			if (next != NULL)
				statement = next;
			if (at == from)
				break;
			continue;
		}
		int result = second ? error_set(error, ERR_INVALID, "more than one statement")
		                    : query_failure(reader, code, time_limit, error);
		sqlite3_finalize(next);
		sqlite3_finalize(statement);
		return result;
	}
	if (statement == NULL)
		return error_set(error, ERR_INVALID, "no statement");
	if (!sqlite3_stmt_readonly(statement)) {
		sqlite3_finalize(statement);
		return error_set(error, ERR_INVALID, "only a statement that reads is accepted");
	}
	*ret_statement = statement;
	return 0;
}

/* From the cache, or prepared and put there in place of what was not used for longest. */
static int find_statement(struct query_reader *reader, const char *sql, msec time_limit, struct cached *spare,
                          struct cached **ret_cached, struct error *error)
{
	struct cached *oldest = &reader->cache[0];
	for (struct cached *cached = reader->cache; cached < reader->cache + CACHED_STATEMENTS; cached++) {
		if (cached->sql != NULL && strcmp(cached->sql, sql) == 0) {
			cached->used = reader->count;
			*ret_cached = cached;
			return 0;
		}
		if (cached->used < oldest->used)
			oldest = cached;
	}
	sqlite3_stmt *statement = NULL;
	int result = prepare(reader, sql, time_limit, &statement, error);
	if (result != 0)
		return result;
	if (strlen(sql) > CACHED_SQL_SIZE) {
		*spare = (struct cached){.statement = statement};
		*ret_cached = spare;
		return 0;
	}
	sqlite3_finalize(oldest->statement);
	mem_free(oldest->sql);
	*oldest = (struct cached){.sql = mem_string(sql), .statement = statement, .used = reader->count};
	*ret_cached = oldest;
	return 0;
}

static int bind_parameters(sqlite3_stmt *statement, const char *const *parameters, uint32_t count, struct error *error)
{
	int expected = sqlite3_bind_parameter_count(statement);
	if ((int64_t)count != expected)
		return error_set(error, ERR_INVALID, "the statement has %d parameters, %u were given", expected, count);
	for (uint32_t i = 0; i < count; i++) {
		int code = sqlite3_bind_text(statement, (int)i + 1, parameters[i], -1, SQLITE_STATIC);
		if (code != SQLITE_OK)
			return error_set(error, ERR_LIMIT, "parameter %u has more than %d bytes", i + 1, VALUE_SIZE_MAX);
	}
	return 0;
}

/* --- rows as JSON ------------------------------------------------------------------------------------------------- */

/* The shortest digits that give the same number when they are read. */
static void append_real(struct buffer *rows, double value)
{
	char text[40];
	if (isinf(value)) {
		buffer_append_string(rows, value > 0 ? "1e999" : "-1e999"); /* JSON has no other word for it */
		return;
	}
	for (int digits = 15; digits <= 17; digits++) {
		snprintf(text, sizeof text, "%.*g", digits, value);
		if (strtod(text, NULL) == value)
			break;
	}
	buffer_append_string(rows, text);
	if (strpbrk(text, ".e") == NULL)
		buffer_append_string(rows, ".0");
}

static void append_hex(struct buffer *rows, const unsigned char *bytes, size_t size)
{
	static const char digits[] = "0123456789abcdef";
	char *place = buffer_reserve(rows, 2 * size + 2);
	*place++ = '"';
	for (size_t i = 0; i < size; i++) {
		*place++ = digits[bytes[i] >> 4];
		*place++ = digits[bytes[i] & 15];
	}
	*place = '"';
	rows->size += 2 * size + 2;
}

static void append_value(struct buffer *rows, sqlite3_stmt *statement, int index)
{
	switch (sqlite3_column_type(statement, index)) {
	case SQLITE_INTEGER:
		buffer_format(rows, "%lld", (long long)sqlite3_column_int64(statement, index));
		break;
	case SQLITE_FLOAT:
		append_real(rows, sqlite3_column_double(statement, index));
		break;
	case SQLITE_TEXT:
		json_quote(rows, column_text(statement, index));
		break;
	case SQLITE_BLOB: {
		const unsigned char *bytes = sqlite3_column_blob(statement, index);
		append_hex(rows, bytes, (size_t)sqlite3_column_bytes(statement, index));
		break;
	}
	default:
		buffer_append_string(rows, "null");
		break;
	}
}

static size_t least_size(sqlite3_stmt *statement, int index)
{
	int type = sqlite3_column_type(statement, index);
	return type == SQLITE_TEXT || type == SQLITE_BLOB ? (size_t)sqlite3_column_bytes(statement, index) : 0;
}

/* False when it does not fit: then nothing of it is there. */
static bool append_row(struct query_result *result, sqlite3_stmt *statement)
{
	struct buffer *rows = &result->rows;
	size_t start = rows->size;
	buffer_append_string(rows, result->row_count == 0 ? "[" : ",[");
	for (int i = 0; i < (int)result->column_count; i++) {
		/* A value that cannot fit is not even quoted. */
		bool fits = rows->size + least_size(statement, i) <= ROWS_SIZE_MAX;
		if (fits && i > 0)
			buffer_append_char(rows, ',');
		if (fits)
			append_value(rows, statement, i);
		if (!fits || rows->size > ROWS_SIZE_MAX) {
			rows->size = start;
			return false;
		}
	}
	buffer_append_char(rows, ']');
	result->row_count++;
	return true;
}

static void append_columns(struct query_result *result, sqlite3_stmt *statement)
{
	result->column_count = (uint32_t)sqlite3_column_count(statement);
	for (int i = 0; i < (int)result->column_count; i++) {
		const char *name = sqlite3_column_name(statement, i);
		buffer_append(&result->columns, name != NULL ? name : "", name != NULL ? strlen(name) + 1 : 1);
	}
}

/* SQLITE_DONE, also when a limit ended it, or what failed. */
static int collect(sqlite3_stmt *statement, uint32_t row_limit, struct query_result *result)
{
	int code;
	buffer_append_char(&result->rows, '[');
	while ((code = sqlite3_step(statement)) == SQLITE_ROW) {
		if (result->row_count == 0 && result->column_count == 0)
			append_columns(result, statement);
		if (result->row_count == row_limit || !append_row(result, statement)) {
			result->truncated = true;
			code = SQLITE_DONE;
			break;
		}
	}
	buffer_append_char(&result->rows, ']');
	if (code == SQLITE_DONE && result->column_count == 0)
		append_columns(result, statement);
	return code;
}

int query_run(struct query_reader *reader, const char *sql, const char *const *parameters, uint32_t parameter_count,
              uint32_t row_limit, msec time_limit, struct query_result *ret_result, struct error *error)
{
	struct cached spare = {0};
	struct cached *cached;
	struct query_result found = {0};
	if (row_limit == 0)
		row_limit = QUERY_ROWS_DEFAULT;
	if (time_limit <= 0)
		time_limit = QUERY_TIME_DEFAULT;
	reader->count++;
	reader->deadline_ms = clock_ms() + time_limit;
	int result = find_statement(reader, sql, time_limit, &spare, &cached, error);
	if (result != 0)
		return result;
	sqlite3_stmt *statement = cached->statement;
	result = bind_parameters(statement, parameters, parameter_count, error);
	if (result == 0) {
		reader->refused = false;
		int code = collect(statement, row_limit, &found);
		if (code != SQLITE_DONE)
			result = query_failure(reader, code, time_limit, error);
	}
	statement_end(statement); /* and with it the read transaction: nothing holds the WAL open */
	sqlite3_finalize(spare.statement);
	if (result != 0) {
		query_result_finish(&found);
		return result;
	}
	*ret_result = found;
	return 0;
}

void query_result_finish(struct query_result *result)
{
	buffer_finish(&result->columns);
	buffer_finish(&result->rows);
	*result = (struct query_result){0};
}
