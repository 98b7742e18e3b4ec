#include "daemon/programs_internal.h"

#include "base/log.h"
#include "base/memory.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define SWEEP_MS 5000

/* --- those that are there ------------------------------------------------------------------------------------------ */

char *program_path(const struct programs *programs, const char *hash)
{
	return mem_format("%s/%s", programs->directory, hash);
}

static struct stored *find(const struct programs *programs, const char *hash)
{
	struct stored *program;
	HASH_FIND_STR(programs->all, hash, program);
	return program;
}

void program_came(struct programs *programs, const char *hash)
{
	struct stored *program = find(programs, hash);
	if (program == NULL) {
		program = mem_zero(sizeof *program);
		snprintf(program->hash, sizeof program->hash, "%s", hash);
		HASH_ADD_STR(programs->all, hash, program);
	}
	program->used = loop_now(programs->loop);
}

static void forget(struct programs *programs, struct stored *program)
{
	char *path = program_path(programs, program->hash);
	unlink(path);
	mem_free(path);
	HASH_DELETE(hh, programs->all, program);
	mem_free(program);
}

/* A task works with a second name of the very file: one that has written to it is seen by its time, and it is nobody's program then. */
bool program_is_here(struct programs *programs, const char *hash, uint64_t size)
{
	struct stored *program = find(programs, hash);
	struct stat status;
	if (program == NULL)
		return false;
	char *path = program_path(programs, hash);
	bool there = lstat(path, &status) == 0 && S_ISREG(status.st_mode);
	mem_free(path);
	if (!there || status.st_mtim.tv_sec != 1 || status.st_mtim.tv_nsec != 0) {
		log_write(LOG_WARNING, "programs", "%s was changed by somebody: it is let go of", hash);
		forget(programs, program);
		return false;
	}
	program->used = loop_now(programs->loop);
	return (uint64_t)status.st_size == size;
}

int program_check(const struct programs *programs, struct slice hash, uint64_t size, struct error *error)
{
	if (!digest_is_hex(hash))
		return error_set(error, ERR_INVALID, "a program is named by 64 hex digits, its SHA-256");
	if (size == 0)
		return error_set(error, ERR_INVALID, "a program of no bytes");
	if (size > programs->size_max)
		return error_set(error, ERR_LIMIT, "the program has %" PRIu64 " bytes; at most %" PRIu64 " are taken (program-max)",
		                 size, programs->size_max);
	return 0;
}

void program_refuse(struct programs *programs, uint64_t connection, uint32_t stream, int code, const char *format, ...)
{
	Clusterd__Wire__Response response = CLUSTERD__WIRE__RESPONSE__INIT;
	Clusterd__Wire__Error packed = CLUSTERD__WIRE__ERROR__INIT;
	struct error error;
	va_list args;
	va_start(args, format);
	error_setv(&error, code, format, args);
	va_end(args);
	packed.code = code;
	packed.text = error.text;
	packed.retry_after_ms = code == ERR_BUSY ? 500 : 0;
	response.error = &packed;
	programs->handler.answer(programs->context, connection, stream, &response, SLICE(""));
}

/* --- reading for others -------------------------------------------------------------------------------------------- */

struct reading {
	struct job job;
	struct programs *programs;
	uint64_t connection;
	uint32_t stream;
	char *path;
	uint64_t offset;
	uint32_t size;
	uint64_t whole;
	struct buffer bytes;
	int code;
	struct error error;
};

static void reading_drop(struct job *job)
{
	struct reading *reading = (struct reading *)job;
	buffer_finish(&reading->bytes);
	mem_free(reading->path);
	mem_free(reading);
}

static void reading_run(struct job *job)
{
	struct reading *reading = (struct reading *)job;
	struct stat status;
	int file = open(reading->path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	if (file < 0 || fstat(file, &status) != 0) {
		reading->code = error_set(&reading->error, ERR_NOT_FOUND, "the program is not here");
	} else {
		char *place = buffer_reserve(&reading->bytes, reading->size + (size_t)1);
		ssize_t size = pread(file, place, reading->size, (off_t)reading->offset);
		reading->whole = (uint64_t)status.st_size;
		if (size < 0)
			reading->code = error_set(&reading->error, ERR_IO, "%s: %s", reading->path, strerror(errno));
		else
			reading->bytes.size = (size_t)size;
	}
	if (file >= 0)
		close(file);
}

static void reading_done(struct job *job)
{
	struct reading *reading = (struct reading *)job;
	struct programs *programs = reading->programs;
	programs->reading--;
	if (programs->closing) {
		reading_drop(job);
		return;
	}
	if (reading->code != 0) {
		program_refuse(programs, reading->connection, reading->stream, reading->code, "%s", reading->error.text);
	} else {
		Clusterd__Wire__Response response = CLUSTERD__WIRE__RESPONSE__INIT;
		Clusterd__Wire__Program body = CLUSTERD__WIRE__PROGRAM__INIT;
		body.offset = reading->offset;
		body.size = reading->whole;
		body.stored = true;
		response.body_case = CLUSTERD__WIRE__RESPONSE__BODY_PROGRAM;
		response.program = &body;
		programs->handler.answer(programs->context, reading->connection, reading->stream, &response,
		                         buffer_slice(&reading->bytes));
	}
	reading_drop(job);
}

static void read_request(struct programs *programs, uint64_t connection, uint32_t stream, const Clusterd__Wire__ReadProgram *body)
{
	struct stored *program = digest_is_hex(slice_of(body->hash)) ? find(programs, body->hash) : NULL;
	if (program == NULL) {
		program_refuse(programs, connection, stream, ERR_NOT_FOUND, "the program is not here");
		return;
	}
	if (programs->reading >= PROGRAM_QUEUE_MAX) {
		program_refuse(programs, connection, stream, ERR_BUSY, "too many read programs here: come back later");
		return;
	}
	program->used = loop_now(programs->loop);
	struct reading *reading = mem_zero(sizeof *reading);
	reading->job.run = reading_run;
	reading->job.done = reading_done;
	reading->programs = programs;
	reading->connection = connection;
	reading->stream = stream;
	reading->path = program_path(programs, body->hash);
	reading->offset = body->offset <= INT64_MAX ? body->offset : INT64_MAX;
	reading->size = body->size < PROGRAM_PIECE_MAX ? body->size : PROGRAM_PIECE_MAX;
	programs->reading++;
	jobs_give(programs->jobs, &reading->job);
}

/* --- time ---------------------------------------------------------------------------------------------------------- */

static void on_soon(void *context)
{
	fetches_due(context);
}

static void on_sweep(void *context)
{
	struct programs *programs = context;
	struct stored *program;
	struct stored *next;
	msec now = loop_now(programs->loop);
	uploads_sweep(programs, now);
	HASH_ITER (hh, programs->all, program, next) {
		if (now - program->used < programs->kept)
			continue;
		if (programs->handler.wanted(programs->context, program->hash))
			program->used = now;
		else
			forget(programs, program);
	}
	loop_timer_set(programs->sweep, now + (programs->kept < SWEEP_MS ? programs->kept : SWEEP_MS));
}

/* --- life ---------------------------------------------------------------------------------------------------------- */

static void jobs_ready(void *context, bool readable, bool writable)
{
	(void)readable;
	(void)writable;
	jobs_collect(((struct programs *)context)->jobs);
}

/* What was not whole goes; what is there is named by what is in it. */
static int look_through(struct programs *programs, struct error *error)
{
	struct dirent *entry;
	if (mkdir(programs->directory, 0700) != 0 && errno != EEXIST)
		return error_set(error, ERR_IO, "cannot make %s: %s", programs->directory, strerror(errno));
	DIR *directory = opendir(programs->directory);
	if (directory == NULL)
		return error_set(error, ERR_IO, "cannot open %s: %s", programs->directory, strerror(errno));
	while ((entry = readdir(directory)) != NULL) {
		if (digest_is_hex(slice_of(entry->d_name)))
			program_came(programs, entry->d_name);
		else if (strncmp(entry->d_name, "part.", 5) == 0)
			unlinkat(dirfd(directory), entry->d_name, 0);
	}
	closedir(directory);
	return 0;
}

int programs_create(struct loop *loop, const struct programs_options *options, const struct programs_handler *handler,
                    void *context, struct programs **ret_programs, struct error *error)
{
	struct programs *programs = mem_zero(sizeof *programs);
	programs->loop = loop;
	programs->handler = *handler;
	programs->context = context;
	programs->directory = mem_string(options->directory);
	programs->size_max = options->size_max != 0 ? options->size_max : PROGRAM_SIZE_MAX;
	programs->kept = options->kept != 0 ? options->kept : PROGRAM_KEPT_MS;
	programs->random.state = options->seed;
	programs->next_stream = 1;
	programs->due = MSEC_NEVER;
	TAILQ_INIT(&programs->fetches);
	programs->soon = loop_timer_create(loop, on_soon, programs);
	programs->sweep = loop_timer_create(loop, on_sweep, programs);
	int code = look_through(programs, error);
	if (code == 0) {
		code = jobs_create("programs", &programs->jobs);
		if (code != 0)
			error_set(error, code, "the programs' thread cannot be started");
	}
	if (code != 0) {
		programs_destroy(programs);
		return code;
	}
	programs->watch = loop_watch_create(loop, jobs_descriptor(programs->jobs), jobs_ready, programs);
	loop_watch_set(programs->watch, true, false);
	loop_timer_set(programs->sweep, loop_now(loop) + SWEEP_MS);
	*ret_programs = programs;
	return 0;
}

void programs_destroy(struct programs *programs)
{
	struct stored *program;
	struct stored *next;
	if (programs == NULL)
		return;
	loop_watch_destroy(programs->watch);
	loop_timer_destroy(programs->soon);
	loop_timer_destroy(programs->sweep);
	programs->closing = true;
	uploads_finish(programs);
	fetches_finish(programs);
	if (programs->jobs != NULL)
		jobs_destroy(programs->jobs);
	HASH_ITER (hh, programs->all, program, next) {
		HASH_DELETE(hh, programs->all, program);
		mem_free(program);
	}
	mem_free(programs->directory);
	mem_free(programs);
}

/* --- the door ------------------------------------------------------------------------------------------------------ */

void programs_request(struct programs *programs, uint64_t connection, uint32_t stream, const Clusterd__Wire__Request *request,
                      struct slice payload)
{
	switch (request->body_case) {
	case CLUSTERD__WIRE__REQUEST__BODY_UPLOAD_PROGRAM:
		upload_request(programs, connection, stream, request->upload_program, payload);
		break;
	case CLUSTERD__WIRE__REQUEST__BODY_KEEP_PROGRAM:
		fetch_request(programs, connection, stream, request->keep_program);
		break;
	default:
		read_request(programs, connection, stream, request->read_program);
		break;
	}
}

void programs_closed(struct programs *programs, uint64_t connection)
{
	uploads_close(programs, connection);
}

void programs_want(struct programs *programs, const struct job_program *program)
{
	fetch_want(programs, program);
}
