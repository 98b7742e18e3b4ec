/* Errors and warnings about source text, as a person reads them:
 *
 *   ship.flow:13:8: error: there is no process "Chekc"
 *     13 |   case Chekc(o) {
 *        |        ^^^^^
 *   ship.flow:2:9: note: a process of a similar name
 *      2 | process Check(o: Order) -> Valid + Refused
 *        |         ^^^^^
 *        = hint: did you mean "Check"?
 */
#ifndef CLUSTERD_LANG_DIAGNOSTIC_H
#define CLUSTERD_LANG_DIAGNOSTIC_H

#include "base/arena.h"
#include "base/buffer.h"
#include "base/slice.h"

#include <stdarg.h>
#include <stdint.h>

/* A text with a name. Borrowed by everything that is made of it: it stays in place until all that is gone. */
struct source {
	struct slice path; /* as the user named it */
	struct slice text;
	uint32_t index;    /* its place among the sources that belong together: diagnostics are ordered by it */
};

/* A part of a source. source NULL: nowhere in particular; all else is 0 then. */
struct span {
	const struct source *source;
	uint32_t offset; /* in bytes */
	uint32_t size;
};

#define SPAN_NOWHERE ((struct span){NULL, 0, 0})

/* Its bytes; empty for SPAN_NOWHERE. */
struct slice span_text(struct span span);
/* From the beginning of `first` to the end of `last`; both in one source. */
struct span span_join(struct span first, struct span last);
/* Line and column of its beginning, both from 1; columns count characters, a tab as one. */
void span_position(struct span span, uint32_t *ret_line, uint32_t *ret_column);

#define DIAGNOSTICS_KEPT_MAX 1000u /* of each severity; the others are only counted */
#define DIAGNOSTICS_SHOWN_MAX 50u  /* errors go before warnings */

enum severity { SEVERITY_ERROR, SEVERITY_WARNING };

struct diagnostic {
	enum severity severity;
	struct span span;
	const char *message;
	const char *hint;      /* what to write instead; may be NULL */
	const char *note;      /* says what is at note_span; may be NULL */
	struct span note_span;
	uint32_t order;        /* of two at the same place the one that was made first comes first */
};

/* Start with {0}; release with diagnostics_finish. */
struct diagnostics {
	struct arena arena;
	struct diagnostic **entries; /* in the order in which they were made */
	size_t count;                /* kept */
	size_t capacity;
	size_t error_count;          /* made, kept or not */
	size_t warning_count;
	struct diagnostic spare;     /* what is not kept is written here */
};

void diagnostics_finish(struct diagnostics *diagnostics); /* leaves it empty and usable */

/* Adds one. The result is never NULL, and is good for the functions below until diagnostics_finish. */
struct diagnostic *diagnostics_error(struct diagnostics *diagnostics, struct span span, const char *format, ...)
	__attribute__((format(printf, 3, 4)));
struct diagnostic *diagnostics_warning(struct diagnostics *diagnostics, struct span span, const char *format, ...)
	__attribute__((format(printf, 3, 4)));
struct diagnostic *diagnostics_addv(struct diagnostics *diagnostics, enum severity severity, struct span span,
                                    const char *format, va_list args) __attribute__((format(printf, 4, 0)));
/* What to do about it: one sentence, no full stop. Replaces the hint that was there. */
void diagnostics_hint(struct diagnostics *diagnostics, struct diagnostic *diagnostic, const char *format, ...)
	__attribute__((format(printf, 3, 4)));
/* A second place that has to do with it, and what is there. Replaces the note that was there. */
void diagnostics_note(struct diagnostics *diagnostics, struct diagnostic *diagnostic, struct span span,
                      const char *format, ...) __attribute__((format(printf, 4, 5)));

/* Appends all of them for a person, ordered by source and position: at most DIAGNOSTICS_SHOWN_MAX, then how many more
 * there are. Control characters of the source are shown as U+FFFD. */
void diagnostics_render(const struct diagnostics *diagnostics, struct buffer *out);

#endif
