/* Error codes. A function that can fail returns 0 or one of these (negative); what a person reads is made in
 * `struct error` by the code that knows the facts. A programmer's mistake is asserted, not returned, and so is
 * running out of memory: the allocator in base/memory.h ends the process. */
#ifndef CLUSTERD_BASE_ERROR_H
#define CLUSTERD_BASE_ERROR_H

#include <stdarg.h>
#include <stdbool.h>

enum {
	ERR_IO = -1,          /* the system refused a read, a write, a sync, … (errno is in the text) */
	ERR_NO_SPACE = -2,    /* the disk is full, or below its reserve */
	ERR_CORRUPT = -3,     /* stored bytes are not what was written */
	ERR_BUSY = -4,        /* cannot keep up now: come back later */
	ERR_LIMIT = -5,       /* larger, deeper or more than a named limit */
	ERR_INVALID = -6,     /* malformed: not of the form it must have */
	ERR_TYPE = -7,        /* a value that is not of its declared type */
	ERR_NOT_FOUND = -8,
	ERR_EXISTS = -9,
	ERR_CONFLICT = -10,   /* the thing is in a state that does not allow this */
	ERR_NOT_LEADER = -11,
	ERR_EXPIRED = -12,    /* the session is unknown or has expired */
	ERR_VERSION = -13,    /* made by a version this program does not know */
	ERR_TIMEOUT = -14,
	ERR_CLOSED = -15,     /* the peer is gone */
	ERR_DENIED = -16,
	ERR_UNSUPPORTED = -17,
	ERR_COMPACTED = -18,  /* what is asked for is so old that it is not kept any more */
};

#define ERROR_TEXT_SIZE 480

/* An error with its text; by the caller, on the stack. */
struct error {
	int code; /* 0: none */
	char text[ERROR_TEXT_SIZE];
};

/* Sets code and text (cut at a character boundary when too long) and returns `code`. `error` may be NULL. */
int error_set(struct error *error, int code, const char *format, ...) __attribute__((format(printf, 3, 4)));
int error_setv(struct error *error, int code, const char *format, va_list args)
	__attribute__((format(printf, 3, 0)));
/* Puts "<words>: " before the text that is there, and returns the code. `error` may be NULL: there is no code to return then, so
 * that it gives 0, and who passes NULL must have kept the code. */
int error_prefix(struct error *error, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* "not found", "busy", …; never NULL. */
const char *error_name(int code);

#endif
