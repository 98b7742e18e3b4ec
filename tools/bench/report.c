#include "report.h"

#include "base/json.h"
#include "base/memory.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define NAME_WIDTH 21
#define CELL_WIDTH 8

struct row {
	char *scenario;
	const struct report_column *columns;
	double *values;
	size_t count;
};

struct report {
	enum report_format format;
	struct buffer facts;
	struct buffer notes;
	struct buffer checks;
	struct row *rows;
	size_t row_count;
	size_t row_capacity;
	const char *title; /* of a group that has no row yet; else NULL */
	const struct report_column *columns;
	size_t column_count;
};

struct report *report_create(enum report_format format)
{
	struct report *report = mem_zero(sizeof *report);
	report->format = format;
	return report;
}

/* A member of an object, or an element when there is no key, behind those that are there. */
static void add_text(struct buffer *out, const char *key, struct slice text)
{
	if (out->size != 0)
		buffer_append_char(out, ',');
	json_quote(out, slice_of(key));
	buffer_append_char(out, ':');
	json_quote(out, text);
}

void report_fact(struct report *report, const char *key, const char *format, ...)
{
	struct buffer text = BUFFER_EMPTY;
	va_list args;
	va_start(args, format);
	buffer_formatv(&text, format, args);
	va_end(args);
	add_text(&report->facts, key, buffer_slice(&text));
	if (report->format == REPORT_TABLE)
		printf("%-12s %s\n", key, buffer_string(&text));
	buffer_finish(&text);
}

/* How wide a text shows: its UTF-8 characters. */
static int shown_width(const char *text)
{
	int width = 0;
	for (; *text != '\0'; text++)
		width += ((unsigned char)*text & 0xC0) != 0x80;
	return width;
}

static int cell_width(const struct report_column *column)
{
	int width = shown_width(column->title);
	return width > CELL_WIDTH ? width : CELL_WIDTH;
}

void report_group(struct report *report, const char *title, const struct report_column *columns, size_t count)
{
	report->title = title;
	report->columns = columns;
	report->column_count = count;
}

/* The head of a group comes with its first row: there may be none. */
static void print_title(struct report *report)
{
	if (report->title == NULL)
		return;
	printf("\n%-*s", NAME_WIDTH, report->title);
	for (size_t i = 0; i < report->column_count; i++)
		printf(" %*s%s", cell_width(&report->columns[i]) - shown_width(report->columns[i].title), "",
		       report->columns[i].title);
	putchar('\n');
	report->title = NULL;
}

static void print_row(struct report *report, const struct row *row)
{
	print_title(report);
	printf("%-*s", NAME_WIDTH, row->scenario);
	for (size_t i = 0; i < row->count; i++) {
		int width = cell_width(&row->columns[i]);
		if (isnan(row->values[i]))
			printf(" %*s", width, "-");
		else
			printf(" %*.*f", width, row->columns[i].decimals, row->values[i]);
	}
	putchar('\n');
	fflush(stdout);
}

void report_row(struct report *report, const char *scenario, const double *values)
{
	struct row row = {mem_string(scenario), report->columns, NULL, report->column_count};
	row.values = mem_copy(values, row.count * sizeof *values);
	mem_grow(report->rows, report->row_capacity, report->row_count + 1);
	report->rows[report->row_count++] = row;
	if (report->format == REPORT_TABLE)
		print_row(report, &row);
}

void report_note(struct report *report, const char *scenario, const char *format, ...)
{
	struct buffer text = BUFFER_EMPTY;
	va_list args;
	va_start(args, format);
	buffer_formatv(&text, format, args);
	va_end(args);
	if (report->notes.size != 0)
		buffer_append_char(&report->notes, ',');
	buffer_append_string(&report->notes, "{\"scenario\":");
	json_quote(&report->notes, slice_of(scenario));
	buffer_append_string(&report->notes, ",\"note\":");
	json_quote(&report->notes, buffer_slice(&text));
	buffer_append_char(&report->notes, '}');
	if (report->format == REPORT_TABLE) {
		print_title(report);
		printf("%-*s   %s\n", NAME_WIDTH, scenario, buffer_string(&text));
		fflush(stdout);
	}
	buffer_finish(&text);
}

double report_value(const struct report *report, const char *scenario, const char *key)
{
	for (size_t i = 0; i < report->row_count; i++) {
		const struct row *row = &report->rows[i];
		for (size_t k = 0; strcmp(row->scenario, scenario) == 0 && k < row->count; k++) {
			if (strcmp(row->columns[k].key, key) == 0)
				return row->values[k];
		}
	}
	return NAN;
}

static void append_number(struct buffer *out, double value)
{
	if (isnan(value))
		buffer_append_string(out, "null");
	else
		buffer_format(out, "%.6g", value);
}

void report_check(struct report *report, const char *scenario, const char *what, double value, const char *target,
                  const char *verdict)
{
	if (report->format == REPORT_TABLE) {
		char shown[32] = "-";
		if (!isnan(value))
			snprintf(shown, sizeof shown, "%.6g", value);
		print_title(report);
		printf("%-*s %-26s %12s  %-12s %s\n", NAME_WIDTH, scenario, what, shown, target, verdict);
		return;
	}
	struct buffer *out = &report->checks;
	struct buffer check = BUFFER_EMPTY;
	add_text(&check, "scenario", slice_of(scenario));
	add_text(&check, "what", slice_of(what));
	add_text(&check, "target", slice_of(target));
	add_text(&check, "verdict", slice_of(verdict));
	buffer_append_string(out, out->size != 0 ? ",{" : "{");
	buffer_append_slice(out, buffer_slice(&check));
	buffer_append_string(out, ",\"value\":");
	append_number(out, value);
	buffer_append_char(out, '}');
	buffer_finish(&check);
}

static void print_json(struct report *report)
{
	struct buffer out = BUFFER_EMPTY;
	buffer_format(&out, "{\"facts\":{%s},\"results\":[", buffer_string(&report->facts));
	for (size_t i = 0; i < report->row_count; i++) {
		const struct row *row = &report->rows[i];
		buffer_append_string(&out, i == 0 ? "{\"scenario\":" : ",{\"scenario\":");
		json_quote(&out, slice_of(row->scenario));
		for (size_t k = 0; k < row->count; k++) {
			buffer_format(&out, ",\"%s\":", row->columns[k].key);
			append_number(&out, row->values[k]);
		}
		buffer_append_char(&out, '}');
	}
	buffer_format(&out, "],\"notes\":[%s]", buffer_string(&report->notes));
	if (report->checks.size != 0)
		buffer_format(&out, ",\"checks\":[%s]", buffer_string(&report->checks));
	printf("%s}\n", buffer_string(&out));
	buffer_finish(&out);
}

void report_destroy(struct report *report)
{
	if (report->format == REPORT_JSON)
		print_json(report);
	for (size_t i = 0; i < report->row_count; i++) {
		mem_free(report->rows[i].scenario);
		mem_free(report->rows[i].values);
	}
	buffer_finish(&report->facts);
	buffer_finish(&report->notes);
	buffer_finish(&report->checks);
	mem_free(report->rows);
	mem_free(report);
}
