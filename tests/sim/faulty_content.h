/* The bytes of one file of the faulty file system, in the cache and on disk. */
#ifndef CLUSTERD_SIM_FAULTY_CONTENT_H
#define CLUSTERD_SIM_FAULTY_CONTENT_H

#include "base/random.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct faulty_losses;

/* `disk` is what survives, `cache` what reads see; both have `capacity` bytes, zero behind their size. */
struct content {
	char *cache;
	char *disk;
	unsigned char *dirty; /* by sector: the next sync writes it */
	uint64_t size;        /* in the cache */
	uint64_t disk_size;
	bool size_dirty;
	uint64_t capacity;
	uint64_t torn_offset; /* of the last write */
	uint64_t torn_size;
	size_t open_count;
	bool reachable;
	struct content *next;
};

void content_destroy(struct content *content);
void content_write(struct content *content, uint64_t offset, const void *data, size_t size); /* NULL: zeroes */
void content_truncate(struct content *content, uint64_t size);
void content_sync(struct content *content);
/* Some sectors only; `clean`: the others count as synced. */
void content_sync_partly(struct content *content, struct random *random, bool clean);
/* The system writes some sectors back when it likes: now and then. */
void content_write_back(struct content *content, struct random *random);
/* Clean sectors are read from the disk again. */
void content_evict(struct content *content);
/* Each sector that is not synced is kept or lost. */
void content_crash(struct content *content, struct random *random, struct faulty_losses *losses);

#endif
