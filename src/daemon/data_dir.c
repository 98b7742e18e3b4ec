#include "daemon/data_dir.h"

#include "base/log.h"
#include "base/memory.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>

#define NODE_ID_LIMIT ((uint64_t)1 << 53)

static_assert(VOTE_FOUNDERS_MAX == RAFT_VOTERS_MAX, "each voter may be a founder");
static_assert(VOTE_CLUSTER_ID_SIZE >= NODE_CLUSTER_ID_SIZE, "the file has room for an id");

/* --- identity ------------------------------------------------------------------------------------------------------ */

static void copy_id(char *to, const char *from)
{
	memcpy(to, from, NODE_CLUSTER_ID_SIZE - 1);
	to[NODE_CLUSTER_ID_SIZE - 1] = '\0';
}

void data_dir_identity(const struct vote_state *vote, struct node_identity *ret_identity)
{
	struct node_identity identity = {.founder_count = vote->founder_count};
	copy_id(identity.cluster_id, vote->cluster_id);
	copy_id(identity.pledged_id, vote->pledged_id);
	memcpy(identity.founders, vote->founders, sizeof identity.founders);
	*ret_identity = identity;
}

void data_dir_set_identity(struct vote_state *vote, const struct node_identity *identity)
{
	memset(vote->cluster_id, 0, sizeof vote->cluster_id);
	memset(vote->pledged_id, 0, sizeof vote->pledged_id);
	copy_id(vote->cluster_id, identity->cluster_id);
	copy_id(vote->pledged_id, identity->pledged_id);
	vote->founder_count = identity->founder_count;
	memcpy(vote->founders, identity->founders, sizeof vote->founders);
}

static int random_bytes(void *bytes, size_t size, struct error *error)
{
	if (getrandom(bytes, size, 0) != (ssize_t)size)
		return error_set(error, ERR_IO, "the system gives no random numbers: %s", strerror(errno));
	return 0;
}

/* A node without an identity gets one; and with it a cluster of one, unless it is to join others or begin one with them. */
static int need_identity(const struct config *config, struct vote_state *vote, struct error *error)
{
	unsigned char bytes[24];
	bool alone = config->expect == 0 && config->join_count == 0 && !config->agent;
	if (vote->node_id != 0)
		return 0;
	int code = random_bytes(bytes, sizeof bytes, error);
	if (code != 0)
		return code;
	memcpy(&vote->node_id, bytes + 16, sizeof vote->node_id);
	vote->node_id = vote->node_id % (NODE_ID_LIMIT - 1) + 1;
	if (!alone)
		return 0;
	for (size_t i = 0; i < 16; i++)
		snprintf(vote->cluster_id + 2 * i, 3, "%02x", bytes[i]);
	vote->founder_count = 1;
	vote->founders[0] = vote->node_id;
	return 0;
}

/* --- opening ------------------------------------------------------------------------------------------------------- */

static int check_cluster_id(struct data_dir *data, const char *path, struct error *error)
{
	struct buffer known = BUFFER_EMPTY;
	struct slice own = slice_of(data->vote.cluster_id);
	int code = catalog_meta_text(data->catalog, "cluster_id", &known);
	if (code == 0 && known.size == 0 && own.size != 0) {
		code = catalog_begin(data->catalog);
		if (code == 0)
			code = catalog_meta_set_text(data->catalog, "cluster_id", own);
		if (code == 0)
			code = catalog_commit(data->catalog);
	} else if (code == 0 && !slice_equal(buffer_slice(&known), own)) {
		code = error_set(error, ERR_CORRUPT,
		                 "%s is the catalog of cluster %.*s, but the log beside it belongs to %s%.*s: files of two "
		                 "nodes were mixed",
		                 path, SLICE_ARGS(buffer_slice(&known)), own.size != 0 ? "cluster " : "no cluster",
		                 SLICE_ARGS(own));
		buffer_finish(&known);
		return code;
	}
	buffer_finish(&known);
	if (code != 0)
		return error_set(error, code, "%s: %s", path, catalog_error(data->catalog));
	return 0;
}

static int note_facts(void *context, const struct wal_record *record, struct error *error)
{
	return log_facts_add(context, record, error);
}

struct entry_term {
	uint64_t term;
	bool seen;
};

static int note_term(void *context, const struct wal_record *record, struct error *error)
{
	struct entry_term *entry = context;
	(void)error;
	entry->term = record->term;
	entry->seen = true;
	return 1; /* the others do not matter */
}

/* Whether the log goes on where the catalog ends. A catalog that was restored or taken from another node may be ahead of its log; or
 * be of another history than what the log has at its place and after it, which then came to nothing. */
static int log_fits(struct data_dir *data, uint64_t applied, uint64_t applied_term, bool *ret_fits, struct error *error)
{
	struct entry_term entry = {0};
	*ret_fits = true;
	if (applied == 0)
		return 0;
	if (data->recovery.last_index < applied) {
		*ret_fits = false;
		return 0;
	}
	if (data->recovery.first_index > applied)
		return 0;
	int code = disk_scan(data->disk, applied - 1, note_term, &entry, error);
	*ret_fits = !entry.seen || entry.term == applied_term;
	return code < 0 ? code : 0;
}

/* What the catalog has is on the disk before the log lets go of it. */
static int empty_log(struct data_dir *data, const char *path, uint64_t applied, struct error *error)
{
	uint64_t settled = 0;
	bool complete = false;
	int code = catalog_checkpoint(path, &settled, &complete, error);
	if (code == 0)
		code = disk_reset(data->disk, applied + 1, error);
	data->recovery.first_index = applied + 1;
	data->recovery.last_index = applied;
	return code;
}

static int scan_log(struct data_dir *data, const char *path, struct error *error)
{
	uint64_t applied = 0;
	uint64_t applied_term = 0;
	bool fits;
	int code = catalog_meta_number(data->catalog, "applied_index", &applied);
	if (code == 0)
		code = catalog_meta_number(data->catalog, "applied_term", &applied_term);
	if (code != 0)
		return error_set(error, code, "%s: %s", path, catalog_error(data->catalog));
	code = log_fits(data, applied, applied_term, &fits, error);
	if (code != 0)
		return code;
	return fits ? disk_scan(data->disk, applied, note_facts, &data->facts, error) : empty_log(data, path, applied, error);
}

int data_dir_open(const struct config *config, struct data_dir *data, struct error *error)
{
	char *path = mem_format("%s/catalog.db", config->data_dir);
	struct disk_options options = {
		.directory = config->data_dir, .catalog_path = path, .log_tail = (uint64_t)config->log_tail,
	};
	*data = (struct data_dir){0};
	int code = disk_open(&options, &data->disk, &data->vote, &data->recovery, error);
	if (code == 0)
		code = need_identity(config, &data->vote, error);
	if (code == 0) {
		data->vote.starts++;
		code = disk_keep(data->disk, &data->vote, error);
	}
	if (code == 0)
		code = catalog_open(path, NULL, &data->catalog, error);
	if (code == 0)
		code = check_cluster_id(data, path, error);
	if (code == 0)
		code = scan_log(data, path, error);
	mem_free(path);
	if (code == 0 && data->recovery.torn_bytes > 0)
		log_write(LOG_WARNING, "store", "%s: the last %" PRIu64 " bytes were not written whole, and are cut off",
		          data->recovery.torn_file, data->recovery.torn_bytes);
	return code;
}
