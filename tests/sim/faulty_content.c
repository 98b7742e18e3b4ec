#include "sim/faulty_content.h"

#include "base/memory.h"
#include "sim/faulty_fs.h"

#include <string.h>

#define SECTOR FAULTY_SECTOR_SIZE

static uint64_t sectors(uint64_t size)
{
	return (size + SECTOR - 1) / SECTOR;
}

static bool chance(struct random *random, uint64_t in)
{
	return random_below(random, in) == 0;
}

static void content_room(struct content *content, uint64_t size)
{
	if (size <= content->capacity)
		return;
	uint64_t capacity = content->capacity < 4 * SECTOR ? 4 * SECTOR : content->capacity;
	while (capacity < size)
		capacity *= 2;
	content->cache = mem_resize(content->cache, capacity);
	content->disk = mem_resize(content->disk, capacity);
	content->dirty = mem_resize(content->dirty, capacity / SECTOR);
	memset(content->cache + content->capacity, 0, capacity - content->capacity);
	memset(content->disk + content->capacity, 0, capacity - content->capacity);
	memset(content->dirty + content->capacity / SECTOR, 0, (capacity - content->capacity) / SECTOR);
	content->capacity = capacity;
}

void content_destroy(struct content *content)
{
	mem_free(content->cache);
	mem_free(content->disk);
	mem_free(content->dirty);
	mem_free(content);
}

void content_write(struct content *content, uint64_t offset, const void *data, size_t size)
{
	if (size == 0)
		return;
	content_room(content, offset + size);
	if (data != NULL)
		memcpy(content->cache + offset, data, size);
	else
		memset(content->cache + offset, 0, size);
	for (uint64_t sector = offset / SECTOR; sector < sectors(offset + size); sector++)
		content->dirty[sector] = 1;
	if (offset + size > content->size) {
		content->size = offset + size;
		content->size_dirty = true;
	}
	content->torn_offset = offset;
	content->torn_size = size;
}

static void sector_flush(struct content *content, uint64_t sector)
{
	memcpy(content->disk + sector * SECTOR, content->cache + sector * SECTOR, SECTOR);
	content->dirty[sector] = 0;
}

/* The sector holds partly the old, partly the new bytes, cut at a random place. */
static void sector_tear(struct content *content, struct random *random, uint64_t sector)
{
	size_t cut = (size_t)random_below(random, SECTOR);
	char *disk = content->disk + sector * SECTOR;
	const char *cache = content->cache + sector * SECTOR;
	if (chance(random, 2))
		memcpy(disk, cache, cut);
	else
		memcpy(disk + cut, cache + cut, SECTOR - cut);
}

static void content_set_disk_size(struct content *content)
{
	if (content->size < content->disk_size)
		memset(content->disk + content->size, 0, content->disk_size - content->size);
	content->disk_size = content->size;
	content->size_dirty = false;
}

void content_crash(struct content *content, struct random *random, struct faulty_losses *losses)
{
	static const unsigned of_eight[] = {0, 2, 4, 6, 8};
	unsigned kept = of_eight[random_below(random, 5)];
	bool tear = content->torn_size > 0 && chance(random, 2);
	uint64_t first = content->torn_offset / SECTOR;
	uint64_t torn = tear ? first + random_below(random, sectors(content->torn_offset + content->torn_size) - first)
	                     : UINT64_MAX;
	if (content->size_dirty && random_below(random, 8) < kept)
		content_set_disk_size(content);
	for (uint64_t sector = 0; sector < content->capacity / SECTOR; sector++) {
		if (content->dirty[sector] == 0)
			continue;
		if (sector == torn) {
			sector_tear(content, random, sector);
			losses->torn++;
		} else if (random_below(random, 8) < kept) {
			sector_flush(content, sector);
		} else {
			losses->lost++;
		}
	}
	if (content->capacity > content->disk_size)
		memset(content->disk + content->disk_size, 0, content->capacity - content->disk_size);
	if (content->capacity > 0) {
		memcpy(content->cache, content->disk, content->capacity);
		memset(content->dirty, 0, content->capacity / SECTOR);
	}
	content->size = content->disk_size;
	content->size_dirty = false;
	content->torn_size = 0;
}

void content_write_back(struct content *content, struct random *random)
{
	if (!chance(random, 8))
		return;
	for (uint64_t sector = 0; sector < sectors(content->disk_size); sector++)
		if (content->dirty[sector] != 0 && chance(random, 2))
			sector_flush(content, sector);
}

void content_truncate(struct content *content, uint64_t size)
{
	content_room(content, size);
	if (size < content->size) {
		memset(content->cache + size, 0, content->size - size);
		for (uint64_t sector = size / SECTOR; sector < sectors(content->size); sector++)
			content->dirty[sector] = 1;
	}
	content->size_dirty |= content->size != size;
	content->size = size;
}

void content_sync(struct content *content)
{
	if (content->size_dirty)
		content_set_disk_size(content);
	for (uint64_t sector = 0; sector < content->capacity / SECTOR; sector++)
		if (content->dirty[sector] != 0)
			sector_flush(content, sector);
}

void content_sync_partly(struct content *content, struct random *random, bool clean)
{
	if (content->size_dirty && chance(random, 2))
		content_set_disk_size(content);
	for (uint64_t sector = 0; sector < content->capacity / SECTOR; sector++) {
		if (content->dirty[sector] == 0)
			continue;
		if (chance(random, 2))
			sector_flush(content, sector);
		else if (clean)
			content->dirty[sector] = 0;
	}
}

void content_evict(struct content *content)
{
	for (uint64_t sector = 0; sector < content->capacity / SECTOR; sector++)
		if (content->dirty[sector] == 0)
			memcpy(content->cache + sector * SECTOR, content->disk + sector * SECTOR, SECTOR);
}
