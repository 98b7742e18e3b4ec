/* A state machine on a catalog in a directory of its own, which is removed at the end. Each command is a transaction.
 * With `cold` the machine is made anew from the catalog before each command: what is in memory must not matter. */
#ifndef CLUSTERD_UNIT_MACHINE_FIXTURE_H
#define CLUSTERD_UNIT_MACHINE_FIXTURE_H

#include "coordinator/machine.h"

struct machine_fixture {
	char *directory;
	char *path;
	struct catalog *catalog;
	struct machine *machine;
	bool cold;
	bool open;             /* between machine_fixture_begin and …_commit: one transaction for all */
	uint64_t term;
	msec now;
	uint64_t session;      /* of the next commands; 0: the node itself */
	uint64_t sequence;
	uint64_t answered_below;
	struct answer answer;  /* of the last command that had one; its text is in `text` */
	bool answered;
	struct buffer text;
	struct buffer effects; /* of the last transaction: "ready 1/2, closed 1/1, finished 1 completed" */
	struct buffer column;
};

int machine_setup(void **state);
int machine_setup_cold(void **state);
int machine_teardown(void **state);

void machine_fixture_apply(struct machine_fixture *fixture, struct command *command);
void machine_fixture_begin(struct machine_fixture *fixture);
void machine_fixture_commit(struct machine_fixture *fixture);
void machine_fixture_reload(struct machine_fixture *fixture);

/* Commands. Times are in the fixture's `now`. */
void registers(struct machine_fixture *fixture, const char *source);
uint64_t starts(struct machine_fixture *fixture, const char *workflow, const char *args);
uint64_t starts_with_key(struct machine_fixture *fixture, const char *workflow, const char *args, const char *key);
/* The next attempt of a call is handed out; its number. */
uint64_t assigns(struct machine_fixture *fixture, uint64_t instance, uint32_t ref);
void assigns_attempt(struct machine_fixture *fixture, uint64_t instance, uint32_t ref, uint64_t attempt);
/* Hands it out and returns its value at once. */
void completes(struct machine_fixture *fixture, uint64_t instance, uint32_t ref, const char *value);
void returns(struct machine_fixture *fixture, uint64_t instance, uint32_t ref, uint64_t attempt, const char *value);
void fails(struct machine_fixture *fixture, uint64_t instance, uint32_t ref, uint64_t attempt, const char *message);
void fails_for_good(struct machine_fixture *fixture, uint64_t instance, uint32_t ref, uint64_t attempt,
                    const char *message);
void times_out(struct machine_fixture *fixture, uint64_t instance, uint32_t ref, uint64_t attempt);
void fails_to_start(struct machine_fixture *fixture, uint64_t instance, uint32_t ref, uint64_t attempt);
void results(struct machine_fixture *fixture, uint64_t instance, const struct command_returned *returned, size_t count);
void passes(struct machine_fixture *fixture, msec time); /* and timers fire */
void cancels(struct machine_fixture *fixture, uint64_t instance);
void retries(struct machine_fixture *fixture, uint64_t instance);
void signals(struct machine_fixture *fixture, uint64_t instance, const char *name, const char *key, const char *value);
void sets(struct machine_fixture *fixture, const char *name, const char *value);
void expires(struct machine_fixture *fixture);
uint64_t opens_session(struct machine_fixture *fixture);
void closes_session(struct machine_fixture *fixture, uint64_t session);

/* The first column of the first row, '|' between columns, ',' between rows; asked from outside. */
const char *tells(struct machine_fixture *fixture, const char *sql);
#define assert_tells(fixture, sql, expected) assert_string_equal(tells(fixture, sql), expected)
#define assert_effects(fixture, expected) assert_string_equal(buffer_string(&(fixture)->effects), expected)
/* The kinds of history of an instance since seq `after`: "return 1, call 2, idle". */
const char *history_after(struct machine_fixture *fixture, uint64_t instance, uint64_t after);
uint64_t last_seq(struct machine_fixture *fixture);

#define MACHINE_TEST(name)                                                                   \
	{#name, name, machine_setup, machine_teardown, NULL},                                \
	{#name " (read from the catalog before each command)", name, machine_setup_cold, machine_teardown, NULL}

#endif
