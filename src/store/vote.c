#include "store/vote.h"

#include <assert.h>
#include <endian.h>
#include <errno.h>
#include <inttypes.h>
#include <xxhash.h>

/* The file, little-endian: 0 magic · 8 version · 16 term · 24 voted for · 32 node · 40 cluster (40) · 80 checksum of all
 * before it. */
#define VOTE_FILE "vote"
#define VOTE_NEW_FILE "vote.new"
#define VOTE_VERSION 1u
#define VOTE_SIZE 88u

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
	put_u64(ret_bytes + 80, XXH3_64bits(ret_bytes, 80));
}

static int decode(const char *bytes, size_t size, struct vote_state *ret_state, struct error *error)
{
	if (size != VOTE_SIZE)
		return error_set(error, ERR_CORRUPT, VOTE_FILE " is damaged: it has %s than %u bytes",
		                 size < VOTE_SIZE ? "fewer" : "more", VOTE_SIZE);
	if (memcmp(bytes, vote_magic, sizeof vote_magic) != 0)
		return error_set(error, ERR_CORRUPT, VOTE_FILE " is damaged: it does not begin as such a file does");
	if (get_u64(bytes + 80) != XXH3_64bits(bytes, 80))
		return error_set(error, ERR_CORRUPT, VOTE_FILE " is damaged: its checksum is wrong");
	if (get_u64(bytes + 8) != VOTE_VERSION)
		return error_set(error, ERR_VERSION, VOTE_FILE " has version %" PRIu64 "; this clusterd knows version %u",
		                 get_u64(bytes + 8), VOTE_VERSION);
	if (bytes[79] != '\0')
		return error_set(error, ERR_CORRUPT, VOTE_FILE " is damaged: the cluster id has no end");
	*ret_state = (struct vote_state){
		.term = get_u64(bytes + 16), .voted_for = get_u64(bytes + 24), .node_id = get_u64(bytes + 32),
	};
	memcpy(ret_state->cluster_id, bytes + 40, sizeof ret_state->cluster_id);
	return 0;
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
	char bytes[VOTE_SIZE + 1]; /* one more, to notice a longer file */
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
