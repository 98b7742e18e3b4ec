#include "command.h"

#include "base/json.h"

#include <inttypes.h>
#include <string.h>

/* What a task has written, from whichever node has it: piece by piece, each asked for when the one before it is printed. */

#define PIECE_SIZE (256u << 10)
#define LOOK_MS 100     /* for more, when there was none; longer and longer, up to */
#define LOOK_MAX_MS 500

struct source {
	struct context *context;
	uint64_t allocation;
	uint64_t node;
	bool standard_error;
};

static int read_piece(const struct source *source, int64_t offset, uint32_t size, struct reply *ret_reply)
{
	Clusterd__Wire__Request request = CLUSTERD__WIRE__REQUEST__INIT;
	Clusterd__Wire__ReadOutput body = CLUSTERD__WIRE__READ_OUTPUT__INIT;
	struct context *context = source->context;
	body.allocation = source->allocation;
	body.node = source->node;
	body.standard_error = source->standard_error;
	body.offset = offset;
	body.size = size;
	request.body_case = CLUSTERD__WIRE__REQUEST__BODY_READ_OUTPUT;
	request.read_output = &body;
	int code = client_ask(context->client, &request, SLICE(""), ret_reply, &context->error);
	if (code == 0 && ret_reply->response->body_case != CLUSTERD__WIRE__RESPONSE__BODY_OUTPUT) {
		reply_finish(ret_reply);
		code = error_set(&context->error, ERR_INVALID, "the node answers something else than output");
	}
	return code;
}

/* Where the last `lines` of `text` begin; false: it has fewer. `lines` becomes how many are missing. An end of a line at the very end
 * of all (`last`) ends no other one. */
static bool find_line(struct slice text, bool last, uint64_t *lines, size_t *ret_at)
{
	size_t at = text.size;
	if (last && at > 0 && text.data[at - 1] == '\n')
		at--;
	for (; at > 0; at--) {
		if (text.data[at - 1] == '\n' && --*lines == 0) {
			*ret_at = at;
			return true;
		}
	}
	return false;
}

/* Where the last lines begin, looked for from the end on. */
static int find_tail(const struct source *source, uint64_t lines, int64_t *ret_offset)
{
	struct reply reply;
	int64_t offset = -1;
	size_t at = 0;
	int code = read_piece(source, offset, lines > 0 ? PIECE_SIZE : 0, &reply);
	for (bool last = true; code == 0; last = false) {
		int64_t begin = (int64_t)reply.response->output->offset;
		bool found = lines == 0 || find_line(reply.payload, last, &lines, &at);
		size_t size = reply.payload.size;
		reply_finish(&reply);
		if (found || begin == 0 || size == 0) {
			*ret_offset = begin + (int64_t)(found ? at : 0);
			return 0;
		}
		/* The next piece ends where this one begins. */
		uint32_t before = begin < (int64_t)PIECE_SIZE ? (uint32_t)begin : PIECE_SIZE;
		offset = begin - before;
		code = read_piece(source, offset, before, &reply);
		if (code == 0 && (int64_t)reply.response->output->offset > offset) { /* no more is kept */
			*ret_offset = (int64_t)reply.response->output->offset;
			reply_finish(&reply);
			return 0;
		}
	}
	return code;
}

static void tell_gap(int64_t from, uint64_t begin)
{
	if (from > 0 && begin > (uint64_t)from)
		fprintf(stderr, "clusterctl: %" PRIu64 " bytes are missing here: they are not kept any more\n",
		        begin - (uint64_t)from);
}

static int print_from(const struct source *source, int64_t offset, bool follow)
{
	struct context *context = source->context;
	struct reply reply;
	msec wait = LOOK_MS;
	bool over = false;
	while (!over) {
		if (read_piece(source, offset, PIECE_SIZE, &reply) != 0)
			return report(context);
		size_t size = reply.payload.size;
		bool written = fwrite(reply.payload.data, 1, size, stdout) == size && fflush(stdout) == 0;
		tell_gap(offset, reply.response->output->offset);
		offset = (int64_t)(reply.response->output->offset + size);
		over = reply.response->output->ended || (!follow && size == 0);
		reply_finish(&reply);
		if (!written) {
			fprintf(stderr, "clusterctl: nobody takes what is printed\n");
			return EXIT_FAILED;
		}
		wait = size > 0 ? LOOK_MS : wait * 2 < LOOK_MAX_MS ? wait * 2 : LOOK_MAX_MS;
		if (!over && size == 0)
			client_idle(context->client, client_clock(context->client) + wait);
	}
	return EXIT_DONE;
}

/* --- which allocation ---------------------------------------------------------------------------------------------- */

/* The first row's numbers. 1: there is one; 0: none; else an error that was told, as an exit code below 0. */
static int find_row(struct context *context, const char *sql, const char *const *parameters, size_t count,
                    uint64_t *const *ret_numbers, size_t number_count)
{
	struct reply reply;
	struct json_iterator rows;
	struct json_iterator cells;
	struct slice key;
	struct slice row;
	struct slice cell;
	int code = ask_query(context, sql, parameters, count, &reply);
	if (code != 0)
		return -code;
	json_iterate(&rows, reply.payload);
	bool found = json_next(&rows, &key, &row);
	if (found) {
		json_iterate(&cells, row);
		for (size_t i = 0; i < number_count && json_next(&cells, &key, &cell); i++) {
			long long number = 0;
			json_integer(cell, 0, INT64_MAX, &number);
			*ret_numbers[i] = (uint64_t)number;
		}
	}
	reply_finish(&reply);
	return found;
}

static int find_task(struct source *source, const char *job, const char *task)
{
	const char *parameters[] = {job, task};
	uint64_t *numbers[] = {&source->allocation, &source->node};
	uint64_t count;
	uint64_t *counts[] = {&count};
	int found = find_row(source->context,
	                     "SELECT id, node FROM allocation WHERE job = CAST(?1 AS INTEGER) AND task = CASE ?2 WHEN ''"
	                     " THEN (SELECT min(task) FROM allocation WHERE job = CAST(?1 AS INTEGER))"
	                     " ELSE CAST(?2 AS INTEGER) END ORDER BY id DESC LIMIT 1",
	                     parameters, 2, numbers, 2);
	if (found != 0)
		return found < 0 ? -found : 0;
	found = find_row(source->context, "SELECT count FROM job WHERE id = CAST(?1 AS INTEGER)", parameters, 1, counts, 1);
	if (found < 0)
		return -found;
	if (found == 0)
		fprintf(stderr, "clusterctl: there is no job with the id %s\n", job);
	else if (task[0] != '\0')
		fprintf(stderr, "clusterctl: no task %s of job %s has been placed\nSee: clusterctl job status %s\n", task, job,
		        job);
	else
		fprintf(stderr, "clusterctl: no task of job %s has been placed\nSee: clusterctl job status %s\n", job, job);
	return EXIT_FAILED;
}

int find_allocation(struct context *context, const char *id, uint64_t *ret_allocation, uint64_t *ret_node)
{
	uint64_t *numbers[] = {ret_allocation, ret_node};
	int found = find_row(context, "SELECT id, node FROM allocation WHERE id = CAST(?1 AS INTEGER)", &id, 1, numbers, 2);
	if (found == 0)
		fprintf(stderr, "clusterctl: there is no allocation with the id %s\n", id);
	return found < 0 ? -found : found == 0 ? EXIT_FAILED : 0;
}

static int print_output(struct source *source, const char *follow, const char *tail)
{
	uint64_t lines;
	int64_t offset = 0;
	if (tail != NULL && !parse_number(tail, "a number of lines", &lines))
		return EXIT_USAGE;
	if (tail != NULL && find_tail(source, lines, &offset) != 0)
		return report(source->context);
	return print_from(source, offset, follow != NULL);
}

int run_job_logs(struct context *context, const struct arguments *arguments)
{
	uint64_t number;
	struct source source = {.context = context, .standard_error = arguments->flags[1] != NULL};
	const char *task = arguments->flags[0];
	if (!parse_number(arguments->values[0], "a job", &number) ||
	    (task != NULL && !parse_number(task, "a task", &number)))
		return EXIT_USAGE;
	int code = find_task(&source, arguments->values[0], task != NULL ? task : "");
	return code != 0 ? code : print_output(&source, arguments->flags[2], arguments->flags[3]);
}

int run_allocation_logs(struct context *context, const struct arguments *arguments)
{
	uint64_t number;
	struct source source = {.context = context, .standard_error = arguments->flags[0] != NULL};
	if (!parse_number(arguments->values[0], "an allocation", &number))
		return EXIT_USAGE;
	int code = find_allocation(context, arguments->values[0], &source.allocation, &source.node);
	return code != 0 ? code : print_output(&source, arguments->flags[1], arguments->flags[2]);
}
