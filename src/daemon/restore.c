#include "daemon/restore.h"

#include "base/memory.h"
#include "catalog/copy.h"
#include "store/fs.h"
#include "store/lock.h"
#include "store/vote.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#define NODE_ID_LIMIT ((uint64_t)1 << 53)
#define CATALOG_FILE "catalog.db"
#define UNFINISHED_FILE "catalog.db.restoring"
#define PARTIAL_FILE UNFINISHED_FILE ".partial"

static int system_failure(struct error *error, const char *doing, const char *path)
{
	int code = errno == ENOSPC || errno == EDQUOT ? ERR_NO_SPACE : ERR_IO;
	return error_set(error, code, "cannot %s %s: %s", doing, path, strerror(errno));
}

/* Absent or empty. */
static int check_empty(const char *path, struct error *error)
{
	DIR *directory = opendir(path);
	if (directory == NULL && errno == ENOENT)
		return 0;
	if (directory == NULL)
		return system_failure(error, "read the directory", path);
	int code = 0;
	struct dirent *entry;
	while (code == 0 && (entry = readdir(directory)) != NULL)
		if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
			code = error_set(error, ERR_CONFLICT,
			                 "%s holds something already (%s): a node is restored into a directory that is absent or empty",
			                 path, entry->d_name);
	closedir(directory);
	return code;
}

static int draw_ids(struct vote_state *vote, struct error *error)
{
	unsigned char bytes[24];
	if (getrandom(bytes, sizeof bytes, 0) != sizeof bytes)
		return error_set(error, ERR_IO, "the system gives no random numbers: %s", strerror(errno));
	for (size_t i = 0; i < 16; i++)
		snprintf(vote->cluster_id + 2 * i, 3, "%02x", bytes[i]);
	memcpy(&vote->node_id, bytes + 16, sizeof vote->node_id);
	vote->node_id = vote->node_id % (NODE_ID_LIMIT - 1) + 1;
	vote->founder_count = 1;
	vote->founders[0] = vote->node_id;
	return 0;
}

/* The copy, made the beginning of the new cluster before it has the catalog's name. */
static int restore_catalog(const char *file, const char *directory, struct vote_state *vote, uint64_t *ret_index,
                           struct error *error)
{
	char *unfinished = mem_format("%s/" UNFINISHED_FILE, directory);
	char *path = mem_format("%s/" CATALOG_FILE, directory);
	struct catalog_facts facts = CATALOG_FACTS_EMPTY;
	int code = catalog_copy(file, unfinished, error);
	if (code == 0)
		code = catalog_begin_cluster(unfinished, vote->cluster_id, vote->node_id, &vote->term, error);
	if (code == 0)
		code = catalog_facts_read(unfinished, &facts, error);
	if (code == 0 && rename(unfinished, path) != 0)
		code = system_failure(error, "rename to", path);
	*ret_index = facts.applied_index;
	catalog_facts_finish(&facts);
	mem_free(unfinished);
	mem_free(path);
	return code;
}

/* The vote comes last: a catalog without it is refused by a node, a vote without a catalog would be a node that knows nothing. Saving
 * it syncs the directory, and with it the catalog's name. */
static int restore_vote(const char *directory, const struct vote_state *vote, struct error *error)
{
	struct fs *fs;
	int code = fs_posix_create(directory, &fs);
	if (code != 0)
		return error_set(error, ERR_IO, "cannot open the directory %s: %s", directory, strerror(-code));
	code = vote_save(fs, vote, error);
	fs->operations->destroy(fs);
	return code;
}

static const char *const made[] = {"vote", "vote.new", UNFINISHED_FILE, PARTIAL_FILE, CATALOG_FILE, "lock"};

/* Restored by root, the files belong to whom the directory is of. */
static int give_away(const char *directory, struct error *error)
{
	struct stat status;
	int code = 0;
	if (geteuid() != 0)
		return 0;
	int descriptor = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (descriptor < 0 || fstat(descriptor, &status) != 0)
		code = system_failure(error, "open the directory", directory);
	for (size_t i = 0; i < sizeof made / sizeof made[0] && code == 0; i++)
		if (fchownat(descriptor, made[i], status.st_uid, status.st_gid, AT_SYMLINK_NOFOLLOW) != 0 && errno != ENOENT)
			code = system_failure(error, "change the owner of files in", directory);
	if (descriptor >= 0)
		close(descriptor);
	return code;
}

static void take_back(const char *directory, bool existed)
{
	for (size_t i = 0; i < sizeof made / sizeof made[0]; i++) {
		char *path = mem_format("%s/%s", directory, made[i]);
		unlink(path);
		mem_free(path);
	}
	if (!existed)
		rmdir(directory);
}

int restore(const char *file, const char *directory, struct restored *ret_restored, struct error *error)
{
	struct catalog_facts facts = CATALOG_FACTS_EMPTY;
	struct vote_state vote = {0};
	uint64_t index = 0;
	int lock;
	bool existed = access(directory, F_OK) == 0;
	int code = catalog_facts_read(file, &facts, error);
	catalog_facts_finish(&facts);
	if (code == 0)
		code = catalog_check(file, error);
	if (code == 0)
		code = check_empty(directory, error);
	if (code == 0)
		code = lock_take(directory, &lock, error);
	if (code != 0)
		return code;
	code = draw_ids(&vote, error);
	if (code == 0)
		code = restore_catalog(file, directory, &vote, &index, error);
	if (code == 0)
		code = restore_vote(directory, &vote, error);
	if (code == 0)
		code = give_away(directory, error);
	lock_release(lock);
	if (code != 0) {
		take_back(directory, existed);
		return code;
	}
	*ret_restored = (struct restored){.node_id = vote.node_id, .index = index};
	memcpy(ret_restored->cluster_id, vote.cluster_id, sizeof ret_restored->cluster_id);
	return 0;
}
