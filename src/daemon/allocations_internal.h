/* What the files of allocations share. */
#ifndef CLUSTERD_DAEMON_ALLOCATIONS_INTERNAL_H
#define CLUSTERD_DAEMON_ALLOCATIONS_INTERNAL_H

#include "base/arena.h"
#include "daemon/allocations.h"
#include "net/child.h"

#include <sys/queue.h>
#include <sys/types.h>
#include <uthash.h>

#define ALLOCATION_TEXT_SIZE 400

/* ---- task_file.c: what is kept of an order, and what its command is executed with ---- */

/* What must be known of a task after a restart of the daemon. Strings are in an arena. */
struct task_facts {
	uint64_t job;
	uint32_t task;
	msec timeout;
	struct job_check check;
	uint16_t check_port;    /* its number */
	const char **check_env; /* of a check that is a command: the same as the task's; NULL at the end */
	enum task_output output;
	uint64_t output_max;
	uint64_t processes; /* 0: no limit */
	uint64_t disk;
};

void task_facts_of(const struct allocations_options *options, const struct allocation_order *order, const char *home,
                   struct arena *arena, struct task_facts *ret_facts);
/* ERR_IO, ERR_NO_SPACE */
int task_make_directories(const char *directory, const char *work, struct error *error);
/* The file `order` of the directory. ERR_IO, ERR_NO_SPACE; ERR_CORRUPT: it is not whole. */
int task_facts_write(const char *directory, const struct allocation_order *order, const struct task_facts *facts,
                     struct error *error);
int task_facts_read(const char *directory, struct arena *arena, struct task_facts *ret_facts, struct error *error);
/* "NAME=value", NULL at the end, in the arena. */
const char **task_environment(const struct allocations_options *options, const struct allocation_order *order,
                              const char *home, struct arena *arena);
const char *const *task_words(const struct slice *words, uint32_t count, struct arena *arena);

/* What the daemon wanted of it (the file `reason`), kept beside it until its end is told; "" when it wanted nothing. */
void task_reason_write(const char *directory, const char *text);
void task_reason_read(const char *directory, char *ret_text, size_t size);

/* ---- task_hold.c: an order that waits, for its program or until others have ended ---- */

struct task_hold {
	struct allocation_order order;
	struct arena arena;
};
struct task_hold *task_hold_create(const struct allocation_order *order);
void task_hold_destroy(struct task_hold *hold); /* NULL is fine */
bool task_is_among(uint64_t id, const uint64_t *known, size_t count); /* in ascending order */
/* A second name, in `work`, of the file that all tasks of this program on this node have: it takes no room. None: nothing. ERR_IO. */
int task_place_program(const struct job_program *program, const char *from, const char *work, struct error *error);

/* ---- task_starts.c ---- */

struct task_start {
	enum { TASK_START_NONE, TASK_START_WAITS, TASK_START_GOES } place;
	msec since;
	TAILQ_ENTRY(task_start) link;
};
TAILQ_HEAD(task_start_queue, task_start);

struct task_starts;
/* `begin` is called from the loop for one after the other, while less than `limit` (above 0) are being started. */
struct task_starts *task_starts_create(struct loop *loop, uint32_t limit,
                                       void (*begin)(void *context, struct task_start *start), void *context);
void task_starts_destroy(struct task_starts *starts); /* nobody waits in it; NULL is fine */
void task_starts_add(struct task_starts *starts, struct task_start *start); /* to the end of the line; again: nothing */
/* It has begun, or need not any more. In no line: nothing. */
void task_starts_done(struct task_starts *starts, struct task_start *start);

/* ---- task_limits.c ---- */

struct task_limit {
	uint64_t id;
	pid_t pid;          /* of its command */
	char *directory;    /* where it works */
	uint64_t processes; /* with their threads, of all that is below its supervisor; 0: no limit */
	uint64_t disk;      /* bytes; 0: no limit */
};

struct task_limits;
/* `directory`: on the file system of all of them. `exceeded` is told again until it is removed; `why` is for a person. ERR_IO. */
int task_limits_create(struct loop *loop, const char *directory,
                       void (*exceeded)(void *context, uint64_t id, const char *what, const char *why), void *context,
                       struct task_limits **ret_limits, struct error *error);
void task_limits_destroy(struct task_limits *limits); /* NULL is fine */
void task_limits_add(struct task_limits *limits, const struct task_limit *limit); /* copied */
void task_limits_remove(struct task_limits *limits, uint64_t id); /* NULL, and one that is not there, are fine */

/* ---- health.c ---- */

struct health;
struct health_handler {
	void (*changed)(void *context, bool healthy);
	/* It has failed too often; `why`: "GET http://127.0.0.1:4711/up: connection refused". Not called again. */
	void (*unwell)(void *context, const char *why);
};
/* `facts` and `directory` are held. `since`: when it started, on the loop's clock. */
struct health *health_create(struct loop *loop, struct children *children, const struct task_facts *facts,
                             const char *directory, msec since, const struct health_handler *handler, void *context);
void health_destroy(struct health *health); /* also from inside; NULL is fine */

/* ---- retention.c: directories of tasks that have ended and are acknowledged ---- */

struct retention;
struct workdirs;
int retention_create(const char *directory, struct workdirs *workdirs, msec kept, uint64_t kept_bytes, msec now,
                     struct retention **ret_retention, struct error *error);
void retention_destroy(struct retention *retention);
/* Takes over the directory of a task. */
void retention_add(struct retention *retention, uint64_t id, const char *directory, msec now);
void retention_prune(struct retention *retention, msec now);
bool retention_has(const struct retention *retention, uint64_t id, char *ret_path, size_t size);

/* ---- task_output.c ---- */

/* What a task that has ended with exit code 0 returns; or what is wrong with it. */
enum task_outcome task_output_value(const char *directory, enum task_output output, uint64_t output_max,
                                    struct buffer *ret_value);
/* "exit code 7: the end of stderr", of at most `size` bytes. */
void task_output_complaint(const char *directory, int exit_code, size_t size, struct buffer *ret_text);

/* ---- allocations.c, allocations_look.c ---- */

struct task {
	uint64_t id;
	struct allocations *allocations;
	char *directory;
	struct arena arena;
	struct task_facts facts;
	enum allocation_state state;
	struct task_hold *hold; /* it waits for its turn, its program, or for forgotten ones to end */
	struct task_start start;
	const char *program;    /* where it is, when it has come */
	bool wants;             /* it has not */
	struct supervised *supervised;
	struct health *health;
	struct loop_timer *timeout;
	bool stopping;  /* wanted, for whatever reason */
	bool forgotten; /* the group does not want to hear of it */
	bool put_by;    /* its directory is in the retention's hands already */
	bool lost;
	bool checked;
	bool healthy;
	int pid; /* of its command, while it runs */
	int exit_code;
	int exit_signal;
	msec started_ms;
	msec ended_ms;
	char text[ALLOCATION_TEXT_SIZE];
	bool dirty; /* in `dirty` */
	TAILQ_ENTRY(task) link;
	UT_hash_handle hh;
};

TAILQ_HEAD(task_queue, task);

struct allocations {
	struct loop *loop;
	struct allocations_options options; /* defaults filled in; strings are its own */
	struct allocations_handler handler;
	void *context;
	char *directory;
	char *strings[3];
	struct workdirs *workdirs;
	struct attachments *attachments;
	struct children *children;
	struct supervisors *supervisors;
	struct retention *retention;
	struct task_starts *starts;
	struct task_limits *limits;
	struct task *tasks;
	uint32_t leaving; /* forgotten ones that have not ended: what is new waits for them */
	struct task_queue dirty; /* to be reported */
	struct loop_timer *soon;
	struct loop_timer *again;
};

#endif
