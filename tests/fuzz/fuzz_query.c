/* Any text as SQL: an answer that is JSON, or an error; never a change of the catalog, never beyond its limits. */
#include "base/json.h"
#include "base/memory.h"
#include "catalog/catalog.h"
#include "catalog/query.h"

#include <assert.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define ROW_LIMIT 50
#define TIME_LIMIT_MS 50

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static char directory[] = "/tmp/fuzz-query-XXXXXX";
static char path[sizeof directory + 16];
static struct catalog *catalog;
static struct query_reader *reader;

static void clean_up(void)
{
	query_reader_close(reader);
	catalog_close(catalog);
	unlink(path);
	rmdir(directory);
}

static void set_up(void)
{
	struct error error;
	const char *made = mkdtemp(directory);
	assert(made != NULL);
	snprintf(path, sizeof path, "%s/catalog.db", directory);
	int result = catalog_open(path, NULL, &catalog, &error);
	assert(result == 0);
	struct catalog_instance instance = {
		.id = 1,
		.process = SLICE("Order"),
		.state = SLICE("running"),
		.args = SLICE("{\"a\":1.5}"),
		.started_ms = 1,
	};
	result = catalog_instance_insert(catalog, &instance);
	assert(result == 0);
	result = query_reader_open(path, &reader, &error);
	assert(result == 0);
	atexit(clean_up);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct query_result found;
	struct error error = {0};
	if (catalog == NULL)
		set_up();
	char *sql = mem_alloc(size + 1);
	memcpy(sql, data, size);
	sql[size] = '\0';
	int result = query_run(reader, sql, NULL, 0, ROW_LIMIT, TIME_LIMIT_MS, &found, &error);
	if (result == 0) {
		assert(found.row_count <= ROW_LIMIT && found.rows.size <= QUERY_SIZE_MAX);
		result = json_check(buffer_slice(&found.rows), &error);
		assert(result == 0);
		assert(json_count(buffer_slice(&found.rows)) == found.row_count);
		query_result_finish(&found);
	} else {
		assert(result == ERR_INVALID || result == ERR_LIMIT || result == ERR_TIMEOUT);
		assert(error.text[0] != '\0');
	}
	bool changed = catalog_foreign_write(catalog);
	assert(!changed);
	mem_free(sql);
	return 0;
}
