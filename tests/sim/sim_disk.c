#include "sim/sim.h"

#include "base/arena.h"
#include "base/memory.h"
#include "sim/lies.h"
#include "wire/command.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>

/* The log and the vote: jobs one after the other, as the disk thread does them, each step at a moment of its own, so that
 * the power can go between any two of them. */

#define READ_ENTRIES 400

enum job_kind { JOB_APPEND, JOB_READ, JOB_VOTE, JOB_CHECKPOINT, JOB_IDLE };

struct disk_job {
	enum job_kind kind;
	uint32_t step;
	struct wal_record *records;
	size_t count;
	uint64_t tag;      /* READ */
	uint64_t from, to; /* READ. VOTE: term and voted for */
	struct text **kept; /* APPEND: the bodies as they go to the disk */
	struct disk_job *next;
};

static void carry_on(struct sim *sim, uint64_t unused1, uint64_t unused2);

/* --- jobs ---------------------------------------------------------------------------------------------------------- */

static void carry_on_later(struct sim *sim)
{
	msec delay = sim_chance(sim, 5) ? (msec)sim_below(sim, 300) : (msec)sim_below(sim, 8);
	sim->disk_works = true;
	sim_after(sim, delay, carry_on, 0, 0);
}

static struct disk_job *give(struct sim *sim, enum job_kind kind)
{
	struct disk_job **end = &sim->jobs;
	struct disk_job *job = mem_zero(sizeof *job);
	job->kind = kind;
	while (*end != NULL)
		end = &(*end)->next;
	*end = job;
	if (!sim->disk_works)
		carry_on_later(sim);
	return job;
}

static void release_first(struct sim *sim)
{
	struct disk_job *job = sim->jobs;
	sim->jobs = job->next;
	for (size_t i = 0; i < job->count && job->kept != NULL; i++)
		text_release(job->kept[i]);
	mem_free(job->kept);
	mem_free(job->records);
	mem_free(job);
}

/* For a plant: an entry that does nothing, with the stamp of this one. */
static struct text *emptied(struct slice body)
{
	struct arena arena = {0};
	struct command command = {0};
	struct error error;
	struct buffer empty = BUFFER_EMPTY;
	if (command_decode(body, &arena, &command, &error) == 0) {
		command.kind = COMMAND_NOOP;
		command_encode(&command, &arena, &empty);
	}
	struct text *text = text_create(buffer_slice(&empty));
	buffer_finish(&empty);
	arena_finish(&arena);
	return text;
}

void disk_give_append(struct sim *sim, const struct wal_record *records, size_t count)
{
	for (struct disk_job *job = sim->jobs; job != NULL; job = job->next) {
		if (job->kind == JOB_APPEND && sim->options.plant != PLANT_SYNCED_EARLY)
			sim_fail(sim, "a batch is appended while another one is");
	}
	struct disk_job *job = give(sim, JOB_APPEND);
	job->records = mem_copy(records, count * sizeof *records);
	job->count = count;
	sim->last_term = records[count - 1].term;
	if (sim->options.plant != PLANT_SYNCED_EARLY && sim->options.plant != PLANT_LOG_REWRITTEN)
		return;
	job->kept = mem_array(count, sizeof *job->kept);
	for (size_t i = 0; i < count; i++) {
		bool rewritten = sim->options.plant == PLANT_LOG_REWRITTEN && sim_chance(sim, 1);
		job->kept[i] = rewritten ? emptied(records[i].body) : text_create(records[i].body);
		job->records[i].body = text_slice(job->kept[i]);
	}
}

void disk_give_read(struct sim *sim, uint64_t tag, uint64_t from, uint64_t to)
{
	struct disk_job *job = give(sim, JOB_READ);
	job->tag = tag;
	job->from = from;
	job->to = to;
}

void disk_give_vote(struct sim *sim, uint64_t term, uint64_t voted_for)
{
	struct disk_job *job = give(sim, JOB_VOTE);
	job->from = term;
	job->to = voted_for;
}

/* --- what is on disk ----------------------------------------------------------------------------------------------- */

static void remember(struct sim *sim, const struct wal_record *record)
{
	assert(record->index == sim->entry_count + 1);
	mem_grow(sim->entries, sim->entry_capacity, sim->entry_count + 1);
	sim->entries[sim->entry_count++] = (struct sim_entry){record->term, text_create(record->body)};
}

static int append(struct sim *sim, struct disk_job *job, struct error *error)
{
	uint64_t last = job->records[job->count - 1].index;
	bool early = sim->options.plant == PLANT_SYNCED_EARLY;
	int code;
	switch (job->step) {
	case 0:
		return wal_append(sim->wal, job->records, job->count, error);
	case 1:
		if (early)
			node_synced(sim->node, last);
		return 0;
	case 2:
		code = wal_sync(sim->wal, error);
		for (size_t i = 0; i < job->count && code == 0; i++)
			remember(sim, &job->records[i]);
		return code;
	default:
		sim_trace(sim, "disk: synced up to %" PRIu64, last);
		if (!early)
			node_synced(sim->node, last);
		return 1;
	}
}

static int read_entries(struct sim *sim, struct disk_job *job, struct error *error)
{
	size_t room = 1 + (size_t)sim_below(sim, READ_ENTRIES);
	struct buffer bodies = BUFFER_EMPTY;
	if (job->to - job->from + 1 < room)
		room = (size_t)(job->to - job->from + 1);
	job->records = mem_array(room + 1, sizeof *job->records);
	int count = wal_read(sim->wal, job->from, room, 1 + (size_t)sim_below(sim, 100000), job->records, &bodies, error);
	if (count > 1 && sim->options.plant == PLANT_ENTRY_REPEATED && sim_chance(sim, 20)) {
		job->records[count] = job->records[count - 1];
		count++;
	}
	if (count >= 0) {
		sim_trace(sim, "disk: read %d entries from %" PRIu64, count, job->from);
		node_entries(sim->node, job->tag, job->records, (size_t)count);
	}
	buffer_finish(&bodies);
	return count < 0 ? count : 1;
}

static int vote(struct sim *sim, struct disk_job *job, struct error *error)
{
	if (job->step == 0) {
		sim->vote.term = job->from;
		sim->vote.voted_for = job->to;
		return sim->options.plant == PLANT_VOTE_LOST ? 0 : vote_save(sim->fs, &sim->vote, error);
	}
	node_vote_saved(sim->node);
	return 1;
}

static int checkpoint(struct sim *sim, const struct disk_job *job, struct error *error)
{
	uint64_t applied = 0;
	bool complete = false;
	/* Sometimes no transaction begins until it is over, as when the catalog's WAL has grown long. */
	if (job->step == 0) {
		node_hold(sim->node, sim_chance(sim, 40));
		return 0;
	}
	int code = catalog_checkpoint(SIM_CATALOG, &applied, &complete, error);
	if (code == 0 && !complete)
		sim_fail(sim, "a checkpoint that nobody disturbed was not complete");
	node_hold(sim->node, false);
	sim_trace(sim, "disk: checkpoint of %" PRIu64 " entries", applied);
	if (code == 0 && sim->releases && applied > 20)
		code = wal_release(sim->wal, applied - sim_below(sim, 20), error);
	return code != 0 ? code : 1;
}

static int idle(struct sim *sim, struct error *error)
{
	int code = wal_prepare(sim->wal, error);
	if (code == ERR_NO_SPACE)
		code = 0;
	if (code == 0 && sim_chance(sim, 50))
		code = wal_mark_synced(sim->wal, error);
	return code != 0 ? code : 1;
}

/* One step of the first job; 1: it is done. */
static int advance(struct sim *sim, struct disk_job *job, struct error *error)
{
	switch (job->kind) {
	case JOB_APPEND:
		return append(sim, job, error);
	case JOB_READ:
		return read_entries(sim, job, error);
	case JOB_VOTE:
		return vote(sim, job, error);
	case JOB_CHECKPOINT:
		return checkpoint(sim, job, error);
	default:
		return idle(sim, error);
	}
}

static void carry_on(struct sim *sim, uint64_t unused1, uint64_t unused2)
{
	struct error error = {0};
	(void)unused1;
	(void)unused2;
	sim->disk_works = false;
	int code = advance(sim, sim->jobs, &error);
	if (code < 0) {
		sim_broken(sim, &error);
		return;
	}
	sim->jobs->step++;
	if (code == 1)
		release_first(sim);
	if (sim->jobs != NULL && !sim->disk_works)
		carry_on_later(sim);
}

/* --- upkeep, and the node's lives ---------------------------------------------------------------------------------- */

static void upkeep(struct sim *sim, uint64_t unused1, uint64_t unused2)
{
	(void)unused1;
	(void)unused2;
	give(sim, sim_chance(sim, 30) ? JOB_CHECKPOINT : JOB_IDLE);
	sim_after(sim, 20 + (msec)sim_below(sim, 800), upkeep, 0, 0);
}

void disk_init(struct sim *sim)
{
	sim->fs = faulty_fs_create(random_next(&sim->random));
	sim->log_fs = faulty_fs_create(random_next(&sim->random));
	sim->releases = sim_chance(sim, 50);
	if (sim->options.plant == PLANT_SYNC_IGNORED)
		lie_about_failed_syncs(sim->log_fs);
	if (sim->options.plant == PLANT_CATALOG_UNSYNCED)
		lie_about_catalog_syncs("sim");
}

void disk_finish(struct sim *sim)
{
	sim->fs->operations->destroy(sim->fs);
	sim->log_fs->operations->destroy(sim->log_fs);
	for (uint64_t i = 0; i < sim->entry_count; i++)
		text_release(sim->entries[i].body);
	mem_free(sim->entries);
}

/* Everything that was synced must be there as it was written; what is there beyond it is in the log from now on. */
static int compare_log(struct sim *sim, const struct wal_recovery *recovery, struct error *error)
{
	struct wal_record records[256];
	struct buffer bodies = BUFFER_EMPTY;
	uint64_t from = recovery->first_index;
	if (recovery->last_index < sim->entry_count)
		sim_fail(sim, "the log ends at %" PRIu64 ", but was synced up to %" PRIu64, recovery->last_index,
		         sim->entry_count);
	while (from <= recovery->last_index) {
		buffer_clear(&bodies);
		int count = wal_read(sim->wal, from, 256, 1u << 20, records, &bodies, error);
		if (count <= 0) {
			buffer_finish(&bodies);
			return count < 0 ? count : error_set(error, ERR_CORRUPT, "entry %" PRIu64 " is not in the log", from);
		}
		for (int i = 0; i < count; i++) {
			const struct wal_record *record = &records[i];
			if (record->index > sim->entry_count) {
				remember(sim, record);
				continue;
			}
			const struct sim_entry *known = &sim->entries[record->index - 1];
			if (record->term != known->term || !slice_equal(record->body, text_slice(known->body)))
				sim_fail(sim, "entry %" PRIu64 " of the log is not what was written", record->index);
		}
		from += (uint64_t)count;
	}
	buffer_finish(&bodies);
	return 0;
}

int disk_start(struct sim *sim, struct wal_recovery *ret_recovery, struct error *error)
{
	struct wal_options options = {
		.segment_size = 32768,
		.first_segment_size = 8192,
	};
	int code = wal_open(sim->log_fs, &options, &sim->wal, ret_recovery, error);
	if (code != 0)
		return code;
	code = vote_load(sim->fs, &sim->vote, error);
	if (code == ERR_NOT_FOUND) {
		sim->vote = (struct vote_state){.node_id = 1 + sim_below(sim, 1000000)};
		snprintf(sim->vote.cluster_id, sizeof sim->vote.cluster_id, "%032x", 7);
		code = vote_save(sim->fs, &sim->vote, error);
	}
	if (code == 0)
		code = compare_log(sim, ret_recovery, error);
	if (code == 0)
		sim_after(sim, (msec)sim_below(sim, 800), upkeep, 0, 0);
	return code;
}

void disk_stop(struct sim *sim)
{
	while (sim->jobs != NULL)
		release_first(sim);
	sim->disk_works = false;
	wal_close(sim->wal);
	sim->wal = NULL;
}
