#include "sim/sim_topics.h"

#include "base/memory.h"
#include "coordinator/internal.h"
#include "sim/sim_audit.h"
#include "sim/sim_bugs.h"

#include <inttypes.h>
#include <stdio.h>
#include <uthash.h>

/* What of topics the log gives: of each name that clients use, every state that it has had, by the entry that made it. It is written down
 * as the first state machine applies that entry; all others must come to the same, and so must whoever looks the topic up: the answer says
 * as of which entry it is, and that one is no older than anything that was acknowledged before it was asked. */

struct topic_state {
	uint64_t index;  /* of the entry */
	uint64_t digest; /* 0: nobody publishes it */
};

struct topic_truth {
	char name[32];
	struct topic_state *states;
	size_t count;
	size_t capacity;
	UT_hash_handle hh;
};

static struct topic_truth *truths;
static uint64_t known_up_to; /* entry */

struct topic_truth *topic_truth_of(const char *name)
{
	struct topic_truth *truth;
	HASH_FIND_STR(truths, name, truth);
	if (truth != NULL)
		return truth;
	truth = mem_zero(sizeof *truth);
	snprintf(truth->name, sizeof truth->name, "%s", name);
	HASH_ADD_STR(truths, name, truth);
	return truth;
}

uint64_t topics_known_up_to(void)
{
	return known_up_to;
}

/* In any order. */
static uint64_t digest_of(uint64_t id, uint64_t session, uint32_t part)
{
	uint64_t digest = id * 0x9E3779B97F4A7C15u ^ session * 0xC2B2AE3D27D4EB4Fu ^ (part + 1) * UINT64_C(0x165667B19E3779F9);
	return (digest ^ digest >> 29) * 0xBF58476D1CE4E5B9u;
}

static uint64_t digest(const struct machine *machine, const char *name)
{
	const struct topic *topic = machine_topic(machine, slice_of(name));
	const struct publication *publication;
	if (topic == NULL)
		return 0;
	uint64_t sum = topic->version;
	TAILQ_FOREACH (publication, &topic->publications, in_topic)
		sum += digest_of(publication->id, publication->owner->session, publication->part);
	return sum;
}

/* As of the entry; 0: nobody publishes it. */
static uint64_t state_at(const struct topic_truth *truth, uint64_t index)
{
	for (size_t i = truth->count; i-- > 0;) {
		if (truth->states[i].index <= index)
			return truth->states[i].digest;
	}
	return 0;
}

void topics_applied(const struct machine *machine, uint64_t index)
{
	for (struct topic_truth *truth = truths; truth != NULL; truth = truth->hh.next) {
		uint64_t is = digest(machine, truth->name);
		if (state_at(truth, index) == is)
			continue;
		if (index <= known_up_to)
			sim_fail(sim_running, "topic %s is another one in two state machines that have applied entry %" PRIu64, truth->name,
			         index);
		mem_grow(truth->states, truth->capacity, truth->count + 1);
		truth->states[truth->count++] = (struct topic_state){index, is};
	}
	known_up_to = index > known_up_to ? index : known_up_to;
}

void topic_check_state(struct sim *sim, const struct topic_truth *truth, const Clusterd__Wire__TopicState *state, uint64_t floor)
{
	uint64_t sum = state->version;
	if (state->index < floor)
		sim_fail(sim, "topic %s is told as of entry %" PRIu64 ", and entry %" PRIu64 " was acknowledged before it was asked for",
		         truth->name, state->index, floor);
	for (size_t i = 0; i < state->n_publications; i++)
		sum += digest_of(state->publications[i]->id, state->publications[i]->session, state->publications[i]->part);
	if (sum != state_at(truth, state->index))
		sim_fail(sim, "topic %s, with %zu publications, is not what it was as of entry %" PRIu64, truth->name,
		         state->n_publications, state->index);
}

/* At some moment between the question and the answer it was not there. */
void topic_check_absent(struct sim *sim, const struct topic_truth *truth, uint64_t floor)
{
	bool absent = state_at(truth, floor) == 0;
	for (size_t i = 0; i < truth->count; i++)
		absent = absent || (truth->states[i].index > floor && truth->states[i].digest == 0);
	if (!absent)
		sim_fail(sim, "topic %s is said not to be there, and it was all the time from entry %" PRIu64 " on", truth->name, floor);
}

/* --- what is written down ------------------------------------------------------------------------------------------ */

static const char *const always[] = {
	"SELECT 'publication ' || id || ' is of session ' || session || ', which has ended' FROM publication"
	" WHERE session NOT IN (SELECT id FROM session)",
	"SELECT 'subscription ' || id || ' is of session ' || session || ', which has ended' FROM subscription"
	" WHERE session NOT IN (SELECT id FROM session)",
	"SELECT 'topic ' || id || ' is there, and nobody publishes it' FROM topic WHERE id NOT IN (SELECT topic FROM publication)",
	"SELECT 'publication ' || id || ' is of no topic' FROM publication WHERE topic NOT IN (SELECT id FROM topic)",
	"SELECT 'subscription ' || id || ' is of no topic' FROM subscription WHERE topic NOT IN (SELECT id FROM topic)",
	"SELECT 'topic ' || name || ' is there ' || count(*) || ' times' FROM topic GROUP BY name HAVING count(*) > 1",
	"SELECT 'part ' || part || ' of topic ' || topic || ' is published ' || count(*) || ' times' FROM publication AS p"
	" JOIN topic AS t ON t.id = p.topic WHERE t.kind <> 'keeper' GROUP BY topic, part HAVING count(*) > 1",
};

void topics_audit_always(struct sim *sim, sqlite3 *database)
{
	audit_expect_nothing(sim, database, always, sizeof always / sizeof always[0]);
}
