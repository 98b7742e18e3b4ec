#include "sim/gossip_world.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* A member that is up and could be heard of for long may not be forgotten, nor shown as failed when all is calm. */
static void check_against_truth(struct world *world, struct node *node, const struct gossip_change *change)
{
	struct node *subject = node_of(world, change->member.id);
	usec grace = world->settings.dead_grace_ms * 1000;
	if (subject == NULL || subject == node || subject->generation != change->member.generation ||
	    !node_up(world, subject))
		return;
	if (change->kind == GOSSIP_HAS_FAILED)
		world->counts.false_failures++;
	if (change->kind == GOSSIP_HAS_LEFT)
		fail(world, "node %" PRIu64 " thinks that node %" PRIu64 " has left, which has not", node->id,
		     subject->id);
	usec disturbed = subject->disturbed_at > node->disturbed_at ? subject->disturbed_at : node->disturbed_at;
	if (change->kind == GOSSIP_FORGOTTEN && world->checked && world->now - disturbed > grace + 30000000)
		fail(world, "node %" PRIu64 " forgets node %" PRIu64 ", which is up", node->id, subject->id);
}

static void check_member(struct world *world, struct node *node, const struct gossip_change *change)
{
	const struct gossip_member *member = &change->member;
	struct mirror *mirror = &node->mirrors[member->id - 1];
	if (change->kind == GOSSIP_FORGOTTEN) {
		mirror->known = false;
		return;
	}
	bool same = mirror->known && mirror->generation == member->generation;
	if (member->generation < mirror->newest_generation)
		fail(world, "node %" PRIu64 ": generation of node %" PRIu64 " goes from %" PRIu64 " back to %" PRIu64,
		     node->id, member->id, mirror->newest_generation, member->generation);
	if (same && member->incarnation < mirror->incarnation)
		fail(world, "node %" PRIu64 ": incarnation of node %" PRIu64 " goes from %u back to %u", node->id,
		     member->id, mirror->incarnation, member->incarnation);
	if (same && member->version < mirror->version)
		fail(world, "node %" PRIu64 ": version of node %" PRIu64 " goes back", node->id, member->id);
	if (member->generation == mirror->newest_generation && mirror->left && member->state != GOSSIP_LEFT)
		fail(world, "node %" PRIu64 ": node %" PRIu64 " has left and is %s again", node->id, member->id,
		     gossip_state_name(member->state));
	if (same && change->kind == GOSSIP_HAS_FAILED && mirror->state == GOSSIP_FAILED)
		fail(world, "node %" PRIu64 ": node %" PRIu64 " fails twice", node->id, member->id);
	if (change->kind == GOSSIP_JOINED && same && (mirror->state == GOSSIP_ALIVE || mirror->state == GOSSIP_SUSPECT))
		fail(world, "node %" PRIu64 ": node %" PRIu64 " joins twice", node->id, member->id);
	if (!mirror->known && change->kind != GOSSIP_JOINED && !member->self)
		fail(world, "node %" PRIu64 ": node %" PRIu64 " is %s and never joined", node->id, member->id,
		     gossip_change_name(change->kind));
	*mirror = (struct mirror){
		.known = true,
		.generation = member->generation,
		.incarnation = member->incarnation,
		.state = member->state,
		.version = member->version,
		.newest_generation = member->generation,
		.left = member->state == GOSSIP_LEFT,
	};
}

void check_changes(struct world *world, struct node *node, const struct gossip_effects *effects)
{
	for (size_t i = 0; i < effects->change_count; i++) {
		const struct gossip_change *change = &effects->changes[i];
		if (change->sequence != node->sequence_seen + 1)
			fail(world, "node %" PRIu64 ": change %" PRIu64 " follows change %" PRIu64, node->id,
			     change->sequence, node->sequence_seen);
		node->sequence_seen = change->sequence;
		check_against_truth(world, node, change);
		if (world->checked)
			check_member(world, node, change);
		if (world->traced)
			printf("%10.3f node %" PRIu64 ": node %" PRIu64 " %s (%" PRIu64 ", %u, %s, v%" PRIu64 ")\n",
			       (double)world->now / 1e6, node->id, change->member.id, gossip_change_name(change->kind),
			       change->member.generation, change->member.incarnation,
			       gossip_state_name(change->member.state), change->member.version);
	}
	if (effects->conflict != NULL && world->checked)
		fail(world, "node %" PRIu64 " has a conflict: %s with node %" PRIu64, node->id,
		     gossip_refusal_name(effects->conflict->reason), effects->conflict->holder);
	if (node->sequence_seen != gossip_sequence(node->gossip))
		fail(world, "node %" PRIu64 ": %" PRIu64 " changes were told, %" PRIu64 " made", node->id,
		     node->sequence_seen, gossip_sequence(node->gossip));
}

/* --- convergence --------------------------------------------------------------------------------------------------- */

static bool same_values(const struct node *subject, const struct gossip_member *member)
{
	for (size_t i = 0; i < sizeof subject->values / sizeof subject->values[0]; i++) {
		char key[16];
		struct slice value;
		snprintf(key, sizeof key, "tag.%zu", i);
		bool has = gossip_value(member, key, &value);
		if (has != (subject->values[i][0] != '\0') || (has && !slice_is(value, subject->values[i])))
			return false;
	}
	return true;
}

static bool sees(struct world *world, const struct node *node, const struct node *subject, char *ret_why, size_t size)
{
	struct gossip_member member;
	bool known = gossip_find(node->gossip, subject->id, &member);
	bool up = node_up(world, subject);
	if (!up && known && gossip_is_live(&member)) {
		snprintf(ret_why, size, "node %" PRIu64 " thinks node %" PRIu64 " is %s, which is down", node->id,
		         subject->id, gossip_state_name(member.state));
		return false;
	}
	if (!up && known && node_up(world, node) &&
	    world->now - subject->disturbed_at > 2 * world->settings.dead_grace_ms * 1000) {
		snprintf(ret_why, size, "node %" PRIu64 " has not forgotten node %" PRIu64, node->id, subject->id);
		return false;
	}
	if (!up)
		return true;
	if (!known || member.state != GOSSIP_ALIVE || member.generation != subject->generation) {
		snprintf(ret_why, size, "node %" PRIu64 " thinks node %" PRIu64 " is %s, which is up", node->id,
		         subject->id, known ? gossip_state_name(member.state) : "nobody");
		return false;
	}
	if (!same_values(subject, &member)) {
		snprintf(ret_why, size, "node %" PRIu64 " has other key-values of node %" PRIu64, node->id,
		         subject->id);
		return false;
	}
	const struct mirror *mirror = node->mirrors != NULL ? &node->mirrors[subject->id - 1] : NULL;
	if (mirror != NULL && subject != node &&
	    (!mirror->known || mirror->state != member.state || mirror->generation != member.generation ||
	     mirror->version != member.version)) {
		snprintf(ret_why, size, "a watcher of node %" PRIu64 " has not heard the last of node %" PRIu64,
		         node->id, subject->id);
		return false;
	}
	return true;
}

bool check_converged(struct world *world, char *ret_why, size_t size)
{
	for (uint32_t i = 0; i < world->node_count; i++) {
		const struct node *node = &world->nodes[i];
		usec forgotten_at = node->disturbed_at + 2 * world->settings.dead_grace_ms * 1000;
		if (node->gone && !node_up(world, node) && world->now < forgotten_at) {
			snprintf(ret_why, size, "node %" PRIu64 " need not be forgotten yet", node->id);
			return false;
		}
		if (!node_up(world, node))
			continue;
		for (uint32_t j = 0; j < world->node_count; j++)
			if (!sees(world, &world->nodes[i], &world->nodes[j], ret_why, size))
				return false;
	}
	return true;
}
