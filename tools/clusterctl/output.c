#include "output.h"

#include "base/json.h"
#include "base/memory.h"

#include <locale.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include <wchar.h>

#define CELL_WIDTH_MAX 60

bool output_colour(FILE *file)
{
	const char *no_colour = getenv("NO_COLOR");
	return isatty(fileno(file)) && (no_colour == NULL || no_colour[0] == '\0');
}

size_t text_width(struct slice text)
{
	mbstate_t state = {0};
	size_t width = 0;
	size_t at = 0;
	while (at < text.size) {
		wchar_t character;
		size_t size = mbrtowc(&character, text.data + at, text.size - at, &state);
		if (size == 0 || size > text.size - at) {
			memset(&state, 0, sizeof state);
			size = 1;
			width++;
		} else {
			int columns = wcwidth(character);
			width += columns > 0 ? (size_t)columns : 0;
		}
		at += size;
	}
	return width;
}

/* A value as a table shows it: strings plain, on one line, cut when long. */
static void cell_text(struct slice value, bool cut, struct buffer *out)
{
	struct buffer plain = BUFFER_EMPTY;
	size_t columns = 0;
	if (json_kind(value) == JSON_STRING)
		json_unquote(&plain, value);
	else if (json_kind(value) != JSON_NULL)
		buffer_append_slice(&plain, value);
	for (size_t i = 0; i < plain.size; i++) {
		unsigned char byte = (unsigned char)plain.data[i];
		bool starts = (byte & 0xC0) != 0x80;
		if (cut && starts && ++columns > CELL_WIDTH_MAX) {
			buffer_append_string(out, "…");
			break;
		}
		buffer_append_char(out, byte == '\n' || byte == '\t' || byte == '\r' ? ' ' : (char)byte);
	}
	buffer_finish(&plain);
}

/* --- tables --------------------------------------------------------------------------------------------------------- */

#define CLOCK_MS_MIN 1000000000000ll /* what counts the milliseconds since 1970 is more since 2001; no duration is */

struct table {
	struct buffer *cells; /* row by row */
	size_t columns;
	size_t rows;
	char **names;
	bool *numbers;
	bool *hidden;
	size_t *widths;
};

static void pad(FILE *file, size_t count)
{
	while (count-- > 0)
		fputc(' ', file);
}

static const struct buffer *cell_at(const struct table *table, size_t row, size_t column)
{
	return &table->cells[row * table->columns + column];
}

static void print_cell(const struct table *table, size_t column, const char *before, struct slice text, const char *behind, bool last,
                       FILE *file)
{
	size_t room = table->widths[column] - text_width(text);
	pad(file, table->numbers[column] ? room : 0);
	fputs(before, file);
	fwrite(text.size > 0 ? text.data : "", 1, text.size, file);
	fputs(behind, file);
	pad(file, last || table->numbers[column] ? 0 : room);
	fputs(last ? "\n" : "  ", file);
}

static void table_print(const struct table *table, FILE *file)
{
	bool colour = output_colour(file);
	size_t end = table->columns;
	while (end > 0 && table->hidden[end - 1])
		end--;
	for (size_t c = 0; c < end; c++) {
		if (!table->hidden[c])
			print_cell(table, c, colour ? "\033[1m" : "", slice_of(table->names[c]), colour ? "\033[0m" : "", c + 1 == end,
			           file);
	}
	for (size_t r = 0; r < table->rows; r++) {
		for (size_t c = 0; c < end; c++) {
			if (!table->hidden[c])
				print_cell(table, c, "", buffer_slice(cell_at(table, r, c)), "", c + 1 == end, file);
		}
	}
}

/* A line for each column. */
static void table_print_record(const struct table *table, FILE *file)
{
	size_t width = 0;
	for (size_t c = 0; c < table->columns; c++)
		width = !table->hidden[c] && strlen(table->names[c]) > width ? strlen(table->names[c]) : width;
	for (size_t c = 0; c < table->columns; c++) {
		if (!table->hidden[c])
			fprintf(file, "%-*s  %.*s\n", (int)width, table->names[c], SLICE_ARGS(buffer_slice(cell_at(table, 0, c))));
	}
}

static void table_init(struct table *table, const Clusterd__Wire__Rows *rows, struct slice json, bool cut)
{
	struct json_iterator row_iterator;
	struct slice key;
	struct slice row;
	size_t at = 0;
	size_t columns = rows->n_columns;
	*table = (struct table){
		.columns = columns,
		.rows = json_count(json),
		.names = mem_array(columns, sizeof(char *)),
		.numbers = mem_array(columns, sizeof(bool)),
		.hidden = mem_array(columns, sizeof(bool)),
		.widths = mem_array(columns, sizeof(size_t)),
	};
	table->cells = mem_array(table->rows * columns, sizeof *table->cells);
	for (size_t c = 0; c < columns; c++) {
		table->names[c] = mem_string(rows->columns[c]);
		table->numbers[c] = table->rows > 0;
		table->hidden[c] = false;
	}
	json_iterate(&row_iterator, json);
	while (json_next(&row_iterator, &key, &row)) {
		struct json_iterator cells;
		struct slice value;
		json_iterate(&cells, row);
		for (size_t c = 0; c < columns && json_next(&cells, &key, &value); c++, at++) {
			cell_text(value, cut && c + 1 < columns, &table->cells[at]);
			if (json_kind(value) != JSON_NUMBER && json_kind(value) != JSON_NULL)
				table->numbers[c] = false;
		}
	}
}

static void measure(struct table *table)
{
	for (size_t c = 0; c < table->columns; c++) {
		table->widths[c] = text_width(slice_of(table->names[c]));
		for (size_t r = 0; r < table->rows; r++) {
			size_t width = text_width(buffer_slice(cell_at(table, r, c)));
			table->widths[c] = width > table->widths[c] ? width : table->widths[c];
		}
	}
}

static void table_finish(struct table *table)
{
	for (size_t i = 0; i < table->rows * table->columns; i++)
		buffer_finish(&table->cells[i]);
	for (size_t c = 0; c < table->columns; c++)
		mem_free(table->names[c]);
	mem_free(table->cells);
	mem_free(table->names);
	mem_free(table->numbers);
	mem_free(table->hidden);
	mem_free(table->widths);
}

static void rows_as_table(const Clusterd__Wire__Rows *rows, struct slice json, FILE *file)
{
	struct table table;
	table_init(&table, rows, json, true);
	measure(&table);
	table_print(&table, file);
	table_finish(&table);
}

/* Milliseconds since 1970 as the time in UTC, as the log has it. */
static void column_as_time(struct table *table, size_t column)
{
	size_t size = strlen(table->names[column]);
	long long number;
	if (!table->numbers[column] || size <= 3 || strcmp(table->names[column] + size - 3, "_ms") != 0)
		return;
	for (size_t r = 0; r < table->rows; r++) {
		const struct buffer *cell = cell_at(table, r, column);
		if (cell->size != 0 && json_integer(buffer_slice(cell), CLOCK_MS_MIN, INT64_MAX, &number) != 0)
			return; /* some other time */
	}
	table->names[column][size - 3] = '\0';
	table->numbers[column] = false;
	for (size_t r = 0; r < table->rows; r++) {
		struct buffer *cell = &table->cells[r * table->columns + column];
		char text[40];
		struct tm parts;
		if (cell->size == 0 || json_integer(buffer_slice(cell), CLOCK_MS_MIN, INT64_MAX, &number) != 0)
			continue;
		time_t seconds = (time_t)(number / 1000);
		strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", gmtime_r(&seconds, &parts));
		buffer_clear(cell);
		buffer_append_string(cell, text);
	}
}

static void column_as_size(struct table *table, size_t column)
{
	static const char *const units[] = {"B", "KiB", "MiB", "GiB", "TiB"};
	for (size_t r = 0; r < table->rows && strcmp(table->names[column], "memory") == 0; r++) {
		struct buffer *cell = &table->cells[r * table->columns + column];
		double size = strtod(buffer_string(cell), NULL);
		size_t unit = 0;
		while (size >= 1024 && unit + 1 < sizeof units / sizeof units[0]) {
			size /= 1024;
			unit++;
		}
		bool empty = cell->size == 0;
		buffer_clear(cell);
		if (!empty)
			buffer_format(cell, "%.*f %s", unit > 0 ? 1 : 0, size, units[unit]);
	}
}

/* For people: times and sizes can be read, and columns with nothing in them are left out. */
static void table_report(struct table *table)
{
	for (size_t c = 0; c < table->columns; c++) {
		bool empty = table->rows > 0;
		for (size_t r = 0; r < table->rows && empty; r++)
			empty = cell_at(table, r, c)->size == 0;
		table->hidden[c] = empty;
		column_as_time(table, c);
		column_as_size(table, c);
	}
	measure(table);
}

/* --- JSON ----------------------------------------------------------------------------------------------------------- */

/* Columns whose text is JSON. */
static bool column_is_json(const char *name)
{
	static const char *const known[] = {"args", "result", "detail", "tags", "metadata"};
	for (size_t i = 0; i < sizeof known / sizeof known[0]; i++) {
		if (strcmp(name, known[i]) == 0)
			return true;
	}
	return false;
}

static void append_value(struct buffer *out, const char *column, struct slice value)
{
	struct buffer plain = BUFFER_EMPTY;
	if (json_kind(value) == JSON_STRING && column_is_json(column)) {
		json_unquote(&plain, value);
		if (json_check(buffer_slice(&plain), NULL) == 0)
			value = buffer_slice(&plain);
	}
	buffer_append_slice(out, value);
	buffer_finish(&plain);
}

static void rows_as_json(const Clusterd__Wire__Rows *rows, struct slice json, bool lines, FILE *file)
{
	struct json_iterator row_iterator;
	struct slice key;
	struct slice row;
	struct buffer out = BUFFER_EMPTY;
	bool first = true;
	json_iterate(&row_iterator, json);
	fputs(lines ? "" : "[", file);
	while (json_next(&row_iterator, &key, &row)) {
		struct json_iterator cells;
		struct slice value;
		buffer_clear(&out);
		json_iterate(&cells, row);
		for (size_t c = 0; c < rows->n_columns && json_next(&cells, &key, &value); c++) {
			buffer_append_char(&out, c == 0 ? '{' : ',');
			json_quote(&out, slice_of(rows->columns[c]));
			buffer_append_char(&out, ':');
			append_value(&out, rows->columns[c], value);
		}
		buffer_append_char(&out, '}');
		fprintf(file, "%s%s", first || lines ? "" : ",\n ", buffer_string(&out));
		fputs(lines ? "\n" : "", file);
		first = false;
	}
	fputs(lines ? "" : "]\n", file);
	buffer_finish(&out);
}

/* --- the door ------------------------------------------------------------------------------------------------------- */

static void warn_when_cut(const struct reply *reply)
{
	if (reply->response->rows->truncated)
		fprintf(stderr, "clusterctl: there are more rows: the answer was cut at its limit\n");
}

void output_rows(enum output_form form, const struct reply *reply, FILE *file)
{
	const Clusterd__Wire__Rows *rows = reply->response->rows;
	if (form == OUTPUT_TABLE)
		rows_as_table(rows, reply->payload, file);
	else
		rows_as_json(rows, reply->payload, form == OUTPUT_JSONL, file);
	warn_when_cut(reply);
}

void output_report(enum output_form form, const struct reply *reply, FILE *file)
{
	struct table table;
	if (form != OUTPUT_TABLE) {
		output_rows(form, reply, file);
		return;
	}
	table_init(&table, reply->response->rows, reply->payload, true);
	table_report(&table);
	table_print(&table, file);
	table_finish(&table);
	warn_when_cut(reply);
}

void output_record(enum output_form form, const struct reply *reply, FILE *file)
{
	struct table table;
	if (form != OUTPUT_TABLE) {
		output_rows(form, reply, file);
		return;
	}
	table_init(&table, reply->response->rows, reply->payload, false);
	table_report(&table);
	if (table.rows > 0)
		table_print_record(&table, file);
	table_finish(&table);
}

void output_objects(enum output_form form, struct slice array, FILE *file)
{
	Clusterd__Wire__Rows rows = CLUSTERD__WIRE__ROWS__INIT;
	struct json_iterator objects;
	struct slice key;
	struct slice object;
	struct buffer cells = BUFFER_EMPTY;
	size_t capacity = 0;
	json_iterate(&objects, array);
	buffer_append_char(&cells, '[');
	for (bool first = true; json_next(&objects, &key, &object); first = false) {
		struct json_iterator members;
		struct slice value;
		const char *comma = first ? "[" : ",[";
		json_iterate(&members, object);
		while (json_next(&members, &key, &value)) {
			if (first) {
				mem_grow(rows.columns, capacity, rows.n_columns + 1);
				rows.columns[rows.n_columns++] = mem_format("%.*s", SLICE_ARGS(key));
			}
			buffer_append_string(&cells, comma);
			buffer_append_slice(&cells, value);
			comma = ",";
		}
		buffer_append_string(&cells, comma[0] == ',' && comma[1] == '\0' ? "]" : first ? "[]" : ",[]");
	}
	buffer_append_char(&cells, ']');
	if (form == OUTPUT_TABLE)
		rows_as_table(&rows, buffer_slice(&cells), file);
	else
		rows_as_json(&rows, buffer_slice(&cells), form == OUTPUT_JSONL, file);
	for (size_t i = 0; i < rows.n_columns; i++)
		mem_free(rows.columns[i]);
	mem_free(rows.columns);
	buffer_finish(&cells);
}

void output_object(enum output_form form, struct slice object, FILE *file)
{
	struct json_iterator members;
	struct slice key;
	struct slice value;
	size_t width = 0;
	if (form != OUTPUT_TABLE) {
		fprintf(file, "%.*s\n", SLICE_ARGS(object));
		return;
	}
	json_iterate(&members, object);
	while (json_next(&members, &key, &value))
		width = key.size > width ? key.size : width;
	json_iterate(&members, object);
	while (json_next(&members, &key, &value)) {
		struct buffer text = BUFFER_EMPTY;
		cell_text(value, false, &text);
		fprintf(file, "%-*.*s  %s\n", (int)width, SLICE_ARGS(key), buffer_string(&text));
		buffer_finish(&text);
	}
}
