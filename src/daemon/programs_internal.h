/* What the files of programs share:
 *   programs.c        the door, those that are there, reading them, letting go of them
 *   program_part.c    one that is not whole yet, on the thread
 *   program_upload.c  those that come from clients
 *   program_fetch.c   those that come from other nodes */
#ifndef CLUSTERD_DAEMON_PROGRAMS_INTERNAL_H
#define CLUSTERD_DAEMON_PROGRAMS_INTERNAL_H

#include "base/buffer.h"
#include "base/random.h"
#include "daemon/programs.h"
#include "net/jobs.h"

#include <sys/queue.h>
#include <uthash.h>

/* One that is there. */
struct stored {
	char hash[DIGEST_SIZE];
	msec used;
	UT_hash_handle hh;
};

struct upload;
struct fetch;
TAILQ_HEAD(fetch_list, fetch);

struct programs {
	struct loop *loop;
	struct programs_handler handler;
	void *context;
	char *directory;
	uint64_t size_max;
	msec kept;
	struct random random;
	struct jobs *jobs;
	struct loop_watch *watch;
	struct loop_timer *soon; /* what is supplied, what waits */
	msec due;                /* what it is set to */
	struct loop_timer *sweep;
	struct stored *all;
	struct upload *uploads;
	uint32_t upload_count;
	struct fetch_list fetches; /* in the order in which they came */
	uint32_t fetch_count;
	uint32_t next_stream;
	uint64_t next_part;
	uint32_t reading; /* pieces */
	bool closing;     /* nobody is told anything any more */
};

/* programs.c */
bool program_is_here(struct programs *programs, const char *hash, uint64_t size);
char *program_path(const struct programs *programs, const char *hash); /* to be freed */
void program_came(struct programs *programs, const char *hash);
void program_refuse(struct programs *programs, uint64_t connection, uint32_t stream, int code, const char *format, ...)
	__attribute__((format(printf, 5, 6)));
/* 0; ERR_INVALID, ERR_LIMIT: it can be none. */
int program_check(const struct programs *programs, struct slice hash, uint64_t size, struct error *error);

/* program_part.c: by whoever has it, on the thread, one after another; made and freed on the loop. */
struct part {
	char *path;        /* of the part */
	char *final_path;
	char *directory;
	char hash[DIGEST_SIZE];
	uint64_t size;
	uint64_t offset;   /* so much is there */
	int file;
	struct digest *digest;
};
struct part *part_create(struct programs *programs, const char *hash, uint64_t size);
void part_destroy(struct part *part); /* the file goes, unless it became the program */
int part_open(struct part *part, struct error *error);
/* Behind what is there; with the last bytes it becomes the program, or ERR_CORRUPT. */
int part_add(struct part *part, struct slice bytes, struct error *error);

/* program_upload.c */
void upload_request(struct programs *programs, uint64_t connection, uint32_t stream, const Clusterd__Wire__UploadProgram *body,
                    struct slice payload);
void uploads_close(struct programs *programs, uint64_t connection);
void uploads_sweep(struct programs *programs, msec now);
void uploads_finish(struct programs *programs);

/* program_fetch.c */
void fetch_request(struct programs *programs, uint64_t connection, uint32_t stream, const Clusterd__Wire__KeepProgram *body);
void fetch_want(struct programs *programs, const struct job_program *program);
void fetches_due(struct programs *programs);
void fetches_finish(struct programs *programs);

#endif
