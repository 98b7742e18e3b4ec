#include "command.h"

#include "base/json.h"

#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

/* A command beside a task, on whichever node that runs: it is asked again and again what it has written, and given what stdin has. */

#define PIECE_SIZE (64u << 10)
#define LOOK_MS 10 /* between two times when nothing has come; longer and longer, up to */
#define LOOK_MAX_MS 200
#define EXIT_BY_SIGNAL 128

struct session {
	struct context *context;
	uint64_t allocation;
	uint64_t node;
	uint64_t exec;
	char input[PIECE_SIZE];
	size_t input_size;      /* read, and not taken so far */
	uint64_t input_offset;
	bool input_over;
	uint64_t out_taken;
	uint64_t err_taken;
};

/* What stdin has by now; never waits. */
static void look_at_input(struct session *session)
{
	struct pollfd look = {.fd = STDIN_FILENO, .events = POLLIN};
	if (session->input_over || session->input_size > 0 || poll(&look, 1, 0) != 1)
		return;
	ssize_t size = read(STDIN_FILENO, session->input, sizeof session->input);
	if (size < 0 && (errno == EINTR || errno == EAGAIN))
		return;
	session->input_size = size > 0 ? (size_t)size : 0;
	session->input_over = size <= 0;
}

static bool print_all(FILE *file, struct slice bytes)
{
	return fwrite(bytes.data, 1, bytes.size, file) == bytes.size && fflush(file) == 0;
}

/* What was answered is printed, and stdin moves on. */
static bool take_answer(struct session *session, const struct reply *reply)
{
	const Clusterd__Wire__Exec *exec = reply->response->exec;
	size_t out_size = exec->out_size < reply->payload.size ? exec->out_size : reply->payload.size;
	struct slice out = {reply->payload.data, out_size};
	struct slice err = {reply->payload.data + out_size, reply->payload.size - out_size};
	uint64_t taken = exec->input_taken - session->input_offset;
	session->out_taken = exec->out_offset + out.size;
	session->err_taken = exec->err_offset + err.size;
	if (exec->input_taken > session->input_offset && taken <= session->input_size) {
		memmove(session->input, session->input + taken, session->input_size - (size_t)taken);
		session->input_size -= (size_t)taken;
		session->input_offset = exec->input_taken;
	}
	return print_all(stderr, err) && print_all(stdout, out);
}

static int ask(struct session *session, Clusterd__Wire__Request *request, struct slice payload, struct reply *ret_reply)
{
	struct context *context = session->context;
	int code = client_ask(context->client, request, payload, ret_reply, &context->error);
	if (code == 0 && ret_reply->response->body_case != CLUSTERD__WIRE__RESPONSE__BODY_EXEC) {
		reply_finish(ret_reply);
		code = error_set(&context->error, ERR_INVALID, "the node answers something else than what the command has written");
	}
	return code;
}

static int begin(struct session *session, const struct arguments *arguments, struct reply *ret_reply)
{
	Clusterd__Wire__Request request = CLUSTERD__WIRE__REQUEST__INIT;
	Clusterd__Wire__BeginExec body = CLUSTERD__WIRE__BEGIN_EXEC__INIT;
	body.node = session->node;
	body.allocation = session->allocation;
	body.exec = session->exec;
	body.argv = (char **)(uintptr_t)arguments->rest;
	body.n_argv = (size_t)arguments->rest_count;
	request.body_case = CLUSTERD__WIRE__REQUEST__BODY_BEGIN_EXEC;
	request.begin_exec = &body;
	return ask(session, &request, SLICE(""), ret_reply);
}

static int go_on(struct session *session, bool over, struct reply *ret_reply)
{
	Clusterd__Wire__Request request = CLUSTERD__WIRE__REQUEST__INIT;
	Clusterd__Wire__ContinueExec body = CLUSTERD__WIRE__CONTINUE_EXEC__INIT;
	body.node = session->node;
	body.exec = session->exec;
	body.input_offset = session->input_offset;
	body.input_ended = session->input_over;
	body.out_taken = session->out_taken;
	body.err_taken = session->err_taken;
	body.over = over;
	request.body_case = CLUSTERD__WIRE__REQUEST__BODY_CONTINUE_EXEC;
	request.continue_exec = &body;
	return ask(session, &request, (struct slice){session->input, session->input_size}, ret_reply);
}

static int exit_code_of(const Clusterd__Wire__Exec *exec)
{
	if (exec->exit_signal > 0)
		return EXIT_BY_SIGNAL + (int)exec->exit_signal;
	if (exec->exit_code >= 0)
		return exec->exit_code;
	fprintf(stderr, "clusterctl: %s\n", exec->text);
	return EXIT_FAILED;
}

static int converse(struct session *session, const struct arguments *arguments)
{
	struct context *context = session->context;
	struct reply reply;
	msec wait = LOOK_MS;
	int code = begin(session, arguments, &reply);
	for (;;) {
		if (code != 0)
			return report(context);
		bool quiet = reply.payload.size == 0 && session->input_size == 0;
		if (!take_answer(session, &reply)) {
			reply_finish(&reply);
			fprintf(stderr, "clusterctl: nobody takes what is printed\n");
			return EXIT_FAILED; /* it is killed when nobody asks for it */
		}
		if (reply.response->exec->ended) {
			int ended = exit_code_of(reply.response->exec);
			reply_finish(&reply);
			if (go_on(session, true, &reply) == 0)
				reply_finish(&reply);
			return ended;
		}
		reply_finish(&reply);
		wait = !quiet ? LOOK_MS : wait * 2 < LOOK_MAX_MS ? wait * 2 : LOOK_MAX_MS;
		if (quiet)
			client_idle(context->client, client_clock(context->client) + wait);
		look_at_input(session);
		code = go_on(session, false, &reply);
	}
}

int run_allocation_exec(struct context *context, const struct arguments *arguments)
{
	static struct session session;
	uint64_t id;
	session.context = context;
	if (!parse_number(arguments->values[0], "an allocation", &id))
		return EXIT_USAGE;
	if (arguments->rest_count == 0) {
		fprintf(stderr, "usage: clusterctl allocation exec ID -- COMMAND…\n");
		return EXIT_USAGE;
	}
	while (session.exec == 0)
		if (getrandom(&session.exec, sizeof session.exec, 0) != sizeof session.exec)
			return EXIT_FAILED;
	int code = find_allocation(context, arguments->values[0], &session.allocation, &session.node);
	return code != 0 ? code : converse(&session, arguments);
}
