/* unit, file and process: what was registered. */
#include "catalog/catalog.h"
#include "catalog/statement.h"

int catalog_unit_insert(struct catalog *catalog, uint64_t id, struct slice files, struct slice attachments, msec now)
{
	sqlite3_stmt *statement;
	int result = statement_get(catalog, STATEMENT_UNIT_INSERT, &statement);
	if (result != 0)
		return result;
	bind_number(statement, 1, id);
	bind_name(statement, 2, files);
	bind_name(statement, 3, attachments);
	bind_number(statement, 4, (uint64_t)now);
	return statement_run(catalog, statement);
}

int catalog_units(struct catalog *catalog,
                  int (*each)(void *context, uint64_t id, struct slice files, struct slice attachments), void *context)
{
	sqlite3_stmt *statement;
	int result = statement_get(catalog, STATEMENT_UNITS, &statement);
	if (result != 0)
		return result;
	while ((result = statement_row(catalog, statement)) == 1) {
		result = each(context, column_number(statement, 0), column_text(statement, 1), column_text(statement, 2));
		if (result != 0)
			break;
	}
	statement_end(statement);
	return result;
}

static void take_text(struct buffer *buffer, struct slice text)
{
	buffer_clear(buffer);
	buffer_append_slice(buffer, text);
}

int catalog_unit_read(struct catalog *catalog, uint64_t id, struct buffer *ret_files, struct buffer *ret_attachments)
{
	sqlite3_stmt *statement;
	int result = statement_get(catalog, STATEMENT_UNIT_READ, &statement);
	if (result != 0)
		return result;
	bind_number(statement, 1, id);
	result = statement_row(catalog, statement);
	if (result == 1) {
		take_text(ret_files, column_text(statement, 0));
		take_text(ret_attachments, column_text(statement, 1));
	}
	statement_end(statement);
	if (result == 0)
		return catalog_refuse(catalog, ERR_NOT_FOUND, "no unit with this id");
	return result < 0 ? result : 0;
}

int catalog_file_insert(struct catalog *catalog, struct slice hash, bool executable, struct slice content)
{
	sqlite3_stmt *statement;
	int result = statement_get(catalog, STATEMENT_FILE_INSERT, &statement);
	if (result != 0)
		return result;
	bind_name(statement, 1, hash);
	bind_number(statement, 2, executable);
	bind_bytes(statement, 3, content);
	return statement_run(catalog, statement);
}

int catalog_file_read(struct catalog *catalog, struct slice hash, bool *ret_executable, struct buffer *ret_content)
{
	sqlite3_stmt *statement;
	int result = statement_get(catalog, STATEMENT_FILE_READ, &statement);
	if (result != 0)
		return result;
	bind_name(statement, 1, hash);
	result = statement_row(catalog, statement);
	if (result == 1) {
		*ret_executable = column_number(statement, 0) != 0;
		const void *content = sqlite3_column_blob(statement, 1);
		buffer_clear(ret_content);
		buffer_append(ret_content, content, (size_t)sqlite3_column_bytes(statement, 1));
	}
	statement_end(statement);
	if (result == 0)
		return catalog_refuse(catalog, ERR_NOT_FOUND, "no file with this hash");
	return result < 0 ? result : 0;
}

int catalog_process_insert(struct catalog *catalog, const struct catalog_process *process)
{
	sqlite3_stmt *statement;
	int result = statement_get(catalog, STATEMENT_PROCESS_INSERT, &statement);
	if (result != 0)
		return result;
	bind_name(statement, 1, process->name);
	bind_number(statement, 2, process->version);
	bind_name(statement, 3, process->kind);
	bind_name(statement, 4, process->signature);
	bind_text(statement, 5, process->source);
	bind_number(statement, 6, (uint64_t)process->registered_ms);
	bind_number(statement, 7, process->unit);
	return statement_run(catalog, statement);
}
