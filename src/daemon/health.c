/* Looks again and again whether a task is well: a command, a connection, or a question over HTTP. */
#include "daemon/allocations_internal.h"

#include "base/memory.h"
#include "daemon/output.h"
#include "daemon/piped.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#define ANSWER_SIZE 256    /* bytes of an HTTP answer that are looked at: its first line */
#define COMPLAINTS_MAX 200 /* bytes of what a command says */

struct health {
	struct loop *loop;
	struct children *children;
	const struct task_facts *facts;
	const char *directory;
	struct health_handler handler;
	void *context;
	msec since;
	struct loop_timer *timer; /* the next look, or the end of patience with this one */
	bool looking;
	bool known;
	bool healthy;
	uint32_t failures; /* in a row */
	/* One look. */
	struct piped *command;
	bool late;      /* the command was killed for it */
	int connection; /* −1: none */
	struct loop_watch *watch;
	bool connected;
	size_t answer_size;
	char answer[ANSWER_SIZE + 1];
};

static void clean_up(struct health *health)
{
	loop_watch_destroy(health->watch);
	health->watch = NULL;
	if (health->connection >= 0)
		close(health->connection);
	health->connection = -1;
	piped_destroy(health->command);
	health->command = NULL;
}

/* What was looked at, for people. */
static void describe(const struct health *health, struct buffer *out)
{
	const struct job_check *check = &health->facts->check;
	if (check->kind == JOB_CHECK_HTTP)
		buffer_format(out, "GET http://127.0.0.1:%d%.*s", (int)health->facts->check_port,
		              SLICE_ARGS(check->path));
	else if (check->kind == JOB_CHECK_TCP)
		buffer_format(out, "connecting to 127.0.0.1:%d", (int)health->facts->check_port);
	else
		buffer_format(out, "%.*s", SLICE_ARGS(check->exec[0].literal));
}

static void set_healthy(struct health *health, bool healthy)
{
	bool changed = !health->known || health->healthy != healthy;
	health->known = true;
	health->healthy = healthy;
	if (changed)
		health->handler.changed(health->context, healthy);
}

static void succeed(struct health *health)
{
	clean_up(health);
	health->looking = false;
	health->failures = 0;
	loop_timer_set(health->timer, loop_now(health->loop) + health->facts->check.interval);
	set_healthy(health, true);
}

static void fail(struct health *health, const char *why)
{
	msec now = loop_now(health->loop);
	struct buffer text = BUFFER_EMPTY;
	clean_up(health);
	health->looking = false;
	loop_timer_set(health->timer, now + health->facts->check.interval);
	if (now < health->since + health->facts->check.grace)
		return; /* it may still be starting */
	if (++health->failures < health->facts->check.failures) {
		set_healthy(health, false);
		return;
	}
	loop_timer_set(health->timer, MSEC_NEVER);
	describe(health, &text);
	buffer_format(&text, ": %s", why);
	health->handler.unwell(health->context, buffer_string(&text));
	buffer_finish(&text);
}

/* ---- A command ---- */

static void on_printed(void *context, struct buffer *input)
{
	(void)context;
	buffer_consume(input, input->size);
}

static void on_ended(void *context, const struct child_exit *how)
{
	struct health *health = context;
	struct buffer text = BUFFER_EMPTY;
	if (!health->late && !how->not_started && how->code == 0) {
		succeed(health);
		return;
	}
	if (health->late)
		buffer_format(&text, "no end within %lld ms", (long long)health->facts->check.timeout);
	else
		output_exit(&text, how, piped_complaints(health->command));
	fail(health, buffer_string(&text));
	buffer_finish(&text);
}

static void look_by_command(struct health *health)
{
	static const struct piped_handler handler = {.printed = on_printed, .ended = on_ended};
	const struct job_check *check = &health->facts->check;
	struct arena arena = {0};
	struct error error;
	char *work = mem_format("%s/work", health->directory);
	const char **words = arena_alloc(&arena, ((size_t)check->exec_count + 1) * sizeof *words);
	for (uint32_t i = 0; i < check->exec_count; i++)
		words[i] = arena_string(&arena, check->exec[i].literal);
	const struct child_options options = {.argv = words, .env = health->facts->check_env, .directory = work};
	health->late = false;
	int code = piped_start(health->loop, health->children, &options, COMPLAINTS_MAX, &handler, health,
	                       &health->command, &error);
	if (code == 0)
		piped_finish(health->command);
	arena_finish(&arena);
	mem_free(work);
	if (code != 0)
		fail(health, error.text);
}

/* ---- A connection ---- */

/* "HTTP/1.1 204 …": 200 to 399 is well. */
static void judge_answer(struct health *health)
{
	int status;
	char text[64];
	health->answer[health->answer_size] = '\0';
	if (sscanf(health->answer, "HTTP/%*d.%*d %d", &status) != 1) {
		fail(health, "the answer is not HTTP");
	} else if (status < 200 || status > 399) {
		snprintf(text, sizeof text, "status %d", status);
		fail(health, text);
	} else {
		succeed(health);
	}
}

static void take_answer(struct health *health)
{
	size_t room = ANSWER_SIZE - health->answer_size;
	ssize_t size = recv(health->connection, health->answer + health->answer_size, room, MSG_DONTWAIT);
	if (size < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (size < 0) {
		fail(health, strerror(errno));
		return;
	}
	health->answer_size += (size_t)size;
	if (size == 0 || health->answer_size == ANSWER_SIZE ||
	    memchr(health->answer, '\n', health->answer_size) != NULL)
		judge_answer(health);
}

static void ask(struct health *health)
{
	struct buffer request = BUFFER_EMPTY;
	buffer_format(&request,
	              "GET %.*s HTTP/1.1\r\nHost: 127.0.0.1:%d\r\nUser-Agent: clusterd\r\nConnection: close\r\n\r\n",
	              SLICE_ARGS(health->facts->check.path), (int)health->facts->check_port);
	ssize_t size = send(health->connection, request.data, request.size, MSG_NOSIGNAL | MSG_DONTWAIT);
	bool sent = size == (ssize_t)request.size;
	buffer_finish(&request);
	if (!sent)
		fail(health, size < 0 ? strerror(errno) : "it does not read");
	else
		loop_watch_set(health->watch, true, false);
}

static void on_connection(void *context, bool readable, bool writable)
{
	struct health *health = context;
	int failure = 0;
	socklen_t size = sizeof failure;
	(void)writable;
	if (health->connected) {
		if (readable)
			take_answer(health);
		return;
	}
	health->connected = true;
	getsockopt(health->connection, SOL_SOCKET, SO_ERROR, &failure, &size);
	if (failure != 0)
		fail(health, strerror(failure));
	else if (health->facts->check.kind == JOB_CHECK_TCP)
		succeed(health);
	else
		ask(health);
}

static void look_by_connection(struct health *health)
{
	struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(health->facts->check_port)};
	address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	health->connected = false;
	health->answer_size = 0;
	health->connection = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (health->connection < 0 ||
	    (connect(health->connection, (struct sockaddr *)&address, sizeof address) != 0 && errno != EINPROGRESS)) {
		fail(health, strerror(errno));
		return;
	}
	health->watch = loop_watch_create(health->loop, health->connection, on_connection, health);
	loop_watch_set(health->watch, false, true);
}

/* ---- Time ---- */

static void on_timer(void *context)
{
	struct health *health = context;
	char text[64];
	if (!health->looking) {
		health->looking = true;
		loop_timer_set(health->timer, loop_now(health->loop) + health->facts->check.timeout);
		if (health->facts->check.kind == JOB_CHECK_EXEC)
			look_by_command(health);
		else
			look_by_connection(health);
	} else if (health->command != NULL) {
		health->late = true;
		piped_kill(health->command); /* its end follows */
	} else {
		snprintf(text, sizeof text, "no answer within %lld ms", (long long)health->facts->check.timeout);
		fail(health, text);
	}
}

struct health *health_create(struct loop *loop, struct children *children, const struct task_facts *facts,
                             const char *directory, msec since, const struct health_handler *handler, void *context)
{
	if (facts->check.kind == JOB_CHECK_NONE ||
	    (facts->check.kind == JOB_CHECK_EXEC && facts->check.exec_count == 0))
		return NULL;
	struct health *health = mem_zero(sizeof *health);
	health->loop = loop;
	health->children = children;
	health->facts = facts;
	health->directory = directory;
	health->handler = *handler;
	health->context = context;
	health->since = since;
	health->connection = -1;
	health->timer = loop_timer_create(loop, on_timer, health);
	loop_timer_set(health->timer, loop_now(loop));
	return health;
}

void health_destroy(struct health *health)
{
	if (health == NULL)
		return;
	clean_up(health);
	loop_timer_destroy(health->timer);
	mem_free(health);
}
