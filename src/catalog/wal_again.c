#include "catalog/wal_again.h"

#include "base/memory.h"

#include <stdint.h>
#include <string.h>

/* As https://sqlite.org/fileformat2.html says, §4.1. */
#define HEADER_SIZE 32
#define HEADER_PAGE_SIZE 8
#define HEADER_SALTS 16
#define FRAME_HEADER_SIZE 24
#define FRAME_SALTS 8
#define SALTS_SIZE 8
#define PAGE_SIZE_MAX 65536
#define AT_ONCE (256u << 10)

static uint32_t big_endian(const unsigned char *bytes)
{
	return (uint32_t)bytes[0] << 24 | (uint32_t)bytes[1] << 16 | (uint32_t)bytes[2] << 8 | bytes[3];
}

/* Behind the last frame of this life of the WAL; those that follow have other salts. Whether they are whole is of no matter. */
static int find_end(sqlite3_file *wal, sqlite3_int64 size, sqlite3_int64 *ret_end)
{
	unsigned char header[HEADER_SIZE];
	unsigned char frame[FRAME_HEADER_SIZE];
	int code = wal->pMethods->xRead(wal, header, sizeof header, 0);
	if (code != SQLITE_OK)
		return code;
	sqlite3_int64 end = HEADER_SIZE;
	sqlite3_int64 frame_size = FRAME_HEADER_SIZE + (sqlite3_int64)big_endian(header + HEADER_PAGE_SIZE);
	while (frame_size > FRAME_HEADER_SIZE && frame_size <= FRAME_HEADER_SIZE + PAGE_SIZE_MAX && end + frame_size <= size) {
		code = wal->pMethods->xRead(wal, frame, sizeof frame, end);
		if (code != SQLITE_OK)
			return code;
		if (memcmp(frame + FRAME_SALTS, header + HEADER_SALTS, SALTS_SIZE) != 0)
			break;
		end += frame_size;
	}
	*ret_end = end;
	return SQLITE_OK;
}

int wal_write_again(sqlite3_file *wal)
{
	sqlite3_int64 size = 0;
	sqlite3_int64 end = 0;
	int code = wal->pMethods->xFileSize(wal, &size);
	if (code != SQLITE_OK || size < HEADER_SIZE)
		return code;
	code = find_end(wal, size, &end);
	unsigned char *bytes = mem_alloc(AT_ONCE);
	for (sqlite3_int64 at = 0; at < end && code == SQLITE_OK; at += AT_ONCE) {
		int count = end - at < AT_ONCE ? (int)(end - at) : (int)AT_ONCE;
		code = wal->pMethods->xRead(wal, bytes, count, at);
		if (code == SQLITE_OK)
			code = wal->pMethods->xWrite(wal, bytes, count, at);
	}
	mem_free(bytes);
	return code == SQLITE_OK ? wal->pMethods->xSync(wal, SQLITE_SYNC_NORMAL) : code;
}
