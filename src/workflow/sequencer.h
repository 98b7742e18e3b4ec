/* The sequencer (PEW): gathers the results that come while an instance is being reduced, so that each reduction takes all
 * that wait, one command at a time for each instance, and no instance holds up another. Leader's soft state.
 *
 *   result comes, nothing proposed for the instance  → propose now, with all that wait
 *   result comes, a command is under way             → wait
 *   the command was applied                          → propose what waits, if anything
 */
#ifndef CLUSTERD_WORKFLOW_SEQUENCER_H
#define CLUSTERD_WORKFLOW_SEQUENCER_H

#include "base/text.h"

#include <stdbool.h>
#include <stdint.h>

enum outcome { OUTCOME_RETURNED, OUTCOME_FAILED };

/* What became of an attempt of a call. */
struct returned {
	uint32_t ref;
	uint64_t attempt;       /* (term << 16) | counter of the call; < 2⁵³ */
	enum outcome outcome;
	bool retryable;         /* FAILED: another attempt may help */
	uint8_t cause;          /* FAILED: enum failure_cause */
	struct text *value;     /* RETURNED: JSON as type_accept made it. FAILED: the message, plain UTF-8. Owned */
	struct text *metadata;  /* JSON object or NULL. Owned */
};

struct sequencer;

struct sequencer *sequencer_create(void);
void sequencer_destroy(struct sequencer *sequencer);

/* A result for an instance; takes value and metadata. A second result for a (ref, attempt) that already waits is dropped. */
void sequencer_add(struct sequencer *sequencer, uint64_t instance, const struct returned *take_returned);
/* The next instance with results and no command under way, or false; first come, first served. Its results, ordered by
 * reference, are lent until the next call of a function that is not const; the instance counts as under way from now on. */
bool sequencer_next(struct sequencer *sequencer, uint64_t *ret_instance, struct returned **ret_returned,
                    uint32_t *ret_count);
/* The command proposed for the instance was applied (or can no longer be). */
void sequencer_applied(struct sequencer *sequencer, uint64_t instance);
/* The instance is finished: whatever waits for it is dropped. */
void sequencer_forget(struct sequencer *sequencer, uint64_t instance);
/* Loses all: the node is no longer leader. */
void sequencer_clear(struct sequencer *sequencer);
uint32_t sequencer_waiting(const struct sequencer *sequencer); /* results not yet proposed */

#endif
