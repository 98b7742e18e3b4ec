/* `exec`: a child per call, in a fresh working directory; arguments on stdin, the result on stdout. */
#include "base/arena.h"
#include "base/memory.h"
#include "daemon/call.h"
#include "daemon/command_line.h"
#include "daemon/output.h"
#include "daemon/piped.h"
#include "workflow/command_words.h"

/* The directory, files and pipes of each are made on the loop, which has other things to do in between. */
#define STARTS_PER_TURN 8

struct exec_call {
	struct call call;
	const struct definition *process; /* until it is started */
	enum stdout_form stdout_form;
	struct piped *child; /* NULL: waits */
	char *directory;
	struct buffer printed;
	bool too_much;
};

static struct exec_call *exec_call_of(struct call *call)
{
	return (struct exec_call *)call;
}

/* ---- The end ---- */

static void describe_failure(const struct exec_call *call, const struct child_exit *how, struct buffer *message)
{
	if (call->too_much) {
		buffer_append_string(message, "printed more than ");
		output_size(message, call->call.executor->options.output_max);
		buffer_append_string(message, " on stdout");
		return;
	}
	output_exit(message, how, piped_complaints(call->child));
}

static void tell_result(struct exec_call *call, const struct child_exit *how)
{
	struct buffer scratch = BUFFER_EMPTY;
	struct error error;
	struct slice value;
	if (call->too_much || how->code != 0) {
		describe_failure(call, how, &scratch);
		call_fail(&call->call, false, buffer_slice(&scratch));
	} else if (output_value(call->stdout_form, buffer_slice(&call->printed), &scratch, &value,
	                        &error) != 0) {
		call_fail(&call->call, false, slice_of(error.text));
	} else {
		call_succeed(&call->call, value, SLICE(""));
	}
	buffer_finish(&scratch);
}

static void release(struct exec_call *call)
{
	struct executor *executor = call->call.executor;
	TAILQ_REMOVE(&executor->exec_running, &call->call, waiting);
	executor->exec_running_count--;
	piped_destroy(call->child);
	workdirs_remove(executor->workdirs, call->directory);
	buffer_finish(&call->printed);
	mem_free(call);
}

static void on_ended(void *context, const struct child_exit *how)
{
	struct exec_call *call = context;
	struct executor *executor = call->call.executor;
	if (call->call.abandoned)
		call_forget(&call->call);
	else
		tell_result(call, how);
	release(call);
	if (executor->exec_waiting_count > 0)
		executor_turn(executor);
}

static void on_printed(void *context, struct buffer *input)
{
	struct exec_call *call = context;
	if (call->stdout_form != STDOUT_NONE && !call->too_much)
		buffer_append_slice(&call->printed, buffer_slice(input));
	buffer_consume(input, input->size);
	if (call->too_much || call->printed.size <= call->call.executor->options.output_max)
		return;
	call->too_much = true;
	buffer_finish(&call->printed);
	piped_kill(call->child);
}

/* ---- The start ---- */

static const struct piped_handler handler = {.printed = on_printed, .ended = on_ended};

/* Errors are for people: why it could not be started. */
static int execute(struct exec_call *call, struct error *error)
{
	struct executor *executor = call->call.executor;
	const struct process_settings *settings = &call->process->settings;
	struct slice args = text_slice(call->call.args);
	struct arena arena = {0};
	struct child_options options = {0};
	int result = workdirs_add(executor->workdirs, &call->directory, error);
	if (result == 0)
		result = attachments_place(executor->attachments, settings->files, settings->file_count, call->directory,
		                           error);
	if (result == 0)
		result = command_words(call->process, call->process->settings.exec, call->process->settings.exec_count, args, &arena,
		                       &options.argv, error);
	if (result == 0) {
		const struct environment environment = {call->directory, executor->node_name, call->process->name,
		                                        &call->call.key, settings->env, settings->env_count};
		options.env = command_line_environment(&environment, &arena);
		options.directory = call->directory;
		result = piped_start(executor->loop, executor->children, &options, executor->options.stderr_max,
		                     &handler, call, &call->child, error);
	}
	if (result == 0) {
		const struct slice line[] = {args, SLICE("\n")};
		piped_write(call->child, line, 2);
		piped_finish(call->child);
	}
	arena_finish(&arena);
	return result;
}

static void start(struct exec_call *call)
{
	struct executor *executor = call->call.executor;
	struct error error = {0};
	executor->exec_started++;
	if (execute(call, &error) == 0) {
		TAILQ_INSERT_TAIL(&executor->exec_running, &call->call, waiting);
		executor->exec_running_count++;
		return;
	}
	workdirs_remove(executor->workdirs, call->directory);
	call->directory = NULL;
	call_fail_soon(&call->call, error.text);
}

void exec_pump(struct executor *executor)
{
	struct call *call;
	while (executor->exec_running_count < executor->options.exec_slots
	       && (call = TAILQ_FIRST(&executor->exec_waiting)) != NULL) {
		if (executor->exec_started >= STARTS_PER_TURN) {
			executor_turn(executor);
			return;
		}
		TAILQ_REMOVE(&executor->exec_waiting, call, waiting);
		executor->exec_waiting_count--;
		start(exec_call_of(call));
	}
	if (executor->exec_started > 0)
		executor_turn(executor); /* counts anew */
}

void exec_submit(struct executor *executor, struct executor_key key, const struct definition *process,
                 struct text *args)
{
	struct exec_call *call = mem_zero(sizeof *call);
	call->process = process;
	call->stdout_form = process->settings.stdout_form;
	call_init(&call->call, executor, CALL_EXEC, key, args);
	TAILQ_INSERT_TAIL(&executor->exec_waiting, &call->call, waiting);
	executor->exec_waiting_count++;
	exec_pump(executor);
}

/* ---- Before its end ---- */

void exec_abandon(struct call *call)
{
	struct exec_call *running = exec_call_of(call);
	if (running->child == NULL) {
		TAILQ_REMOVE(&call->executor->exec_waiting, call, waiting);
		call->executor->exec_waiting_count--;
		call_forget(call);
		mem_free(call);
		return;
	}
	piped_terminate(running->child);
	call_start_grace(call);
}

void exec_grace_over(struct call *call)
{
	piped_kill(exec_call_of(call)->child);
}

void exec_destroy_all(struct executor *executor)
{
	struct call *call;
	while ((call = TAILQ_FIRST(&executor->exec_waiting)) != NULL) {
		TAILQ_REMOVE(&executor->exec_waiting, call, waiting);
		call_forget(call);
		mem_free(call);
	}
	while ((call = TAILQ_FIRST(&executor->exec_running)) != NULL) {
		call_forget(call);
		release(exec_call_of(call));
	}
}
