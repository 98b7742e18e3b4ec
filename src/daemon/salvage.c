#include "daemon/salvage.h"

#include "base/memory.h"
#include "catalog/catalog.h"
#include "catalog/copy.h"
#include "coordinator/machine.h"
#include "daemon/disk.h"
#include "store/lock.h"
#include "wire/command.h"

#include <inttypes.h>
#include <string.h>
#include <unistd.h>

#define BATCH_ENTRIES 1000u /* in one transaction */

struct salvaging {
	struct machine *machine;
	struct arena arena;
	struct salvaged salvaged;
	unsigned pending; /* applied in the transaction that is open */
};

static int commit(struct salvaging *salvaging, struct error *error)
{
	if (salvaging->pending == 0)
		return 0;
	int code = machine_commit(salvaging->machine, error);
	machine_effects_done(salvaging->machine);
	machine_trim(salvaging->machine);
	salvaging->pending = 0;
	return code;
}

static int apply(void *context, const struct wal_record *record, struct error *error)
{
	struct salvaging *salvaging = context;
	struct command command;
	int code = command_decode(record->body, &salvaging->arena, &command, error);
	if (code == 0 && salvaging->pending++ == 0)
		code = machine_begin(salvaging->machine, error);
	if (code == 0)
		code = machine_apply(salvaging->machine, record->index, record->term, &command, error);
	arena_reset(&salvaging->arena);
	if (code != 0) {
		error_prefix(error, "entry %" PRIu64 " of the log", record->index);
		return code;
	}
	return salvaging->pending < BATCH_ENTRIES ? 0 : commit(salvaging, error);
}

/* The catalog is new: it begins as the node's did. */
static int found(struct machine *machine, const struct vote_state *vote, struct error *error)
{
	struct command_member members[VOTE_FOUNDERS_MAX];
	if (machine_applied_index(machine) > 0 || machine_configuration(machine)->count > 0 || vote->founder_count == 0)
		return 0;
	for (uint32_t i = 0; i < vote->founder_count; i++)
		members[i] = (struct command_member){vote->founders[i], true};
	return machine_found(machine, slice_of(vote->cluster_id), members, vote->founder_count, error);
}

static int apply_log(struct disk *disk, struct catalog *catalog, const struct vote_state *vote,
                     struct salvaged *ret_salvaged, struct error *error)
{
	struct salvaging salvaging = {0};
	int code = machine_create(catalog, &salvaging.machine, error);
	if (code != 0)
		return code;
	code = found(salvaging.machine, vote, error);
	if (code == 0)
		code = disk_scan(disk, machine_applied_index(salvaging.machine), apply, &salvaging, error);
	if (code == 0)
		code = commit(&salvaging, error);
	*ret_salvaged = (struct salvaged){machine_applied_index(salvaging.machine), machine_applied_term(salvaging.machine)};
	machine_destroy(salvaging.machine);
	arena_finish(&salvaging.arena);
	return code;
}

/* A catalog that is lost is made again from the log, when that is whole. */
static int copy_catalog(const char *data_dir, const char *work, struct error *error)
{
	char *path = mem_format("%s/catalog.db", data_dir);
	int code = access(path, F_OK) == 0 ? catalog_copy(path, work, error) : 0;
	mem_free(path);
	return code;
}

static int complete_copy(struct disk *disk, const char *work, const struct vote_state *vote,
                         struct salvaged *ret_salvaged, struct error *error)
{
	struct catalog *catalog;
	int code = catalog_open(work, NULL, &catalog, error);
	if (code != 0)
		return code;
	code = apply_log(disk, catalog, vote, ret_salvaged, error);
	catalog_close(catalog);
	return code;
}

static void remove_work(const char *work)
{
	static const char *const suffixes[] = {"", "-journal", "-wal", "-shm", ".partial"};
	for (size_t i = 0; i < sizeof suffixes / sizeof suffixes[0]; i++) {
		char *path = mem_format("%s%s", work, suffixes[i]);
		unlink(path);
		mem_free(path);
	}
}

int salvage(const char *data_dir, const char *file, struct salvaged *ret_salvaged, struct error *error)
{
	char *catalog_path = mem_format("%s/catalog.db", data_dir);
	char *work = mem_format("%s.salvaging", file);
	char *vote_path = mem_format("%s/vote", data_dir);
	struct disk_options options = {.directory = data_dir, .catalog_path = catalog_path};
	struct disk *disk = NULL;
	struct vote_state vote;
	struct wal_recovery recovery;
	struct salvaged salvaged = {0};
	int lock = -1;
	int code = 0;
	if (access(vote_path, F_OK) != 0)
		code = error_set(error, ERR_NOT_FOUND, "%s is not the data directory of a node", data_dir);
	else if (access(file, F_OK) == 0)
		code = error_set(error, ERR_EXISTS, "%s is there already", file);
	if (code == 0)
		code = lock_take(data_dir, &lock, error);
	if (code == 0)
		code = disk_open(&options, &disk, &vote, &recovery, error);
	if (code == 0) {
		remove_work(work);
		code = copy_catalog(data_dir, work, error);
		if (code == 0)
			code = complete_copy(disk, work, &vote, &salvaged, error);
		if (code == 0)
			code = catalog_copy(work, file, error);
		remove_work(work);
	}
	disk_close(disk);
	if (lock >= 0)
		lock_release(lock);
	mem_free(catalog_path);
	mem_free(work);
	mem_free(vote_path);
	if (code == 0)
		*ret_salvaged = salvaged;
	return code;
}
