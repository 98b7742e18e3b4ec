/* Trials in a child process, since what is under test asserts, and may not come to an end; and programs made smaller as long
 * as they fail. */
#ifndef CLUSTERD_TESTS_PROPERTY_SHRINK_H
#define CLUSTERD_TESTS_PROPERTY_SHRINK_H

#include "trial.h"

#define TRIAL_SECONDS 60u /* a trial that takes longer has failed */

/* Runs the trial of recorded choices in a child. `loud`: the child says on standard output what is wrong. */
bool trial_fails(const struct choices *choices, uint64_t seed, bool loud);
/* Takes choices out and makes others simpler, as long as the trial still fails. */
void shrink(struct choices *choices, uint64_t seed);

#endif
