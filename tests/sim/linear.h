/* Was what clients saw linearizable: is there an order of the operations, each at one moment between its invocation and its
 * return, in which one copy of the data gives the same answers? (Herlihy, Wing 1990.) The search is that of Wing and Gong
 * (1993) with Lowe's memory of configurations seen (2017), for each key by itself: a history is linearizable when that of each
 * key is.
 *
 * An operation whose outcome is not known took effect at any time after it was invoked, or never.
 *
 * As text, a history has an operation on each line, in any order:
 *
 *   CLIENT INVOKED RETURNED OPERATION
 *
 * Times are integers of any unit, RETURNED is "-" when the outcome is not known (then the result is "?"). Operations that
 * certainly had no effect are left out. At equal times operations overlap. Keys and values are words. Operations:
 *
 *   get KEY = VALUE VERSION       get KEY = none
 *   put KEY VALUE = VERSION       put KEY VALUE = ?
 *   cas KEY VERSION VALUE = VERSION | conflict | ?     0 is the version of what is not there
 *   delete KEY = ok | none | done | ?                  "done": whether it was there is not known
 *   delete KEY VERSION = ok | conflict | none | done | ?
 *   lock NAME = TOKEN | held | ?
 *   unlock NAME TOKEN = ok | none | done | ?
 *   expire NAME TOKEN = ?         the lock may go to somebody else from INVOKED on; TOKEN 0: the one that CLIENT got without
 *                                 knowing
 *
 * Versions and tokens grow from one effective change of the key to the next. "#" begins a comment. */
#ifndef CLUSTERD_SIM_LINEAR_H
#define CLUSTERD_SIM_LINEAR_H

#include "base/buffer.h"
#include "base/error.h"

#include <stdbool.h>
#include <stdint.h>

enum linear_kind { LINEAR_GET, LINEAR_PUT, LINEAR_CAS, LINEAR_DELETE, LINEAR_LOCK, LINEAR_UNLOCK, LINEAR_EXPIRE };

enum linear_result {
	LINEAR_UNKNOWN,
	LINEAR_OK,       /* with a version where the operation gives one */
	LINEAR_NONE,     /* get, delete: not there; unlock: not held with this token */
	LINEAR_CONFLICT, /* cas, delete: another version is there; lock: somebody holds it */
	LINEAR_DONE,     /* delete, unlock: whatever was there */
};

#define LINEAR_NEVER INT64_MAX

struct linear_operation {
	uint64_t client;
	int64_t invoked;
	int64_t returned;   /* LINEAR_NEVER: unknown */
	enum linear_kind kind;
	enum linear_result result;
	const char *key;
	const char *value;  /* put, cas: to be written; get: read. NULL: none */
	uint64_t expected;  /* cas, delete: version (delete: 0 is any); unlock, expire: token */
	uint64_t version;   /* given or read: version or token; 0: not known */
};

struct linear_history;

struct linear_history *linear_create(void);
void linear_destroy(struct linear_history *history); /* NULL is fine */
/* Copies the strings. Returns a number for the operation. */
size_t linear_add(struct linear_history *history, const struct linear_operation *operation);
/* What came of an operation that was added as unknown. `value`: of a get; NULL else. */
void linear_return(struct linear_history *history, size_t number, int64_t returned, enum linear_result result,
                   const char *value, uint64_t version);
/* It certainly had no effect. */
void linear_forget(struct linear_history *history, size_t number);
size_t linear_count(const struct linear_history *history); /* without those forgotten */

enum linear_verdict { LINEAR_HOLDS, LINEAR_BROKEN, LINEAR_UNDECIDED };

/* `configurations`: to look at for one key before giving up (0: 10 million). When it is broken, why not is appended to `explanation`
 * for a person. */
enum linear_verdict linear_check(const struct linear_history *history, uint64_t configurations, struct buffer *explanation);

/* ERR_INVALID, with the line. */
int linear_parse(struct linear_history *history, struct slice text, struct error *error);
void linear_print(const struct linear_history *history, struct buffer *out);
void linear_print_operation(const struct linear_operation *operation, struct buffer *out); /* a line, without its end */

#endif
