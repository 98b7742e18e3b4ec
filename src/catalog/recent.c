/* Which rows have changed of late, for those who watch tables; and rows as JSON. Only what has changed is noted, not what it has become:
 * who asks gets the row as it is then, so that what piles up for a slow reader is a number for each row. */
#include "catalog/catalog.h"
#include "catalog/statement.h"

#include "base/json.h"
#include "base/memory.h"

#include <inttypes.h>
#include <string.h>

static const char *const names[CATALOG_TABLE_COUNT] = {"executor", "job", "allocation", "topic", "publication", "subscription", "member"};

const char *catalog_table_name(enum catalog_table table)
{
	return names[table];
}

bool catalog_table_find(struct slice name, enum catalog_table *ret_table)
{
	for (int i = 0; i < CATALOG_TABLE_COUNT; i++) {
		if (slice_is(name, names[i])) {
			*ret_table = (enum catalog_table)i;
			return true;
		}
	}
	return false;
}

/* --- what has changed ---------------------------------------------------------------------------------------------- */

static struct recent_change *change_at(const struct recent *recent, uint64_t number)
{
	return &recent->ring[number % CATALOG_RECENT_MAX];
}

static void note(struct recent *recent, enum catalog_table table, uint64_t id)
{
	if (recent->end < CATALOG_RECENT_MAX)
		mem_grow(recent->ring, recent->capacity, (size_t)recent->end + 1);
	if (recent->end - recent->begin == CATALOG_RECENT_MAX)
		recent->known_from = change_at(recent, recent->begin++)->index + 1;
	*change_at(recent, recent->end++) = (struct recent_change){recent->index, id, table};
}

/* Called by SQLite for each row that is written to a table with ids. */
void recent_row_written(void *context, int operation, const char *database, const char *table, sqlite3_int64 id)
{
	struct recent *recent = context;
	(void)operation;
	(void)database;
	switch (table[0]) {
	case 'j':
	case 'a':
	case 't':
	case 's':
	case 'p':
		for (int i = CATALOG_JOB; i <= CATALOG_SUBSCRIPTION; i++) {
			if (strcmp(table, names[i]) == 0)
				note(recent, (enum catalog_table)i, (uint64_t)id);
		}
		break;
	case 'n':
		if (strcmp(table, "node") == 0) {
			note(recent, CATALOG_EXECUTOR, (uint64_t)id);
			note(recent, CATALOG_MEMBER, (uint64_t)id);
		}
		break;
	default:
		break;
	}
}

void catalog_recent_begin(struct catalog *catalog, uint64_t applied_index)
{
	catalog->recent.begin = catalog->recent.end;
	catalog->recent.known_from = applied_index + 1;
	catalog->recent.index = applied_index;
}

void catalog_recent_at(struct catalog *catalog, uint64_t index)
{
	catalog->recent.index = index;
}

uint64_t catalog_recent_end(const struct catalog *catalog)
{
	return catalog->recent.end;
}

int catalog_recent_find(const struct catalog *catalog, uint64_t index, uint64_t *ret_number)
{
	const struct recent *recent = &catalog->recent;
	uint64_t low = recent->begin;
	uint64_t high = recent->end;
	if (index < recent->known_from)
		return ERR_COMPACTED;
	while (low < high) {
		uint64_t middle = low + (high - low) / 2;
		if (change_at(recent, middle)->index < index)
			low = middle + 1;
		else
			high = middle;
	}
	*ret_number = low;
	return 0;
}

struct recent_change catalog_recent_change(const struct catalog *catalog, uint64_t number)
{
	return *change_at(&catalog->recent, number);
}

/* --- rows ---------------------------------------------------------------------------------------------------------- */

static void print_row(sqlite3_stmt *statement, struct buffer *out)
{
	int columns = sqlite3_column_count(statement);
	buffer_clear(out);
	for (int i = 0; i < columns; i++) {
		buffer_append_char(out, i > 0 ? ',' : '{');
		json_quote(out, slice_of(sqlite3_column_name(statement, i)));
		buffer_append_char(out, ':');
		switch (sqlite3_column_type(statement, i)) {
		case SQLITE_INTEGER:
			buffer_format(out, "%" PRId64, (int64_t)sqlite3_column_int64(statement, i));
			break;
		case SQLITE_NULL:
			buffer_append_string(out, "null");
			break;
		default:
			json_quote(out, column_text(statement, i));
			break;
		}
	}
	buffer_append_char(out, '}');
}

int catalog_rows(struct catalog *catalog, enum catalog_table table, uint64_t low, uint64_t high,
                 int (*each)(void *context, uint64_t id, struct slice row), void *context)
{
	sqlite3_stmt *statement;
	struct buffer row = BUFFER_EMPTY;
	int result = statement_get(catalog, (enum statement_id)(STATEMENT_ROWS_FIRST + (int)table), &statement);
	if (result != 0)
		return result;
	bind_number(statement, 1, low);
	bind_number(statement, 2, high);
	while ((result = statement_row(catalog, statement)) == 1) {
		print_row(statement, &row);
		result = each(context, column_number(statement, 0), buffer_slice(&row));
		if (result != 0)
			break;
	}
	statement_end(statement);
	buffer_finish(&row);
	return result;
}
