#include "sim/sim.h"

#include "base/arena.h"
#include "base/memory.h"
#include "catalog/copy.h"
#include "sim/lies.h"
#include "wire/command.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>

/* The log and the vote: jobs one after the other, as the disk thread does them, each step at a moment of its own, so that
 * the power can go between any two of them. */

#define READ_ENTRIES 400
#define CHECKPOINT_WAL_BYTES (512u << 10) /* growth of the catalog's WAL from one checkpoint to the next, at most */

enum job_kind { JOB_APPEND, JOB_CUT, JOB_READ, JOB_VOTE, JOB_INSTALL, JOB_CHECKPOINT, JOB_IDLE };

struct disk_job {
	enum job_kind kind;
	uint32_t step;
	struct wal_record *records;
	size_t count;
	uint64_t tag;      /* READ */
	uint64_t from, to; /* READ. CUT: from is the last entry that stays. INSTALL: `from` is that of the copy */
	struct text **kept; /* APPEND: the bodies, and as they go to the disk */
	struct vote_state vote; /* VOTE: what the file is to say */
	bool identity;     /* VOTE: it is about the identity */
	const char *path;  /* INSTALL */
	struct disk_job *next;
};

static void carry_on(void *subject, uint64_t unused1, uint64_t unused2);

/* --- jobs ---------------------------------------------------------------------------------------------------------- */

static void carry_on_later(struct server *server)
{
	struct sim *sim = server->sim;
	msec delay = sim_chance(sim, 5) ? (msec)sim_below(sim, 300) : (msec)sim_below(sim, 8);
	if (sim->server_count > 1)
		delay = sim_chance(sim, 1) ? (msec)sim_below(sim, 100) : (msec)sim_below(sim, 3);
	if (server->slow_until > sim->now)
		delay += (msec)sim_below(sim, 1000);
	server->disk_works = true;
	server_after(server, delay, carry_on, 0, 0);
}

static struct disk_job *give(struct server *server, enum job_kind kind)
{
	struct disk_job **end = &server->jobs;
	struct disk_job *job = mem_zero(sizeof *job);
	job->kind = kind;
	while (*end != NULL)
		end = &(*end)->next;
	*end = job;
	if (!server->disk_works)
		carry_on_later(server);
	return job;
}

static void release_first(struct server *server)
{
	struct disk_job *job = server->jobs;
	server->jobs = job->next;
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

/* What the node says of the entry, and what follows the ones before it. */
static struct text *note_given(struct server *server, const struct wal_record *record)
{
	struct sim_log *log = &server->log;
	const struct sim_entry *last = log_at(log, log_last(log));
	struct text *body = known_body(server->sim, record);
	if (record->index != log_last(log) + 1)
		server_fail(server, "entry %" PRIu64 " is appended after entry %" PRIu64, record->index, log_last(log));
	if (last != NULL && record->term < last->term)
		server_fail(server, "entry %" PRIu64 " has term %" PRIu64 " after one of term %" PRIu64, record->index, record->term,
		            last->term);
	log_append(log, record->term, body);
	return body;
}

void disk_give_append(struct server *server, const struct wal_record *records, size_t count)
{
	struct sim *sim = server->sim;
	for (struct disk_job *job = server->jobs; job != NULL; job = job->next) {
		if (job->kind == JOB_APPEND && sim->options.plant != PLANT_SYNCED_EARLY)
			server_fail(server, "a batch is appended while another one is");
	}
	struct disk_job *job = give(server, JOB_APPEND);
	job->records = mem_copy(records, count * sizeof *records);
	job->count = count;
	job->kept = mem_array(count, sizeof *job->kept);
	for (size_t i = 0; i < count; i++) {
		struct text *body = note_given(server, &records[i]);
		bool rewritten = sim->options.plant == PLANT_LOG_REWRITTEN && sim_chance(sim, 1);
		job->kept[i] = rewritten ? emptied(records[i].body) : text_hold(body);
		job->records[i].body = text_slice(job->kept[i]);
	}
}

void disk_give_cut(struct server *server, uint64_t last)
{
	uint64_t applied = node_applied_index(server->node);
	if (last < applied)
		server_fail(server, "entries after %" PRIu64 " are cut off, though %" PRIu64 " was applied", last, applied);
	give(server, JOB_CUT)->from = last;
	log_cut(&server->log, last);
}

void disk_give_read(struct server *server, uint64_t tag, uint64_t from, uint64_t to)
{
	for (struct disk_job *job = server->jobs; job != NULL; job = job->next) {
		if (job->kind == JOB_READ && job->tag == tag)
			server_fail(server, "the log is read with the tag %" PRIu64 " while it is read with it", tag);
	}
	struct disk_job *job = give(server, JOB_READ);
	job->tag = tag;
	job->from = from;
	job->to = to;
}

void disk_give_vote(struct server *server, uint64_t term, uint64_t voted_for)
{
	const struct sim_entry *last = log_at(&server->log, log_last(&server->log));
	bool alone = server->sim->server_count == 1;
	if (term < server->vote.term || (term == server->vote.term && server->vote.voted_for != 0))
		server_fail(server, "votes in term %" PRIu64 ", after it voted in term %" PRIu64, term, server->vote.term);
	if (last != NULL && term < last->term + alone)
		server_fail(server, "votes in term %" PRIu64 " again, of which there may be entries", term);
	struct disk_job *job = give(server, JOB_VOTE);
	server->vote.term = term;
	server->vote.voted_for = voted_for;
	job->vote = server->vote;
}

void disk_give_install(struct server *server, const char *path, uint64_t index)
{
	struct disk_job *job = give(server, JOB_INSTALL);
	job->path = path;
	job->from = index;
}

/* There is one cluster, whoever begins it. */
static void note_cluster(struct server *server, const struct node_identity *identity)
{
	struct sim *sim = server->sim;
	if (identity->cluster_id[0] == '\0')
		return;
	if (sim->cluster_id[0] == '\0') {
		memcpy(sim->cluster_id, identity->cluster_id, sizeof sim->cluster_id);
		memcpy(sim->founders, identity->founders, sizeof sim->founders);
	}
	if (strcmp(sim->cluster_id, identity->cluster_id) != 0)
		server_fail(server, "is of cluster %s, and others are of cluster %s", identity->cluster_id, sim->cluster_id);
}

void disk_give_identity(struct server *server, const struct node_identity *identity)
{
	note_cluster(server, identity);
	struct disk_job *job = give(server, JOB_VOTE);
	snprintf(server->vote.cluster_id, sizeof server->vote.cluster_id, "%s", identity->cluster_id);
	snprintf(server->vote.pledged_id, sizeof server->vote.pledged_id, "%s", identity->pledged_id);
	server->vote.founder_count = identity->founder_count;
	memcpy(server->vote.founders, identity->founders, sizeof identity->founders);
	job->vote = server->vote;
	job->identity = true;
}

/* --- what is on disk ----------------------------------------------------------------------------------------------- */

void disk_use(struct server *server)
{
	faulty_vfs_use(server->vfs);
}

static void remember(struct server *server, const struct wal_record *record)
{
	assert(record->index == log_last(&server->durable) + 1);
	log_append(&server->durable, record->term, known_body(server->sim, record));
}

static int append(struct server *server, struct disk_job *job, struct error *error)
{
	uint64_t last = job->records[job->count - 1].index;
	bool early = server->sim->options.plant == PLANT_SYNCED_EARLY;
	int code;
	switch (job->step) {
	case 0:
		return wal_append(server->wal, job->records, job->count, error);
	case 1:
		if (early)
			node_synced(server->node, last);
		return 0;
	case 2:
		code = wal_sync(server->wal, error);
		for (size_t i = 0; i < job->count && code == 0; i++)
			remember(server, &job->records[i]);
		return code;
	default:
		server_trace(server, "disk: synced up to %" PRIu64, last);
		if (!early)
			node_synced(server->node, last);
		return 1;
	}
}

static int cut(struct server *server, struct disk_job *job, struct error *error)
{
	if (job->step == 0) {
		server->cutting = job->from;
		return 0;
	}
	int code = wal_cut_after(server->wal, job->from, error);
	if (code != 0)
		return code;
	server_trace(server, "disk: cut after %" PRIu64, job->from);
	log_cut(&server->durable, job->from);
	server->cutting = UINT64_MAX;
	return 1;
}

static int install(struct server *server, struct disk_job *job, struct error *error)
{
	int code;
	switch (job->step) {
	case 0:
		server->installing = job->from;
		disk_use(server);
		return catalog_install(job->path, SIM_CATALOG, 0, error);
	case 1:
		code = wal_reset(server->wal, job->from + 1, error);
		if (code == 0) {
			log_reset(&server->log, job->from);
			log_reset(&server->durable, job->from);
			server->installing = 0;
		}
		return code;
	default:
		server->sim->counts[COUNT_INSTALLED]++;
		if (catalog_accept(server->catalog) != 0)
			return error_set(error, ERR_IO, "%s", catalog_error(server->catalog));
		node_snapshot_installed(server->node);
		return 1;
	}
}

static int read_entries(struct server *server, struct disk_job *job, struct error *error)
{
	struct sim *sim = server->sim;
	size_t room = 1 + (size_t)sim_below(sim, READ_ENTRIES);
	struct buffer bodies = BUFFER_EMPTY;
	if (job->to - job->from + 1 < room)
		room = (size_t)(job->to - job->from + 1);
	job->records = mem_array(room + 1, sizeof *job->records);
	int count = wal_read(server->wal, job->from, room, 1 + (size_t)sim_below(sim, 100000), job->records, &bodies, error);
	if (count == ERR_NOT_FOUND && node_tag_is_member(job->tag))
		count = 0;
	if (count > 1 && sim->options.plant == PLANT_ENTRY_REPEATED && sim_chance(sim, 20)) {
		job->records[count] = job->records[count - 1];
		count++;
	}
	if (count >= 0) {
		server_trace(server, "disk: read %d entries from %" PRIu64, count, job->from);
		/* The next reading with the same tag may begin at once. */
		job->kind = JOB_IDLE;
		node_entries(server->node, job->tag, job->records, (size_t)count);
	}
	buffer_finish(&bodies);
	return count < 0 ? count : 1;
}

static int vote(struct server *server, const struct disk_job *job, struct error *error)
{
	if (job->step == 0)
		return server->sim->options.plant == PLANT_VOTE_LOST && !job->identity ? 0 : vote_save(server->fs, &job->vote, error);
	server->vote_saved = job->vote;
	if (job->identity)
		node_identity_saved(server->node);
	else
		node_vote_saved(server->node);
	return 1;
}

static int release_log(struct server *server, uint64_t applied, struct error *error)
{
	uint64_t needed = node_needed_index(server->node);
	uint64_t up_to = applied - sim_below(server->sim, 20);
	if (up_to >= needed)
		up_to = needed > 0 ? needed - 1 : 0;
	int code = up_to > 0 ? wal_release(server->wal, up_to, error) : 0;
	if (code == 0 && wal_first_index(server->wal) > 1)
		node_compacted(server->node, wal_first_index(server->wal) - 1);
	return code;
}

static int checkpoint(struct server *server, const struct disk_job *job, struct error *error)
{
	uint64_t applied = 0;
	bool complete = false;
	/* Sometimes no transaction begins until it is over, as when the catalog's WAL has grown long. */
	if (job->step == 0) {
		node_hold(server->node, sim_chance(server->sim, 40));
		return 0;
	}
	disk_use(server);
	int code = catalog_checkpoint(SIM_CATALOG, &applied, &complete, error);
	if (code == 0 && !complete && !server->may_break)
		server_fail(server, "a checkpoint that nobody disturbed was not complete");
	node_hold(server->node, false);
	server_trace(server, "disk: checkpoint of %" PRIu64 " entries", applied);
	if (code == 0 && complete && server->releases && applied > 20)
		code = release_log(server, applied, error);
	return code != 0 ? code : 1;
}

static int idle(struct server *server, struct error *error)
{
	int code = wal_prepare(server->wal, error);
	if (code == ERR_NO_SPACE)
		code = 0;
	if (code == 0 && sim_chance(server->sim, 50))
		code = wal_mark_synced(server->wal, error);
	return code != 0 ? code : 1;
}

/* One step of the first job; 1: it is done. */
static int advance(struct server *server, struct disk_job *job, struct error *error)
{
	switch (job->kind) {
	case JOB_APPEND:
		return append(server, job, error);
	case JOB_CUT:
		return cut(server, job, error);
	case JOB_READ:
		return read_entries(server, job, error);
	case JOB_VOTE:
		return vote(server, job, error);
	case JOB_INSTALL:
		return install(server, job, error);
	case JOB_CHECKPOINT:
		return checkpoint(server, job, error);
	default:
		return idle(server, error);
	}
}

static void carry_on(void *subject, uint64_t unused1, uint64_t unused2)
{
	struct server *server = subject;
	struct error error = {0};
	(void)unused1;
	(void)unused2;
	server->disk_works = false;
	int code = advance(server, server->jobs, &error);
	if (code < 0) {
		server_broken(server, &error);
		return;
	}
	server->jobs->step++;
	if (code == 1)
		release_first(server);
	if (server->jobs != NULL && !server->disk_works)
		carry_on_later(server);
}

/* --- upkeep, and the node's lives ---------------------------------------------------------------------------------- */

static void give_checkpoint(struct server *server)
{
	for (const struct disk_job *job = server->jobs; job != NULL; job = job->next) {
		if (job->kind == JOB_CHECKPOINT && job->step == 0)
			return; /* it will take all with it */
	}
	give(server, JOB_CHECKPOINT);
}

static void upkeep(void *subject, uint64_t unused1, uint64_t unused2)
{
	struct server *server = subject;
	struct sim *sim = server->sim;
	(void)unused1;
	(void)unused2;
	if (sim_chance(sim, 30))
		give_checkpoint(server);
	else
		give(server, JOB_IDLE);
	server_after(server, 20 + (msec)sim_below(sim, sim->server_count > 1 ? 8000 : 800), upkeep, 0, 0);
}

void disk_turn(struct server *server)
{
	uint64_t size = catalog_wal_size(server->catalog);
	if (size < server->wal_at_checkpoint)
		server->wal_at_checkpoint = 0;
	if (size < server->wal_at_checkpoint + CHECKPOINT_WAL_BYTES)
		return;
	server->wal_at_checkpoint = size;
	give_checkpoint(server);
}

void disk_init(struct server *server)
{
	struct sim *sim = server->sim;
	server->fs = faulty_fs_create(random_next(&sim->random));
	server->log_fs = faulty_fs_create(random_next(&sim->random));
	server->releases = sim_chance(sim, 50);
	server->cutting = UINT64_MAX;
	if (sim->options.plant == PLANT_SYNC_IGNORED)
		lie_about_failed_syncs(server->log_fs);
	if (sim->options.plant == PLANT_CATALOG_UNSYNCED)
		lie_about_catalog_syncs(server->vfs_name);
}

void disk_finish(struct server *server)
{
	server->fs->operations->destroy(server->fs);
	server->log_fs->operations->destroy(server->log_fs);
	log_finish(&server->log);
	log_finish(&server->durable);
}

/* Everything that was synced must be there as it was written, but for what was being cut off, or all of it when a copy of the catalog
 * took its place. */
static int check_end(struct server *server, const struct wal_recovery *recovery, struct error *error)
{
	uint64_t last = log_last(&server->durable);
	if (server->installing != 0 && recovery->first_index == server->installing + 1 &&
	    recovery->last_index == server->installing) {
		log_reset(&server->durable, server->installing);
		last = server->installing;
	}
	if (server->cutting < last)
		last = server->cutting;
	if (recovery->last_index < last && server->damaged)
		return error_set(error, ERR_CORRUPT, "the log ends before what was damaged");
	if (recovery->last_index < last)
		server_fail(server, "the log ends at %" PRIu64 ", but was synced up to %" PRIu64, recovery->last_index, last);
	log_cut(&server->durable, last);
	server->cutting = UINT64_MAX;
	return 0;
}

/* What is there beyond what was synced is in the log from now on. */
static int compare_log(struct server *server, const struct wal_recovery *recovery, struct error *error)
{
	struct wal_record records[256];
	struct buffer bodies = BUFFER_EMPTY;
	uint64_t from = recovery->first_index;
	if (check_end(server, recovery, error) != 0)
		return error->code;
	while (from <= recovery->last_index) {
		buffer_clear(&bodies);
		int count = wal_read(server->wal, from, 256, 1u << 20, records, &bodies, error);
		if (count <= 0) {
			buffer_finish(&bodies);
			return count < 0 ? count : error_set(error, ERR_CORRUPT, "entry %" PRIu64 " is not in the log", from);
		}
		for (int i = 0; i < count; i++) {
			const struct wal_record *record = &records[i];
			if (record->index > log_last(&server->durable)) {
				remember(server, record);
				continue;
			}
			const struct sim_entry *known = log_at(&server->durable, record->index);
			if (record->term != known->term || !slice_equal(record->body, text_slice(known->body)))
				server_fail(server, "entry %" PRIu64 " of the log is not what was written", record->index);
		}
		from += (uint64_t)count;
	}
	buffer_finish(&bodies);
	server->damaged = false; /* or it hit what nobody needs */
	log_copy(&server->log, &server->durable);
	return 0;
}

/* A machine that is new is one of the founders, or finds the others and begins a cluster with them. */
static void found(struct server *server)
{
	struct sim *sim = server->sim;
	server->vote = (struct vote_state){.node_id = server->id};
	if (sim->forms || server->number >= sim->founder_count)
		return;
	server->vote.founder_count = sim->founder_count;
	memcpy(server->vote.founders, sim->founders, sizeof server->vote.founders);
	memcpy(server->vote.cluster_id, SIM_CLUSTER_ID, sizeof SIM_CLUSTER_ID);
}

int disk_empty_log(struct server *server, uint64_t applied, struct wal_recovery *recovery, struct error *error)
{
	uint64_t settled = 0;
	bool complete = false;
	disk_use(server);
	int code = catalog_checkpoint(SIM_CATALOG, &settled, &complete, error);
	if (code == 0)
		code = wal_reset(server->wal, applied + 1, error);
	if (code != 0)
		return code;
	log_reset(&server->log, applied);
	log_reset(&server->durable, applied);
	recovery->first_index = applied + 1;
	recovery->last_index = applied;
	return 0;
}

static bool is_after(const struct vote_state *vote, const struct vote_state *saved)
{
	return vote->term > saved->term ||
	       (vote->term == saved->term && (saved->voted_for == 0 || vote->voted_for == saved->voted_for));
}

int disk_start(struct server *server, struct wal_recovery *ret_recovery, struct error *error)
{
	struct wal_options options = {
		.segment_size = 32768,
		.first_segment_size = 8192,
	};
	int code = wal_open(server->log_fs, &options, &server->wal, ret_recovery, error);
	if (code != 0)
		return code;
	code = vote_load(server->fs, &server->vote, error);
	if (code == ERR_NOT_FOUND) {
		found(server);
		code = 0;
	}
	if (code == 0 && !is_after(&server->vote, &server->vote_saved) && !server->damaged)
		server_fail(server, "it voted for %" PRIu64 " in term %" PRIu64 ", and its disk says %" PRIu64 " in term %" PRIu64,
		            server->vote_saved.voted_for, server->vote_saved.term, server->vote.voted_for, server->vote.term);
	server->vote.starts++;
	if (code == 0)
		code = vote_save(server->fs, &server->vote, error);
	if (code == 0)
		code = compare_log(server, ret_recovery, error);
	if (code == 0)
		server_after(server, (msec)sim_below(server->sim, 800), upkeep, 0, 0);
	return code;
}

void disk_stop(struct server *server)
{
	while (server->jobs != NULL)
		release_first(server);
	server->disk_works = false;
	wal_close(server->wal);
	server->wal = NULL;
}
