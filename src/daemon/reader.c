#include "daemon/reader.h"

#include "base/memory.h"
#include "catalog/catalog.h"
#include "catalog/copy.h"
#include "net/jobs.h"

#include <inttypes.h>

struct reader {
	struct jobs *jobs;
	struct loop_watch *watch;
	struct query_reader *queries; /* the thread's; opened by the first query */
	char *catalog_path;
	char *copy_directory;
	reader_done *done;
	void *context;
	unsigned waiting;
	uint64_t next_copy;
};

struct reader_job {
	struct job job;
	struct reader *reader;
	struct reader_answer answer;
	char *sql;
	char **parameters;
	size_t parameter_count;
	uint32_t row_limit;
	msec time_limit;
	char *copy_path;
};

static void jobs_ready(void *context, bool readable, bool writable)
{
	struct reader *reader = context;
	(void)readable;
	(void)writable;
	jobs_collect(reader->jobs);
}

int reader_create(struct loop *loop, const char *catalog_path, const char *copy_directory, reader_done *done, void *context,
                  struct reader **ret_reader, struct error *error)
{
	struct reader *reader = mem_zero(sizeof *reader);
	reader->catalog_path = mem_string(catalog_path);
	reader->copy_directory = mem_string(copy_directory);
	reader->done = done;
	reader->context = context;
	int code = jobs_create("reader", &reader->jobs);
	if (code != 0) {
		reader_destroy(reader);
		return error_set(error, code, "the readers' thread cannot be started");
	}
	reader->watch = loop_watch_create(loop, jobs_descriptor(reader->jobs), jobs_ready, reader);
	loop_watch_set(reader->watch, true, false);
	*ret_reader = reader;
	return 0;
}

void reader_destroy(struct reader *reader)
{
	if (reader == NULL)
		return;
	loop_watch_destroy(reader->watch);
	if (reader->jobs != NULL)
		jobs_destroy(reader->jobs);
	query_reader_close(reader->queries);
	mem_free(reader->catalog_path);
	mem_free(reader->copy_directory);
	mem_free(reader);
}

static void query_job_run(struct job *base)
{
	struct reader_job *job = (struct reader_job *)base;
	struct reader *reader = job->reader;
	struct error *error = &job->answer.error;
	if (reader->queries == NULL)
		job->answer.code = query_reader_open(reader->catalog_path, &reader->queries, error);
	if (job->answer.code == 0)
		job->answer.code = query_run(reader->queries, job->sql, (const char *const *)job->parameters,
		                             (uint32_t)job->parameter_count, job->row_limit, job->time_limit,
		                             &job->answer.result, error);
}

static void copy_job_run(struct job *base)
{
	struct reader_job *job = (struct reader_job *)base;
	job->answer.code = catalog_copy(job->reader->catalog_path, job->copy_path, &job->answer.error);
	job->answer.copy_path = job->copy_path;
}

static void job_done(struct job *base)
{
	struct reader_job *job = (struct reader_job *)base;
	job->reader->waiting--;
	job->reader->done(job->reader->context, &job->answer);
	if (job->copy_path == NULL && job->answer.code == 0)
		query_result_finish(&job->answer.result);
	for (size_t i = 0; i < job->parameter_count; i++)
		mem_free(job->parameters[i]);
	mem_free(job->parameters);
	mem_free(job->sql);
	mem_free(job->copy_path);
	mem_free(job);
}

static struct reader_job *job_create(struct reader *reader, uint64_t connection, uint32_t stream,
                                     void (*run)(struct job *))
{
	struct reader_job *job = mem_zero(sizeof *job);
	job->job.run = run;
	job->job.done = job_done;
	job->reader = reader;
	job->answer.connection = connection;
	job->answer.stream = stream;
	reader->waiting++;
	return job;
}

int reader_query(struct reader *reader, uint64_t connection, uint32_t stream, const struct node_query *query)
{
	if (reader->waiting >= READER_QUEUE_MAX)
		return ERR_BUSY;
	struct reader_job *job = job_create(reader, connection, stream, query_job_run);
	job->sql = mem_string(query->sql);
	job->parameter_count = query->parameter_count;
	job->parameters = mem_array(query->parameter_count, sizeof *job->parameters);
	for (size_t i = 0; i < query->parameter_count; i++)
		job->parameters[i] = mem_string(query->parameters[i]);
	job->row_limit = query->row_limit;
	job->time_limit = query->time_limit;
	jobs_give(reader->jobs, &job->job);
	return 0;
}

int reader_copy(struct reader *reader, uint64_t connection, uint32_t stream)
{
	if (reader->waiting >= READER_QUEUE_MAX)
		return ERR_BUSY;
	struct reader_job *job = job_create(reader, connection, stream, copy_job_run);
	job->copy_path = mem_format("%s/copy-%" PRIu64 ".db", reader->copy_directory, reader->next_copy++);
	jobs_give(reader->jobs, &job->job);
	return 0;
}
