/* The calls of one run: what an instance opened and when, and what the direct evaluation calls and when that could be. */
#ifndef CLUSTERD_TESTS_PROPERTY_CALL_LOG_H
#define CLUSTERD_TESTS_PROPERTY_CALL_LOG_H

#include "plain.h"

#include <stdbool.h>

struct call_record;

struct call_log {
	struct call_record *records;
};

/* One call of the instance. */
struct opened_call {
	uint32_t opened;   /* the step that opened it */
	uint32_t returned; /* the step that took its result; STEP_NEVER until then */
};

void call_log_finish(struct call_log *log);
/* A record for what is called ("sleep", "signal sig1" or a process) with which arguments; made when there is none. */
struct call_record *call_log_record(struct call_log *log, struct slice callee, const struct plain *input);
struct slice call_record_key(const struct call_record *record); /* "P1 {…}" */

/* The instance's side. Gives the index of the call among those of the record. */
uint32_t call_record_open(struct call_record *record, uint32_t step);
void call_record_return(struct call_record *record, uint32_t index, uint32_t step);

/* The evaluation's side: one more call, that has all it needs at `needs`. False: the instance made fewer. */
bool call_record_expect(struct call_record *record, struct when needs, struct when *ret_returned);
/* The only call of its record; NULL: there are several. */
const struct opened_call *call_record_only(const struct call_record *record);

/* Whether each call was opened as often as it had to be, not before its arguments were there, and at once then. Says what
 * is wrong. */
bool call_log_check(const struct call_log *log, struct buffer *failure);

#endif
