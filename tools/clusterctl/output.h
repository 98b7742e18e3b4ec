/* What goes to stdout: rows as a table, JSON or JSON lines. */
#ifndef CLUSTERCTL_OUTPUT_H
#define CLUSTERCTL_OUTPUT_H

#include "base/buffer.h"
#include "client.h"

#include <stdbool.h>
#include <stdio.h>

enum output_form { OUTPUT_TABLE, OUTPUT_JSON, OUTPUT_JSONL };

/* The rows of a Rows answer. JSON: an array of objects keyed by column; a value that is JSON itself (the columns args,
 * result, detail, tags) stands as such. */
void output_rows(enum output_form form, const struct reply *reply, FILE *file);
/* The same for people: in a table, the times of columns named `…_ms` can be read (in UTC), so can memory, and columns that no row fills
 * are left out. */
void output_report(enum output_form form, const struct reply *reply, FILE *file);
/* The first row like that, a line for each column. JSON: as output_rows. */
void output_record(enum output_form form, const struct reply *reply, FILE *file);
/* One JSON object: as it is, or as a table of two columns. */
void output_object(enum output_form form, struct slice object, FILE *file);
/* A JSON array of objects that have the same members: as rows with these columns. */
void output_objects(enum output_form form, struct slice array, FILE *file);
/* Columns that text takes on a terminal (wide characters count two). */
size_t text_width(struct slice text);
/* Colour is wanted on this stream. */
bool output_colour(FILE *file);

#endif
