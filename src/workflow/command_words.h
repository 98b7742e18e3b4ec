/* The words that a process or a job is executed with (LANGUAGE: "How a child is run"). */
#ifndef CLUSTERD_WORKFLOW_COMMAND_WORDS_H
#define CLUSTERD_WORKFLOW_COMMAND_WORDS_H

#include "base/arena.h"
#include "base/error.h"
#include "workflow/definition.h"

/* Words of an `exec` of the definition with the values of parameters from `args`, a JSON object; NULL at the end; in the arena.
 * ERR_INVALID: a parameter has no value. */
int command_words(const struct definition *definition, const struct command_word *exec, uint32_t count, struct slice args,
                  struct arena *arena, const char *const **ret_words, struct error *error);

#endif
