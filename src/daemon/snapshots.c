#include "daemon/snapshots.h"

#include "base/log.h"
#include "base/memory.h"
#include "catalog/copy.h"
#include "coordinator/machine.h"
#include "net/jobs.h"

#include <assert.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

struct snapshots {
	struct jobs *jobs;
	struct loop_watch *watch;
	const struct snapshots_handler *handler;
	void *context;
	struct disk *disk;
	char *catalog_path;
	char *directory;
	char *out_path; /* the one that is given away */
	char *in_path;  /* the one that is taken */
	uint64_t making; /* number of the one that is wanted; 0: none */
	uint64_t next_number;
	int out;         /* it, open; −1: not made yet */
	bool closing;    /* nobody is told any more */

	/* The thread's. */
	int in;
	uint64_t in_size;
};

/* A job with its outcome. */
struct snapshot_job {
	struct job job;
	struct snapshots *snapshots;
	int code;
	struct error error;
	uint64_t number; /* make */
	int out;
	struct raft_snapshot snapshot;
	uint64_t offset; /* write */
	struct buffer bytes;
	char cluster_id[CATALOG_CLUSTER_ID_SIZE]; /* install */
};

static int system_failure(struct error *error, const char *doing, const char *path)
{
	int code = errno == ENOSPC || errno == EDQUOT ? ERR_NO_SPACE : ERR_IO;
	return error_set(error, code, "cannot %s %s: %s", doing, path, strerror(errno));
}

/* --- life ---------------------------------------------------------------------------------------------------------- */

static void jobs_ready(void *context, bool readable, bool writable)
{
	(void)readable;
	(void)writable;
	jobs_collect(context);
}

/* The directory, with nothing in it. */
static int clear_directory(const char *path, struct error *error)
{
	if (mkdir(path, 0700) != 0 && errno != EEXIST)
		return system_failure(error, "make the directory", path);
	DIR *directory = opendir(path);
	if (directory == NULL)
		return system_failure(error, "read the directory", path);
	int code = 0;
	struct dirent *entry;
	while (code == 0 && (entry = readdir(directory)) != NULL) {
		if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
			continue;
		if (unlinkat(dirfd(directory), entry->d_name, 0) != 0 && errno != ENOENT)
			code = system_failure(error, "remove a file left in", path);
	}
	closedir(directory);
	return code;
}

int snapshots_create(struct loop *loop, const struct snapshots_options *options, const struct snapshots_handler *handler,
                     void *context, struct snapshots **ret_snapshots, struct error *error)
{
	struct snapshots *snapshots = mem_zero(sizeof *snapshots);
	snapshots->directory = mem_format("%s/snapshot", options->directory);
	snapshots->handler = handler;
	snapshots->context = context;
	snapshots->disk = options->disk;
	snapshots->catalog_path = mem_string(options->catalog_path);
	snapshots->out_path = mem_format("%s/out.db", snapshots->directory);
	snapshots->in_path = mem_format("%s/in.db", snapshots->directory);
	snapshots->out = -1;
	snapshots->in = -1;
	int code = clear_directory(snapshots->directory, error);
	if (code == 0 && jobs_create("snapshots", &snapshots->jobs) != 0)
		code = error_set(error, ERR_IO, "the thread for copies of the catalog cannot be started");
	if (code != 0) {
		snapshots_destroy(snapshots);
		return code;
	}
	snapshots->watch = loop_watch_create(loop, jobs_descriptor(snapshots->jobs), jobs_ready, snapshots->jobs);
	loop_watch_set(snapshots->watch, true, false);
	*ret_snapshots = snapshots;
	return 0;
}

void snapshots_destroy(struct snapshots *snapshots)
{
	if (snapshots == NULL)
		return;
	snapshots->closing = true;
	loop_watch_destroy(snapshots->watch);
	if (snapshots->jobs != NULL)
		jobs_destroy(snapshots->jobs);
	if (snapshots->out >= 0)
		close(snapshots->out);
	if (snapshots->in >= 0)
		close(snapshots->in);
	mem_free(snapshots->catalog_path);
	mem_free(snapshots->directory);
	mem_free(snapshots->out_path);
	mem_free(snapshots->in_path);
	mem_free(snapshots);
}

const char *snapshots_directory(const struct snapshots *snapshots)
{
	return snapshots->directory;
}

static struct snapshot_job *job_create(struct snapshots *snapshots, void (*run)(struct job *), void (*done)(struct job *))
{
	struct snapshot_job *job = mem_zero(sizeof *job);
	job->job.run = run;
	job->job.done = done;
	job->snapshots = snapshots;
	job->out = -1;
	return job;
}

static void job_release(struct job *base)
{
	struct snapshot_job *job = (struct snapshot_job *)base;
	buffer_finish(&job->bytes);
	mem_free(job);
}

/* --- giving -------------------------------------------------------------------------------------------------------- */

static int read_configuration(const struct catalog_facts *facts, struct raft_configuration *ret_configuration)
{
	struct machine_configuration written = {0};
	if (facts->configuration.size == 0) {
		*ret_configuration = (struct raft_configuration){0};
		return 0;
	}
	if (!machine_configuration_parse(buffer_slice(&facts->configuration), &written))
		return ERR_CORRUPT;
	ret_configuration->index = written.index;
	ret_configuration->count = (uint32_t)written.count;
	for (size_t i = 0; i < written.count; i++)
		ret_configuration->members[i] = (struct raft_member){written.members[i].id, written.members[i].voter};
	return 0;
}

static int describe(const char *path, struct raft_snapshot *snapshot, struct error *error)
{
	struct catalog_facts facts = CATALOG_FACTS_EMPTY;
	int code = catalog_facts_read(path, &facts, error);
	if (code == 0 && read_configuration(&facts, &snapshot->configuration) != 0)
		code = error_set(error, ERR_CORRUPT, "%s: its configuration cannot be", path);
	snapshot->index = facts.applied_index;
	snapshot->term = facts.applied_term;
	catalog_facts_finish(&facts);
	if (code == 0)
		code = catalog_file_hash(path, &snapshot->size, &snapshot->id, error);
	return code;
}

static void make_run(struct job *base)
{
	struct snapshot_job *job = (struct snapshot_job *)base;
	struct snapshots *snapshots = job->snapshots;
	job->code = catalog_copy(snapshots->catalog_path, snapshots->out_path, &job->error);
	if (job->code == 0)
		job->code = describe(snapshots->out_path, &job->snapshot, &job->error);
	if (job->code == 0 && (job->out = open(snapshots->out_path, O_RDONLY | O_CLOEXEC)) < 0)
		job->code = system_failure(&job->error, "open", snapshots->out_path);
	if (job->code != 0)
		unlink(snapshots->out_path);
}

static void make_done(struct job *base)
{
	struct snapshot_job *job = (struct snapshot_job *)base;
	struct snapshots *snapshots = job->snapshots;
	bool wanted = job->number == snapshots->making && !snapshots->closing;
	if (job->out >= 0 && !wanted)
		close(job->out);
	if (wanted) {
		snapshots->out = job->out;
		if (job->code != 0)
			log_write(LOG_WARNING, "catalog", "no copy of the catalog for another node: %s", job->error.text);
		snapshots->handler->made(snapshots->context, job->code == 0 ? &job->snapshot : NULL);
	}
	job_release(base);
}

void snapshots_make(struct snapshots *snapshots)
{
	struct snapshot_job *job = job_create(snapshots, make_run, make_done);
	assert(snapshots->out < 0);
	snapshots->making = job->number = ++snapshots->next_number;
	jobs_give(snapshots->jobs, &job->job);
}

static void remove_run(struct job *base)
{
	struct snapshot_job *job = (struct snapshot_job *)base;
	unlink(job->snapshots->out_path);
}

/* The file goes after one that is being made is there, and before the next is begun. */
void snapshots_release(struct snapshots *snapshots)
{
	if (snapshots->making == 0)
		return;
	snapshots->making = 0;
	if (snapshots->out >= 0)
		close(snapshots->out);
	snapshots->out = -1;
	jobs_give(snapshots->jobs, &job_create(snapshots, remove_run, job_release)->job);
}

int snapshots_read(struct snapshots *snapshots, uint64_t offset, size_t size, struct buffer *out)
{
	if (snapshots->out < 0)
		return ERR_IO;
	ssize_t count = pread(snapshots->out, buffer_reserve(out, size), size, (off_t)offset);
	if (count < 0)
		return ERR_IO;
	out->size += (size_t)count;
	return 0;
}

/* --- taking -------------------------------------------------------------------------------------------------------- */

static int begin(struct snapshots *snapshots, struct error *error)
{
	if (snapshots->in >= 0)
		close(snapshots->in);
	snapshots->in = open(snapshots->in_path, O_CREAT | O_TRUNC | O_WRONLY | O_CLOEXEC, 0600);
	snapshots->in_size = 0;
	return snapshots->in < 0 ? system_failure(error, "create", snapshots->in_path) : 0;
}

static int write_all(struct snapshots *snapshots, struct slice bytes, struct error *error)
{
	while (bytes.size > 0) {
		ssize_t count = pwrite(snapshots->in, bytes.data, bytes.size, (off_t)snapshots->in_size);
		if (count < 0 && errno == EINTR)
			continue;
		if (count < 0)
			return system_failure(error, "write", snapshots->in_path);
		snapshots->in_size += (uint64_t)count;
		bytes = (struct slice){bytes.data + count, bytes.size - (size_t)count};
	}
	return 0;
}

static void write_run(struct job *base)
{
	struct snapshot_job *job = (struct snapshot_job *)base;
	struct snapshots *snapshots = job->snapshots;
	if (job->offset == 0)
		job->code = begin(snapshots, &job->error);
	if (job->code == 0 && (snapshots->in < 0 || job->offset != snapshots->in_size ||
	                       job->bytes.size > job->snapshot.size - job->offset))
		job->code = error_set(&job->error, ERR_INVALID,
		                      "bytes %" PRIu64 " … %" PRIu64 " of a copy of the catalog do not follow the %" PRIu64
		                      " that are there",
		                      job->offset, job->offset + job->bytes.size, snapshots->in_size);
	if (job->code == 0)
		job->code = write_all(snapshots, buffer_slice(&job->bytes), &job->error);
}

static void tell_failure(struct snapshot_job *job)
{
	struct snapshots *snapshots = job->snapshots;
	if (!snapshots->closing)
		snapshots->handler->failed(snapshots->context, &job->error);
}

static void write_done(struct job *base)
{
	struct snapshot_job *job = (struct snapshot_job *)base;
	struct snapshots *snapshots = job->snapshots;
	if (job->code != 0)
		tell_failure(job);
	else if (!snapshots->closing)
		snapshots->handler->written(snapshots->context);
	job_release(base);
}

void snapshots_write(struct snapshots *snapshots, const struct raft_snapshot *snapshot, uint64_t offset,
                     struct slice bytes)
{
	struct snapshot_job *job = job_create(snapshots, write_run, write_done);
	job->snapshot = *snapshot;
	job->offset = offset;
	buffer_append_slice(&job->bytes, bytes);
	jobs_give(snapshots->jobs, &job->job);
}

/* What the sender said of it, against what is there. */
static int compare(const struct snapshot_job *job, const struct catalog_facts *facts, uint64_t page_size,
                   struct error *error)
{
	const struct raft_snapshot *snapshot = &job->snapshot;
	if (facts->applied_index != snapshot->index || facts->applied_term != snapshot->term)
		return error_set(error, ERR_CORRUPT,
		                 "it is as of entry %" PRIu64 " of term %" PRIu64 ", not %" PRIu64 " of term %" PRIu64,
		                 facts->applied_index, facts->applied_term, snapshot->index, snapshot->term);
	if (job->cluster_id[0] != '\0' && strcmp(job->cluster_id, facts->cluster_id) != 0)
		return error_set(error, ERR_CORRUPT, "it is of cluster %s, and this node of %s", facts->cluster_id,
		                 job->cluster_id);
	if (facts->page_size != page_size)
		return error_set(error, ERR_CORRUPT, "it has pages of %" PRIu64 " bytes, the catalog of %" PRIu64,
		                 facts->page_size, page_size);
	return 0;
}

static int verify(const struct snapshot_job *job, struct error *error)
{
	const struct snapshots *snapshots = job->snapshots;
	struct catalog_facts facts = CATALOG_FACTS_EMPTY;
	uint64_t size = 0;
	uint64_t hash = 0;
	uint64_t page_size = 0;
	int code = catalog_facts_read(snapshots->catalog_path, &facts, error);
	page_size = facts.page_size;
	if (code == 0)
		code = catalog_file_hash(snapshots->in_path, &size, &hash, error);
	if (code == 0 && (size != job->snapshot.size || hash != job->snapshot.id))
		code = error_set(error, ERR_CORRUPT, "its %" PRIu64 " bytes are not what was sent", size);
	if (code == 0)
		code = catalog_check(snapshots->in_path, error);
	if (code == 0)
		code = catalog_facts_read(snapshots->in_path, &facts, error);
	if (code == 0)
		code = compare(job, &facts, page_size, error);
	catalog_facts_finish(&facts);
	if (code != 0)
		error_prefix(error, "a copy of the catalog that was taken from another node cannot be used");
	return code;
}

static void verify_run(struct job *base)
{
	struct snapshot_job *job = (struct snapshot_job *)base;
	if (job->snapshots->in >= 0)
		close(job->snapshots->in);
	job->snapshots->in = -1;
	job->code = verify(job, &job->error);
}

static void verify_done(struct job *base)
{
	struct snapshot_job *job = (struct snapshot_job *)base;
	struct snapshots *snapshots = job->snapshots;
	if (job->code != 0)
		tell_failure(job);
	else if (!snapshots->closing)
		disk_install(snapshots->disk, snapshots->in_path, job->snapshot.index);
	job_release(base);
}

void snapshots_install(struct snapshots *snapshots, const struct raft_snapshot *snapshot, const char *cluster_id)
{
	struct snapshot_job *job = job_create(snapshots, verify_run, verify_done);
	assert(strlen(cluster_id) < sizeof job->cluster_id);
	job->snapshot = *snapshot;
	strcpy(job->cluster_id, cluster_id);
	jobs_give(snapshots->jobs, &job->job);
}

static void forget_run(struct job *base)
{
	struct snapshot_job *job = (struct snapshot_job *)base;
	unlink(job->snapshots->in_path);
}

void snapshots_installed(struct snapshots *snapshots)
{
	jobs_give(snapshots->jobs, &job_create(snapshots, forget_run, job_release)->job);
}
