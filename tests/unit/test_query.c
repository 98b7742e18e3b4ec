#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "catalog_fixture.h"

#include "base/json.h"
#include "base/memory.h"
#include "catalog/query.h"

#include <string.h>

struct query_fixture {
	struct fixture *fixture;
	struct query_reader *reader;
	struct error error;
};

static int setup(void **state)
{
	struct query_fixture *query = mem_zero(sizeof *query);
	void *inner = NULL;
	if (fixture_setup(&inner) != 0)
		return -1;
	query->fixture = inner;
	*state = query;
	return query_reader_open(query->fixture->path, &query->reader, &query->error);
}

static int teardown(void **state)
{
	struct query_fixture *query = *state;
	query_reader_close(query->reader);
	void *inner = query->fixture;
	mem_free(query);
	return fixture_teardown(&inner);
}

static struct query_result run_limited(struct query_fixture *query, const char *sql, uint32_t row_limit)
{
	struct query_result result;
	if (query_run(query->reader, sql, NULL, 0, row_limit, 0, &result, &query->error) != 0)
		fail_msg("%s: %s", sql, query->error.text);
	assert_int_equal(json_check(buffer_slice(&result.rows), &query->error), 0);
	assert_int_equal(json_count(buffer_slice(&result.rows)), result.row_count);
	return result;
}

static void gives(struct query_fixture *query, const char *sql, const char *rows)
{
	struct query_result result = run_limited(query, sql, 0);
	assert_string_equal(buffer_string(&result.rows), rows);
	assert_false(result.truncated);
	query_result_finish(&result);
}

static void refuses(struct query_fixture *query, const char *sql, int code, const char *words)
{
	struct query_result result;
	int got = query_run(query->reader, sql, NULL, 0, 0, 0, &result, &query->error);
	if (got != code)
		fail_msg("%s: %s instead of %s", sql, error_name(got), error_name(code));
	if (strstr(query->error.text, words) == NULL)
		fail_msg("%s: %s", sql, query->error.text);
}

static void values_become_json(void **state)
{
	struct query_fixture *query = *state;
	gives(query, "SELECT 1, -2, NULL, 'a\"b\\\n', x'00FFab', x'', ''",
	      "[[1,-2,null,\"a\\\"b\\\\\\n\",\"00ffab\",\"\",\"\"]]");
	gives(query, "SELECT 9223372036854775807, -9223372036854775808, 9007199254740993",
	      "[[9223372036854775807,-9223372036854775808,9007199254740993]]");
	gives(query, "SELECT 0.1, 1.0, -2.5e-300, 1e100, 1.0/3, 9e999, -9e999",
	      "[[0.1,1.0,-2.5e-300,1e+100,0.3333333333333333,1e999,-1e999]]");
	gives(query, "SELECT 'Zürich', CAST(x'41FF42' AS TEXT)", "[[\"Zürich\",\"A\xEF\xBF\xBD" "B\"]]");
	gives(query, "SELECT value FROM meta WHERE key = 'absent'", "[]");
	gives(query, "VALUES (1, 2), (3, 4)", "[[1,2],[3,4]]");
}

static void columns_are_named_also_without_rows(void **state)
{
	struct query_fixture *query = *state;
	struct query_result result = run_limited(query, "SELECT key, value AS \"the value\" FROM meta WHERE 0", 0);
	assert_int_equal(result.column_count, 2);
	assert_int_equal(result.columns.size, sizeof "key\0the value");
	assert_memory_equal(result.columns.data, "key\0the value", result.columns.size);
	query_result_finish(&result);
}

static void space_comments_and_semicolons_do_not_count(void **state)
{
	struct query_fixture *query = *state;
	gives(query, " ; -- first\n SELECT 1 ; /* last */ ; -- end", "[[1]]");
	gives(query, "SELECT 1 /* not closed", "[[1]]");
	refuses(query, "", ERR_INVALID, "no statement");
	refuses(query, " -- nothing\n;", ERR_INVALID, "no statement");
}

static void only_one_reading_statement_is_accepted(void **state)
{
	static const char *const writes[] = {
		"DELETE FROM meta",
		"INSERT INTO meta VALUES ('a', 1)",
		"UPDATE meta SET value = 1",
		"REPLACE INTO meta VALUES ('a', 1)",
		"UPDATE sqlite_master SET type = 'x'",
		"UPDATE sqlite_schema SET type = 'x', sql = 'y'",
		"DELETE FROM sqlite_schema",
		"DROP TABLE meta",
		"CREATE TABLE t (a)",
		"CREATE TEMP TABLE t (a)",
		"CREATE TEMP VIEW v AS SELECT 1",
		"CREATE VIRTUAL TABLE t USING fts5(a)",
		"ALTER TABLE meta RENAME TO m",
		"BEGIN",
		"BEGIN IMMEDIATE",
		"COMMIT",
		"ROLLBACK",
		"SAVEPOINT a",
		"RELEASE a",
		"ATTACH 'x.db' AS x",
		"DETACH main",
		"VACUUM",
		"VACUUM INTO 'x.db'",
		"REINDEX",
		"ANALYZE",
		"PRAGMA journal_mode = DELETE",
		"PRAGMA journal_mode",
		"PRAGMA wal_checkpoint(TRUNCATE)",
		"PRAGMA query_only = OFF",
		"PRAGMA writable_schema = ON",
		"PRAGMA temp_store_directory = '/'",
		"PRAGMA incremental_vacuum",
		"PRAGMA user_version = 5",
		"PRAGMA optimize",
		"EXPLAIN DELETE FROM meta",
		"WITH a AS (SELECT 1) INSERT INTO meta SELECT 'a', 1 FROM a",
		"SELECT load_extension('x')",
		"SELECT fts3_tokenizer('simple')",
		"SELECT * FROM pragma_journal_mode",
		"SELECT * FROM pragma_user_version",
	};
	struct query_fixture *query = *state;
	for (size_t i = 0; i < sizeof writes / sizeof writes[0]; i++)
		refuses(query, writes[i], ERR_INVALID, "");
	refuses(query, "DELETE FROM meta", ERR_INVALID, "only a single statement that reads is accepted");
	refuses(query, "SELECT 1; SELECT 2", ERR_INVALID, "more than one statement");
	refuses(query, "SELECT 1; DELETE FROM meta", ERR_INVALID, "more than one statement");
	refuses(query, "SELECT 1; nonsense", ERR_INVALID, "more than one statement");
	assert_int_equal(outside_number(query->fixture, "SELECT count(*) FROM meta"), 1);
	gives(query, "SELECT 1", "[[1]]"); /* and goes on */
}

static void tables_and_plans_can_be_looked_at(void **state)
{
	struct query_fixture *query = *state;
	gives(query, "SELECT name FROM pragma_table_info('meta')", "[[\"key\"],[\"value\"]]");
	gives(query, "SELECT key, value FROM json_each('{\"a\":1}')", "[[\"a\",1]]");
	gives(query, "SELECT count(*) > 10 FROM sqlite_schema", "[[1]]");
	struct query_result result = run_limited(query, "PRAGMA table_info(pi_call)", 0);
	assert_true(result.row_count > 10);
	query_result_finish(&result);
	result = run_limited(query, "EXPLAIN QUERY PLAN SELECT * FROM pi_event WHERE instance = 5 ORDER BY seq", 0);
	assert_non_null(strstr(buffer_string(&result.rows), "SEARCH h USING PRIMARY KEY (instance=?)"));
	query_result_finish(&result);
}

static void faults_of_sql_are_invalid_and_say_where(void **state)
{
	struct query_fixture *query = *state;
	refuses(query, "SELEC 1", ERR_INVALID, "near \"SELEC\"");
	refuses(query, "SELECT * FROM unheard_of", ERR_INVALID, "no such table: unheard_of");
	refuses(query, "SELECT json('{')", ERR_INVALID, "malformed JSON");
	refuses(query, "SELECT abs(-9223372036854775808)", ERR_INVALID, "integer overflow");
}

static void parameters_are_bound_in_order(void **state)
{
	struct query_fixture *query = *state;
	struct query_result result;
	const char *parameters[] = {"schema_version", NULL, "it's"};
	const char *sql = "SELECT value, ?2, ?3 FROM meta WHERE key = ?1";
	for (int round = 0; round < 2; round++) { /* the second time from the cache */
		assert_int_equal(query_run(query->reader, sql, parameters, 3, 0, 0, &result, &query->error), 0);
		assert_string_equal(buffer_string(&result.rows), "[[3,null,\"it's\"]]");
		query_result_finish(&result);
	}
	assert_int_equal(query_run(query->reader, sql, parameters, 2, 0, 0, &result, &query->error), ERR_INVALID);
	assert_string_equal(query->error.text, "the statement has 3 parameters, 2 were given");
	assert_int_equal(query_run(query->reader, "SELECT 1", parameters, 1, 0, 0, &result, &query->error), ERR_INVALID);
}

#define COUNT_TO(limit) \
	"WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < " limit ") "

static void rows_are_limited(void **state)
{
	struct query_fixture *query = *state;
	struct query_result result = run_limited(query, COUNT_TO("10") "SELECT i FROM n", 3);
	assert_string_equal(buffer_string(&result.rows), "[[1],[2],[3]]");
	assert_int_equal(result.row_count, 3);
	assert_true(result.truncated);
	query_result_finish(&result);
	result = run_limited(query, COUNT_TO("3") "SELECT i FROM n", 3);
	assert_false(result.truncated);
	query_result_finish(&result);
	result = run_limited(query, COUNT_TO("1000000") "SELECT i FROM n", 0);
	assert_int_equal(result.row_count, QUERY_ROWS_DEFAULT);
	assert_true(result.truncated);
	query_result_finish(&result);
}

static void bytes_are_limited_to_whole_rows(void **state)
{
	static const char *const sqls[] = {
		COUNT_TO("100") "SELECT i, hex(zeroblob(500000)) FROM n",
		COUNT_TO("100") "SELECT hex(zeroblob(500000)), i FROM n",
		COUNT_TO("100") "SELECT i, zeroblob(500000) FROM n",
		COUNT_TO("100") "SELECT i, replace(hex(zeroblob(80000)), '0', char(1)) FROM n", /* six bytes for each */
	};
	struct query_fixture *query = *state;
	for (size_t i = 0; i < sizeof sqls / sizeof sqls[0]; i++) {
		struct query_result result = run_limited(query, sqls[i], 0);
		assert_true(result.truncated);
		assert_in_range(result.rows.size, QUERY_SIZE_MAX - 1100000, QUERY_SIZE_MAX);
		assert_in_range(result.row_count, 11, 13);
		query_result_finish(&result);
	}
	struct query_result result = run_limited(query, "SELECT zeroblob(16000000)", 0);
	assert_string_equal(buffer_string(&result.rows), "[]");
	assert_true(result.truncated);
	query_result_finish(&result);
}

static void values_and_statements_have_a_largest_size(void **state)
{
	struct query_fixture *query = *state;
	refuses(query, "SELECT zeroblob(100000000)", ERR_LIMIT, "16777216");
	refuses(query, "SELECT 1 LIKE hex(zeroblob(1000))", ERR_INVALID, "pattern too complex");
	char *sql = mem_alloc((2u << 20) + 1);
	memset(sql, ' ', 2u << 20);
	sql[2u << 20] = '\0';
	memcpy(sql, "SELECT 1", 8);
	refuses(query, sql, ERR_LIMIT, "1048576");
	mem_free(sql);
}

static void time_is_limited(void **state)
{
	static const char endless[] = "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n)"
				      " SELECT count(*) FROM n";
	struct query_fixture *query = *state;
	struct query_result result;
	assert_int_equal(query_run(query->reader, endless, NULL, 0, 0, 20, &result, &query->error), ERR_TIMEOUT);
	assert_non_null(strstr(query->error.text, "20 ms"));
	gives(query, "SELECT 1", "[[1]]");
}

static void reader_sees_commits_and_holds_nothing_open(void **state)
{
	struct query_fixture *query = *state;
	struct fixture *fixture = query->fixture;
	uint64_t index;
	bool complete;
	for (uint64_t i = 1; i <= 5; i++) {
		begin(fixture);
		must(fixture, catalog_meta_set_number(fixture->catalog, "applied_index", i));
		gives(query, i == 1 ? "SELECT count(*) - 1 FROM meta" : "SELECT 0", "[[0]]"); /* not before COMMIT */
		commit(fixture);
		char *rows = mem_format("[[%d]]", (int)i);
		gives(query, "SELECT value FROM meta WHERE key = 'applied_index'", rows);
		mem_free(rows);
		struct query_result result = run_limited(query, COUNT_TO("10") "SELECT i FROM n, meta", 2); /* cut short */
		query_result_finish(&result);
		refuses(query, "SELECT abs(-9223372036854775808) FROM meta", ERR_INVALID, "overflow");
		assert_int_equal(catalog_checkpoint(fixture->path, &index, &complete, &fixture->error), 0);
		assert_true(complete);
		assert_true(index == i);
	}
	assert_false(catalog_foreign_write(fixture->catalog));
}

static void many_different_statements_take_turns_in_the_cache(void **state)
{
	struct query_fixture *query = *state;
	for (int round = 0; round < 3; round++) {
		for (int i = 0; i < 40; i++) {
			char *sql = mem_format("SELECT %d", i);
			char *rows = mem_format("[[%d]]", i);
			gives(query, sql, rows);
			mem_free(sql);
			mem_free(rows);
		}
	}
	char *sql = mem_format("SELECT 1 /* %*s */", 5000, "long");
	gives(query, sql, "[[1]]");
	gives(query, sql, "[[1]]");
	mem_free(sql);
}

static void cached_statement_follows_a_change_of_the_schema(void **state)
{
	struct query_fixture *query = *state;
	gives(query, "SELECT * FROM setting", "[]");
	outside_run(query->fixture, "ALTER TABLE setting ADD COLUMN note TEXT; INSERT INTO setting VALUES ('a', 'b', 'c')");
	struct query_result result = run_limited(query, "SELECT * FROM setting", 0);
	assert_int_equal(result.column_count, 3);
	assert_string_equal(buffer_string(&result.rows), "[[\"a\",\"b\",\"c\"]]");
	query_result_finish(&result);
}

static void reader_of_no_catalog_is_an_error(void **state)
{
	struct query_fixture *query = *state;
	struct query_reader *reader = NULL;
	assert_int_equal(query_reader_open("/nonexistent/catalog.db", &reader, &query->error), ERR_IO);
	assert_null(reader);
	query_reader_close(NULL);
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(values_become_json),
		TEST(columns_are_named_also_without_rows),
		TEST(space_comments_and_semicolons_do_not_count),
		TEST(only_one_reading_statement_is_accepted),
		TEST(tables_and_plans_can_be_looked_at),
		TEST(faults_of_sql_are_invalid_and_say_where),
		TEST(parameters_are_bound_in_order),
		TEST(rows_are_limited),
		TEST(bytes_are_limited_to_whole_rows),
		TEST(values_and_statements_have_a_largest_size),
		TEST(time_is_limited),
		TEST(reader_sees_commits_and_holds_nothing_open),
		TEST(many_different_statements_take_turns_in_the_cache),
		TEST(cached_statement_follows_a_change_of_the_schema),
		TEST(reader_of_no_catalog_is_an_error),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
