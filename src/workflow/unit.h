/* A unit: files that were registered together. It owns all that its definitions point to. */
#ifndef CLUSTERD_WORKFLOW_UNIT_H
#define CLUSTERD_WORKFLOW_UNIT_H

#include "base/arena.h"
#include "base/text.h"
#include "lang/diagnostic.h"
#include "workflow/registry.h"

struct unit_text;

struct unit {
	struct arena arena;     /* definitions, types, programs */
	struct source *sources; /* copies; slices of definitions point into them */
	size_t source_count;
	struct slice source_text; /* all their texts, one after the other */
	struct unit_text *texts;
	struct unit *next; /* of the registry's list */
};

struct unit *unit_create(const struct source_file *files, size_t file_count);
void unit_destroy(struct unit *unit);
/* The same bytes where they live as long as the unit: in its sources, or copied into its arena. */
struct slice unit_keep(struct unit *unit, struct slice slice);
/* A text for these bytes, the unit's; one for each place where bytes stand, so that a default is held once however
 * often it is used. The bytes stay in place until compiling is over. */
struct text *unit_text(struct unit *unit, struct slice json);

#endif
