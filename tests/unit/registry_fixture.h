/* A registry under test: sources as strings, what comes out as text. */
#ifndef CLUSTERD_TESTS_REGISTRY_FIXTURE_H
#define CLUSTERD_TESTS_REGISTRY_FIXTURE_H

#include "base/error.h"
#include "workflow/registry.h"

struct registry_fixture {
	struct registry *registry;
	struct registration registration; /* of the last registering that succeeded */
	struct buffer text;
	struct error error;
	const struct attachment *attachments; /* for the next registering */
	size_t attachment_count;
};

void registry_fixture_init(struct registry_fixture *fixture);
void registry_fixture_finish(struct registry_fixture *fixture);

/* Registers one file called "t.flow". Returns the code; ->text has the diagnostics as they are rendered. */
int registry_fixture_register(struct registry_fixture *fixture, const char *source, bool dry_run);

/* The texts are valid until the next of these functions. */

/* Registers and gives what is new or there: "R@1 new, S@2 same"; after an error its diagnostics. */
const char *registry_fixture_versions(struct registry_fixture *fixture, const char *source);
/* Registers, and gives the first line of each diagnostic and its notes and hints:
 * "1:6: error: …\n  note 2:1: …\n  hint: …\n". */
const char *registry_fixture_diagnose(struct registry_fixture *fixture, const char *source);
/* Registers, expects no error, and prints the program of a workflow. */
const char *registry_fixture_print(struct registry_fixture *fixture, const char *source, const char *workflow);

#endif
