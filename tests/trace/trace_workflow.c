/* Runs traces of the sequencer and of instances: text in, text out.
 *
 *   trace_workflow FILE…            compares; exits with 1 at the first line that differs
 *   trace_workflow --rewrite FILE…  writes down what comes out; look at the difference before you keep it
 *
 * A trace is read from top to bottom. Lines that begin with
 *   #      are words for people
 *   |      are programs, in the notation of tests/unit/program_builder.h; they come first
 *   >      are commands
 * and all others are what the command above them gives.
 *
 *   start ID NAME ARGS            makes instance ID
 *   result ID REF ATTEMPT JSON    a worker returned: the sequencer hears of it
 *   failure ID REF ATTEMPT TEXT   an attempt failed for good
 *   propose                       the sequencer gives its next command
 *   apply ID                      the command proposed for ID is applied: its results are posted, ID is reduced
 *   replay ID                     the command applied last for ID is applied once more
 *   post ID REF JSON, reduce ID   the same without a sequencer
 *   forget ID, clear, waiting     of the sequencer
 *   print ID, blocked ID, rebuild ID   the state; rebuild makes the instance anew from its steps first */
#include "base/json.h"
#include "base/memory.h"
#include "program_builder.h"
#include "workflow/instance.h"
#include "workflow/sequencer.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

#define INSTANCES 16
#define RESULTS 64

struct result {
	uint32_t ref;
	bool failed;
	struct text *json;
};

/* One command: results that make a step. */
struct command {
	struct result results[RESULTS];
	uint32_t count;
};

struct traced {
	struct instance *instance;
	struct instance_step step;
	const struct definition *workflow;
	struct text *args;
	struct command *proposed; /* NULL: none */
	struct command *steps[RESULTS];
	size_t step_count;
	struct command posted;    /* by `post`, for the next `reduce` */
};

struct trace {
	struct buffer programs;
	struct program_set *set;
	struct sequencer *sequencer;
	struct traced instances[INSTANCES];
	struct buffer *out;
};

/* Words of a command. */

static struct slice word(const char **at)
{
	while (**at == ' ')
		++*at;
	const char *start = *at;
	while (**at != ' ' && **at != '\0')
		++*at;
	return (struct slice){start, (size_t)(*at - start)};
}

static uint32_t number(const char **at)
{
	return (uint32_t)strtoul(word(at).data, NULL, 10);
}

static struct text *rest(const char **at)
{
	while (**at == ' ')
		++*at;
	struct text *text = text_create(slice_of(*at));
	*at += strlen(*at);
	return text;
}

/* Commands. */

static struct traced *traced_of(struct trace *trace, const char **at)
{
	uint32_t id = number(at);
	assert(id < INSTANCES);
	return &trace->instances[id];
}

static void say_step(struct trace *trace, struct traced *traced)
{
	static const char *const states[] = {
		[INSTANCE_RUNNING] = "running", [INSTANCE_COMPLETED] = "completed", [INSTANCE_STUCK] = "stuck",
		[INSTANCE_RUNAWAY] = "runaway", [INSTANCE_OVERFLOW] = "overflow",
	};
	const struct instance_step *step = &traced->step;
	for (uint32_t i = 0; i < step->call_count; i++) {
		const struct instance_call *call = &step->calls[i];
		struct slice name = call->kind == INSTANCE_CALL_PROCESS  ? call->process->name
		                    : call->kind == INSTANCE_CALL_SIGNAL ? call->signal
		                                                         : SLICE("sleep");
		const char *kind = call->kind == INSTANCE_CALL_SIGNAL ? "signal " : "";
		buffer_format(trace->out, "call %u %s%.*s %.*s\n", call->ref, kind, SLICE_ARGS(name),
		              SLICE_ARGS(text_slice(call->args)));
	}
	buffer_format(trace->out, "%s, %u open", states[step->state], instance_open_count(traced->instance));
	if (step->state == INSTANCE_COMPLETED) {
		struct text *result = instance_result(traced->instance);
		buffer_format(trace->out, ": %.*s", SLICE_ARGS(text_slice(result)));
		text_release(result);
	}
	buffer_append_char(trace->out, '\n');
}

static void start(struct trace *trace, const char *at)
{
	struct traced *traced = traced_of(trace, &at);
	struct slice name = word(&at);
	assert(traced->instance == NULL);
	if (trace->set == NULL)
		trace->set = program_set_parse(buffer_string(&trace->programs));
	char *copy = mem_format("%.*s", SLICE_ARGS(name));
	traced->workflow = program_set_find(trace->set, copy);
	mem_free(copy);
	traced->args = rest(&at);
	instance_create(traced->workflow, traced->args, NULL, &traced->instance, &traced->step);
	say_step(trace, traced);
}

static void returned(struct trace *trace, const char *at, bool failed)
{
	uint64_t id = number(&at);
	struct returned result = {.outcome = failed ? OUTCOME_FAILED : OUTCOME_RETURNED};
	result.ref = number(&at);
	result.attempt = number(&at);
	result.value = rest(&at);
	sequencer_add(trace->sequencer, id, &result);
}

static void propose(struct trace *trace)
{
	uint64_t id;
	struct returned *results;
	uint32_t count;
	if (!sequencer_next(trace->sequencer, &id, &results, &count)) {
		buffer_append_string(trace->out, "nothing\n");
		return;
	}
	assert(id < INSTANCES && count <= RESULTS && trace->instances[id].proposed == NULL);
	struct command *command = trace->instances[id].proposed = mem_zero(sizeof *command);
	buffer_format(trace->out, "for %u:", (unsigned)id);
	for (uint32_t i = 0; i < count; i++) {
		bool failed = results[i].outcome == OUTCOME_FAILED;
		command->results[command->count++] = (struct result){results[i].ref, failed, text_hold(results[i].value)};
		buffer_format(trace->out, "%s %u %s %.*s", i == 0 ? "" : ",", results[i].ref,
		              failed ? "failed" : "returned", SLICE_ARGS(text_slice(results[i].value)));
	}
	buffer_append_char(trace->out, '\n');
}

/* Posts and reduces; what is said goes nowhere when `out` is NULL. */
static void make_step(struct trace *trace, struct traced *traced, const struct command *command, bool quiet)
{
	for (uint32_t i = 0; i < command->count; i++) {
		const struct result *result = &command->results[i];
		if (result->failed && !quiet)
			buffer_format(trace->out, "failed %u\n", result->ref);
		if (result->failed)
			continue;
		int code = instance_post(traced->instance, result->ref, result->json);
		if (code != 0 && !quiet)
			buffer_format(trace->out, "ignored %u\n", result->ref);
	}
	instance_reduce(traced->instance, &traced->step);
}

static void keep_step(struct traced *traced, struct command *take_command)
{
	assert(traced->step_count < RESULTS);
	traced->steps[traced->step_count++] = take_command;
}

static void apply(struct trace *trace, const char *at)
{
	const char *id = at;
	struct traced *traced = traced_of(trace, &at);
	struct command *command = traced->proposed;
	uint64_t key = number(&id);
	assert(command != NULL);
	traced->proposed = NULL;
	if (traced->instance == NULL) {
		buffer_append_string(trace->out, "no such instance\n");
	} else {
		make_step(trace, traced, command, false);
		say_step(trace, traced);
	}
	keep_step(traced, command);
	sequencer_applied(trace->sequencer, key);
}

static void replay(struct trace *trace, const char *at)
{
	struct traced *traced = traced_of(trace, &at);
	assert(traced->step_count != 0);
	make_step(trace, traced, traced->steps[traced->step_count - 1], false);
	say_step(trace, traced);
}

static void post(struct trace *trace, const char *at)
{
	struct traced *traced = traced_of(trace, &at);
	struct result result = {.ref = number(&at)};
	result.json = rest(&at);
	int code = instance_post(traced->instance, result.ref, result.json);
	if (code != 0) {
		buffer_append_string(trace->out, "ignored\n");
		text_release(result.json);
		return;
	}
	traced->posted.results[traced->posted.count++] = result;
}

static void reduce(struct trace *trace, const char *at)
{
	struct traced *traced = traced_of(trace, &at);
	keep_step(traced, mem_copy(&traced->posted, sizeof traced->posted));
	traced->posted = (struct command){0};
	instance_reduce(traced->instance, &traced->step);
	say_step(trace, traced);
}

static void rebuild(struct trace *trace, const char *at)
{
	struct traced *traced = traced_of(trace, &at);
	instance_destroy(traced->instance);
	instance_create(traced->workflow, traced->args, NULL, &traced->instance, &traced->step);
	for (size_t i = 0; i < traced->step_count; i++)
		make_step(trace, traced, traced->steps[i], true);
	instance_print(traced->instance, trace->out);
}

static void run_command(struct trace *trace, const char *at)
{
	struct slice name = word(&at);
	if (slice_is(name, "start"))
		start(trace, at);
	else if (slice_is(name, "result"))
		returned(trace, at, false);
	else if (slice_is(name, "failure"))
		returned(trace, at, true);
	else if (slice_is(name, "propose"))
		propose(trace);
	else if (slice_is(name, "apply"))
		apply(trace, at);
	else if (slice_is(name, "replay"))
		replay(trace, at);
	else if (slice_is(name, "post"))
		post(trace, at);
	else if (slice_is(name, "reduce"))
		reduce(trace, at);
	else if (slice_is(name, "rebuild"))
		rebuild(trace, at);
	else if (slice_is(name, "forget"))
		sequencer_forget(trace->sequencer, number(&at));
	else if (slice_is(name, "clear"))
		sequencer_clear(trace->sequencer);
	else if (slice_is(name, "waiting"))
		buffer_format(trace->out, "%u\n", sequencer_waiting(trace->sequencer));
	else if (slice_is(name, "print"))
		instance_print(traced_of(trace, &at)->instance, trace->out);
	else if (slice_is(name, "blocked"))
		instance_blocked(traced_of(trace, &at)->instance, trace->out);
	else
		buffer_format(trace->out, "unknown command\n");
}

static void command_release(struct command *command)
{
	if (command == NULL)
		return;
	for (uint32_t i = 0; i < command->count; i++)
		text_release(command->results[i].json);
	command->count = 0;
}

static void trace_finish(struct trace *trace)
{
	for (int id = 0; id < INSTANCES; id++) {
		struct traced *traced = &trace->instances[id];
		instance_destroy(traced->instance);
		text_release(traced->args);
		command_release(&traced->posted);
		command_release(traced->proposed);
		mem_free(traced->proposed);
		for (size_t i = 0; i < traced->step_count; i++) {
			command_release(traced->steps[i]);
			mem_free(traced->steps[i]);
		}
	}
	sequencer_destroy(trace->sequencer);
	program_set_destroy(trace->set);
	buffer_finish(&trace->programs);
}

/* Files. */

static int read_file(const char *path, struct buffer *out)
{
	FILE *file = fopen(path, "rb");
	if (file == NULL) {
		perror(path);
		return -1;
	}
	size_t got;
	while ((got = fread(buffer_reserve(out, 4096), 1, 4096, file)) != 0)
		out->size += got;
	fclose(file);
	return 0;
}

static int write_file(const char *path, const struct buffer *content)
{
	FILE *file = fopen(path, "wb");
	if (file == NULL) {
		perror(path);
		return -1;
	}
	bool written = fwrite(content->data, 1, content->size, file) == content->size;
	if (fclose(file) != 0 || !written) {
		perror(path);
		return -1;
	}
	return 0;
}

/* What the trace is when its outputs are made anew. */
static void run_trace(char *text, struct buffer *out)
{
	struct trace *trace = mem_zero(sizeof *trace);
	trace->out = out;
	trace->sequencer = sequencer_create();
	for (char *line = text; *line != '\0';) {
		char *end = strchr(line, '\n');
		assert(end != NULL);
		*end = '\0';
		if (*line == '#' || *line == '|' || *line == '>' || *line == '\0')
			buffer_format(out, "%s\n", line);
		if (*line == '|')
			buffer_format(&trace->programs, "%s\n", line + 1);
		else if (*line == '>')
			run_command(trace, line + 1);
		line = end + 1;
	}
	trace_finish(trace);
	mem_free(trace);
}

static int compare(const char *path, const char *want, const char *got)
{
	for (int number_of_line = 1;; number_of_line++) {
		size_t want_size = strcspn(want, "\n");
		size_t got_size = strcspn(got, "\n");
		if (want_size != got_size || memcmp(want, got, want_size) != 0) {
			fprintf(stderr, "%s:%d: differs\n  there: %.*s\n  made:  %.*s\n", path, number_of_line,
			        (int)want_size, want, (int)got_size, got);
			return -1;
		}
		want += want_size;
		got += got_size;
		if (*want == '\0' || *got == '\0') {
			if (*want == *got)
				return 0;
			fprintf(stderr, "%s:%d: ends\n", path, number_of_line);
			return -1;
		}
		want++;
		got++;
	}
}

static int process(const char *path, bool rewrite)
{
	struct buffer want = BUFFER_EMPTY;
	struct buffer got = BUFFER_EMPTY;
	int code = read_file(path, &want);
	if (code == 0) {
		char *text = mem_string(buffer_string(&want));
		run_trace(text, &got);
		mem_free(text);
		if (rewrite)
			code = write_file(path, &got);
		else
			code = compare(path, buffer_string(&want), buffer_string(&got));
	}
	buffer_finish(&want);
	buffer_finish(&got);
	return code;
}

int main(int argc, char **argv)
{
	bool rewrite = argc > 1 && strcmp(argv[1], "--rewrite") == 0;
	if (argc < (rewrite ? 3 : 2)) {
		fprintf(stderr, "usage: %s [--rewrite] FILE…\n", argv[0]);
		return 2;
	}
	for (int i = rewrite ? 2 : 1; i < argc; i++) {
		if (process(argv[i], rewrite) != 0)
			return 1;
	}
	return 0;
}
