/* An instance under test: programs in the notation of program_builder.h, JSON as strings, what comes out as text. */
#ifndef CLUSTERD_TESTS_INSTANCE_FIXTURE_H
#define CLUSTERD_TESTS_INSTANCE_FIXTURE_H

#include "program_builder.h"
#include "workflow/instance.h"

struct fixture {
	struct program_set *set;
	struct instance *instance;
	struct instance_step step;    /* the last one */
	struct instance_limits limits; /* for the next start */
	struct buffer text;
};

/* Makes an instance of `workflow` and its first step; parses `source` unless it is NULL: then that of the last start. */
void fixture_start(struct fixture *fixture, const char *source, const char *workflow, const char *args);
void fixture_finish(struct fixture *fixture);
int fixture_post(struct fixture *fixture, uint32_t ref, const char *json);
void fixture_reduce(struct fixture *fixture);
/* Posts one result that must be accepted, and reduces. */
void fixture_return(struct fixture *fixture, uint32_t ref, const char *json);

/* The texts are valid until the next of these functions. */
const char *fixture_calls(struct fixture *fixture); /* of the last step: `1 Split {"x":21}, 2 …` */
const char *fixture_print(struct fixture *fixture);
const char *fixture_blocked(struct fixture *fixture);
const char *fixture_result(struct fixture *fixture); /* "" when it has not completed */
/* Starts, expects completion without a call, gives the result. */
const char *fixture_run(struct fixture *fixture, const char *source, const char *workflow, const char *args);

#endif
