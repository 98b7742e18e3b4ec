/* What a task may have on this machine, where the kernel does not see to it: processes with their threads, and bytes in its working
 * directory. RLIMIT_NPROC counts all that a user has, in whatever task, and not what root has; a disk has no limit for a directory. So the
 * node looks: at two numbers of the whole machine ten times a second, and closely, on a thread, when these have grown by so much that
 * one task may be over its limit, and now and then. */
#include "daemon/allocations_internal.h"

#include "base/memory.h"
#include "net/jobs.h"
#include "net/processes.h"

#include <errno.h>
#include <fcntl.h>
#include <fts.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>
#include <uthash.h>

#define LOOK_MS 100
#define LOOK_CLOSELY_MS 10000 /* also when nothing has grown */
#define PARTS 8               /* grown by such a part of the smallest limit: a close look */
#define REST 4                /* times as long as the last close look took nothing is looked at closely */

struct subject {
	struct task_limit limit; /* the directory is its own */
	pid_t supervisor;        /* of a close look; 0: not known */
	uint64_t count;          /* found */
	uint64_t bytes;
	UT_hash_handle hh;
};

struct task_limits {
	struct loop *loop;
	struct loop_timer *timer;
	struct jobs *jobs;
	struct loop_watch *watch;
	char *directory;
	int threads_file; /* /proc/loadavg */
	struct subject *subjects;
	struct close_look *looking; /* NULL: none is under way */
	uint64_t threads;           /* of the machine, at the last close look */
	uint64_t used;              /* bytes of the file system */
	msec closely_at;
	msec rest_until;
	void (*exceeded)(void *context, uint64_t id, const char *what, const char *why);
	void *context;
};

struct close_look {
	struct job job;
	struct task_limits *limits;
	struct subject *subjects; /* copies */
	size_t count;
	msec since;
	struct processes processes;
};

/* ---- The close look, on the thread ---- */

static int order_by_supervisor(const void *left, const void *right)
{
	pid_t a = ((const struct subject *)left)->supervisor;
	pid_t b = ((const struct subject *)right)->supervisor;
	return (a > b) - (a < b);
}

/* Whose it is, by the supervisor above it. */
static struct subject *owner_of(const struct close_look *look, const struct process *process)
{
	for (size_t steps = 0; process != NULL && steps < look->processes.count; steps++) {
		const struct subject key = {.supervisor = process->parent};
		struct subject *subject = key.supervisor > 1 ? bsearch(&key, look->subjects, look->count, sizeof key,
		                                                       order_by_supervisor)
		                                             : NULL;
		if (subject != NULL)
			return subject;
		process = processes_find(&look->processes, process->parent);
	}
	return NULL;
}

static void count_processes(struct close_look *look)
{
	processes_list(&look->processes);
	for (size_t i = 0; i < look->count; i++) {
		const struct process *command = processes_find(&look->processes, look->subjects[i].limit.pid);
		look->subjects[i].supervisor = command != NULL ? command->parent : 0;
	}
	qsort(look->subjects, look->count, sizeof *look->subjects, order_by_supervisor);
	for (size_t i = 0; i < look->processes.count; i++) {
		struct subject *owner = owner_of(look, &look->processes.all[i]);
		if (owner != NULL)
			owner->count += look->processes.all[i].threads;
	}
}

/* What the directory takes on its disk, as far as it has to be known. Names of one file share it. */
static uint64_t directory_bytes(char *path, uint64_t enough)
{
	char *const paths[] = {path, NULL};
	uint64_t bytes = 0;
	FTSENT *entry;
	FTS *walk = fts_open(paths, FTS_PHYSICAL | FTS_NOCHDIR | FTS_XDEV, NULL);
	while (walk != NULL && bytes <= enough && (entry = fts_read(walk)) != NULL) {
		if (entry->fts_info == FTS_DP || entry->fts_statp == NULL || entry->fts_info == FTS_NS)
			continue;
		uint64_t names = S_ISDIR(entry->fts_statp->st_mode) ? 1 : (uint64_t)entry->fts_statp->st_nlink;
		bytes += (uint64_t)entry->fts_statp->st_blocks * 512 / (names > 0 ? names : 1);
	}
	if (walk != NULL)
		fts_close(walk);
	return bytes;
}

static void look_closely(struct job *job)
{
	struct close_look *look = (struct close_look *)job;
	bool count = false;
	for (size_t i = 0; i < look->count; i++) {
		const struct task_limit *limit = &look->subjects[i].limit;
		count = count || limit->processes > 0;
		if (limit->disk > 0)
			look->subjects[i].bytes = directory_bytes(limit->directory, limit->disk);
	}
	if (count)
		count_processes(look);
}

/* ---- What came of it ---- */

static void judge(const struct task_limits *limits, const struct subject *seen)
{
	struct subject *subject;
	char text[160];
	HASH_FIND(hh, limits->subjects, &seen->limit.id, sizeof seen->limit.id, subject);
	if (subject == NULL)
		return; /* it has ended meanwhile */
	if (seen->limit.processes > 0 && seen->count > seen->limit.processes) {
		snprintf(text, sizeof text, "it had %" PRIu64 " processes and threads, and may have %" PRIu64, seen->count,
		         seen->limit.processes);
		limits->exceeded(limits->context, seen->limit.id, "too many processes", text);
	} else if (seen->limit.disk > 0 && seen->bytes > seen->limit.disk) {
		snprintf(text, sizeof text, "its working directory had %" PRIu64 " bytes, and may have %" PRIu64, seen->bytes,
		         seen->limit.disk);
		limits->exceeded(limits->context, seen->limit.id, "too much on the disk", text);
	}
}

static void look_done(struct job *job)
{
	struct close_look *look = (struct close_look *)job;
	struct task_limits *limits = look->limits;
	msec now = loop_now(limits->loop);
	limits->looking = NULL;
	limits->closely_at = now + LOOK_CLOSELY_MS;
	limits->rest_until = now + REST * (now - look->since);
	for (size_t i = 0; i < look->count; i++) {
		judge(limits, &look->subjects[i]);
		mem_free(look->subjects[i].limit.directory);
	}
	mem_free(look->subjects);
	processes_finish(&look->processes);
	mem_free(look);
}

static void begin_look(struct task_limits *limits)
{
	struct close_look *look = mem_zero(sizeof *look);
	size_t count = HASH_COUNT(limits->subjects);
	look->job.run = look_closely;
	look->job.done = look_done;
	look->limits = limits;
	look->since = loop_now(limits->loop);
	look->subjects = mem_zero(count * sizeof *look->subjects);
	for (const struct subject *subject = limits->subjects; subject != NULL; subject = subject->hh.next) {
		struct subject *copy = &look->subjects[look->count++];
		copy->limit = subject->limit;
		copy->limit.directory = mem_string(subject->limit.directory);
	}
	limits->looking = look;
	jobs_give(limits->jobs, &look->job);
}

/* ---- The glance ---- */

/* Threads of the machine: "0.00 0.01 0.05 1/123 4567". */
static uint64_t read_threads(const struct task_limits *limits)
{
	char text[128];
	unsigned long long threads;
	ssize_t size = limits->threads_file >= 0 ? pread(limits->threads_file, text, sizeof text - 1, 0) : -1;
	text[size > 0 ? size : 0] = '\0';
	return sscanf(text, "%*s %*s %*s %*u/%llu", &threads) == 1 ? threads : 0;
}

static uint64_t read_used(const struct task_limits *limits)
{
	struct statvfs status;
	if (statvfs(limits->directory, &status) != 0)
		return 0;
	return (uint64_t)(status.f_blocks - status.f_bfree) * (status.f_frsize > 0 ? status.f_frsize : status.f_bsize);
}

static bool has_grown(uint64_t *before, uint64_t now, uint64_t limit)
{
	if (now < *before)
		*before = now;
	return limit != UINT64_MAX && now - *before >= limit / PARTS;
}

static void on_time(void *context)
{
	struct task_limits *limits = context;
	uint64_t processes = UINT64_MAX;
	uint64_t disk = UINT64_MAX;
	msec now = loop_now(limits->loop);
	for (const struct subject *subject = limits->subjects; subject != NULL; subject = subject->hh.next) {
		if (subject->limit.processes > 0 && subject->limit.processes < processes)
			processes = subject->limit.processes;
		if (subject->limit.disk > 0 && subject->limit.disk < disk)
			disk = subject->limit.disk;
	}
	if (limits->subjects == NULL)
		return;
	loop_timer_set(limits->timer, now + LOOK_MS);
	if (limits->looking != NULL || now < limits->rest_until)
		return;
	uint64_t threads = processes != UINT64_MAX ? read_threads(limits) : 0;
	uint64_t used = disk != UINT64_MAX ? read_used(limits) : 0;
	bool more_threads = has_grown(&limits->threads, threads, processes);
	bool more_used = has_grown(&limits->used, used, disk);
	if (!more_threads && !more_used && now < limits->closely_at)
		return;
	limits->threads = threads;
	limits->used = used;
	begin_look(limits);
}

/* ---- The door ---- */

static void jobs_ready(void *context, bool readable, bool writable)
{
	(void)readable, (void)writable;
	jobs_collect(context);
}

int task_limits_create(struct loop *loop, const char *directory,
                       void (*exceeded)(void *context, uint64_t id, const char *what, const char *why), void *context,
                       struct task_limits **ret_limits, struct error *error)
{
	struct jobs *jobs;
	int code = jobs_create("task-limits", &jobs);
	if (code != 0)
		return error_set(error, code, "the thread that looks at tasks cannot be started");
	struct task_limits *limits = mem_zero(sizeof *limits);
	limits->loop = loop;
	limits->jobs = jobs;
	limits->watch = loop_watch_create(loop, jobs_descriptor(jobs), jobs_ready, jobs);
	loop_watch_set(limits->watch, true, false);
	limits->timer = loop_timer_create(loop, on_time, limits);
	limits->directory = mem_string(directory);
	limits->threads_file = open("/proc/loadavg", O_RDONLY | O_CLOEXEC);
	limits->exceeded = exceeded;
	limits->context = context;
	*ret_limits = limits;
	return 0;
}

void task_limits_destroy(struct task_limits *limits)
{
	struct subject *subject;
	struct subject *next;
	if (limits == NULL)
		return;
	HASH_ITER (hh, limits->subjects, subject, next)
		task_limits_remove(limits, subject->limit.id);
	loop_watch_destroy(limits->watch);
	jobs_destroy(limits->jobs);
	loop_timer_destroy(limits->timer);
	if (limits->threads_file >= 0)
		close(limits->threads_file);
	mem_free(limits->directory);
	mem_free(limits);
}

void task_limits_add(struct task_limits *limits, const struct task_limit *limit)
{
	if (limit->processes == 0 && limit->disk == 0)
		return;
	task_limits_remove(limits, limit->id);
	if (limits->subjects == NULL)
		loop_timer_set(limits->timer, loop_now(limits->loop) + LOOK_MS);
	struct subject *subject = mem_zero(sizeof *subject);
	subject->limit = *limit;
	subject->limit.directory = mem_string(limit->directory);
	HASH_ADD(hh, limits->subjects, limit.id, sizeof subject->limit.id, subject);
}

void task_limits_remove(struct task_limits *limits, uint64_t id)
{
	struct subject *subject = NULL;
	if (limits != NULL)
		HASH_FIND(hh, limits->subjects, &id, sizeof id, subject);
	if (subject == NULL)
		return;
	HASH_DELETE(hh, limits->subjects, subject);
	mem_free(subject->limit.directory);
	mem_free(subject);
}
