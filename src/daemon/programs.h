/* Programs that were submitted, on this machine: each a file of DIR/programs named after the SHA-256 of its bytes. They come from clients
 * piece by piece, or from other nodes; they are whole and have their hash, or they are not there. One that no job refers to any more goes
 * after a time. All calls from the loop; files are written and read on a thread. */
#ifndef CLUSTERD_DAEMON_PROGRAMS_H
#define CLUSTERD_DAEMON_PROGRAMS_H

#include "base/error.h"
#include "base/time.h"
#include "net/loop.h"
#include "proto/wire.pb-c.h"
#include "wire/digest.h"
#include "workflow/job.h"

struct programs;

#define PROGRAM_PIECE_MAX (1u << 20)     /* bytes in one request or answer */
#define PROGRAM_SIZE_MAX (UINT64_C(1) << 30) /* default of `size_max` */
#define PROGRAM_UPLOADS_MAX 16u          /* of clients, at once */
#define PROGRAM_UPLOAD_IDLE_MS 30000     /* one of which nothing comes for so long is forgotten */
#define PROGRAM_FETCHES_MAX 1024u        /* from other nodes, waiting or under way */
#define PROGRAM_FETCHES_AT_ONCE 4u
#define PROGRAM_SOURCES_MAX 64u          /* nodes that are asked for one */
#define PROGRAM_QUEUE_MAX 256u           /* reads for other nodes that wait for the thread */
#define PROGRAM_KEPT_MS ((msec)10 * 60 * 1000) /* default of `kept` */

/* `answer`, `holders` and `wanted` may be called from inside a call of this door, the others are not. */
struct programs_handler {
	/* A request to another node; its answer is given to programs_answered with this stream. */
	void (*ask)(void *context, uint32_t stream, const Clusterd__Wire__Request *request);
	/* Ids of nodes that may have one: those of these names first, then others; how many. */
	size_t (*holders)(void *context, const struct slice *names, size_t count, uint64_t *ret_ids, size_t most);
	/* A job that has not ended refers to it. */
	bool (*wanted)(void *context, const char *hash);
	/* After programs_want: it is in the file `path`; NULL: it cannot be had, and `why`. */
	void (*supplied)(void *context, const char *hash, const char *path, const char *why);
	void (*answer)(void *context, uint64_t connection, uint32_t stream, const Clusterd__Wire__Response *response,
	               struct slice payload);
};

struct programs_options {
	const char *directory; /* made when absent; what is not whole in it is removed */
	uint64_t size_max;     /* bytes of one; 0: the default */
	msec kept;             /* one that nobody needs stays for so long after it was used last; 0: the default */
	uint64_t seed;
};

int programs_create(struct loop *loop, const struct programs_options *options, const struct programs_handler *handler,
                    void *context, struct programs **ret_programs, struct error *error);
void programs_destroy(struct programs *programs); /* NULL is fine */
/* UploadProgram, KeepProgram, ReadProgram. It is answered later. */
void programs_request(struct programs *programs, uint64_t connection, uint32_t stream, const Clusterd__Wire__Request *request,
                      struct slice payload);
/* What another node has answered; may be called from inside of `ask`. */
void programs_answered(struct programs *programs, uint32_t stream, const Clusterd__Wire__Response *response, struct slice payload);
/* The connection is closed: its uploads are forgotten. */
void programs_closed(struct programs *programs, uint64_t connection);
/* `supplied` says where it is, or why it cannot be had. */
void programs_want(struct programs *programs, const struct job_program *program);

#endif
