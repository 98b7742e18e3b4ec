#include "output.h"

#include "base/json.h"
#include "base/memory.h"

#include <locale.h>
#include <stdlib.h>
#include <string.h>
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

struct table {
	struct buffer *cells; /* row by row */
	size_t columns;
	size_t rows;
	bool *numbers;
	size_t *widths;
};

static void pad(FILE *file, size_t count)
{
	while (count-- > 0)
		fputc(' ', file);
}

static void table_print(const struct table *table, char *const *names, FILE *file)
{
	bool colour = output_colour(file);
	for (size_t c = 0; c < table->columns; c++) {
		struct slice name = slice_of(names[c]);
		size_t room = table->widths[c] - text_width(name);
		bool last = c + 1 == table->columns;
		pad(file, table->numbers[c] ? room : 0);
		fprintf(file, "%s%s%s", colour ? "\033[1m" : "", names[c], colour ? "\033[0m" : "");
		pad(file, last || table->numbers[c] ? 0 : room);
		fputs(last ? "\n" : "  ", file);
	}
	for (size_t r = 0; r < table->rows; r++) {
		for (size_t c = 0; c < table->columns; c++) {
			const struct buffer *cell = &table->cells[r * table->columns + c];
			size_t room = table->widths[c] - text_width(buffer_slice(cell));
			bool last = c + 1 == table->columns;
			pad(file, table->numbers[c] ? room : 0);
			fwrite(cell->data != NULL ? cell->data : "", 1, cell->size, file);
			pad(file, last || table->numbers[c] ? 0 : room);
			fputs(last ? "\n" : "  ", file);
		}
	}
}

static void rows_as_table(const Clusterd__Wire__Rows *rows, struct slice json, FILE *file)
{
	size_t columns = rows->n_columns;
	struct table table = {
		.columns = columns,
		.rows = json_count(json),
		.numbers = mem_array(columns, sizeof(bool)),
		.widths = mem_array(columns, sizeof(size_t)),
	};
	struct json_iterator row_iterator;
	struct slice key;
	struct slice row;
	size_t at = 0;
	table.cells = mem_array(table.rows * columns, sizeof *table.cells);
	for (size_t c = 0; c < columns; c++) {
		table.widths[c] = text_width(slice_of(rows->columns[c]));
		table.numbers[c] = table.rows > 0;
	}
	json_iterate(&row_iterator, json);
	while (json_next(&row_iterator, &key, &row)) {
		struct json_iterator cells;
		struct slice value;
		json_iterate(&cells, row);
		for (size_t c = 0; c < columns && json_next(&cells, &key, &value); c++, at++) {
			cell_text(value, c + 1 < columns, &table.cells[at]);
			size_t width = text_width(buffer_slice(&table.cells[at]));
			if (width > table.widths[c])
				table.widths[c] = width;
			if (json_kind(value) != JSON_NUMBER && json_kind(value) != JSON_NULL)
				table.numbers[c] = false;
		}
	}
	table_print(&table, rows->columns, file);
	for (size_t i = 0; i < table.rows * columns; i++)
		buffer_finish(&table.cells[i]);
	mem_free(table.cells);
	mem_free(table.numbers);
	mem_free(table.widths);
}

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

void output_rows(enum output_form form, const struct reply *reply, FILE *file)
{
	const Clusterd__Wire__Rows *rows = reply->response->rows;
	struct slice json = reply->payload;
	if (form == OUTPUT_TABLE)
		rows_as_table(rows, json, file);
	else
		rows_as_json(rows, json, form == OUTPUT_JSONL, file);
	if (rows->truncated)
		fprintf(stderr, "clusterctl: there are more rows: the answer was cut at its limit\n");
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
