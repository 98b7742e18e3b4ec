#include "daemon/guests.h"

#include "base/arena.h"
#include "base/memory.h"
#include "net/child.h"
#include "net/stream.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include <uthash.h>

#define SWEEP_MS 1000
#define ENVIRONMENT_MAX (1u << 20) /* bytes */
#define WORDS_MAX 4096u

/* stdout or stderr. */
struct flow {
	struct guest *guest;
	struct stream *stream; /* NULL: it has ended */
	struct buffer bytes;   /* that were not taken so far */
	uint64_t first;        /* bytes before them */
};

struct guest {
	uint64_t id; /* drawn by the client */
	struct guests *guests;
	uint64_t connection;
	struct child *child; /* NULL: it has ended */
	struct stream *input; /* NULL: it is closed */
	uint64_t input_taken;
	bool input_ended;
	struct flow out;
	struct flow err;
	bool exited;
	struct child_exit how;
	msec heard;
	UT_hash_handle hh;
};

struct guests {
	struct loop *loop;
	const struct allocations *allocations;
	guests_answer *answer;
	void *context;
	struct children *children;
	struct loop_timer *sweep;
	struct guest *all;
};

/* --- one ----------------------------------------------------------------------------------------------------------- */

static void guest_destroy(struct guest *guest)
{
	HASH_DELETE(hh, guest->guests->all, guest);
	stream_destroy(guest->input);
	stream_destroy(guest->out.stream);
	stream_destroy(guest->err.stream);
	if (guest->child != NULL)
		child_destroy(guest->child);
	buffer_finish(&guest->out.bytes);
	buffer_finish(&guest->err.bytes);
	mem_free(guest);
}

static void flow_readable(void *context, struct stream *stream, struct buffer *input)
{
	struct flow *flow = context;
	size_t room = flow->bytes.size < GUEST_PIECE_MAX ? GUEST_PIECE_MAX - flow->bytes.size : 0;
	size_t size = input->size < room ? input->size : room;
	buffer_append_slice(&flow->bytes, (struct slice){input->data, size});
	buffer_consume(input, size);
	if (flow->bytes.size >= GUEST_PIECE_MAX)
		stream_set_reading(stream, false);
}

static void flow_closed(void *context, struct stream *stream, const char *reason)
{
	struct flow *flow = context;
	(void)reason;
	flow->stream = NULL;
	stream_destroy(stream);
}

static const struct stream_handler flow_handler = {flow_readable, flow_closed, NULL};

static void input_readable(void *context, struct stream *stream, struct buffer *input)
{
	(void)context, (void)stream;
	buffer_consume(input, input->size);
}

static void input_closed(void *context, struct stream *stream, const char *reason)
{
	struct guest *guest = context;
	(void)reason;
	guest->input = NULL;
	stream_destroy(stream);
}

static const struct stream_handler input_handler = {input_readable, input_closed, NULL};

static void child_has_exited(void *context, const struct child_exit *how)
{
	struct guest *guest = context;
	guest->exited = true;
	guest->how = *how;
	guest->child = NULL;
}

/* Up to `taken` it is with the client. */
static void flow_take(struct flow *flow, uint64_t taken)
{
	if (taken <= flow->first || taken - flow->first > flow->bytes.size)
		return;
	buffer_consume(&flow->bytes, (size_t)(taken - flow->first));
	flow->first = taken;
	if (flow->stream != NULL && flow->bytes.size < GUEST_PIECE_MAX)
		stream_set_reading(flow->stream, true);
}

/* --- answers ------------------------------------------------------------------------------------------------------- */

static void refuse(struct guests *guests, uint64_t connection, uint32_t stream, const struct error *cause)
{
	Clusterd__Wire__Response response = CLUSTERD__WIRE__RESPONSE__INIT;
	Clusterd__Wire__Error error = CLUSTERD__WIRE__ERROR__INIT;
	error.code = cause->code;
	error.text = (char *)(uintptr_t)cause->text;
	response.error = &error;
	guests->answer(guests->context, connection, stream, &response, SLICE(""));
}

static void answer(const struct guest *guest, uint64_t connection, uint32_t stream)
{
	struct guests *guests = guest->guests;
	Clusterd__Wire__Response response = CLUSTERD__WIRE__RESPONSE__INIT;
	Clusterd__Wire__Exec body = CLUSTERD__WIRE__EXEC__INIT;
	struct buffer bytes = BUFFER_EMPTY;
	body.input_taken = guest->input_taken;
	body.out_offset = guest->out.first;
	body.err_offset = guest->err.first;
	body.out_size = (uint32_t)guest->out.bytes.size;
	body.ended = guest->exited && guest->out.stream == NULL && guest->err.stream == NULL;
	body.exit_code = guest->how.code;
	body.exit_signal = (uint32_t)guest->how.signal;
	body.text = (char *)(uintptr_t)guest->how.text;
	response.body_case = CLUSTERD__WIRE__RESPONSE__BODY_EXEC;
	response.exec = &body;
	buffer_append_slice(&bytes, buffer_slice(&guest->out.bytes));
	buffer_append_slice(&bytes, buffer_slice(&guest->err.bytes));
	guests->answer(guests->context, connection, stream, &response, buffer_slice(&bytes));
	buffer_finish(&bytes);
}

/* --- beginning ----------------------------------------------------------------------------------------------------- */

/* The environment that the task was begun with, "NAME=value" each. */
static int read_environment(int pid, struct arena *arena, const char *const **ret_env, struct error *error)
{
	char path[64];
	struct buffer text = BUFFER_EMPTY;
	ssize_t size = 1;
	size_t count = 0;
	snprintf(path, sizeof path, "/proc/%d/environ", pid);
	int file = open(path, O_RDONLY | O_CLOEXEC);
	while (file >= 0 && size > 0 && text.size < ENVIRONMENT_MAX) {
		size = read(file, buffer_reserve(&text, 65536), 65536);
		text.size += size > 0 ? (size_t)size : 0;
	}
	int code = file >= 0 && size == 0 ? 0 : error_set(error, ERR_CONFLICT, "the task has just ended");
	if (file >= 0)
		close(file);
	const char *copy = arena_string(arena, buffer_slice(&text));
	for (size_t i = 0; i < text.size; i++)
		count += copy[i] == '\0';
	const char **env = arena_alloc(arena, (count + 1) * sizeof *env);
	count = 0;
	for (size_t at = 0; code == 0 && at < text.size; at += strlen(copy + at) + 1)
		env[count++] = copy + at;
	env[count] = NULL;
	*ret_env = env;
	buffer_finish(&text);
	return code;
}

/* The file by which one joins the control group of a process; false: it is in none of its own. */
static bool find_group(int pid, char *ret_path, size_t size)
{
	char path[64];
	char line[PATH_MAX] = "";
	char own[PATH_MAX] = "";
	for (int i = 0; i < 2; i++) {
		snprintf(path, sizeof path, i == 0 ? "/proc/%d/cgroup" : "/proc/self/cgroup", pid);
		FILE *file = fopen(path, "re");
		char *into = i == 0 ? line : own;
		while (file != NULL && fgets(into, PATH_MAX, file) != NULL && strncmp(into, "0::", 3) != 0)
			into[0] = '\0';
		if (file != NULL)
			fclose(file);
		into[strcspn(into, "\n")] = '\0';
	}
	if (strncmp(line, "0::/", 4) != 0 || strcmp(line, own) == 0)
		return false;
	snprintf(ret_path, size, "/sys/fs/cgroup%.3000s/cgroup.procs", line + 3);
	return access(ret_path, W_OK) == 0;
}

/* A shell joins the group and becomes the command; so what cannot be run ends with 127 or 126 everywhere. */
static const char *const *words_of(const Clusterd__Wire__BeginExec *body, const char *group, struct arena *arena)
{
	const char **words = arena_alloc(arena, (body->n_argv + 5) * sizeof *words);
	size_t count = 0;
	words[count++] = "/bin/sh";
	words[count++] = "-c";
	words[count++] = group != NULL ? "echo 0 2>/dev/null >\"$0\"; exec \"$@\"" : "exec \"$@\"";
	words[count++] = group != NULL ? group : "sh";
	for (size_t i = 0; i < body->n_argv; i++)
		words[count++] = body->argv[i];
	words[count] = NULL;
	return words;
}

static int start(struct guest *guest, const Clusterd__Wire__BeginExec *body, struct error *error)
{
	struct guests *guests = guest->guests;
	struct arena arena = {0};
	char directory[PATH_MAX];
	char work[PATH_MAX + 8];
	char group[PATH_MAX];
	const char *const *env = NULL;
	int descriptors[3];
	int pid;
	int code = allocations_find_process(guests->allocations, body->allocation, directory, sizeof directory, &pid, error);
	if (code == 0)
		code = read_environment(pid, &arena, &env, error);
	if (code == 0) {
		snprintf(work, sizeof work, "%s/work", directory);
		bool grouped = find_group(pid, group, sizeof group);
		struct child_options options = {
			.argv = words_of(body, grouped ? group : NULL, &arena),
			.env = env,
			.directory = work,
			.without_group = true,
		};
		code = child_start(guests->children, &options, child_has_exited, guest, descriptors, &guest->child, error);
	}
	if (code == 0) {
		guest->input = stream_create(guests->loop, descriptors[0], &input_handler, guest);
		guest->out.stream = stream_create(guests->loop, descriptors[1], &flow_handler, &guest->out);
		guest->err.stream = stream_create(guests->loop, descriptors[2], &flow_handler, &guest->err);
	}
	arena_finish(&arena);
	return code;
}

static struct guest *find(const struct guests *guests, uint64_t id)
{
	struct guest *guest;
	HASH_FIND(hh, guests->all, &id, sizeof id, guest);
	return guest;
}

static void begin(struct guests *guests, uint64_t connection, uint32_t stream, const Clusterd__Wire__BeginExec *body)
{
	struct error error = {0};
	struct guest *guest = find(guests, body->exec);
	if (guest != NULL && guest->connection == connection) {
		answer(guest, connection, stream); /* asked again, since the answer was lost */
		return;
	}
	if (guest != NULL || body->exec == 0)
		error_set(&error, ERR_INVALID, "this number cannot be used");
	else if (body->n_argv == 0 || body->n_argv > WORDS_MAX)
		error_set(&error, ERR_LIMIT, "a command has 1 to %u words, not %zu", WORDS_MAX, body->n_argv);
	else if (HASH_COUNT(guests->all) >= GUESTS_MAX)
		error_set(&error, ERR_LIMIT, "%u commands run beside tasks on this node already, the limit", GUESTS_MAX);
	if (error.code != 0) {
		refuse(guests, connection, stream, &error);
		return;
	}
	guest = mem_zero(sizeof *guest);
	guest->id = body->exec;
	guest->guests = guests;
	guest->connection = connection;
	guest->heard = loop_now(guests->loop);
	guest->out.guest = guest->err.guest = guest;
	if (guests->all == NULL)
		loop_timer_set(guests->sweep, guest->heard + SWEEP_MS);
	HASH_ADD(hh, guests->all, id, sizeof guest->id, guest);
	if (start(guest, body, &error) == 0) {
		answer(guest, connection, stream);
		return;
	}
	guest_destroy(guest);
	refuse(guests, connection, stream, &error);
}

/* --- going on ------------------------------------------------------------------------------------------------------ */

static void take_input(struct guest *guest, const Clusterd__Wire__ContinueExec *body, struct slice payload)
{
	if (body->input_offset != guest->input_taken || guest->input_ended)
		return; /* it was taken already */
	if (guest->input != NULL && stream_queued(guest->input) + payload.size > GUEST_PIECE_MAX)
		return; /* the command does not read it: later */
	if (guest->input != NULL && payload.size > 0)
		stream_write(guest->input, payload.data, payload.size);
	guest->input_taken += payload.size;
	guest->input_ended = body->input_ended != 0;
	if (guest->input_ended && guest->input != NULL)
		stream_finish(guest->input);
}

static void go_on(struct guests *guests, uint64_t connection, uint32_t stream, const Clusterd__Wire__ContinueExec *body,
                  struct slice payload)
{
	struct error error = {0};
	struct guest *guest = find(guests, body->exec);
	if (guest == NULL || guest->connection != connection) {
		error_set(&error, ERR_NOT_FOUND, "the command is not there any more: nobody has asked for it in time");
		refuse(guests, connection, stream, &error);
		return;
	}
	guest->heard = loop_now(guests->loop);
	take_input(guest, body, payload);
	flow_take(&guest->out, body->out_taken);
	flow_take(&guest->err, body->err_taken);
	answer(guest, connection, stream);
	if (body->over)
		guest_destroy(guest);
}

void guests_request(struct guests *guests, uint64_t connection, uint32_t stream, const Clusterd__Wire__Request *request,
                    struct slice payload)
{
	if (request->body_case == CLUSTERD__WIRE__REQUEST__BODY_BEGIN_EXEC)
		begin(guests, connection, stream, request->begin_exec);
	else
		go_on(guests, connection, stream, request->continue_exec, payload);
}

/* --- ends ---------------------------------------------------------------------------------------------------------- */

/* Another node that was not reached for a moment begins anew, and goes on: who it asks for is seen by its asking only. */
void guests_closed(struct guests *guests, uint64_t connection)
{
	struct guest *guest;
	struct guest *next;
	if (connection >> 63 != 0)
		return;
	HASH_ITER (hh, guests->all, guest, next) {
		if (guest->connection == connection)
			guest_destroy(guest);
	}
}

static void on_sweep(void *context)
{
	struct guests *guests = context;
	struct guest *guest;
	struct guest *next;
	msec now = loop_now(guests->loop);
	HASH_ITER (hh, guests->all, guest, next) {
		if (now - guest->heard >= GUEST_IDLE_MS)
			guest_destroy(guest);
	}
	if (guests->all != NULL)
		loop_timer_set(guests->sweep, now + SWEEP_MS);
}

int guests_create(struct loop *loop, const struct allocations *allocations, guests_answer *answer_call, void *context,
                  struct guests **ret_guests, struct error *error)
{
	struct guests *guests = mem_zero(sizeof *guests);
	guests->loop = loop;
	guests->allocations = allocations;
	guests->answer = answer_call;
	guests->context = context;
	guests->sweep = loop_timer_create(loop, on_sweep, guests);
	int code = children_create(loop, &guests->children, error);
	if (code != 0) {
		guests_destroy(guests);
		return code;
	}
	*ret_guests = guests;
	return 0;
}

void guests_destroy(struct guests *guests)
{
	if (guests == NULL)
		return;
	while (guests->all != NULL)
		guest_destroy(guests->all);
	children_destroy(guests->children);
	loop_timer_destroy(guests->sweep);
	mem_free(guests);
}
