#include "command.h"

#include "base/memory.h"
#include "client/clusterd_streams.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/queue.h>
#include <sys/wait.h>
#include <unistd.h>

/* A service that a command answers: each request is a line on its stdin, and each line of its stdout answers the oldest one. */

#define READ_SIZE (64u << 10)
#define ANSWER_MAX (16u << 20)

struct asked {
	STAILQ_ENTRY(asked) entry;
	struct clusterd_service_request *request;
};

struct server {
	struct context *context;
	struct clusterd_client *client;
	struct clusterd_service *service;
	STAILQ_HEAD(asked_list, asked) asked;
	struct buffer to_child;
	struct buffer from_child;
	int child_in;
	int child_out;
	pid_t child;
	bool listed;
	bool over;
	struct clusterd_error error;
};

/* --- requests ------------------------------------------------------------------------------------------------------ */

static void called(void *context, struct clusterd_service_request *request)
{
	struct server *server = context;
	size_t size;
	const char *data = clusterd_service_request_data(request, &size);
	if (memchr(data, '\n', size) != NULL) {
		clusterd_service_refuse(request, "a request is one line");
		return;
	}
	struct asked *asked = mem_zero(sizeof *asked);
	asked->request = request;
	STAILQ_INSERT_TAIL(&server->asked, asked, entry);
	buffer_append(&server->to_child, data, size);
	buffer_append_char(&server->to_child, '\n');
}

static void told(void *context, const struct clusterd_error *error)
{
	struct server *server = context;
	if (error == NULL && !server->listed) {
		server->listed = true;
		fprintf(stderr, "announced at %s\n", clusterd_service_address(server->service));
	} else if (error != NULL && !server->listed) {
		server->error = *error;
		server->over = true;
	}
}

static void answer(struct server *server, struct slice line)
{
	struct asked *asked = STAILQ_FIRST(&server->asked);
	if (asked == NULL) {
		fprintf(stderr, "clusterctl: a line that answers nothing: %.*s\n",
		        line.size < 100 ? (int)line.size : 100, line.data);
		return;
	}
	clusterd_service_answer(asked->request, line.data, line.size);
	STAILQ_REMOVE_HEAD(&server->asked, entry);
	mem_free(asked);
}

/* --- the command --------------------------------------------------------------------------------------------------- */

static bool start_child(struct server *server, const char *const *argv)
{
	int in[2];
	int out[2];
	pid_t parent = getpid();
	if (pipe2(in, O_CLOEXEC) != 0 || pipe2(out, O_CLOEXEC) != 0)
		return false;
	server->child = fork();
	if (server->child == 0) {
		dup2(in[0], STDIN_FILENO);
		dup2(out[1], STDOUT_FILENO);
		signal(SIGPIPE, SIG_DFL);
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		if (getppid() != parent)
			_exit(1);
		execvp(argv[0], (char *const *)(uintptr_t)argv);
		fprintf(stderr, "clusterctl: %s cannot be run: %s\n", argv[0], strerror(errno));
		_exit(127);
	}
	close(in[0]);
	close(out[1]);
	server->child_in = in[1];
	server->child_out = out[0];
	fcntl(server->child_in, F_SETFL, O_NONBLOCK);
	return server->child > 0;
}

static void write_to_child(struct server *server)
{
	ssize_t written = write(server->child_in, server->to_child.data, server->to_child.size);
	if (written > 0)
		buffer_consume(&server->to_child, (size_t)written);
}

static void read_from_child(struct server *server)
{
	struct buffer *input = &server->from_child;
	ssize_t got = read(server->child_out, buffer_reserve(input, READ_SIZE), READ_SIZE);
	const char *newline;
	if (got < 0 && errno == EINTR)
		return;
	if (got <= 0 || input->size > ANSWER_MAX) {
		server->over = true;
		return;
	}
	input->size += (size_t)got;
	while (input->size != 0 && (newline = memchr(input->data, '\n', input->size)) != NULL) {
		size_t size = (size_t)(newline - input->data);
		answer(server, (struct slice){input->data, size});
		buffer_consume(input, size + 1);
	}
}

static int end_child(struct server *server)
{
	int status = 0;
	close(server->child_in);
	close(server->child_out);
	kill(server->child, SIGTERM);
	while (waitpid(server->child, &status, 0) < 0 && errno == EINTR)
		;
	return WIFEXITED(status) ? WEXITSTATUS(status) : EXIT_FAILED;
}

static void serve(struct server *server)
{
	while (!server->over) {
		struct pollfd waits[3] = {{clusterd_client_descriptor(server->client), POLLIN, 0},
		                          {server->child_out, POLLIN, 0},
		                          {server->to_child.size != 0 ? server->child_in : -1, POLLOUT, 0}};
		poll(waits, 3, clusterd_client_timeout_ms(server->client));
		clusterd_client_dispatch(server->client);
		if (waits[1].revents != 0)
			read_from_child(server);
		if (server->to_child.size != 0)
			write_to_child(server);
	}
}

/* flags: --schema, --listen, --advertise */
int run_service_announce(struct context *context, const struct arguments *arguments)
{
	struct clusterd_service_options options = CLUSTERD_SERVICE_OPTIONS;
	struct server server = {.context = context};
	STAILQ_INIT(&server.asked);
	if (arguments->rest_count == 0) {
		fprintf(stderr, "clusterctl: behind \"--\" comes the command that answers\n");
		return EXIT_USAGE;
	}
	int code = need_client(context);
	if (code != 0)
		return code;
	signal(SIGPIPE, SIG_IGN);
	server.client = client_library(context->client);
	options.topic = arguments->values[0];
	options.schema = arguments->flags[0];
	options.listen = arguments->flags[1];
	options.advertise = arguments->flags[2];
	options.called = called;
	options.told = told;
	options.context = &server;
	if (clusterd_service_announce(server.client, &options, &server.service, &server.error) != 0)
		return report_failure(context, &server.error);
	if (!start_child(&server, arguments->rest)) {
		fprintf(stderr, "clusterctl: no process can be started: %s\n", strerror(errno));
		return EXIT_FAILED;
	}
	serve(&server);
	clusterd_service_destroy(server.service);
	code = end_child(&server);
	while (!STAILQ_EMPTY(&server.asked)) {
		struct asked *asked = STAILQ_FIRST(&server.asked);
		STAILQ_REMOVE_HEAD(&server.asked, entry);
		mem_free(asked);
	}
	buffer_finish(&server.to_child);
	buffer_finish(&server.from_child);
	return server.error.code != 0 ? report_failure(context, &server.error) : code;
}

/* --- calling ------------------------------------------------------------------------------------------------------- */

/* flags: --schema, --wait */
int run_service_call(struct context *context, const struct arguments *arguments)
{
	struct clusterd_binding_options options = CLUSTERD_BINDING_OPTIONS;
	struct clusterd_binding *binding;
	struct clusterd_error error;
	const char *request = arguments->value_count > 1 ? arguments->values[1] : "null";
	char *result = NULL;
	size_t size = 0;
	int code = need_client(context);
	if (code != 0)
		return code;
	options.topic = arguments->values[0];
	options.schema = arguments->flags[0];
	options.wait = arguments->flags[1] != NULL;
	code = clusterd_service_bind(client_library(context->client), &options, &binding, &error);
	if (code != 0)
		return report_failure(context, &error);
	code = clusterd_service_call(binding, request, strlen(request), &result, &size, timeout_of(context), &error);
	clusterd_binding_destroy(binding);
	if (code != 0)
		return report_failure(context, &error);
	fwrite(result, 1, size, stdout);
	putchar('\n');
	clusterd_free(result);
	return EXIT_DONE;
}
