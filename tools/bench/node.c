#include "node.h"

#include "base/buffer.h"
#include "base/memory.h"
#include "client/request.h"
#include "process.h"
#include "wire/content.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define START_PATIENCE_MS 120000
#define ANSWER_PATIENCE_MS 60000
#define OTHER_PATIENCE_MS 1000
#define END_PATIENCE_MS 10000
#define DYING_MS 500
#define ARGUMENTS_MAX 32
#define LAST_WORDS 2000 /* bytes of its messages that are shown when it ended unasked */

struct node {
	pid_t child;
	struct status status;
	double start_ms;
	char *directory;
	char *address;
	char *messages; /* path of the file that its stderr goes to */
};

/* --- starting ----------------------------------------------------------------------------------------------------- */

static void run_program(const char *program, const struct node *node, const char *const *arguments, pid_t parent)
{
	const char *argv[ARGUMENTS_MAX] = {program,  "--data-dir", node->directory,   "--listen", "127.0.0.1:0",
	                                   "--name", "bench",      "--drain-timeout", "0ms"};
	size_t count = 9;
	int messages = open(node->messages, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
	for (; arguments != NULL && *arguments != NULL && count + 1 < ARGUMENTS_MAX; arguments++)
		argv[count++] = *arguments;
	if (!process_dies_with(parent) || messages < 0 || dup2(messages, STDOUT_FILENO) < 0 ||
	    dup2(messages, STDERR_FILENO) < 0)
		_exit(126);
	execv(program, (char *const *)(uintptr_t)argv);
	dprintf(STDERR_FILENO, "%s cannot be run: %s\n", program, strerror(errno));
	_exit(127);
}

/* The last line that it wrote. */
static void last_words(const struct node *node, int status, struct error *error)
{
	char text[LAST_WORDS + 1] = "";
	size_t size = 0;
	FILE *file = fopen(node->messages, "re");
	if (file != NULL) {
		if (fseek(file, -LAST_WORDS, SEEK_END) != 0)
			rewind(file);
		size = fread(text, 1, LAST_WORDS, file);
		fclose(file);
	}
	while (size > 0 && text[size - 1] == '\n')
		size--;
	text[size] = '\0';
	const char *line = strrchr(text, '\n');
	error_set(error, ERR_CLOSED, "clusterd ended (%s %d); its last words: %s",
	          WIFSIGNALED(status) ? "signal" : "exit code",
	          WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status), line != NULL ? line + 1 : text);
}

bool node_has_ended(struct node *node, struct error *error)
{
	int status = 0;
	double until = clock_us() + DYING_MS * 1e3;
	/* Its connections close a little before it can be waited for. */
	do {
		if (node->child == 0 || waitpid(node->child, &status, WNOHANG) != 0) {
			if (node->child != 0)
				last_words(node, status, error);
			node->child = 0;
			return true;
		}
		pause_us(1000);
	} while (clock_us() < until);
	return false;
}

static char *read_endpoint(const struct node *node)
{
	char line[128] = "";
	char *path = mem_format("%s/endpoint", node->directory);
	FILE *file = fopen(path, "re");
	mem_free(path);
	if (file == NULL)
		return NULL;
	bool whole = fgets(line, sizeof line, file) != NULL && strchr(line, '\n') != NULL;
	fclose(file);
	line[strcspn(line, "\n")] = '\0';
	return whole ? mem_string(line) : NULL;
}

static int ask(const char *address, Clusterd__Wire__Request *request, msec patience, struct buffer *ret_payload,
               struct error *error)
{
	struct clusterd_client_options options = CLUSTERD_CLIENT_OPTIONS;
	struct clusterd_client *client;
	struct clusterd_reply *reply = NULL;
	struct clusterd_error failure;
	options.addresses = address;
	options.name = "clusterd-bench";
	options.token = getenv("CLUSTERD_TOKEN");
	if (clusterd_client_create(&options, &client, &failure) != 0)
		return error_set(error, failure.code, "%s", failure.text);
	int code = request_ask(client, request, SLICE(""), (int)patience, &reply, error);
	if (code == 0)
		buffer_append_slice(ret_payload, buffer_slice(&reply->payload));
	clusterd_reply_destroy(reply);
	clusterd_client_destroy(client);
	return code;
}

static int ask_status(struct node *node, bool wait_ready, msec patience, struct error *error)
{
	Clusterd__Wire__Request request = CLUSTERD__WIRE__REQUEST__INIT;
	Clusterd__Wire__Status body = CLUSTERD__WIRE__STATUS__INIT;
	struct buffer json = BUFFER_EMPTY;
	body.wait_ready = wait_ready;
	request.body_case = CLUSTERD__WIRE__REQUEST__BODY_STATUS;
	request.status = &body;
	int code = ask(node->address, &request, patience, &json, error);
	double now_us = clock_us();
	if (code == 0)
		code = status_parse(buffer_slice(&json), &node->status, error);
	if (wait_ready)
		node->start_ms = now_us / 1e3 - node->start_ms;
	buffer_finish(&json);
	return code;
}

static int await_listening(struct node *node, struct error *error)
{
	siginfo_t info = {0};
	double until = clock_us() + START_PATIENCE_MS * 1e3;
	while ((node->address = read_endpoint(node)) == NULL) {
		if (waitid(P_PID, (id_t)node->child, &info, WEXITED | WNOHANG | WNOWAIT) == 0 && info.si_pid != 0 &&
		    node_has_ended(node, error))
			return ERR_CLOSED;
		if (clock_us() > until)
			return error_set(error, ERR_TIMEOUT, "clusterd did not listen in %d ms", START_PATIENCE_MS);
		pause_us(200);
	}
	return 0;
}

static int await_ready(struct node *node, struct error *error)
{
	int code = ask_status(node, true, START_PATIENCE_MS, error);
	if (code != 0 && node_has_ended(node, error))
		return ERR_CLOSED;
	return code;
}

/* Returns when it listens. */
static int launch(const char *program, const char *directory, const char *const *arguments, struct node **ret_node,
                  struct error *error)
{
	struct node *node = mem_zero(sizeof *node);
	pid_t self = getpid();
	node->directory = mem_string(directory);
	node->messages = mem_format("%s.messages", directory);
	char *endpoint = mem_format("%s/endpoint", directory);
	unlink(endpoint); /* of its former life */
	mem_free(endpoint);
	node->start_ms = clock_us() / 1e3;
	node->child = fork();
	if (node->child == 0)
		run_program(program, node, arguments, self);
	int code = node->child < 0 ? error_set(error, ERR_IO, "clusterd cannot be started: %s", strerror(errno))
	                           : await_listening(node, error);
	if (code != 0) {
		node_kill(node);
		return code;
	}
	*ret_node = node;
	return 0;
}

int node_start(const char *program, const char *directory, const char *const *arguments, struct node **ret_node,
               struct error *error)
{
	struct node *node = NULL;
	int code = launch(program, directory, arguments, &node, error);
	if (code == 0)
		code = await_ready(node, error);
	if (code != 0) {
		node_kill(node);
		return code;
	}
	*ret_node = node;
	return 0;
}

/* A secret that is new, and for who runs this alone. */
static int write_secret(const char *path, struct error *error)
{
	unsigned char bytes[32];
	int file = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	bool done = file >= 0 && getrandom(bytes, sizeof bytes, 0) == (ssize_t)sizeof bytes;
	for (size_t i = 0; done && i < sizeof bytes; i++)
		done = dprintf(file, "%02x", bytes[i]) == 2;
	if (file >= 0)
		close(file);
	return done ? 0 : error_set(error, ERR_IO, "%s cannot be written: %s", path, strerror(errno));
}

static int take_token(const struct node *node, struct error *error)
{
	char token[256] = "";
	char *path = mem_format("%s/token", node->directory);
	FILE *file = fopen(path, "re");
	bool found = file != NULL && fgets(token, sizeof token, file) != NULL;
	if (file != NULL)
		fclose(file);
	token[strcspn(token, "\n")] = '\0';
	int code = found && setenv("CLUSTERD_TOKEN", token, 1) == 0 ? 0 : error_set(error, ERR_IO, "%s cannot be read", path);
	mem_free(path);
	return code;
}

int node_start_group(const char *program, const char *directory, struct node *ret_nodes[NODE_GROUP], struct error *error)
{
	struct node *nodes[NODE_GROUP] = {NULL};
	char *secret = mem_format("%s.secret", directory);
	int code = write_secret(secret, error);
	for (int i = 0; i < NODE_GROUP && code == 0; i++) {
		char name[] = {(char)('a' + i), '\0'};
		char *own = mem_format("%s-%s", directory, name);
		const char *join = i > 0 ? node_address(nodes[0]) : NULL;
		const char *const arguments[] = {"--name", name, "--secret-file", secret, "--expect", "3", /* NODE_GROUP */
		                                 join != NULL ? "--join" : NULL, join, NULL};
		code = launch(program, own, arguments, &nodes[i], error);
		mem_free(own);
		if (code == 0 && i == 0)
			code = take_token(nodes[0], error);
	}
	for (int i = 0; i < NODE_GROUP && code == 0; i++)
		code = await_ready(nodes[i], error);
	for (int i = 0; i < NODE_GROUP; i++) {
		if (code != 0)
			node_kill(nodes[i]);
		else
			ret_nodes[i] = nodes[i];
	}
	mem_free(secret);
	return code;
}

/* --- using -------------------------------------------------------------------------------------------------------- */

double node_start_ms(const struct node *node)
{
	return node->start_ms;
}

const char *node_address(const struct node *node)
{
	return node->address;
}

pid_t node_pid(const struct node *node)
{
	return (pid_t)node->status.pid;
}

int node_status(struct node *node, struct status *ret_status, struct error *error)
{
	int code = ask_status(node, false, ANSWER_PATIENCE_MS, error);
	if (code == 0)
		*ret_status = node->status;
	else
		node_has_ended(node, error);
	return code;
}

int node_status_at(const char *address, struct status *ret_status, struct error *error)
{
	Clusterd__Wire__Request request = CLUSTERD__WIRE__REQUEST__INIT;
	Clusterd__Wire__Status body = CLUSTERD__WIRE__STATUS__INIT;
	struct buffer json = BUFFER_EMPTY;
	request.body_case = CLUSTERD__WIRE__REQUEST__BODY_STATUS;
	request.status = &body;
	int code = ask(address, &request, OTHER_PATIENCE_MS, &json, error);
	if (code == 0)
		code = status_parse(buffer_slice(&json), ret_status, error);
	buffer_finish(&json);
	return code;
}

int node_register(struct node *node, const struct node_file *source, const struct node_file *attachment,
                  struct error *error)
{
	Clusterd__Wire__Request request = CLUSTERD__WIRE__REQUEST__INIT;
	Clusterd__Wire__Register body = CLUSTERD__WIRE__REGISTER__INIT;
	Clusterd__Wire__SourceFile file = CLUSTERD__WIRE__SOURCE_FILE__INIT;
	Clusterd__Wire__SourceFile *files[1] = {&file};
	Clusterd__Wire__Attachment attached = CLUSTERD__WIRE__ATTACHMENT__INIT;
	Clusterd__Wire__Attachment *attachments[1] = {&attached};
	char hash[CONTENT_HASH_SIZE];
	struct buffer json = BUFFER_EMPTY;
	file.path = (char *)(uintptr_t)source->path;
	file.text.data = (uint8_t *)(uintptr_t)source->content.data;
	file.text.len = source->content.size;
	body.files = files;
	body.n_files = 1;
	if (attachment != NULL) {
		content_hash(attachment->content, hash);
		attached.path = (char *)(uintptr_t)attachment->path;
		attached.hash = hash;
		attached.content.data = (uint8_t *)(uintptr_t)attachment->content.data;
		attached.content.len = attachment->content.size;
		body.attachments = attachments;
		body.n_attachments = 1;
	}
	request.body_case = CLUSTERD__WIRE__REQUEST__BODY_REGISTER;
	request.register_ = &body;
	int code = ask(node->address, &request, ANSWER_PATIENCE_MS, &json, error);
	buffer_finish(&json);
	return code;
}

/* --- ending ------------------------------------------------------------------------------------------------------- */

static void end(struct node *node, int signal)
{
	if (node == NULL)
		return;
	if (node->child > 0)
		process_end(node->child, signal, END_PATIENCE_MS);
	if (node->child > 0 && node->status.pid != 0 && node_pid(node) != node->child)
		kill(node_pid(node), SIGKILL); /* what a script has left behind */
	mem_free(node->directory);
	mem_free(node->address);
	mem_free(node->messages);
	mem_free(node);
}

void node_stop(struct node *node)
{
	end(node, SIGTERM);
}

void node_kill(struct node *node)
{
	end(node, SIGKILL);
}

void node_forget_catalog(const char *directory)
{
	static const char *const suffixes[] = {"", "-wal", "-shm", "-journal"};
	for (size_t i = 0; i < sizeof suffixes / sizeof suffixes[0]; i++) {
		char *path = mem_format("%s/catalog.db%s", directory, suffixes[i]);
		unlink(path);
		mem_free(path);
	}
}
