#include "faulty_vfs.h"

#include "base/buffer.h"
#include "base/memory.h"
#include "base/random.h"

#include <assert.h>
#include <sqlite3.h>
#include <string.h>
#include <sys/queue.h>

#define SECTOR_SIZE 512
#define REGIONS_MAX 1024
#define TRUNCATION SIZE_MAX
#define IN_CONTENT SIZE_MAX
#define ROOM (4u << 20) /* of a new file: it grows without being moved, and what is not touched costs nothing */

/* A write, or a truncation to `offset`, that was not synced. */
struct change {
	uint64_t offset;
	size_t size; /* TRUNCATION: no data */
	size_t at;   /* where its data begins in `overwritten`; IN_CONTENT: they are what is there */
};

struct memory_file {
	char *name; /* NULL: temporary, or deleted */
	struct faulty_vfs *vfs;
	struct buffer content; /* as the processes see it */
	struct buffer durable; /* as it would be after a loss of power, before `changes` */
	struct change *changes;
	size_t change_count, change_capacity;
	uint64_t changes_end;      /* no change reaches further */
	struct buffer overwritten; /* data of changes that later ones wrote over */
	int handles;
	bool off;

	int shared; /* handles with SHARED or more */
	struct handle *reserved, *pending, *exclusive;

	char *regions[REGIONS_MAX]; /* shared memory: the WAL's index */
	int region_count;
	int attached;
	int shm_shared[SQLITE_SHM_NLOCK];
	struct handle *shm_exclusive[SQLITE_SHM_NLOCK];
	LIST_ENTRY(memory_file) link;
};

struct handle {
	sqlite3_file base;
	struct memory_file *file;
	int level;
	bool attached;
	bool delete_on_close;
	unsigned int shm_shared;
};

struct wish {
	uint64_t at; /* count at which it fails; 0: never */
	int code;
	bool lasting;
};

struct faulty_vfs {
	sqlite3_vfs base;
	char *name;
	struct random random;
	struct wish wishes[FAULTY_OPERATIONS];
	uint64_t counts[FAULTY_OPERATIONS];
	bool reliable; /* nothing is kept of what was not synced */
	LIST_HEAD(, memory_file) files;
};

/* --- files -------------------------------------------------------------------------------------------------------- */

static struct memory_file *find(const struct faulty_vfs *vfs, const char *name)
{
	struct memory_file *file;
	LIST_FOREACH(file, &vfs->files, link)
		if (file->name != NULL && strcmp(file->name, name) == 0)
			return file;
	return NULL;
}

static void forget_changes(struct memory_file *file)
{
	buffer_clear(&file->overwritten);
	file->change_count = 0;
	file->changes_end = 0;
}

static void destroy_file(struct memory_file *file)
{
	LIST_REMOVE(file, link);
	forget_changes(file);
	mem_free(file->changes);
	buffer_finish(&file->overwritten);
	for (int i = 0; i < file->region_count; i++)
		mem_free(file->regions[i]);
	buffer_finish(&file->content);
	buffer_finish(&file->durable);
	mem_free(file->name);
	mem_free(file);
}

static void resize(struct buffer *bytes, uint64_t size)
{
	if (size > bytes->size)
		memset(buffer_reserve(bytes, size - bytes->size), 0, size - bytes->size);
	bytes->size = size;
}

static void put(struct buffer *bytes, uint64_t offset, const void *data, size_t size)
{
	if (offset > bytes->size)
		resize(bytes, offset);
	if (offset + size > bytes->size) {
		buffer_reserve(bytes, offset + size - bytes->size);
		bytes->size = offset + size;
	}
	memcpy(bytes->data + offset, data, size);
}

/* Before something else is written from `begin` to `end`, what changes have written there is put aside. */
static void put_aside(struct memory_file *file, uint64_t begin, uint64_t end)
{
	for (size_t i = 0; i < file->change_count && begin < file->changes_end; i++) {
		struct change *change = &file->changes[i];
		bool there = change->size != TRUNCATION && change->at == IN_CONTENT;
		if (!there || change->offset >= end || change->offset + change->size <= begin)
			continue;
		change->at = file->overwritten.size;
		buffer_append(&file->overwritten, file->content.data + change->offset, change->size);
	}
}

static const char *data_of(const struct memory_file *file, const struct change *change)
{
	return change->at == IN_CONTENT ? file->content.data + change->offset : file->overwritten.data + change->at;
}

static void note_change(struct memory_file *file, uint64_t offset, size_t size)
{
	if (file->vfs->reliable)
		return;
	mem_grow(file->changes, file->change_capacity, file->change_count + 1);
	file->changes[file->change_count++] = (struct change){offset, size, IN_CONTENT};
	if (size != TRUNCATION && offset + size > file->changes_end)
		file->changes_end = offset + size;
}

/* A write reaches the disk sector by sector. */
static void keep_some(struct memory_file *file, const struct change *change)
{
	struct random *random = &file->vfs->random;
	if (change->size == TRUNCATION) {
		if (random_below(random, 2) == 0)
			resize(&file->durable, change->offset);
		return;
	}
	for (size_t done = 0; done < change->size;) {
		size_t piece = SECTOR_SIZE - (size_t)((change->offset + done) % SECTOR_SIZE);
		if (piece > change->size - done)
			piece = change->size - done;
		if (random_below(random, 2) == 0)
			put(&file->durable, change->offset + done, data_of(file, change) + done, piece);
		done += piece;
	}
}

/* Whether this operation is to fail: SQLITE_OK or the code. */
static int fault(struct faulty_vfs *vfs, enum faulty_operation operation, const struct memory_file *file)
{
	static const int off_codes[FAULTY_OPERATIONS] = {SQLITE_CANTOPEN, SQLITE_IOERR_READ, SQLITE_IOERR_WRITE,
	                                                 SQLITE_IOERR_TRUNCATE, SQLITE_IOERR_FSYNC};
	const struct wish *wish = &vfs->wishes[operation];
	uint64_t count = ++vfs->counts[operation];
	if (file != NULL && file->off)
		return off_codes[operation];
	bool now = wish->at != 0 && (count == wish->at || (wish->lasting && count > wish->at));
	return now ? wish->code : SQLITE_OK;
}

static struct memory_file *file_of(sqlite3_file *base)
{
	return ((struct handle *)base)->file;
}

/* --- reading and writing ------------------------------------------------------------------------------------------ */

static int file_read(sqlite3_file *base, void *data, int size, sqlite3_int64 offset)
{
	struct memory_file *file = file_of(base);
	int code = fault(file->vfs, FAULTY_READ, file);
	if (code != SQLITE_OK)
		return code;
	size_t there = (uint64_t)offset < file->content.size ? file->content.size - (size_t)offset : 0;
	size_t given = there < (size_t)size ? there : (size_t)size;
	if (given != 0)
		memcpy(data, file->content.data + offset, given);
	memset((char *)data + given, 0, (size_t)size - given);
	return given == (size_t)size ? SQLITE_OK : SQLITE_IOERR_SHORT_READ;
}

static int file_write(sqlite3_file *base, const void *data, int size, sqlite3_int64 offset)
{
	struct memory_file *file = file_of(base);
	int code = fault(file->vfs, FAULTY_WRITE, file);
	if (code != SQLITE_OK)
		return code;
	put_aside(file, (uint64_t)offset, (uint64_t)offset + (uint64_t)size);
	put(&file->content, (uint64_t)offset, data, (size_t)size);
	note_change(file, (uint64_t)offset, (size_t)size);
	return SQLITE_OK;
}

static int file_truncate(sqlite3_file *base, sqlite3_int64 size)
{
	struct memory_file *file = file_of(base);
	int code = fault(file->vfs, FAULTY_TRUNCATE, file);
	if (code != SQLITE_OK)
		return code;
	put_aside(file, (uint64_t)size, UINT64_MAX);
	resize(&file->content, (uint64_t)size);
	note_change(file, (uint64_t)size, TRUNCATION);
	return SQLITE_OK;
}

static int file_sync(sqlite3_file *base, int flags)
{
	struct memory_file *file = file_of(base);
	(void)flags;
	if (file->off)
		return SQLITE_IOERR_FSYNC;
	int code = fault(file->vfs, FAULTY_SYNC, file);
	if (code == SQLITE_OK) {
		for (size_t i = 0; i < file->change_count; i++) {
			const struct change *change = &file->changes[i];
			if (change->size == TRUNCATION)
				resize(&file->durable, change->offset);
			else
				put(&file->durable, change->offset, data_of(file, change), change->size);
		}
	}
	forget_changes(file);
	return code;
}

static int file_size(sqlite3_file *base, sqlite3_int64 *ret_size)
{
	*ret_size = (sqlite3_int64)file_of(base)->content.size;
	return SQLITE_OK;
}

/* --- locks -------------------------------------------------------------------------------------------------------- */

static int file_lock(sqlite3_file *base, int level)
{
	struct handle *handle = (struct handle *)base;
	struct memory_file *file = handle->file;
	if (handle->level >= level)
		return SQLITE_OK;
	if (level == SQLITE_LOCK_SHARED) {
		if (file->pending != NULL || file->exclusive != NULL)
			return SQLITE_BUSY;
		file->shared++;
		handle->level = level;
		return SQLITE_OK;
	}
	if (file->reserved != NULL && file->reserved != handle)
		return SQLITE_BUSY;
	file->reserved = handle;
	if (level == SQLITE_LOCK_RESERVED) {
		handle->level = level;
		return SQLITE_OK;
	}
	file->pending = handle;
	handle->level = SQLITE_LOCK_PENDING;
	if (file->shared > 1)
		return SQLITE_BUSY;
	file->exclusive = handle;
	handle->level = SQLITE_LOCK_EXCLUSIVE;
	return SQLITE_OK;
}

static int file_unlock(sqlite3_file *base, int level)
{
	struct handle *handle = (struct handle *)base;
	struct memory_file *file = handle->file;
	if (handle->level <= level)
		return SQLITE_OK;
	if (file->reserved == handle)
		file->reserved = NULL;
	if (file->pending == handle)
		file->pending = NULL;
	if (file->exclusive == handle)
		file->exclusive = NULL;
	if (level == SQLITE_LOCK_NONE)
		file->shared--;
	handle->level = level;
	return SQLITE_OK;
}

static int file_check_reserved(sqlite3_file *base, int *ret_reserved)
{
	*ret_reserved = file_of(base)->reserved != NULL;
	return SQLITE_OK;
}

static int file_control(sqlite3_file *base, int operation, void *argument)
{
	(void)base;
	(void)operation;
	(void)argument;
	return SQLITE_NOTFOUND;
}

static int file_sector_size(sqlite3_file *base)
{
	(void)base;
	return SECTOR_SIZE;
}

static int file_characteristics(sqlite3_file *base)
{
	(void)base;
	return SQLITE_IOCAP_POWERSAFE_OVERWRITE;
}

/* --- shared memory ------------------------------------------------------------------------------------------------ */

static int shm_map(sqlite3_file *base, int index, int size, int extend, void volatile **ret_region)
{
	struct handle *handle = (struct handle *)base;
	struct memory_file *file = handle->file;
	if (!handle->attached) {
		handle->attached = true;
		file->attached++;
	}
	*ret_region = NULL;
	if (index >= file->region_count && !extend)
		return SQLITE_OK;
	if (index >= REGIONS_MAX)
		return SQLITE_IOERR_SHMSIZE;
	while (file->region_count <= index)
		file->regions[file->region_count++] = mem_zero((size_t)size);
	*ret_region = file->regions[index];
	return SQLITE_OK;
}

static int shm_take(struct handle *handle, int slot, bool exclusive)
{
	struct memory_file *file = handle->file;
	bool own = (handle->shm_shared & 1u << slot) != 0;
	if (file->shm_exclusive[slot] != NULL)
		return file->shm_exclusive[slot] == handle ? SQLITE_OK : SQLITE_BUSY;
	if (!exclusive) {
		file->shm_shared[slot] += !own;
		handle->shm_shared |= 1u << slot;
		return SQLITE_OK;
	}
	if (file->shm_shared[slot] > own)
		return SQLITE_BUSY;
	file->shm_exclusive[slot] = handle;
	return SQLITE_OK;
}

static void shm_give(struct handle *handle, int slot)
{
	struct memory_file *file = handle->file;
	if (file->shm_exclusive[slot] == handle)
		file->shm_exclusive[slot] = NULL;
	if ((handle->shm_shared & 1u << slot) != 0)
		file->shm_shared[slot]--;
	handle->shm_shared &= ~(1u << slot);
}

static int shm_lock(sqlite3_file *base, int first, int count, int flags)
{
	struct handle *handle = (struct handle *)base;
	for (int slot = first; slot < first + count; slot++) {
		if ((flags & SQLITE_SHM_UNLOCK) != 0) {
			shm_give(handle, slot);
			continue;
		}
		int code = shm_take(handle, slot, (flags & SQLITE_SHM_EXCLUSIVE) != 0);
		if (code != SQLITE_OK) {
			while (--slot >= first)
				shm_give(handle, slot);
			return code;
		}
	}
	return SQLITE_OK;
}

static void shm_barrier(sqlite3_file *base)
{
	(void)base;
}

static int shm_unmap(sqlite3_file *base, int delete_it)
{
	struct handle *handle = (struct handle *)base;
	struct memory_file *file = handle->file;
	(void)delete_it;
	for (int slot = 0; slot < SQLITE_SHM_NLOCK; slot++)
		shm_give(handle, slot);
	if (!handle->attached)
		return SQLITE_OK;
	handle->attached = false;
	if (--file->attached == 0) /* whoever comes next recovers the index from the WAL */
		while (file->region_count > 0)
			mem_free(file->regions[--file->region_count]);
	return SQLITE_OK;
}

/* --- opening and closing ------------------------------------------------------------------------------------------ */

static void unlink_file(struct memory_file *file)
{
	mem_free(file->name);
	file->name = NULL;
	if (file->handles == 0)
		destroy_file(file);
}

static int file_close(sqlite3_file *base)
{
	struct handle *handle = (struct handle *)base;
	struct memory_file *file = handle->file;
	shm_unmap(base, 0);
	file_unlock(base, SQLITE_LOCK_NONE);
	file->handles--;
	if (handle->delete_on_close || file->name == NULL)
		unlink_file(file);
	return SQLITE_OK;
}

static const sqlite3_io_methods methods = {
	.iVersion = 2,
	.xClose = file_close,
	.xRead = file_read,
	.xWrite = file_write,
	.xTruncate = file_truncate,
	.xSync = file_sync,
	.xFileSize = file_size,
	.xLock = file_lock,
	.xUnlock = file_unlock,
	.xCheckReservedLock = file_check_reserved,
	.xFileControl = file_control,
	.xSectorSize = file_sector_size,
	.xDeviceCharacteristics = file_characteristics,
	.xShmMap = shm_map,
	.xShmLock = shm_lock,
	.xShmBarrier = shm_barrier,
	.xShmUnmap = shm_unmap,
};

static int vfs_open(sqlite3_vfs *base, const char *name, sqlite3_file *ret_file, int flags, int *ret_flags)
{
	struct faulty_vfs *vfs = (struct faulty_vfs *)base;
	struct handle *handle = (struct handle *)ret_file;
	struct memory_file *file = name != NULL ? find(vfs, name) : NULL;
	memset(handle, 0, sizeof *handle);
	int code = fault(vfs, FAULTY_OPEN, file);
	if (code != SQLITE_OK)
		return code;
	if (file == NULL) {
		if ((flags & SQLITE_OPEN_CREATE) == 0)
			return SQLITE_CANTOPEN;
		file = mem_zero(sizeof *file);
		file->name = mem_string(name);
		file->vfs = vfs;
		buffer_reserve(&file->content, ROOM);
		if (!vfs->reliable)
			buffer_reserve(&file->durable, ROOM);
		LIST_INSERT_HEAD(&vfs->files, file, link);
	}
	file->handles++;
	handle->file = file;
	handle->delete_on_close = (flags & SQLITE_OPEN_DELETEONCLOSE) != 0;
	handle->base.pMethods = &methods;
	if (ret_flags != NULL)
		*ret_flags = flags;
	return SQLITE_OK;
}

static int vfs_delete(sqlite3_vfs *base, const char *name, int sync_directory)
{
	struct memory_file *file = find((struct faulty_vfs *)base, name);
	(void)sync_directory;
	if (file == NULL)
		return SQLITE_IOERR_DELETE_NOENT;
	if (file->off)
		return SQLITE_IOERR_DELETE;
	unlink_file(file);
	return SQLITE_OK;
}

static int vfs_access(sqlite3_vfs *base, const char *name, int flags, int *ret_answer)
{
	const struct memory_file *file = find((struct faulty_vfs *)base, name);
	*ret_answer = file != NULL && (flags != SQLITE_ACCESS_EXISTS || file->content.size > 0);
	return SQLITE_OK;
}

static int vfs_full_name(sqlite3_vfs *base, const char *name, int size, char *ret_name)
{
	(void)base;
	if (strncmp(name, "./", 2) == 0)
		name += 2;
	sqlite3_snprintf(size, ret_name, "%s", name);
	return SQLITE_OK;
}

static int vfs_randomness(sqlite3_vfs *base, int size, char *ret_bytes)
{
	for (int i = 0; i < size; i++)
		ret_bytes[i] = (char)random_next(&((struct faulty_vfs *)base)->random);
	return size;
}

static int vfs_sleep(sqlite3_vfs *base, int microseconds)
{
	(void)base;
	return microseconds;
}

static int vfs_time(sqlite3_vfs *base, sqlite3_int64 *ret_time)
{
	(void)base;
	*ret_time = (sqlite3_int64)2440587 * 86400000 + 43200000; /* 1970, as Julian days in ms */
	return SQLITE_OK;
}

static int vfs_last_error(sqlite3_vfs *base, int size, char *ret_text)
{
	(void)base;
	(void)size;
	(void)ret_text;
	return 0;
}

struct faulty_vfs *faulty_vfs_create(const char *name, bool by_default, uint64_t seed)
{
	struct faulty_vfs *vfs = mem_zero(sizeof *vfs);
	vfs->name = mem_string(name);
	vfs->random.state = seed;
	LIST_INIT(&vfs->files);
	vfs->base = (sqlite3_vfs){
		.iVersion = 2,
		.szOsFile = sizeof(struct handle),
		.mxPathname = 512,
		.zName = vfs->name,
		.xOpen = vfs_open,
		.xDelete = vfs_delete,
		.xAccess = vfs_access,
		.xFullPathname = vfs_full_name,
		.xRandomness = vfs_randomness,
		.xSleep = vfs_sleep,
		.xGetLastError = vfs_last_error,
		.xCurrentTimeInt64 = vfs_time,
	};
	int code = sqlite3_vfs_register(&vfs->base, by_default);
	assert(code == SQLITE_OK);
	return vfs;
}

void faulty_vfs_set_reliable(struct faulty_vfs *vfs)
{
	vfs->reliable = true;
}

void faulty_vfs_use(struct faulty_vfs *vfs)
{
	sqlite3_vfs_register(&vfs->base, true);
}

void faulty_vfs_destroy(struct faulty_vfs *vfs)
{
	if (vfs == NULL)
		return;
	sqlite3_vfs_unregister(&vfs->base);
	while (!LIST_EMPTY(&vfs->files)) {
		struct memory_file *file = LIST_FIRST(&vfs->files);
		assert(file->handles == 0);
		destroy_file(file);
	}
	mem_free(vfs->name);
	mem_free(vfs);
}

/* --- faults ------------------------------------------------------------------------------------------------------- */

void faulty_vfs_fail(struct faulty_vfs *vfs, enum faulty_operation operation, uint64_t nth, int code, bool lasting)
{
	vfs->wishes[operation] = (struct wish){
		.at = nth != 0 ? vfs->counts[operation] + nth : 0,
		.code = code,
		.lasting = lasting,
	};
}

uint64_t faulty_vfs_count(const struct faulty_vfs *vfs, enum faulty_operation operation)
{
	return vfs->counts[operation];
}

static bool named(const struct memory_file *file, const char *prefix)
{
	return file->name != NULL && strncmp(file->name, prefix, strlen(prefix)) == 0;
}

void faulty_vfs_power_off(struct faulty_vfs *vfs, const char *prefix)
{
	struct memory_file *file;
	LIST_FOREACH(file, &vfs->files, link)
		if (named(file, prefix))
			file->off = true;
}

void faulty_vfs_power_on(struct faulty_vfs *vfs, const char *prefix, enum faulty_loss loss)
{
	struct memory_file *file;
	LIST_FOREACH(file, &vfs->files, link) {
		if (!named(file, prefix))
			continue;
		assert(file->handles == 0);
		file->off = false;
		if (loss == FAULTY_LOSE_NOTHING)
			continue;
		for (size_t i = 0; i < file->change_count && loss == FAULTY_LOSE_SOME; i++)
			keep_some(file, &file->changes[i]);
		forget_changes(file);
		buffer_clear(&file->content);
		buffer_append_slice(&file->content, buffer_slice(&file->durable));
	}
}

int64_t faulty_vfs_size(const struct faulty_vfs *vfs, const char *name)
{
	const struct memory_file *file = find(vfs, name);
	return file != NULL ? (int64_t)file->content.size : -1;
}

void faulty_vfs_read(const struct faulty_vfs *vfs, const char *name, uint64_t offset, size_t size, struct buffer *out)
{
	const struct memory_file *file = find(vfs, name);
	if (file == NULL || offset >= file->content.size)
		return;
	if (size > file->content.size - offset)
		size = (size_t)(file->content.size - offset);
	buffer_append(out, file->content.data + offset, size);
}

void faulty_vfs_put(struct faulty_vfs *vfs, const char *name, const struct buffer *bytes)
{
	struct memory_file *file = find(vfs, name);
	if (file != NULL) {
		assert(file->handles == 0);
		destroy_file(file);
	}
	if (bytes == NULL)
		return;
	file = mem_zero(sizeof *file);
	file->name = mem_string(name);
	file->vfs = vfs;
	buffer_append_slice(&file->content, buffer_slice(bytes));
	buffer_append_slice(&file->durable, buffer_slice(bytes));
	LIST_INSERT_HEAD(&vfs->files, file, link);
}

void faulty_vfs_damage(struct faulty_vfs *vfs, const char *name, uint64_t offset, const void *data, uint64_t size)
{
	struct memory_file *file = find(vfs, name);
	assert(file != NULL && offset + size <= file->content.size);
	put_aside(file, offset, offset + size);
	put(&file->content, offset, data, size);
	put(&file->durable, offset, data, size);
}
