/* What was measured: printed as it comes, as tables for people; or at the end, as one JSON object. */
#ifndef BENCH_REPORT_H
#define BENCH_REPORT_H

#include "base/buffer.h"

#include <stdbool.h>
#include <stddef.h>

enum report_format { REPORT_TABLE, REPORT_JSON };

struct report_column {
	const char *key;   /* in JSON */
	const char *title; /* in tables */
	int decimals;
};

struct report;

struct report *report_create(enum report_format format);
void report_destroy(struct report *report); /* prints what is left */
/* A fact about the machine or the run. */
void report_fact(struct report *report, const char *key, const char *format, ...) __attribute__((format(printf, 3, 4)));
/* The rows that follow have these columns (of static storage, as the title). */
void report_group(struct report *report, const char *title, const struct report_column *columns, size_t count);
/* A value for each column; NAN: there is none. */
void report_row(struct report *report, const char *scenario, const double *values);
/* Why there is no row of that name, or no other. */
void report_note(struct report *report, const char *scenario, const char *format, ...)
	__attribute__((format(printf, 3, 4)));
/* NAN: was not measured. */
double report_value(const struct report *report, const char *scenario, const char *key);
/* A target and what came of it. */
void report_check(struct report *report, const char *scenario, const char *what, double value, const char *target,
                  const char *verdict);

#endif
