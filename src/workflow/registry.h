/* All definitions of a catalog. Registering is a pure function of what is there and of the sources, so that every node and
 * every restart gets the same versions: a restart registers the stored units again, in order. */
#ifndef CLUSTERD_WORKFLOW_REGISTRY_H
#define CLUSTERD_WORKFLOW_REGISTRY_H

#include "workflow/definition.h"

struct registry;

struct source_file {
	struct slice path; /* as the user named it: for diagnostics; attachments are relative to its directory */
	struct slice text;
};

/* A file that travels with a definition. */
struct attachment {
	struct slice path; /* as `files` names it */
	struct slice hash; /* 32 hex digits */
};

#define REGISTRY_SOURCE_SIZE_MAX (1u << 20) /* of all files of one unit */

struct registered {
	const struct definition *definition;
	bool is_new; /* false: the same content was there; the definition that exists */
};

struct unit;

struct registration {
	struct registered *entries; /* in the order of declaration, file by file; released by registration_finish */
	uint32_t count;
	uint32_t new_count;
	struct unit *unit;          /* of a dry run: holds the new definitions. The registry's own */
};

int registry_create(struct registry **ret_registry);
void registry_destroy(struct registry *registry); /* and all definitions */

/* Parses, checks and compiles files together (a unit): names declared in them bind to one another, others to the newest
 * version there is or the one that is named. All or nothing. On ERR_INVALID, `diagnostics` (may be NULL) has all errors,
 * rendered with file:line:column, the line, a caret and a hint, and warnings; on success only warnings.
 * With `dry_run` nothing is changed: ret_registration then has the definitions as they would be, and they live as long as
 * the registration.
 * ERR_LIMIT: larger than REGISTRY_SOURCE_SIZE_MAX. */
int registry_register(struct registry *registry, const struct source_file *files, size_t file_count,
                      const struct attachment *attachments, size_t attachment_count, bool dry_run,
                      struct registration *ret_registration, struct buffer *diagnostics, struct error *error);
void registration_finish(struct registration *registration);

/* version 0: the newest. NULL: none. Definitions live as long as the registry. */
const struct definition *registry_find(const struct registry *registry, struct slice name, uint32_t version);
/* The nearest name by edit distance, for "did you mean"; empty when none is near. */
struct slice registry_nearest(const struct registry *registry, struct slice name);

/* The attachments that files ask for with `files = […]`, without checking anything else: what a client has to send.
 * Paths are appended to `ret_paths`, each ended by a NUL. ERR_INVALID with diagnostics when a file cannot be parsed. */
int registry_attachments(const struct source_file *files, size_t file_count, struct buffer *ret_paths,
                         struct buffer *diagnostics, struct error *error);

#endif
