#include "daemon/disk.h"

#include "base/memory.h"
#include "catalog/catalog.h"
#include "catalog/copy.h"
#include "net/jobs.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#define READ_ENTRIES 4096
#define READ_BYTES (4u << 20)
#define INSTALL_PATIENCE_MS 12000 /* queries end within QUERY_TIME_DEFAULT; who reads from outside need not */

/* A batch so small is written and synced on the loop's thread, while syncs are short: two changes of threads cost more than such
 * a sync (docs/PERFORMANCE.md). Larger ones come when there is much to do beside them. */
#define HERE_ENTRIES 4
#define HERE_BYTES 4096
#define HERE_SYNC_US 1000 /* the average of late syncs is not above it */
#define HERE_SLOW_US 5000 /* what the loop may be held up anyway; behind a sync that took longer */
#define HERE_SHARE 20     /* it does no other for so many times as long */

struct disk {
	struct jobs *jobs;   /* the disk thread */
	struct jobs *keeper; /* the thread that makes checkpoints */
	struct loop_watch *watch;
	struct loop_watch *keeper_watch;
	struct loop_pause *pause; /* in which the loop's thread does the disk thread's work */
	const struct disk_handler *handler;
	void *context;
	struct fs *fs;     /* of the data directory */
	struct fs *log_fs;
	struct wal *wal;   /* once the disk thread runs: its own, or the loop's while it has no jobs */
	struct vote_state vote;
	char *catalog_path;
	uint64_t log_tail;
	uint64_t tail_bytes;
	uint64_t log_bytes_max;

	/* Of the last job that was done, for who asks on the loop's thread. */
	uint64_t log_size;
	uint64_t log_first;
	uint64_t syncs;
	uint64_t bytes;
	uint64_t checkpoints;
	bool checkpointing;
	bool preparing;
	bool idling;
	bool appended; /* since the last disk_idle */
	bool marked;   /* the synced index is written down */
	bool failed;
	long long sync_us;       /* the average of late appends */
	long long not_before_us; /* none on the loop's thread */
};

/* A job with its outcome. */
struct disk_job {
	struct job job;
	struct disk *disk;
	int code;
	struct error error;
	uint64_t log_size;
	uint64_t log_first;
	/* append, read */
	struct wal_record *records;
	size_t count;
	uint64_t tag, from, to;
	bool may_be_gone;
	struct buffer bodies;
	bool wants_prepare; /* append, prepare */
	long long took_us;  /* append */
	bool here;          /* on the loop's thread */
	/* vote, identity */
	struct vote_state vote;
	/* cut */
	uint64_t last;
	/* checkpoint, release */
	bool complete;
	uint64_t applied;
	uint64_t needed;
	/* install: `last` is the index */
	char *path;
};

/* --- opening ------------------------------------------------------------------------------------------------------- */

static int open_fs(const char *path, bool create, struct fs **ret_fs, struct error *error)
{
	if (create && mkdir(path, 0700) != 0 && errno != EEXIST)
		return error_set(error, errno == ENOSPC ? ERR_NO_SPACE : ERR_IO, "cannot make the directory %s: %s", path,
		                 strerror(errno));
	int code = fs_posix_create(path, ret_fs);
	if (code != 0)
		return error_set(error, ERR_IO, "cannot open the directory %s: %s", path, strerror(-code));
	return 0;
}

int disk_open(const struct disk_options *options, struct disk **ret_disk, struct vote_state *ret_vote,
              struct wal_recovery *ret_recovery, struct error *error)
{
	struct disk *disk = mem_zero(sizeof *disk);
	struct wal_options wal_options = {0};
	char *log_path = mem_format("%s/log", options->directory);
	disk->catalog_path = mem_string(options->catalog_path);
	disk->log_tail = options->log_tail;
	disk->tail_bytes = options->tail_bytes > 0 ? options->tail_bytes : DISK_TAIL_BYTES;
	disk->log_bytes_max = options->log_bytes_max > 0 ? options->log_bytes_max : DISK_LOG_BYTES_MAX;
	int code = open_fs(options->directory, false, &disk->fs, error);
	if (code == 0)
		code = open_fs(log_path, true, &disk->log_fs, error);
	if (code == 0) {
		code = vote_load(disk->fs, &disk->vote, error);
		if (code == ERR_NOT_FOUND)
			code = 0;
	}
	if (code == 0)
		code = wal_open(disk->log_fs, &wal_options, &disk->wal, ret_recovery, error);
	mem_free(log_path);
	if (code != 0) {
		disk_close(disk);
		return code;
	}
	disk->log_size = wal_size(disk->wal);
	disk->log_first = wal_first_index(disk->wal);
	*ret_vote = disk->vote;
	*ret_disk = disk;
	return 0;
}

int disk_keep(struct disk *disk, const struct vote_state *state, struct error *error)
{
	assert(disk->jobs == NULL);
	disk->vote = *state;
	return vote_save(disk->fs, state, error);
}

int disk_reset(struct disk *disk, uint64_t next, struct error *error)
{
	assert(disk->jobs == NULL);
	int code = wal_reset(disk->wal, next, error);
	disk->log_size = wal_size(disk->wal);
	disk->log_first = wal_first_index(disk->wal);
	return code;
}

int disk_scan(struct disk *disk, uint64_t after,
              int (*each)(void *context, const struct wal_record *record, struct error *error), void *context,
              struct error *error)
{
	struct wal_record *records = mem_array(READ_ENTRIES, sizeof *records);
	struct buffer bodies = BUFFER_EMPTY;
	int code = 0;
	assert(disk->jobs == NULL);
	while (code == 0 && after < wal_last_index(disk->wal)) {
		buffer_clear(&bodies);
		int count = wal_read(disk->wal, after + 1, READ_ENTRIES, READ_BYTES, records, &bodies, error);
		code = count < 0 ? count : 0;
		for (int i = 0; i < count && code == 0; i++)
			code = each(context, &records[i], error);
		if (count > 0)
			after = records[count - 1].index;
	}
	buffer_finish(&bodies);
	mem_free(records);
	return code;
}

static void jobs_ready(void *context, bool readable, bool writable)
{
	(void)readable;
	(void)writable;
	jobs_collect(context);
}

static void run_here(void *context)
{
	jobs_run_here(context);
}

static void ran_here(void *context)
{
	jobs_collect(context);
}

int disk_run(struct disk *disk, struct loop *loop, const struct disk_handler *handler, void *context,
             struct error *error)
{
	disk->handler = handler;
	disk->context = context;
	int code = jobs_create("disk", &disk->jobs);
	if (code == 0)
		code = jobs_create("checkpoint", &disk->keeper);
	if (code != 0)
		return error_set(error, code, "the disk's threads cannot be started");
	disk->watch = loop_watch_create(loop, jobs_descriptor(disk->jobs), jobs_ready, disk->jobs);
	disk->keeper_watch = loop_watch_create(loop, jobs_descriptor(disk->keeper), jobs_ready, disk->keeper);
	disk->pause = loop_pause_create(loop, run_here, ran_here, disk->jobs);
	disk->sync_us = 2 * HERE_SYNC_US; /* not known yet */
	loop_watch_set(disk->watch, true, false);
	loop_watch_set(disk->keeper_watch, true, false);
	return 0;
}

void disk_close(struct disk *disk)
{
	if (disk == NULL)
		return;
	disk->failed = true; /* nobody is told any more */
	loop_watch_destroy(disk->watch);
	loop_watch_destroy(disk->keeper_watch);
	loop_pause_destroy(disk->pause);
	disk->pause = NULL;
	if (disk->keeper != NULL)
		jobs_destroy(disk->keeper);
	if (disk->jobs != NULL)
		jobs_destroy(disk->jobs);
	if (disk->wal != NULL)
		wal_close(disk->wal);
	if (disk->log_fs != NULL)
		disk->log_fs->operations->destroy(disk->log_fs);
	if (disk->fs != NULL)
		disk->fs->operations->destroy(disk->fs);
	mem_free(disk->catalog_path);
	mem_free(disk);
}

/* --- jobs ---------------------------------------------------------------------------------------------------------- */

static struct disk_job *job_create(struct disk *disk, void (*run)(struct job *), void (*done)(struct job *))
{
	struct disk_job *job = mem_zero(sizeof *job);
	job->job.run = run;
	job->job.done = done;
	job->disk = disk;
	return job;
}

/* Takes over what the job found out; false: it failed, and so has the disk. */
static bool job_finish(struct disk_job *job)
{
	struct disk *disk = job->disk;
	disk->log_size = job->log_size;
	disk->log_first = job->log_first;
	if (job->code == 0)
		return !disk->failed;
	if (!disk->failed)
		disk->handler->failed(disk->context, &job->error);
	disk->failed = true;
	return false;
}

static void job_release(struct disk_job *job)
{
	buffer_finish(&job->bodies);
	mem_free(job->records);
	mem_free(job->path);
	mem_free(job);
}

static void job_measure(struct disk_job *job)
{
	job->log_size = wal_size(job->disk->wal);
	job->log_first = wal_first_index(job->disk->wal);
}

static long long now_us(void)
{
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return (long long)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

static void append_run(struct job *base)
{
	struct disk_job *job = (struct disk_job *)base;
	long long began_us = now_us();
	job->code = wal_append(job->disk->wal, job->records, job->count, &job->error);
	if (job->code == 0)
		job->code = wal_sync(job->disk->wal, &job->error);
	job->wants_prepare = job->code == 0 && wal_wants_prepare(job->disk->wal);
	job->took_us = now_us() - began_us;
	job_measure(job);
}

static void prepare_run(struct job *base)
{
	struct disk_job *job = (struct disk_job *)base;
	job->code = wal_prepare(job->disk->wal, &job->error);
	if (job->code == ERR_NO_SPACE)
		job->code = 0; /* it will be said when there is something to write */
	job_measure(job);
}

static void prepare_done(struct job *base)
{
	struct disk_job *job = (struct disk_job *)base;
	job->disk->preparing = false;
	job_finish(job);
	job_release(job);
}

/* A piece of the next segment, between two batches: writing it at once would hold up whoever waits for a sync. */
static void need_prepare(struct disk *disk)
{
	if (disk->preparing)
		return;
	disk->preparing = true;
	jobs_give(disk->jobs, &job_create(disk, prepare_run, prepare_done)->job);
}

static void append_done(struct job *base)
{
	struct disk_job *job = (struct disk_job *)base;
	struct disk *disk = job->disk;
	disk->syncs++;
	disk->sync_us += (job->took_us - disk->sync_us) / 8;
	if (job->here && job->took_us > HERE_SLOW_US)
		disk->not_before_us = now_us() + HERE_SHARE * job->took_us;
	if (job_finish(job))
		disk->handler->synced(disk->context, job->records[job->count - 1].index);
	if (job->wants_prepare && !disk->failed)
		need_prepare(disk);
	job_release(job);
}

/* A loop that ends has no more pauses. */
static bool wants_here(const struct disk *disk, const struct wal_record *records, size_t count)
{
	size_t bytes = 0;
	for (size_t i = 0; i < count; i++)
		bytes += records[i].body.size;
	return disk->pause != NULL && count <= HERE_ENTRIES && bytes <= HERE_BYTES && disk->sync_us <= HERE_SYNC_US &&
	       !disk->checkpointing && jobs_idle(disk->jobs) && now_us() >= disk->not_before_us && wal_fits(disk->wal, records, count);
}

void disk_append(struct disk *disk, const struct wal_record *records, size_t count)
{
	struct disk_job *job = job_create(disk, append_run, append_done);
	job->records = mem_copy(records, count * sizeof *records);
	job->count = count;
	for (size_t i = 0; i < count; i++)
		disk->bytes += records[i].body.size;
	disk->appended = true;
	disk->marked = false;
	if (!wants_here(disk, records, count)) {
		jobs_give(disk->jobs, &job->job);
		return;
	}
	job->here = true;
	jobs_put_by(disk->jobs, &job->job);
	loop_pause_ask(disk->pause);
}

static void cut_run(struct job *base)
{
	struct disk_job *job = (struct disk_job *)base;
	job->code = wal_cut_after(job->disk->wal, job->last, &job->error);
	job_measure(job);
}

static void cut_done(struct job *base)
{
	struct disk_job *job = (struct disk_job *)base;
	job_finish(job);
	job_release(job);
}

void disk_cut(struct disk *disk, uint64_t last)
{
	struct disk_job *job = job_create(disk, cut_run, cut_done);
	job->last = last;
	jobs_give(disk->jobs, &job->job);
}

static void read_run(struct job *base)
{
	struct disk_job *job = (struct disk_job *)base;
	uint64_t wanted = job->to - job->from + 1;
	size_t room = wanted < READ_ENTRIES ? (size_t)wanted : READ_ENTRIES;
	job->records = mem_array(room, sizeof *job->records);
	int count = wal_read(job->disk->wal, job->from, room, READ_BYTES, job->records, &job->bodies, &job->error);
	if (count >= 0)
		job->count = (size_t)count;
	else if (count != ERR_NOT_FOUND || !job->may_be_gone)
		job->code = count;
	job_measure(job);
}

static void read_done(struct job *base)
{
	struct disk_job *job = (struct disk_job *)base;
	struct disk *disk = job->disk;
	if (job_finish(job))
		disk->handler->entries(disk->context, job->tag, job->records, job->count);
	job_release(job);
}

void disk_read(struct disk *disk, uint64_t tag, uint64_t from, uint64_t to, bool may_be_gone)
{
	struct disk_job *job = job_create(disk, read_run, read_done);
	job->tag = tag;
	job->from = from;
	job->to = to;
	job->may_be_gone = may_be_gone;
	jobs_give(disk->jobs, &job->job);
}

static void vote_run(struct job *base)
{
	struct disk_job *job = (struct disk_job *)base;
	job->code = vote_save(job->disk->fs, &job->vote, &job->error);
	job_measure(job);
}

static void vote_done(struct job *base)
{
	struct disk_job *job = (struct disk_job *)base;
	struct disk *disk = job->disk;
	if (job_finish(job))
		disk->handler->vote_saved(disk->context);
	job_release(job);
}

/* Vote and identity are one file: each job has all of it as it is to be then, and they are carried out in order. */
static void save_vote_file(struct disk *disk, void (*done)(struct job *))
{
	struct disk_job *job = job_create(disk, vote_run, done);
	job->vote = disk->vote;
	jobs_give(disk->jobs, &job->job);
}

void disk_save_vote(struct disk *disk, uint64_t term, uint64_t voted_for)
{
	disk->vote.term = term;
	disk->vote.voted_for = voted_for;
	save_vote_file(disk, vote_done);
}

static void identity_done(struct job *base)
{
	struct disk_job *job = (struct disk_job *)base;
	struct disk *disk = job->disk;
	if (job_finish(job))
		disk->handler->identity_saved(disk->context);
	job_release(job);
}

void disk_save_identity(struct disk *disk, const struct vote_state *identity)
{
	struct vote_state before = disk->vote;
	disk->vote = *identity;
	disk->vote.term = before.term;
	disk->vote.voted_for = before.voted_for;
	disk->vote.node_id = before.node_id;
	disk->vote.starts = before.starts;
	save_vote_file(disk, identity_done);
}

/* A tail stays for members that are a little behind: it is shorter than the one limit and the other. */
static uint64_t release_up_to(const struct disk_job *job)
{
	const struct wal *wal = job->disk->wal;
	uint64_t last = wal_last_index(wal);
	uint64_t tail = job->disk->log_tail;
	uint64_t by_count = last > tail ? last - tail : 0;
	uint64_t by_size = wal_index_before(wal, job->disk->tail_bytes);
	uint64_t release = by_count > by_size ? by_count : by_size;
	if (release >= job->needed && wal_size(wal) <= job->disk->log_bytes_max)
		release = job->needed > 0 ? job->needed - 1 : 0;
	return release < job->applied ? release : job->applied;
}

static void release_run(struct job *base)
{
	struct disk_job *job = (struct disk_job *)base;
	uint64_t release = release_up_to(job);
	if (release > 0)
		job->code = wal_release(job->disk->wal, release, &job->error);
	job_measure(job);
}

static void release_done(struct job *base)
{
	struct disk_job *job = (struct disk_job *)base;
	struct disk *disk = job->disk;
	uint64_t first = disk->log_first;
	if (job_finish(job) && disk->log_first > first)
		disk->handler->compacted(disk->context, disk->log_first - 1);
	job_release(job);
}

static void checkpoint_run(struct job *base)
{
	struct disk_job *job = (struct disk_job *)base;
	job->code = catalog_checkpoint(job->disk->catalog_path, &job->applied, &job->complete, &job->error);
}

/* Once everything is in the catalog's file, the log may let go of it. */
static void checkpoint_done(struct job *base)
{
	struct disk_job *job = (struct disk_job *)base;
	struct disk *disk = job->disk;
	disk->checkpointing = false;
	disk->checkpoints += job->complete;
	job->log_size = disk->log_size;
	job->log_first = disk->log_first;
	if (job_finish(job)) {
		if (job->complete) {
			struct disk_job *release = job_create(disk, release_run, release_done);
			release->applied = job->applied;
			release->needed = disk->handler->needed(disk->context);
			jobs_give(disk->jobs, &release->job);
		}
		disk->handler->checkpointed(disk->context, job->complete);
	}
	job_release(job);
}

void disk_checkpoint(struct disk *disk)
{
	if (disk->checkpointing || disk->failed)
		return;
	disk->checkpointing = true;
	jobs_give(disk->keeper, &job_create(disk, checkpoint_run, checkpoint_done)->job);
}

/* --- a copy of another node's catalog ------------------------------------------------------------------------------ */

static void install_run(struct job *base)
{
	struct disk_job *job = (struct disk_job *)base;
	job->code = catalog_install(job->path, job->disk->catalog_path, INSTALL_PATIENCE_MS, &job->error);
}

static void reset_run(struct job *base)
{
	struct disk_job *job = (struct disk_job *)base;
	job->code = wal_reset(job->disk->wal, job->last + 1, &job->error);
	job_measure(job);
}

static void reset_done(struct job *base)
{
	struct disk_job *job = (struct disk_job *)base;
	struct disk *disk = job->disk;
	if (job_finish(job))
		disk->handler->installed(disk->context);
	job_release(job);
}

/* The catalog is ahead of its log now: a node that comes up like this empties the log, too (data_dir.c). */
static void install_done(struct job *base)
{
	struct disk_job *job = (struct disk_job *)base;
	struct disk *disk = job->disk;
	job->log_size = disk->log_size;
	job->log_first = disk->log_first;
	if (job_finish(job)) {
		struct disk_job *reset = job_create(disk, reset_run, reset_done);
		reset->last = job->last;
		jobs_give(disk->jobs, &reset->job);
	}
	job_release(job);
}

/* On the thread of the checkpoints, so that none runs meanwhile. */
void disk_install(struct disk *disk, const char *path, uint64_t index)
{
	struct disk_job *job = job_create(disk, install_run, install_done);
	job->path = mem_string(path);
	job->last = index;
	jobs_give(disk->keeper, &job->job);
}

/* --- now and then -------------------------------------------------------------------------------------------------- */

static void idle_run(struct job *base)
{
	struct disk_job *job = (struct disk_job *)base;
	job->code = wal_mark_synced(job->disk->wal, &job->error);
	job_measure(job);
}

static void idle_done(struct job *base)
{
	struct disk_job *job = (struct disk_job *)base;
	job->disk->idling = false;
	job_finish(job);
	job_release(job);
}

void disk_idle(struct disk *disk)
{
	bool quiet = !disk->appended;
	disk->appended = false;
	if (disk->idling || disk->failed || !quiet || disk->marked)
		return;
	disk->marked = true;
	disk->idling = true;
	jobs_give(disk->jobs, &job_create(disk, idle_run, idle_done)->job);
}

bool disk_wants_idle(const struct disk *disk)
{
	return !disk->marked;
}

const char *disk_cluster_id(const struct disk *disk)
{
	return disk->vote.cluster_id;
}

uint64_t disk_log_size(const struct disk *disk)
{
	return disk->log_size;
}

uint64_t disk_log_first(const struct disk *disk)
{
	return disk->log_first;
}

uint64_t disk_syncs(const struct disk *disk)
{
	return disk->syncs;
}

uint64_t disk_bytes(const struct disk *disk)
{
	return disk->bytes;
}

int64_t disk_free_space(struct disk *disk)
{
	return disk->fs->operations->free_space(disk->fs);
}

bool disk_checkpointing(const struct disk *disk)
{
	return disk->checkpointing;
}

uint64_t disk_checkpoints(const struct disk *disk)
{
	return disk->checkpoints;
}
