#include "sim/sim.h"

#include "base/memory.h"

#include <assert.h>
#include <inttypes.h>
#include <uthash.h>

/* Logs as the simulation knows them. What an entry of an index and term says is kept once: it says the same wherever it is (Log
 * Matching, Raft dissertation figure 3.2). */

struct known_name {
	uint64_t index;
	uint64_t term;
};

struct sim_known {
	struct known_name name;
	struct text *body;
	UT_hash_handle hh;
};

struct text *known_body(struct sim *sim, const struct wal_record *record)
{
	struct known_name name = {record->index, record->term};
	struct sim_known *known;
	HASH_FIND(hh, sim->known, &name, sizeof name, known);
	if (known == NULL) {
		known = mem_zero(sizeof *known);
		known->name = name;
		known->body = text_create(record->body);
		HASH_ADD(hh, sim->known, name, sizeof known->name, known);
	} else if (!slice_equal(text_slice(known->body), record->body)) {
		sim_fail(sim, "entry %" PRIu64 " of term %" PRIu64 " says one thing in one log, and another thing in another",
		         record->index, record->term);
	}
	return known->body;
}

void known_finish(struct sim *sim)
{
	struct sim_known *known;
	struct sim_known *next;
	HASH_ITER(hh, sim->known, known, next) {
		HASH_DELETE(hh, sim->known, known);
		text_release(known->body);
		mem_free(known);
	}
}

uint64_t log_last(const struct sim_log *log)
{
	return log->base + log->count;
}

const struct sim_entry *log_at(const struct sim_log *log, uint64_t index)
{
	return index > log->base && index <= log->base + log->count ? &log->list[index - log->base - 1] : NULL;
}

void log_append(struct sim_log *log, uint64_t term, struct text *body)
{
	mem_grow(log->list, log->capacity, log->count + 1);
	log->list[log->count++] = (struct sim_entry){term, text_hold(body)};
}

void log_cut(struct sim_log *log, uint64_t last)
{
	assert(last >= log->base);
	while (log_last(log) > last)
		text_release(log->list[--log->count].body);
}

void log_reset(struct sim_log *log, uint64_t base)
{
	log_cut(log, log->base);
	log->base = base;
}

void log_copy(struct sim_log *to, const struct sim_log *from)
{
	log_reset(to, from->base);
	for (size_t i = 0; i < from->count; i++)
		log_append(to, from->list[i].term, from->list[i].body);
}

void log_finish(struct sim_log *log)
{
	log_reset(log, 0);
	mem_free(log->list);
	*log = (struct sim_log){0};
}
