#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "machine_fixture.h"

#include "base/json.h"
#include "base/memory.h"

#include <inttypes.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define START_MS 1700000000000ll

/* --- life ---------------------------------------------------------------------------------------------------------- */

static void must(int code, const struct error *error)
{
	if (code != 0)
		fail_msg("%s", error->text);
}

static int setup(void **state, bool cold)
{
	struct machine_fixture *fixture = mem_zero(sizeof *fixture);
	struct error error = {0};
	char *directory = mem_format("%s/clusterd-machine.XXXXXX", getenv("TMPDIR") != NULL ? getenv("TMPDIR") : "/tmp");
	if (mkdtemp(directory) == NULL)
		return -1;
	fixture->directory = directory;
	fixture->path = mem_format("%s/catalog.db", directory);
	fixture->cold = cold;
	fixture->term = 1;
	fixture->now = START_MS;
	must(catalog_open(fixture->path, NULL, &fixture->catalog, &error), &error);
	must(machine_create(fixture->catalog, &fixture->machine, &error), &error);
	*state = fixture;
	return 0;
}

int machine_setup(void **state)
{
	return setup(state, false);
}

int machine_setup_cold(void **state)
{
	return setup(state, true);
}

int machine_teardown(void **state)
{
	struct machine_fixture *fixture = *state;
	static const char *const suffixes[] = {"", "-wal", "-shm"};
	machine_destroy(fixture->machine);
	catalog_close(fixture->catalog);
	for (size_t i = 0; i < 3; i++) {
		char *path = mem_format("%s%s", fixture->path, suffixes[i]);
		unlink(path);
		mem_free(path);
	}
	rmdir(fixture->directory);
	mem_free(fixture->path);
	mem_free(fixture->directory);
	buffer_finish(&fixture->text);
	buffer_finish(&fixture->effects);
	buffer_finish(&fixture->column);
	mem_free(fixture);
	return 0;
}

void machine_fixture_reload(struct machine_fixture *fixture)
{
	struct error error = {0};
	machine_destroy(fixture->machine);
	fixture->machine = NULL;
	must(machine_create(fixture->catalog, &fixture->machine, &error), &error);
}

/* --- effects ------------------------------------------------------------------------------------------------------- */

static void print_effect(struct machine_fixture *fixture, const struct effect *effect)
{
	static const char *const words[] = {"answer",   "ready", "withdrawn", "closed", "abandoned", "finished",
	                                    "grown",    "applied", "session",    "timers", "registered", "changed", "granted", "ending",
	                                    "ended",    "job",   "placed",    "told",   "over",      "refused",  "node"};
	struct buffer *out = &fixture->effects;
	switch (effect->kind) {
	case EFFECT_ANSWER:
		fixture->answered = true;
		fixture->answer = effect->answer;
		buffer_clear(&fixture->text);
		if (effect->answer.text != NULL)
			buffer_append_slice(&fixture->text, text_slice(effect->answer.text));
		fixture->answer.text = NULL;
		return;
	case EFFECT_CALL_READY:
	case EFFECT_CALL_WITHDRAWN:
		buffer_format(out, "%s%s %" PRIu64 "/%u", out->size > 0 ? ", " : "", words[effect->kind], effect->instance,
		              effect->ref);
		return;
	case EFFECT_CALL_CLOSED:
	case EFFECT_CALL_ABANDONED:
		buffer_format(out, "%s%s %" PRIu64 "/%u:%" PRIu64, out->size > 0 ? ", " : "", words[effect->kind],
		              effect->instance, effect->ref, effect->attempt & 0xFFFF);
		return;
	case EFFECT_FINISHED:
		buffer_format(out, "%sfinished %" PRIu64 " %s", out->size > 0 ? ", " : "", effect->instance, effect->state);
		return;
	case EFFECT_LEASE_GRANTED:
	case EFFECT_LEASE_ENDING:
	case EFFECT_LEASE_ENDED:
		buffer_format(out, "%s%s %" PRIu64, out->size > 0 ? ", " : "", words[effect->kind], effect->lease);
		return;
	case EFFECT_JOB_CHANGED:
		buffer_format(out, "%sjob %" PRIu64 " %s", out->size > 0 ? ", " : "", effect->job, effect->state);
		return;
	case EFFECT_ALLOCATION_PLACED:
	case EFFECT_ALLOCATION_CHANGED:
	case EFFECT_ALLOCATION_ENDED:
		buffer_format(out, "%s%s %" PRIu64, out->size > 0 ? ", " : "", words[effect->kind], effect->allocation);
		return;
	case EFFECT_PLACEMENT_REFUSED:
		buffer_format(out, "%srefused %" PRIu64 "/%u", out->size > 0 ? ", " : "", effect->job, effect->task);
		return;
	case EFFECT_NODE_CHANGED:
	case EFFECT_TOPIC_CHANGED:
	case EFFECT_OWNED_LEFT:
	case EFFECT_GROWN:
	case EFFECT_RESULTS_APPLIED:
	case EFFECT_SESSION_CLOSED:
	case EFFECT_TIMERS_CHANGED:
	case EFFECT_REGISTERED:
	case EFFECT_KEY_CHANGED:
		return; /* what they lead to is seen elsewhere */
	}
}

static void take_effects(struct machine_fixture *fixture)
{
	size_t count;
	const struct effect *effects = machine_effects(fixture->machine, &count);
	buffer_clear(&fixture->effects);
	for (size_t i = 0; i < count; i++)
		print_effect(fixture, &effects[i]);
	machine_effects_done(fixture->machine);
	machine_trim(fixture->machine);
}

/* --- commands ------------------------------------------------------------------------------------------------------ */

void machine_fixture_begin(struct machine_fixture *fixture)
{
	struct error error = {0};
	if (fixture->cold)
		machine_fixture_reload(fixture);
	must(machine_begin(fixture->machine, &error), &error);
	fixture->open = true;
}

void machine_fixture_commit(struct machine_fixture *fixture)
{
	struct error error = {0};
	must(machine_commit(fixture->machine, &error), &error);
	fixture->open = false;
	take_effects(fixture);
}

void machine_fixture_apply(struct machine_fixture *fixture, struct command *command)
{
	struct error error = {0};
	bool alone = !fixture->open;
	uint64_t last = machine_last_stamp(fixture->machine);
	uint64_t stamp = (uint64_t)fixture->now << 16;
	command->machine_version = MACHINE_VERSION;
	command->stamp = stamp > last ? stamp : last + 1;
	if (command->kind != COMMAND_OPEN_SESSION && fixture->session != 0) {
		command->session = fixture->session;
		command->sequence = fixture->sequence;
		command->answered_below = fixture->answered_below;
	}
	fixture->answered = false;
	fixture->answer = (struct answer){0};
	if (alone)
		machine_fixture_begin(fixture);
	must(machine_apply(fixture->machine, machine_applied_index(fixture->machine) + 1, fixture->term, command, &error),
	     &error);
	if (alone)
		machine_fixture_commit(fixture);
}

/* An answer is asked for, by a session of the fixture's own where the test has none. */
static void apply_asking(struct machine_fixture *fixture, struct command *command)
{
	if (fixture->session == 0 && !fixture->open) {
		fixture->session = opens_session(fixture);
		fixture->sequence = 1;
		machine_fixture_apply(fixture, command);
		fixture->session = 0;
		return;
	}
	machine_fixture_apply(fixture, command);
	if (!fixture->open)
		assert_true(fixture->answered);
}

void registers(struct machine_fixture *fixture, const char *source)
{
	struct command_file file = {SLICE("test.flow"), slice_of(source)};
	struct command command = {.kind = COMMAND_REGISTER, .registering = {.files = &file, .file_count = 1}};
	apply_asking(fixture, &command);
}

uint64_t starts_with_key(struct machine_fixture *fixture, const char *workflow, const char *args, const char *key)
{
	struct command command = {.kind = COMMAND_START};
	command.start.process = slice_of(workflow);
	command.start.key = slice_of(key);
	command.start.args = slice_of(args);
	apply_asking(fixture, &command);
	return fixture->answer.number;
}

uint64_t starts(struct machine_fixture *fixture, const char *workflow, const char *args)
{
	return starts_with_key(fixture, workflow, args, "");
}

void assigns_attempt(struct machine_fixture *fixture, uint64_t instance, uint32_t ref, uint64_t attempt)
{
	struct command_assignment assignment = {instance, ref, attempt};
	struct command command = {.kind = COMMAND_ASSIGNED};
	command.assigned.node = SLICE("node");
	command.assigned.calls = &assignment;
	command.assigned.count = 1;
	machine_fixture_apply(fixture, &command);
}

uint64_t assigns(struct machine_fixture *fixture, uint64_t instance, uint32_t ref)
{
	struct running *running;
	struct error error = {0};
	if (!fixture->open)
		must(machine_load(fixture->machine, instance, &running, &error), &error);
	const struct call *call = machine_call(fixture->machine, instance, ref);
	assert_non_null(call);
	uint64_t attempt = attempt_after(call->attempt, fixture->term);
	assigns_attempt(fixture, instance, ref, attempt);
	return attempt;
}

void results(struct machine_fixture *fixture, uint64_t instance, const struct command_returned *returned, size_t count)
{
	struct command command = {.kind = COMMAND_RESULTS};
	command.results.instance = instance;
	command.results.returned = returned;
	command.results.count = count;
	machine_fixture_apply(fixture, &command);
}

void returns(struct machine_fixture *fixture, uint64_t instance, uint32_t ref, uint64_t attempt, const char *value)
{
	struct command_returned returned = {.ref = ref, .attempt = attempt, .value = slice_of(value)};
	results(fixture, instance, &returned, 1);
}

void completes(struct machine_fixture *fixture, uint64_t instance, uint32_t ref, const char *value)
{
	uint64_t attempt = assigns(fixture, instance, ref);
	returns(fixture, instance, ref, attempt, value);
}

static void fail_with(struct machine_fixture *fixture, uint64_t instance, struct command_returned returned)
{
	returned.failed = true;
	results(fixture, instance, &returned, 1);
}

void fails(struct machine_fixture *fixture, uint64_t instance, uint32_t ref, uint64_t attempt, const char *message)
{
	fail_with(fixture, instance, (struct command_returned){.ref = ref, .attempt = attempt, .value = slice_of(message)});
}

void fails_for_good(struct machine_fixture *fixture, uint64_t instance, uint32_t ref, uint64_t attempt,
                    const char *message)
{
	fail_with(fixture, instance,
	          (struct command_returned){.ref = ref, .attempt = attempt, .final = true, .value = slice_of(message)});
}

void fails_to_start(struct machine_fixture *fixture, uint64_t instance, uint32_t ref, uint64_t attempt)
{
	times_out(fixture, instance, ref, attempt);
}

void times_out(struct machine_fixture *fixture, uint64_t instance, uint32_t ref, uint64_t attempt)
{
	fail_with(fixture, instance,
	          (struct command_returned){.ref = ref, .attempt = attempt, .cause = CAUSE_TIMEOUT, .value = SLICE("late")});
}

void passes(struct machine_fixture *fixture, msec time)
{
	fixture->now += time;
	machine_fixture_apply(fixture, &(struct command){.kind = COMMAND_TIMERS});
}

void cancels(struct machine_fixture *fixture, uint64_t instance)
{
	struct command command = {.kind = COMMAND_CANCEL};
	command.cancel.instance = instance;
	apply_asking(fixture, &command);
}

void retries(struct machine_fixture *fixture, uint64_t instance)
{
	struct command command = {.kind = COMMAND_RETRY};
	command.retry.instance = instance;
	apply_asking(fixture, &command);
}

void signals(struct machine_fixture *fixture, uint64_t instance, const char *name, const char *key, const char *value)
{
	struct command command = {.kind = COMMAND_SIGNAL};
	command.signal.instance = instance;
	command.signal.name = slice_of(name);
	command.signal.key = slice_of(key);
	command.signal.value = slice_of(value);
	apply_asking(fixture, &command);
}

void sets(struct machine_fixture *fixture, const char *name, const char *value)
{
	struct command command = {.kind = COMMAND_SET_SETTING};
	command.set_setting.name = slice_of(name);
	command.set_setting.value = slice_of(value);
	apply_asking(fixture, &command);
}

void expires(struct machine_fixture *fixture)
{
	machine_fixture_apply(fixture, &(struct command){.kind = COMMAND_EXPIRE});
}

uint64_t opens_session(struct machine_fixture *fixture)
{
	machine_fixture_apply(fixture, &(struct command){.kind = COMMAND_OPEN_SESSION, .sequence = 77});
	assert_true(fixture->answered);
	return fixture->answer.number;
}

void closes_session(struct machine_fixture *fixture, uint64_t session)
{
	struct command command = {.kind = COMMAND_CLOSE_SESSION};
	command.close_session.sessions = &session;
	command.close_session.count = 1;
	machine_fixture_apply(fixture, &command);
}

/* --- what the catalog says ----------------------------------------------------------------------------------------- */

const char *tells(struct machine_fixture *fixture, const char *sql)
{
	sqlite3 *database;
	sqlite3_stmt *statement;
	assert_int_equal(sqlite3_open_v2(fixture->path, &database, SQLITE_OPEN_READONLY, NULL), SQLITE_OK);
	if (sqlite3_prepare_v2(database, sql, -1, &statement, NULL) != SQLITE_OK)
		fail_msg("%s: %s", sql, sqlite3_errmsg(database));
	buffer_clear(&fixture->column);
	for (bool first = true; sqlite3_step(statement) == SQLITE_ROW; first = false) {
		for (int i = 0; i < sqlite3_column_count(statement); i++) {
			const char *text = (const char *)sqlite3_column_text(statement, i);
			buffer_append_string(&fixture->column, i > 0 ? "|" : first ? "" : ",");
			buffer_append_string(&fixture->column, text != NULL ? text : "-");
		}
	}
	sqlite3_finalize(statement);
	sqlite3_close(database);
	return buffer_string(&fixture->column);
}

const char *history_after(struct machine_fixture *fixture, uint64_t instance, uint64_t after)
{
	char *sql = mem_format("SELECT kind || coalesce(' ' || ref, '') FROM pi_history WHERE instance = %" PRIu64
	                       " AND seq > %" PRIu64 " ORDER BY seq", instance, after);
	const char *text = tells(fixture, sql);
	mem_free(sql);
	return text;
}

uint64_t last_seq(struct machine_fixture *fixture)
{
	return machine_history_seq(fixture->machine);
}
