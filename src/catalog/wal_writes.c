#include "catalog/wal_writes.h"

#include "base/buffer.h"
#include "base/memory.h"
#include "catalog/statement.h"

#include <sqlite3.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#define GATHERED_MAX (1u << 20)   /* bytes; more is written at once */
#define WRITE_MAX (64u << 10)     /* at once: SQLite's own VFS takes less than 128 KiB */
#define FRAME_HEADER_SIZE 24
#define FRAME_COMMIT 4            /* where its header says, other than 0, that it ends a transaction */

struct wal_writes {
	sqlite3_vfs vfs;
	sqlite3_vfs *base;
	char name[32];
	sqlite3_file *wal;        /* of the base; NULL: it is not open */
	struct buffer gathered;
	sqlite3_int64 offset;     /* where it goes */
	bool commit;              /* what comes next ends a transaction */
	int failure;
};

/* The base's file is behind it. */
struct file {
	sqlite3_file head;
	struct wal_writes *writes;
	bool is_wal;
};

static struct file *file_of(sqlite3_file *head)
{
	return (struct file *)(void *)head;
}

static sqlite3_file *real(sqlite3_file *head)
{
	return (sqlite3_file *)(void *)(file_of(head) + 1);
}

static int flush(struct wal_writes *writes)
{
	struct buffer *gathered = &writes->gathered;
	int code = SQLITE_OK;
	for (size_t at = 0; at < gathered->size && code == SQLITE_OK; at += WRITE_MAX) {
		size_t rest = gathered->size - at;
		code = writes->wal->pMethods->xWrite(writes->wal, gathered->data + at, (int)(rest < WRITE_MAX ? rest : WRITE_MAX),
		                                     writes->offset + (sqlite3_int64)at);
	}
	buffer_clear(gathered);
	return code;
}

/* Before an operation on the WAL itself. */
static int settle(sqlite3_file *head)
{
	const struct file *file = file_of(head);
	return file->is_wal ? flush(file->writes) : SQLITE_OK;
}

/* --- files --------------------------------------------------------------------------------------------------------- */

static int file_close(sqlite3_file *head)
{
	struct file *file = file_of(head);
	int code = settle(head);
	int closed = real(head)->pMethods->xClose(real(head));
	if (file->is_wal)
		file->writes->wal = NULL;
	head->pMethods = NULL;
	return code != SQLITE_OK ? code : closed;
}

static int file_read(sqlite3_file *head, void *data, int size, sqlite3_int64 offset)
{
	int code = settle(head);
	return code != SQLITE_OK ? code : real(head)->pMethods->xRead(real(head), data, size, offset);
}

static int gather(struct wal_writes *writes, const void *data, int size, sqlite3_int64 offset)
{
	struct buffer *gathered = &writes->gathered;
	int code = SQLITE_OK;
	if (gathered->size != 0 && offset != writes->offset + (sqlite3_int64)gathered->size)
		code = flush(writes);
	if (code != SQLITE_OK)
		return code;
	if (gathered->size == 0)
		writes->offset = offset;
	buffer_append(gathered, data, (size_t)size);
	if (size == FRAME_HEADER_SIZE) {
		uint32_t pages;
		memcpy(&pages, (const char *)data + FRAME_COMMIT, sizeof pages);
		writes->commit = pages != 0;
		return SQLITE_OK;
	}
	bool whole = writes->commit || gathered->size >= GATHERED_MAX;
	writes->commit = false;
	return whole ? flush(writes) : SQLITE_OK;
}

static int file_write(sqlite3_file *head, const void *data, int size, sqlite3_int64 offset)
{
	const struct file *file = file_of(head);
	if (file->is_wal)
		return gather(file->writes, data, size, offset);
	return real(head)->pMethods->xWrite(real(head), data, size, offset);
}

static int file_truncate(sqlite3_file *head, sqlite3_int64 size)
{
	int code = settle(head);
	return code != SQLITE_OK ? code : real(head)->pMethods->xTruncate(real(head), size);
}

static int file_sync(sqlite3_file *head, int flags)
{
	int code = settle(head);
	return code != SQLITE_OK ? code : real(head)->pMethods->xSync(real(head), flags);
}

static int file_size(sqlite3_file *head, sqlite3_int64 *ret_size)
{
	int code = settle(head);
	return code != SQLITE_OK ? code : real(head)->pMethods->xFileSize(real(head), ret_size);
}

static int file_lock(sqlite3_file *head, int level)
{
	return real(head)->pMethods->xLock(real(head), level);
}

static int file_unlock(sqlite3_file *head, int level)
{
	return real(head)->pMethods->xUnlock(real(head), level);
}

static int file_check_lock(sqlite3_file *head, int *ret_locked)
{
	return real(head)->pMethods->xCheckReservedLock(real(head), ret_locked);
}

static int file_control(sqlite3_file *head, int operation, void *argument)
{
	int code = settle(head);
	return code != SQLITE_OK ? code : real(head)->pMethods->xFileControl(real(head), operation, argument);
}

static int file_sector_size(sqlite3_file *head)
{
	return real(head)->pMethods->xSectorSize(real(head));
}

static int file_characteristics(sqlite3_file *head)
{
	return real(head)->pMethods->xDeviceCharacteristics(real(head));
}

static int file_shm_map(sqlite3_file *head, int region, int size, int extend, void volatile **ret_memory)
{
	return real(head)->pMethods->xShmMap(real(head), region, size, extend, ret_memory);
}

static int file_shm_lock(sqlite3_file *head, int offset, int count, int flags)
{
	return real(head)->pMethods->xShmLock(real(head), offset, count, flags);
}

/* Behind it others see what was published. Nothing is left to be written here as a rule, and no failure can be told. */
static void file_shm_barrier(sqlite3_file *head)
{
	struct wal_writes *writes = file_of(head)->writes;
	int code = flush(writes);
	if (code != SQLITE_OK && writes->failure == 0)
		writes->failure = code;
	real(head)->pMethods->xShmBarrier(real(head));
}

static int file_shm_unmap(sqlite3_file *head, int delete_it)
{
	return real(head)->pMethods->xShmUnmap(real(head), delete_it);
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
	.xCheckReservedLock = file_check_lock,
	.xFileControl = file_control,
	.xSectorSize = file_sector_size,
	.xDeviceCharacteristics = file_characteristics,
	.xShmMap = file_shm_map,
	.xShmLock = file_shm_lock,
	.xShmBarrier = file_shm_barrier,
	.xShmUnmap = file_shm_unmap,
};

/* --- the VFS ------------------------------------------------------------------------------------------------------- */

static struct wal_writes *writes_of(sqlite3_vfs *vfs)
{
	return (struct wal_writes *)(void *)vfs;
}

/* Other files than the database and its WAL are the base's alone. */
static int vfs_open(sqlite3_vfs *vfs, const char *name, sqlite3_file *head, int flags, int *ret_flags)
{
	struct wal_writes *writes = writes_of(vfs);
	struct file *file = file_of(head);
	if ((flags & (SQLITE_OPEN_MAIN_DB | SQLITE_OPEN_WAL)) == 0)
		return writes->base->xOpen(writes->base, name, head, flags, ret_flags);
	memset(file, 0, sizeof *file);
	int code = writes->base->xOpen(writes->base, name, real(head), flags, ret_flags);
	if (code != SQLITE_OK) {
		if (real(head)->pMethods != NULL)
			real(head)->pMethods->xClose(real(head));
		return code;
	}
	file->head.pMethods = &methods;
	file->writes = writes;
	file->is_wal = (flags & SQLITE_OPEN_WAL) != 0;
	if (file->is_wal) {
		writes->wal = real(head);
		buffer_clear(&writes->gathered);
		writes->commit = false;
	}
	return SQLITE_OK;
}

static int vfs_delete(sqlite3_vfs *vfs, const char *name, int sync)
{
	sqlite3_vfs *base = writes_of(vfs)->base;
	return base->xDelete(base, name, sync);
}

static int vfs_access(sqlite3_vfs *vfs, const char *name, int flags, int *ret_result)
{
	sqlite3_vfs *base = writes_of(vfs)->base;
	return base->xAccess(base, name, flags, ret_result);
}

static int vfs_full_path(sqlite3_vfs *vfs, const char *name, int size, char *ret_path)
{
	sqlite3_vfs *base = writes_of(vfs)->base;
	return base->xFullPathname(base, name, size, ret_path);
}

static int vfs_randomness(sqlite3_vfs *vfs, int size, char *ret_bytes)
{
	sqlite3_vfs *base = writes_of(vfs)->base;
	return base->xRandomness(base, size, ret_bytes);
}

static int vfs_sleep(sqlite3_vfs *vfs, int microseconds)
{
	sqlite3_vfs *base = writes_of(vfs)->base;
	return base->xSleep(base, microseconds);
}

static int vfs_time(sqlite3_vfs *vfs, double *ret_days)
{
	sqlite3_vfs *base = writes_of(vfs)->base;
	return base->xCurrentTime(base, ret_days);
}

static int vfs_last_error(sqlite3_vfs *vfs, int size, char *ret_text)
{
	sqlite3_vfs *base = writes_of(vfs)->base;
	return base->xGetLastError != NULL ? base->xGetLastError(base, size, ret_text) : 0;
}

struct wal_writes *wal_writes_create(const char *base)
{
	struct wal_writes *writes = mem_zero(sizeof *writes);
	sqlite_set_up();
	writes->base = sqlite3_vfs_find(base);
	if (writes->base == NULL) {
		mem_free(writes);
		return NULL;
	}
	snprintf(writes->name, sizeof writes->name, "clusterd-%p", (void *)writes);
	writes->vfs = (sqlite3_vfs){
		.iVersion = 1,
		.szOsFile = (int)sizeof(struct file) + writes->base->szOsFile,
		.mxPathname = writes->base->mxPathname,
		.zName = writes->name,
		.xOpen = vfs_open,
		.xDelete = vfs_delete,
		.xAccess = vfs_access,
		.xFullPathname = vfs_full_path,
		.xRandomness = vfs_randomness,
		.xSleep = vfs_sleep,
		.xCurrentTime = vfs_time,
		.xGetLastError = vfs_last_error,
	};
	sqlite3_vfs_register(&writes->vfs, 0);
	return writes;
}

void wal_writes_destroy(struct wal_writes *writes)
{
	if (writes == NULL)
		return;
	sqlite3_vfs_unregister(&writes->vfs);
	buffer_finish(&writes->gathered);
	mem_free(writes);
}

const char *wal_writes_name(const struct wal_writes *writes)
{
	return writes->name;
}

int wal_writes_failure(const struct wal_writes *writes)
{
	return writes->failure;
}
