/* What a child has printed, as a result or as a message for people. */
#ifndef CLUSTERD_DAEMON_OUTPUT_H
#define CLUSTERD_DAEMON_OUTPUT_H

#include "base/buffer.h"
#include "base/error.h"
#include "net/child.h"
#include "workflow/definition.h"

/* stdout as JSON. `ret_value` points into `printed`, or into `scratch` when it had to be made. ERR_INVALID,
 * ERR_LIMIT. */
int output_value(enum stdout_form form, struct slice printed, struct buffer *scratch, struct slice *ret_value,
                 struct error *error);
/* Appends bytes as text that is UTF-8 and without NUL. */
void output_plain(struct buffer *out, struct slice bytes);
/* "1 MiB", "4 KiB", "100 bytes". */
void output_size(struct buffer *out, uint64_t bytes);
/* Appends "exit code 3: <the end of stderr>", "ended by SIGKILL: …"; what could not be executed in its own words. */
void output_exit(struct buffer *out, const struct child_exit *how, struct slice complaints);

#endif
