#include "store/vote.h"

#include <assert.h>
#include <endian.h>
#include <errno.h>
#include <inttypes.h>
#include <xxhash.h>

/* The file, little-endian: 0 magic · 8 version · 16 term · 24 voted for · 32 node · 40 cluster (40) · 80 pledged cluster (40) ·
 * 120 starts · 128 number of founders · 136 founders (9 × 8) · 208. Version 1 ends at 80. In every version the last 8 bytes are
 * the checksum of all before it. */
#define VOTE_FILE "vote"
#define VOTE_NEW_FILE "vote.new"
#define VOTE_VERSION 2u
#define VOTE_SIZE 216u
#define VOTE_SIZE_1 88u
#define VOTE_SIZE_MAX 1024u /* of a later version */
#define CHECKSUM_SIZE 8u

static const char vote_magic[8] = {'c', 'l', 'u', 's', 'v', 'o', 't', 'e'};

static int vote_error(struct error *error, int64_t result, const char *doing, const char *name)
{
	int code = result == -ENOSPC || result == -EDQUOT ? ERR_NO_SPACE : ERR_IO;
	return error_set(error, code, "cannot %s %s: %s", doing, name, strerror((int)-result));
}

static void put_u64(char *place, uint64_t value)
{
	value = htole64(value);
	memcpy(place, &value, sizeof value);
}

static uint64_t get_u64(const char *place)
{
	uint64_t value;
	memcpy(&value, place, sizeof value);
	return le64toh(value);
}

static void encode(const struct vote_state *state, char *ret_bytes)
{
	memset(ret_bytes, 0, VOTE_SIZE);
	memcpy(ret_bytes, vote_magic, sizeof vote_magic);
	put_u64(ret_bytes + 8, VOTE_VERSION);
	put_u64(ret_bytes + 16, state->term);
	put_u64(ret_bytes + 24, state->voted_for);
	put_u64(ret_bytes + 32, state->node_id);
	memcpy(ret_bytes + 40, state->cluster_id, strlen(state->cluster_id));
	memcpy(ret_bytes + 80, state->pledged_id, strlen(state->pledged_id));
	put_u64(ret_bytes + 120, state->starts);
	put_u64(ret_bytes + 128, state->founder_count);
	for (uint32_t i = 0; i < state->founder_count; i++)
		put_u64(ret_bytes + 136 + (size_t)8 * i, state->founders[i]);
	put_u64(ret_bytes + VOTE_SIZE - CHECKSUM_SIZE, XXH3_64bits(ret_bytes, VOTE_SIZE - CHECKSUM_SIZE));
}

static int damaged(struct error *error, const char *how)
{
	return error_set(error, ERR_CORRUPT, VOTE_FILE " is damaged: %s", how);
}

/* The part that both versions have. */
static int decode_base(const char *bytes, struct vote_state *state, struct error *error)
{
	if (bytes[79] != '\0')
		return damaged(error, "the cluster id has no end");
	state->term = get_u64(bytes + 16);
	state->voted_for = get_u64(bytes + 24);
	state->node_id = get_u64(bytes + 32);
	state->starts = state->term;
	memcpy(state->cluster_id, bytes + 40, sizeof state->cluster_id);
	state->founder_count = state->cluster_id[0] != '\0';
	state->founders[0] = state->node_id;
	return 0;
}

static int decode_rest(const char *bytes, struct vote_state *state, struct error *error)
{
	uint64_t count = get_u64(bytes + 128);
	if (bytes[119] != '\0')
		return damaged(error, "the id of the cluster that it is pledged to has no end");
	if (count > VOTE_FOUNDERS_MAX)
		return damaged(error, "it has too many founders");
	memcpy(state->pledged_id, bytes + 80, sizeof state->pledged_id);
	state->starts = get_u64(bytes + 120);
	state->founder_count = (uint32_t)count;
	for (uint32_t i = 0; i < VOTE_FOUNDERS_MAX; i++)
		state->founders[i] = get_u64(bytes + 136 + (size_t)8 * i);
	return 0;
}

static int decode(const char *bytes, size_t size, struct vote_state *ret_state, struct error *error)
{
	struct vote_state state = {0};
	if (size < VOTE_SIZE_1 || size > VOTE_SIZE_MAX)
		return damaged(error, size < VOTE_SIZE_1 ? "it is too short" : "it is too long");
	if (memcmp(bytes, vote_magic, sizeof vote_magic) != 0)
		return damaged(error, "it does not begin as such a file does");
	if (get_u64(bytes + size - CHECKSUM_SIZE) != XXH3_64bits(bytes, size - CHECKSUM_SIZE))
		return damaged(error, "its checksum is wrong");
	uint64_t version = get_u64(bytes + 8);
	if (version > VOTE_VERSION)
		return error_set(error, ERR_VERSION, VOTE_FILE " has version %" PRIu64 "; this clusterd knows versions up to %u",
		                 version, VOTE_VERSION);
	if (size != (version == 1 ? VOTE_SIZE_1 : VOTE_SIZE))
		return damaged(error, "it has not the size of its version");
	int code = decode_base(bytes, &state, error);
	if (code == 0 && version > 1)
		code = decode_rest(bytes, &state, error);
	if (code == 0)
		*ret_state = state;
	return code;
}

/* What was read may be in the cache only: a save that did not come to its end. It must not be acted on, and then be
 * gone. */
static int keep(struct fs *fs, struct fs_file *file, struct error *error)
{
	int result = fs->operations->sync(file);
	if (result == 0)
		result = fs->operations->sync_directory(fs);
	return result < 0 ? vote_error(error, result, "sync", VOTE_FILE) : 0;
}

int vote_load(struct fs *fs, struct vote_state *ret_state, struct error *error)
{
	struct vote_state state;
	struct fs_file *file;
	char bytes[VOTE_SIZE_MAX + 1]; /* one more, to notice a longer file */
	int result = fs->operations->open(fs, VOTE_FILE, false, &file);
	if (result == -ENOENT)
		return error_set(error, ERR_NOT_FOUND, "there is no file " VOTE_FILE " yet");
	if (result < 0)
		return vote_error(error, result, "open", VOTE_FILE);
	int64_t size = fs->operations->read(file, 0, bytes, sizeof bytes);
	if (size < 0)
		result = vote_error(error, size, "read", VOTE_FILE);
	else
		result = decode(bytes, (size_t)size, &state, error);
	if (result == 0)
		result = keep(fs, file, error);
	fs->operations->close(file);
	if (result == 0)
		*ret_state = state;
	return result;
}

static int write_new(struct fs *fs, const char *bytes, struct error *error)
{
	struct fs_file *file;
	int result = fs->operations->open(fs, VOTE_NEW_FILE, true, &file);
	if (result < 0)
		return vote_error(error, result, "create", VOTE_NEW_FILE);
	result = fs->operations->write(file, 0, bytes, VOTE_SIZE);
	if (result == 0)
		result = fs->operations->truncate(file, VOTE_SIZE);
	if (result < 0)
		vote_error(error, result, "write", VOTE_NEW_FILE);
	if (result == 0 && (result = fs->operations->sync(file)) < 0)
		vote_error(error, result, "sync", VOTE_NEW_FILE);
	fs->operations->close(file);
	if (result < 0)
		return result == -ENOSPC || result == -EDQUOT ? ERR_NO_SPACE : ERR_IO;
	return 0;
}

int vote_save(struct fs *fs, const struct vote_state *state, struct error *error)
{
	char bytes[VOTE_SIZE];
	assert(memchr(state->cluster_id, '\0', sizeof state->cluster_id) != NULL);
	assert(memchr(state->pledged_id, '\0', sizeof state->pledged_id) != NULL);
	assert(state->founder_count <= VOTE_FOUNDERS_MAX);
	encode(state, bytes);
	int result = write_new(fs, bytes, error);
	if (result < 0)
		return result;
	result = fs->operations->rename(fs, VOTE_NEW_FILE, VOTE_FILE);
	if (result < 0)
		return vote_error(error, result, "replace", VOTE_FILE);
	result = fs->operations->sync_directory(fs);
	return result < 0 ? vote_error(error, result, "sync the directory of", VOTE_FILE) : 0;
}
