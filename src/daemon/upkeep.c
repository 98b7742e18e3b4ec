#include "daemon/upkeep.h"

#include "base/log.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define CHECKPOINT_WAL_BYTES (64u << 20) /* growth of the catalog's WAL from one checkpoint to the next */
#define WAL_WARNING_BYTES (256u << 20)
#define WAL_BUSY_BYTES (1024u << 20)
#define DISK_RESERVE_BYTES (64u << 20) /* less is free: nothing new is begun */

/* The catalog's WAL grows with each transaction. A first checkpoint moves it into the file while transactions go on; SQLite begins
 * the WAL anew with the next transaction after everything was moved, so a second one, over the little that has come
 * meanwhile, is made while none begins. */
void upkeep_turn(struct upkeep *upkeep)
{
	uint64_t size = catalog_wal_size(upkeep->catalog);
	if (size < upkeep->wal_at_checkpoint)
		upkeep->wal_at_checkpoint = 0;
	if (size < upkeep->wal_at_checkpoint + CHECKPOINT_WAL_BYTES || disk_checkpointing(upkeep->disk))
		return;
	upkeep->wal_at_checkpoint = size;
	disk_checkpoint(upkeep->disk);
}

void upkeep_checkpointed(struct upkeep *upkeep)
{
	upkeep->holding = !upkeep->holding;
	node_hold(upkeep->node, upkeep->holding);
	if (upkeep->holding)
		disk_checkpoint(upkeep->disk);
}

/* A full disk, or a reader of the catalog that does not end and so keeps the WAL from beginning anew (INVARIANTS, 28). */
static void find_refusal(const struct upkeep *upkeep, uint64_t wal, char *ret_refusal)
{
	int64_t room = disk_free_space(upkeep->disk);
	size_t size = sizeof upkeep->refusal;
	ret_refusal[0] = '\0';
	if (room >= 0 && room < DISK_RESERVE_BYTES)
		snprintf(ret_refusal, size, "the disk is nearly full: %lld MiB are free, %u are kept in reserve",
		         (long long)room >> 20, DISK_RESERVE_BYTES >> 20);
	else if (wal > WAL_BUSY_BYTES)
		snprintf(ret_refusal, size, "catalog.db-wal has %" PRIu64 " MiB: a reader of the catalog does not end", wal >> 20);
}

void upkeep_room(struct upkeep *upkeep)
{
	uint64_t wal = catalog_wal_size(upkeep->catalog);
	bool refused = upkeep_refuses(upkeep);
	find_refusal(upkeep, wal, upkeep->refusal);
	if (upkeep_refuses(upkeep) && !refused)
		log_write(LOG_ERROR, "store", "%s: nothing new is begun", upkeep->refusal);
	if (!upkeep_refuses(upkeep) && refused)
		log_write(LOG_INFO, "store", "there is room again");
	if (wal > WAL_WARNING_BYTES && !upkeep->wal_warned)
		log_write(LOG_WARNING, "catalog", "catalog.db-wal has %" PRIu64 " MiB: a reader of the catalog does not end", wal >> 20);
	upkeep->wal_warned = wal > WAL_WARNING_BYTES;
	node_refuse(upkeep->node, upkeep->refusal);
}

bool upkeep_refuses(const struct upkeep *upkeep)
{
	return upkeep->refusal[0] != '\0';
}
