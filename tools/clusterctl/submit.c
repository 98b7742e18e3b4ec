#include "command.h"

#include "base/json.h"
#include "base/memory.h"
#include "lang/parser.h"
#include "wire/digest.h"
#include "workflow/job.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* A program of this machine as a job: it is sent to the node that is asked, kept on two, and run as a batch job that names it. */

#define PIECE_SIZE (1u << 20)
#define COPIES 2
#define WAIT_MS 30000  /* until it runs */
#define STOP_MS 30000  /* until all of one that does not run has ended */
#define STALL_MS 30000 /* another node that gets nothing more for so long has failed */
#define LOOK_MS 50

enum { FLAG_NAME, FLAG_PLACEMENT, FLAG_EXECUTORS, FLAG_ON, FLAG_WORKERS, FLAG_GROUP };

struct submission {
	struct context *context;
	const char *path;
	int file;
	uint64_t size;
	char hash[DIGEST_SIZE];
	char *name;           /* of the job */
	struct buffer at;     /* names of nodes that have it, a JSON array without its brackets */
	uint32_t copies;
	struct buffer members; /* JSON */
	uint64_t tasks;
	bool group;
};

static int says(const char *format, ...) __attribute__((format(printf, 1, 2)));
static int says(const char *format, ...)
{
	va_list args;
	va_start(args, format);
	fprintf(stderr, "clusterctl: ");
	vfprintf(stderr, format, args);
	fputc('\n', stderr);
	va_end(args);
	return EXIT_FAILED;
}

/* --- the file ------------------------------------------------------------------------------------------------------ */

/* Bytes from `offset` on; fewer than asked for: the file has become shorter, which `error` says. */
static int read_file(struct submission *submission, uint64_t offset, size_t size, struct buffer *out, struct error *error)
{
	buffer_clear(out);
	while (out->size < size) {
		ssize_t got = pread(submission->file, buffer_reserve(out, size - out->size), size - out->size,
		                    (off_t)(offset + out->size));
		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0)
			return error_set(error, ERR_IO, "cannot read %s: %s", submission->path,
			                 got < 0 ? strerror(errno) : "it has become shorter");
		out->size += (size_t)got;
	}
	return 0;
}

static size_t piece_at(const struct submission *submission, uint64_t offset)
{
	return submission->size - offset < PIECE_SIZE ? (size_t)(submission->size - offset) : PIECE_SIZE;
}

static int look_at_file(struct submission *submission)
{
	struct stat status;
	struct error error = {0};
	struct buffer piece = BUFFER_EMPTY;
	submission->file = open(submission->path, O_RDONLY | O_CLOEXEC);
	if (submission->file < 0 || fstat(submission->file, &status) != 0)
		return says("cannot read %s: %s", submission->path, strerror(errno));
	if (!S_ISREG(status.st_mode))
		return says("%s is not a regular file", submission->path);
	if (status.st_size == 0)
		return says("%s is empty", submission->path);
	if ((uint64_t)status.st_size > JOB_PROGRAM_SIZE_MAX)
		return says("%s has %lld bytes; a program has at most %u", submission->path, (long long)status.st_size,
		            JOB_PROGRAM_SIZE_MAX);
	submission->size = (uint64_t)status.st_size;
	struct digest *digest = digest_create();
	int code = 0;
	for (uint64_t at = 0; at < submission->size && code == 0; at += piece.size) {
		code = read_file(submission, at, piece_at(submission, at), &piece, &error);
		digest_add(digest, buffer_slice(&piece));
	}
	digest_end(digest, submission->hash);
	digest_destroy(digest);
	buffer_finish(&piece);
	return code == 0 ? 0 : says("%s", error.text);
}

/* --- nodes --------------------------------------------------------------------------------------------------------- */

struct node {
	long long id;
	char *name;
	char *host;
	bool up;
	bool server;
};

static char *text_of(struct slice row, const char *name)
{
	struct slice value;
	struct buffer plain = BUFFER_EMPTY;
	if (json_member(row, slice_of(name), &value) && json_kind(value) == JSON_STRING)
		json_unquote(&plain, value);
	char *text = mem_string(buffer_string(&plain));
	buffer_finish(&plain);
	return text;
}

static void read_node(struct slice row, struct node *ret_node)
{
	struct slice value;
	char *state = text_of(row, "state");
	char *role = text_of(row, "role");
	ret_node->id = 0;
	if (json_member(row, SLICE("id"), &value))
		json_integer(value, 0, INT64_MAX, &ret_node->id);
	ret_node->name = text_of(row, "name");
	ret_node->host = text_of(row, "address");
	char *colon = strrchr(ret_node->host, ':');
	if (colon != NULL)
		*colon = '\0';
	ret_node->up = strcmp(state, "alive") == 0 || strcmp(state, "suspect") == 0;
	ret_node->server = strcmp(role, "server") == 0;
	mem_free(state);
	mem_free(role);
}

static void node_finish(struct node *node)
{
	mem_free(node->name);
	mem_free(node->host);
}

static int ask_members(struct submission *submission)
{
	struct context *context = submission->context;
	Clusterd__Wire__Request request = CLUSTERD__WIRE__REQUEST__INIT;
	Clusterd__Wire__Members body = CLUSTERD__WIRE__MEMBERS__INIT;
	struct reply reply;
	request.body_case = CLUSTERD__WIRE__REQUEST__BODY_MEMBERS;
	request.members = &body;
	if (client_ask(context->client, &request, SLICE(""), &reply, &context->error) != 0)
		return report(context);
	buffer_append_slice(&submission->members, reply.payload);
	reply_finish(&reply);
	return 0;
}

/* How many nodes are meant by a name, an id or a host, and one of them. */
static unsigned find_node(const struct submission *submission, const char *word, long long *ret_id)
{
	struct json_iterator rows;
	struct slice key;
	struct slice row;
	unsigned found = 0;
	char digits[24];
	json_iterate(&rows, buffer_slice(&submission->members));
	while (json_next(&rows, &key, &row)) {
		struct node node;
		read_node(row, &node);
		snprintf(digits, sizeof digits, "%lld", node.id);
		if (strcmp(node.name, word) == 0 || strcmp(digits, word) == 0 || strcmp(node.host, word) == 0) {
			found++;
			*ret_id = node.id;
		}
		node_finish(&node);
	}
	return found;
}

/* Each of `--on` is a node of the cluster, and another one than those before it. */
static int check_nodes(struct submission *submission, char **words, size_t count)
{
	long long *ids = mem_array(count, sizeof *ids);
	int code = 0;
	for (size_t i = 0; i < count && code == 0; i++) {
		unsigned found = find_node(submission, words[i], &ids[i]);
		if (found == 0)
			code = says("%s is no node of this cluster; see clusterctl member list", words[i]);
		ids[i] = found == 1 ? ids[i] : 0;
		for (size_t j = 0; j < i && code == 0; j++) {
			if (strcmp(words[i], words[j]) == 0 || (ids[i] != 0 && ids[i] == ids[j]))
				code = says("%s and %s are the same node", words[j], words[i]);
		}
	}
	mem_free(ids);
	return code;
}

/* --- copies -------------------------------------------------------------------------------------------------------- */

static int ask_program(struct submission *submission, Clusterd__Wire__Request *request, struct slice payload,
                       Clusterd__Wire__Program *ret_program)
{
	struct context *context = submission->context;
	struct reply reply;
	int code = client_ask(context->client, request, payload, &reply, &context->error);
	if (code != 0)
		return code;
	if (reply.response->body_case == CLUSTERD__WIRE__RESPONSE__BODY_PROGRAM)
		*ret_program = *reply.response->program;
	else
		code = error_set(&context->error, ERR_INVALID, "the node answers something else than how far it is");
	reply_finish(&reply);
	return code;
}

static int upload_once(struct submission *submission)
{
	Clusterd__Wire__Request request = CLUSTERD__WIRE__REQUEST__INIT;
	Clusterd__Wire__UploadProgram body = CLUSTERD__WIRE__UPLOAD_PROGRAM__INIT;
	Clusterd__Wire__Program program = CLUSTERD__WIRE__PROGRAM__INIT;
	struct buffer piece = BUFFER_EMPTY;
	body.hash = submission->hash;
	body.size = submission->size;
	request.body_case = CLUSTERD__WIRE__REQUEST__BODY_UPLOAD_PROGRAM;
	request.upload_program = &body;
	int code = ask_program(submission, &request, SLICE(""), &program);
	while (code == 0 && !program.stored) {
		body.upload = program.upload;
		body.offset = program.offset;
		code = program.offset < submission->size
		               ? read_file(submission, program.offset, piece_at(submission, program.offset), &piece,
		                           &submission->context->error)
		               : error_set(&submission->context->error, ERR_INVALID, "the node does not say that it has it");
		if (code == 0)
			code = ask_program(submission, &request, buffer_slice(&piece), &program);
	}
	buffer_finish(&piece);
	return code;
}

/* To the node that is asked; another one may be asked in the middle of it, which knows nothing of it then. */
static int upload(struct submission *submission)
{
	int code = ERR_NOT_FOUND;
	for (int i = 0; i < 3 && code == ERR_NOT_FOUND; i++)
		code = upload_once(submission);
	return code;
}

static void note_copy(struct submission *submission, const struct node *node)
{
	if (submission->copies++ > 0)
		buffer_append_string(&submission->at, ", ");
	json_quote(&submission->at, slice_of(node->name));
}

/* A node gets it from those that have it, or from `from`. */
static int copy_to(struct submission *submission, const struct node *node, const char *from)
{
	struct context *context = submission->context;
	Clusterd__Wire__Request request = CLUSTERD__WIRE__REQUEST__INIT;
	Clusterd__Wire__KeepProgram body = CLUSTERD__WIRE__KEEP_PROGRAM__INIT;
	Clusterd__Wire__Program program = CLUSTERD__WIRE__PROGRAM__INIT;
	char *names[] = {(char *)(uintptr_t)from};
	uint64_t seen = 0;
	msec patience = client_clock(context->client) + STALL_MS;
	body.node = (uint64_t)node->id;
	body.hash = submission->hash;
	body.size = submission->size;
	body.at = names;
	body.n_at = 1;
	request.body_case = CLUSTERD__WIRE__REQUEST__BODY_KEEP_PROGRAM;
	request.keep_program = &body;
	int code = ask_program(submission, &request, SLICE(""), &program);
	while (code == 0 && !program.stored) {
		msec now = client_clock(context->client);
		if (program.offset > seen)
			patience = now + STALL_MS;
		seen = program.offset > seen ? program.offset : seen;
		if (now >= patience)
			return error_set(&context->error, ERR_TIMEOUT, "%s does not get the program", node->name);
		client_idle(context->client, now + LOOK_MS);
		code = ask_program(submission, &request, SLICE(""), &program);
	}
	if (code == 0)
		note_copy(submission, node);
	return code;
}

/* On two servers before anything refers to it, so that no one node's death loses it. */
static int make_copies(struct submission *submission, const char *asked)
{
	struct context *context = submission->context;
	struct json_iterator rows;
	struct slice key;
	struct slice row;
	unsigned servers = 0;
	int code = 0;
	for (int others = 0; others < 2; others++) {
		json_iterate(&rows, buffer_slice(&submission->members));
		while (submission->copies < COPIES && json_next(&rows, &key, &row)) {
			struct node node;
			read_node(row, &node);
			bool is_asked = strcmp(node.name, asked) == 0;
			if (node.server && node.up && is_asked != (others == 1)) {
				int failed = copy_to(submission, &node, asked);
				servers++;
				code = failed != 0 ? failed : code;
			}
			node_finish(&node);
		}
	}
	if (submission->copies >= COPIES || (submission->copies == 1 && servers == 1))
		return 0;
	if (code == 0)
		code = error_set(&context->error, ERR_NOT_FOUND, "no server of this cluster is up");
	error_prefix(&context->error, "the program is on %u node%s only, and must be on two", submission->copies,
	             submission->copies == 1 ? "" : "s");
	return code;
}

/* The name of the node that is asked. */
static int ask_name(struct context *context, char **ret_name)
{
	Clusterd__Wire__Request request = CLUSTERD__WIRE__REQUEST__INIT;
	Clusterd__Wire__Status body = CLUSTERD__WIRE__STATUS__INIT;
	struct reply reply;
	request.body_case = CLUSTERD__WIRE__REQUEST__BODY_STATUS;
	request.status = &body;
	if (client_ask(context->client, &request, SLICE(""), &reply, &context->error) != 0)
		return report(context);
	*ret_name = text_of(reply.payload, "name");
	reply_finish(&reply);
	return 0;
}

static int send_program(struct submission *submission)
{
	struct context *context = submission->context;
	char *asked = NULL;
	int code = upload(submission);
	if (code != 0)
		return report(context);
	code = ask_name(context, &asked);
	if (code == 0 && make_copies(submission, asked) != 0)
		code = report(context);
	mem_free(asked);
	return code;
}

/* --- the job ------------------------------------------------------------------------------------------------------- */

/* What the language takes for the name of a job, from the name of a file. */
static char *name_of(const char *path)
{
	const char *slash = strrchr(path, '/');
	char *name = mem_format("%.60s", slash != NULL ? slash + 1 : path);
	for (char *at = name; *at != '\0'; at++) {
		bool fits = (*at >= 'a' && *at <= 'z') || (*at >= 'A' && *at <= 'Z') || (*at >= '0' && *at <= '9');
		*at = fits ? *at : '_';
	}
	if (!parser_is_name(slice_of(name)) && !(name[0] >= 'A' && name[0] <= 'Z')) {
		char *longer = mem_format("job_%s", name);
		mem_free(name);
		name = longer;
	}
	return name;
}

static void write_job(struct submission *submission, const struct arguments *arguments, char **nodes, size_t node_count,
                      struct buffer *out)
{
	const char *const *flags = arguments->flags;
	const char *placement = flags[FLAG_PLACEMENT] != NULL ? flags[FLAG_PLACEMENT] : node_count > 0 ? "pinned" : "random";
	buffer_format(out, "job %s {\n  type = batch\n  retries = 0\n  program = {path: \"%s\", sha256: \"%s\", size: %" PRIu64,
	              submission->name, submission->name, submission->hash, submission->size);
	buffer_format(out, ", at: [%s]}\n  exec = [\"./%s\"", buffer_string(&submission->at), submission->name);
	for (int i = 0; i < arguments->rest_count; i++) {
		buffer_append_string(out, ", ");
		json_quote(out, slice_of(arguments->rest[i]));
	}
	buffer_format(out, "]\n  count = %" PRIu64 "\n  placement = %s\n", submission->tasks, placement);
	for (size_t i = 0; i < node_count; i++) {
		buffer_append_string(out, i == 0 ? "  nodes = [" : ", ");
		json_quote(out, slice_of(nodes[i]));
	}
	buffer_append_string(out, node_count > 0 ? "]\n" : "");
	if (flags[FLAG_WORKERS] != NULL)
		buffer_format(out, "  workers = %s\n", flags[FLAG_WORKERS]);
	if (flags[FLAG_GROUP] != NULL)
		buffer_format(out, "  group = %s\n  ports = [\"peer\"]\n", flags[FLAG_GROUP]);
	buffer_append_string(out, "}\n");
}

static int run_text(struct submission *submission, struct slice text, uint64_t *ret_id)
{
	struct context *context = submission->context;
	Clusterd__Wire__Request request = CLUSTERD__WIRE__REQUEST__INIT;
	Clusterd__Wire__Register body = CLUSTERD__WIRE__REGISTER__INIT;
	Clusterd__Wire__SourceFile source = CLUSTERD__WIRE__SOURCE_FILE__INIT;
	Clusterd__Wire__SourceFile *sources[] = {&source};
	struct json_iterator rows;
	struct slice jobs;
	struct slice key;
	struct slice row;
	struct slice value;
	struct reply reply;
	long long id = 0;
	source.path = (char *)(uintptr_t)"submit";
	source.text.data = (uint8_t *)(uintptr_t)text.data;
	source.text.len = text.size;
	body.files = sources;
	body.n_files = 1;
	body.run_jobs = true;
	request.body_case = CLUSTERD__WIRE__REQUEST__BODY_REGISTER;
	request.register_ = &body;
	if (client_ask(context->client, &request, SLICE(""), &reply, &context->error) != 0)
		return report(context);
	if (json_member(reply.payload, SLICE("jobs"), &jobs)) {
		json_iterate(&rows, jobs);
		if (json_next(&rows, &key, &row) && json_member(row, SLICE("id"), &value))
			json_integer(value, 1, INT64_MAX, &id);
	}
	reply_finish(&reply);
	*ret_id = (uint64_t)id;
	return id != 0 ? 0 : says("the node does not say which job it is");
}

/* --- until it runs ------------------------------------------------------------------------------------------------- */

#define SQL_BEGUN \
	"SELECT count(DISTINCT task) FROM allocation WHERE job = CAST(?1 AS INTEGER)" \
	" AND (started_ms IS NOT NULL OR exit_code >= 0 OR exit_signal > 0)"

/* Tasks that have begun, however they have ended. */
static int count_begun(struct submission *submission, uint64_t id, uint64_t *ret_count)
{
	struct reply reply;
	struct json_iterator cells;
	struct slice key;
	struct slice row;
	struct slice cell;
	char digits[24];
	const char *parameters[] = {digits};
	long long count = 0;
	snprintf(digits, sizeof digits, "%" PRIu64, id);
	int code = ask_query(submission->context, SQL_BEGUN, parameters, 1, &reply);
	if (code != 0)
		return code;
	json_iterate(&cells, reply.payload);
	if (json_next(&cells, &key, &row)) {
		json_iterate(&cells, row);
		if (json_next(&cells, &key, &cell))
			json_integer(cell, 0, INT64_MAX, &count);
	}
	reply_finish(&reply);
	*ret_count = (uint64_t)count;
	return 0;
}

static int await(struct submission *submission, uint64_t id, bool running, msec deadline, struct reply *ret_reply)
{
	struct context *context = submission->context;
	Clusterd__Wire__Request request = CLUSTERD__WIRE__REQUEST__INIT;
	Clusterd__Wire__AwaitJob body = CLUSTERD__WIRE__AWAIT_JOB__INIT;
	msec left = deadline - client_clock(context->client);
	body.job = id;
	body.running = running;
	request.body_case = CLUSTERD__WIRE__REQUEST__BODY_AWAIT_JOB;
	request.await_job = &body;
	client_set_timeout(context->client, left > 1 ? left : 1);
	int code = client_ask(context->client, &request, SLICE(""), ret_reply, &context->error);
	client_set_timeout(context->client, context->timeout);
	return code;
}

/* It is not to run later, when nobody expects it any more. */
static int give_up(struct submission *submission, uint64_t id, uint64_t begun, msec waited)
{
	struct context *context = submission->context;
	Clusterd__Wire__Request request = CLUSTERD__WIRE__REQUEST__INIT;
	Clusterd__Wire__StopJob body = CLUSTERD__WIRE__STOP_JOB__INIT;
	struct reply reply;
	body.job = id;
	request.body_case = CLUSTERD__WIRE__REQUEST__BODY_STOP_JOB;
	request.stop_job = &body;
	if (client_ask(context->client, &request, SLICE(""), &reply, &context->error) != 0) {
		report(context);
	} else {
		reply_finish(&reply);
		if (await(submission, id, false, client_clock(context->client) + STOP_MS, &reply) == 0)
			reply_finish(&reply);
		else
			report(context);
	}
	says("job %" PRIu64 " did not run within %lld ms: %" PRIu64 " of its %" PRIu64 " tasks had begun%s; it has been stopped\n"
	     "See: clusterctl job status %" PRIu64,
	     id, (long long)waited, begun, submission->tasks, submission->group ? ", not all had registered" : "", id);
	return EXIT_TIME;
}

/* What has become of it when it runs, or has ended; the text is there until the next time. */
static int ask_state(struct submission *submission, uint64_t id, msec deadline, struct reply *reply, const char **ret_state)
{
	int code = await(submission, id, true, deadline, reply);
	*ret_state = "";
	if (code == 0 && reply->response->body_case == CLUSTERD__WIRE__RESPONSE__BODY_FINISHED)
		*ret_state = reply->response->finished->state;
	return code;
}

static int wait_until_it_runs(struct submission *submission, uint64_t id)
{
	struct context *context = submission->context;
	msec wait = context->timeout_given ? context->timeout : WAIT_MS;
	msec deadline = client_clock(context->client) + wait;
	uint64_t begun = 0;
	for (;;) {
		struct reply reply;
		const char *state;
		int code = ask_state(submission, id, deadline, &reply, &state);
		if (code != 0 && code != ERR_TIMEOUT)
			return report(context);
		int failed = count_begun(submission, id, &begun);
		if (code == ERR_TIMEOUT)
			return give_up(submission, id, begun, wait);
		bool over = strcmp(state, "running") != 0;
		/* A group runs when all of it has registered, which it says; others when each task has begun. */
		bool good = strcmp(state, "completed") == 0 || (submission->group ? !over : begun >= submission->tasks);
		if (failed == 0 && !good && over)
			failed = says("job %" PRIu64 " has %s%s%s\nSee: clusterctl job status %" PRIu64, id,
			              strcmp(state, "stopped") == 0 ? "been stopped" : state,
			              reply.response->finished->error[0] != '\0' ? ": " : "", reply.response->finished->error, id);
		reply_finish(&reply);
		if (failed != 0 || good)
			return failed;
		if (client_clock(context->client) >= deadline)
			return give_up(submission, id, begun, wait);
		client_idle(context->client, client_clock(context->client) + LOOK_MS);
	}
}

/* --- the command --------------------------------------------------------------------------------------------------- */

/* "a,b,c" in parts; an empty one is an error. */
static size_t split(char *list, char **parts, size_t most)
{
	size_t count = 0;
	for (char *part = strtok(list, ","); part != NULL && count < most; part = strtok(NULL, ","))
		parts[count++] = part;
	return count;
}

static bool check_words(const struct arguments *arguments, struct submission *submission, size_t node_count)
{
	const char *const *flags = arguments->flags;
	uint64_t number;
	submission->group = flags[FLAG_GROUP] != NULL;
	submission->tasks = node_count > 0 ? node_count : 1;
	if (flags[FLAG_EXECUTORS] != NULL && !parse_number(flags[FLAG_EXECUTORS], "a number of executors", &submission->tasks))
		return false;
	if (flags[FLAG_WORKERS] != NULL && !parse_number(flags[FLAG_WORKERS], "a number of workers", &number))
		return false;
	if (flags[FLAG_PLACEMENT] != NULL && strcmp(flags[FLAG_PLACEMENT], "pinned") == 0 && node_count == 0) {
		fprintf(stderr, "clusterctl: --placement pinned needs --on NODE,…\n");
		return false;
	}
	if (flags[FLAG_ON] != NULL && node_count == 0) {
		fprintf(stderr, "clusterctl: --on is a list of nodes: a,b,c\n");
		return false;
	}
	return true;
}

int run_submit(struct context *context, const struct arguments *arguments)
{
	struct submission submission = {.context = context, .path = arguments->values[0], .file = -1};
	char *nodes[JOB_NODES_MAX];
	char *on = mem_string(arguments->flags[FLAG_ON]);
	size_t node_count = on != NULL ? split(on, nodes, JOB_NODES_MAX) : 0;
	struct buffer text = BUFFER_EMPTY;
	uint64_t id = 0;
	submission.name = arguments->flags[FLAG_NAME] != NULL ? mem_string(arguments->flags[FLAG_NAME]) : name_of(submission.path);
	int code = check_words(arguments, &submission, node_count) ? 0 : EXIT_USAGE;
	if (code == 0)
		code = look_at_file(&submission);
	if (code == 0)
		code = need_client(context);
	if (code == 0)
		code = ask_members(&submission);
	if (code == 0)
		code = check_nodes(&submission, nodes, node_count);
	if (code == 0)
		code = send_program(&submission);
	if (code == 0) {
		write_job(&submission, arguments, nodes, node_count, &text);
		code = run_text(&submission, buffer_slice(&text), &id);
	}
	if (code == 0)
		code = wait_until_it_runs(&submission, id);
	if (code == 0)
		printf("%" PRIu64 "\n", id);
	if (submission.file >= 0)
		close(submission.file);
	buffer_finish(&text);
	buffer_finish(&submission.at);
	buffer_finish(&submission.members);
	mem_free(submission.name);
	mem_free(on);
	return code;
}
