#include "daemon/programs_internal.h"

#include "base/memory.h"

#include <inttypes.h>
#include <string.h>

/* One that a client sends: it opens, then adds piece after piece, each when the one before it is acknowledged. Nobody else can add to it:
 * it is known by its number on its own connection only, and ends with that. */

struct upload {
	uint64_t id;
	struct programs *programs;
	uint64_t connection;
	struct part *part;
	bool busy;   /* the thread is at it */
	bool doomed; /* it goes when the thread has done */
	msec heard;
	UT_hash_handle hh; /* by id */
};

/* Something that the thread does for one. */
struct upload_work {
	struct job job;
	struct upload *upload;
	struct part *part;
	uint32_t stream;
	bool opens;
	struct buffer bytes;
	int code;
	struct error error;
};

static void upload_free(struct upload *upload)
{
	struct programs *programs = upload->programs;
	HASH_DELETE(hh, programs->uploads, upload);
	programs->upload_count--;
	part_destroy(upload->part);
	mem_free(upload);
}

static void upload_drop(struct upload *upload)
{
	if (upload->busy)
		upload->doomed = true;
	else
		upload_free(upload);
}

static void answer(struct programs *programs, uint64_t connection, uint32_t stream, uint64_t id, uint64_t offset, uint64_t size,
                   bool stored)
{
	Clusterd__Wire__Response response = CLUSTERD__WIRE__RESPONSE__INIT;
	Clusterd__Wire__Program body = CLUSTERD__WIRE__PROGRAM__INIT;
	body.upload = id;
	body.offset = offset;
	body.size = size;
	body.stored = stored;
	response.body_case = CLUSTERD__WIRE__RESPONSE__BODY_PROGRAM;
	response.program = &body;
	programs->handler.answer(programs->context, connection, stream, &response, SLICE(""));
}

static void work_run(struct job *job)
{
	struct upload_work *work = (struct upload_work *)job;
	work->code = work->opens ? part_open(work->part, &work->error)
	                         : part_add(work->part, buffer_slice(&work->bytes), &work->error);
}

static void work_done(struct job *job)
{
	struct upload_work *work = (struct upload_work *)job;
	struct upload *upload = work->upload;
	struct programs *programs = upload->programs;
	const struct part *part = upload->part;
	bool whole = work->code == 0 && !work->opens && part->offset == part->size;
	upload->busy = false;
	upload->heard = loop_now(programs->loop);
	if (whole)
		program_came(programs, part->hash);
	if (!programs->closing && !upload->doomed && work->code != 0)
		program_refuse(programs, upload->connection, work->stream, work->code, "%s", work->error.text);
	else if (!programs->closing && !upload->doomed)
		answer(programs, upload->connection, work->stream, upload->id, part->offset, part->size, whole);
	if (whole || work->code != 0 || upload->doomed || programs->closing)
		upload_free(upload);
	buffer_finish(&work->bytes);
	mem_free(work);
}

static void give(struct upload *upload, uint32_t stream, bool opens, struct slice bytes)
{
	struct upload_work *work = mem_zero(sizeof *work);
	work->job.run = work_run;
	work->job.done = work_done;
	work->upload = upload;
	work->part = upload->part;
	work->stream = stream;
	work->opens = opens;
	buffer_append_slice(&work->bytes, bytes);
	upload->busy = true;
	upload->heard = loop_now(upload->programs->loop);
	jobs_give(upload->programs->jobs, &work->job);
}

static struct upload *find(const struct programs *programs, uint64_t id, uint64_t connection)
{
	struct upload *upload;
	HASH_FIND(hh, programs->uploads, &id, sizeof id, upload);
	return upload != NULL && upload->connection == connection && !upload->doomed ? upload : NULL;
}

static void begin(struct programs *programs, uint64_t connection, uint32_t stream, const Clusterd__Wire__UploadProgram *body)
{
	if (programs->upload_count >= PROGRAM_UPLOADS_MAX) {
		program_refuse(programs, connection, stream, ERR_BUSY, "%u programs are being sent here already", PROGRAM_UPLOADS_MAX);
		return;
	}
	struct upload *upload = mem_zero(sizeof *upload);
	while (upload->id == 0 || find(programs, upload->id, connection) != NULL)
		upload->id = random_next(&programs->random);
	upload->programs = programs;
	upload->connection = connection;
	upload->part = part_create(programs, body->hash, body->size);
	HASH_ADD(hh, programs->uploads, id, sizeof upload->id, upload);
	programs->upload_count++;
	give(upload, stream, true, SLICE(""));
}

static void go_on(struct programs *programs, uint64_t connection, uint32_t stream, const Clusterd__Wire__UploadProgram *body,
                  struct slice payload)
{
	struct upload *upload = find(programs, body->upload, connection);
	if (upload == NULL)
		program_refuse(programs, connection, stream, ERR_NOT_FOUND,
		               "nothing is being sent under this number on this connection: begin again");
	else if (upload->busy)
		program_refuse(programs, connection, stream, ERR_CONFLICT, "the piece before this one was not acknowledged");
	else if (strcmp(upload->part->hash, body->hash) != 0 || upload->part->size != body->size)
		program_refuse(programs, connection, stream, ERR_CONFLICT, "this is another program than the one that was begun");
	else if (body->offset != upload->part->offset)
		program_refuse(programs, connection, stream, ERR_CONFLICT,
		               "a piece at byte %" PRIu64 ", where %" PRIu64 " bytes are there", body->offset, upload->part->offset);
	else if (payload.size == 0 || payload.size > PROGRAM_PIECE_MAX)
		program_refuse(programs, connection, stream, ERR_LIMIT, "a piece has 1 to %u bytes, not %zu", PROGRAM_PIECE_MAX,
		               payload.size);
	else if (payload.size > upload->part->size - upload->part->offset)
		program_refuse(programs, connection, stream, ERR_INVALID,
		               "more than the %" PRIu64 " bytes that the program was said to have", upload->part->size);
	else
		give(upload, stream, false, payload);
}

void upload_request(struct programs *programs, uint64_t connection, uint32_t stream, const Clusterd__Wire__UploadProgram *body,
                    struct slice payload)
{
	struct error error = {0};
	if (program_check(programs, slice_of(body->hash), body->size, &error) != 0)
		program_refuse(programs, connection, stream, error.code, "%s", error.text);
	else if (body->upload != 0)
		go_on(programs, connection, stream, body, payload);
	else if (program_is_here(programs, body->hash, body->size))
		answer(programs, connection, stream, 0, body->size, body->size, true);
	else if (payload.size != 0)
		program_refuse(programs, connection, stream, ERR_INVALID, "what begins has no bytes yet");
	else
		begin(programs, connection, stream, body);
}

void uploads_close(struct programs *programs, uint64_t connection)
{
	struct upload *upload;
	struct upload *next;
	HASH_ITER (hh, programs->uploads, upload, next) {
		if (upload->connection == connection)
			upload_drop(upload);
	}
}

void uploads_sweep(struct programs *programs, msec now)
{
	struct upload *upload;
	struct upload *next;
	HASH_ITER (hh, programs->uploads, upload, next) {
		if (!upload->busy && now - upload->heard >= PROGRAM_UPLOAD_IDLE_MS)
			upload_drop(upload);
	}
}

void uploads_finish(struct programs *programs)
{
	struct upload *upload;
	struct upload *next;
	HASH_ITER (hh, programs->uploads, upload, next)
		upload_drop(upload);
}
