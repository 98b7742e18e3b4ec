/* Amounts as people write them. */
#ifndef CLUSTERD_WORKFLOW_QUANTITY_H
#define CLUSTERD_WORKFLOW_QUANTITY_H

#include "base/slice.h"

#include <stdint.h>

/* Digits, perhaps a point and up to six more: times `unit`, of at most 2^40. False: not such a number, more than `most`, or,
 * with `exact`, not a whole number then; else it is cut. */
bool quantity_decimal(struct slice text, uint64_t unit, uint64_t most, bool exact, uint64_t *ret_value);
/* "256MiB", "1.5GiB", "4096": with B, KiB, MiB, GiB or TiB, or bytes; at most `most`. */
bool quantity_bytes(struct slice text, uint64_t most, uint64_t *ret_bytes);

#endif
