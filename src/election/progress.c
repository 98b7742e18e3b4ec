#include "election/progress.h"

#include <assert.h>

void progress_init(struct progress *progress, uint64_t id, uint64_t next, msec now)
{
	*progress = (struct progress){.id = id, .next = next, .heard_at = now};
}

static void enter(struct progress *progress, enum raft_progress_state state)
{
	progress->state = state;
	progress->probe_sent = false;
	progress->chunk_sent = false;
	progress->snapshot_id = 0;
	progress->inflight_count = 0;
}

void progress_probe(struct progress *progress, uint64_t next)
{
	assert(next > progress->match);
	enter(progress, RAFT_PROBE);
	progress->next = next;
}

void progress_replicate(struct progress *progress, uint64_t next)
{
	assert(next > progress->match);
	enter(progress, RAFT_REPLICATE);
	progress->next = next;
}

void progress_snapshot(struct progress *progress)
{
	enter(progress, RAFT_SNAPSHOT);
}

void progress_sent(struct progress *progress, uint64_t last)
{
	assert(progress->inflight_count < RAFT_INFLIGHT_MAX && last >= progress->next);
	uint32_t at = (progress->inflight_first + progress->inflight_count) % RAFT_INFLIGHT_MAX;
	progress->inflight[at] = last;
	progress->inflight_count++;
	progress->next = last + 1;
}

void progress_shorten(struct progress *progress, uint64_t last)
{
	if (progress->inflight_count == 0 || last >= progress->next || last <= progress->match)
		return;
	uint32_t newest = (progress->inflight_first + progress->inflight_count - 1) % RAFT_INFLIGHT_MAX;
	progress->inflight[newest] = last;
	progress->next = last + 1;
}

void progress_acked(struct progress *progress, uint64_t index)
{
	if (index > progress->match)
		progress->match = index;
	if (progress->next <= progress->match)
		progress->next = progress->match + 1;
	while (progress->inflight_count > 0 && progress->inflight[progress->inflight_first] <= progress->match) {
		progress->inflight_first = (progress->inflight_first + 1) % RAFT_INFLIGHT_MAX;
		progress->inflight_count--;
	}
}
