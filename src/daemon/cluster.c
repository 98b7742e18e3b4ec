#include "daemon/cluster.h"

#include "coordinator/jobs.h"

#include "base/json.h"
#include "base/memory.h"
#include "wire/gossip.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>

#define LEAVE_AGAIN_MS 100

static struct gossip_event event_of(const struct node *node, enum gossip_event_kind kind)
{
	return (struct gossip_event){.kind = kind, .wall = node->host->wall(node->context)};
}

/* --- what gossip wishes -------------------------------------------------------------------------------------------- */

static void send_datagrams(struct node *node, const struct gossip_effects *effects)
{
	struct buffer bytes = BUFFER_EMPTY;
	for (size_t i = 0; i < effects->datagram_count; i++) {
		buffer_clear(&bytes);
		gossip_encode(effects->datagrams[i].message, &node->encoding, &bytes);
		arena_reset(&node->encoding);
		node->host->datagram_send(node->context, effects->datagrams[i].address, buffer_slice(&bytes));
	}
	buffer_finish(&bytes);
}

static void send_exchanges(struct node *node, const struct gossip_effects *effects, struct buffer *reply)
{
	for (size_t i = 0; i < effects->exchange_count; i++) {
		const struct gossip_exchange *exchange = &effects->exchanges[i];
		struct buffer bytes = BUFFER_EMPTY;
		gossip_encode(exchange->message, &node->encoding, &bytes);
		arena_reset(&node->encoding);
		if (!exchange->reply)
			node->host->exchange_send(node->context, exchange->address, buffer_slice(&bytes));
		else if (reply != NULL)
			buffer_append_slice(reply, buffer_slice(&bytes));
		buffer_finish(&bytes);
	}
}

static void take_change(struct node *node, const struct gossip_change *change)
{
	const struct gossip_member *member = &change->member;
	if (member->self)
		return;
	switch (change->kind) {
	case GOSSIP_JOINED:
	case GOSSIP_UPDATED:
		node->host->peer_address(node->context, member->id, member->address);
		node_member_alive(node, member->id);
		break;
	case GOSSIP_FORGOTTEN:
		node->host->peer_address(node->context, member->id, "");
		break;
	case GOSSIP_HAS_FAILED:
	case GOSSIP_HAS_LEFT:
		node_member_dead(node, member->id, member->name);
		break;
	case GOSSIP_SUSPECTED:
		break;
	}
}

/* A cluster was heard of, and this node is of none: it joins, unless it has promised to begin another one. */
static void take_sighting(struct node *node, const struct gossip_sighting *sighting)
{
	struct node_identity *identity = &node->identity;
	if (identity->cluster_id[0] != '\0' || node->saving_identity)
		return;
	if (strcmp(identity->pledged_id, sighting->cluster_id) == 0) {
		forming_formed(node);
	} else if (identity->pledged_id[0] != '\0') {
		error_set(&node->problem, ERR_CONFLICT,
		          "it has pledged itself to begin cluster %s, but hears of cluster %s at %s: remove its data directory, "
		          "and start it again to join",
		          identity->pledged_id, sighting->cluster_id, sighting->address);
	} else {
		memcpy(identity->cluster_id, sighting->cluster_id, sizeof identity->cluster_id);
		identity->founder_count = 0;
		cluster_save_identity(node);
	}
}

static void take_conflict(struct node *node, const struct gossip_conflict *conflict)
{
	struct error error = {0};
	switch (conflict->reason) {
	case GOSSIP_REFUSED_NAME:
		error_set(&error, ERR_EXISTS, "the cluster has a member with the name %s already, at %s: start this one with another "
		          "--name", node->name, conflict->address);
		break;
	case GOSSIP_REFUSED_ID:
		error_set(&error, ERR_EXISTS, "the node with this one's id runs already, at %s: a data directory was copied; remove "
		          "this one's, and start it again", conflict->address);
		break;
	case GOSSIP_REFUSED_GENERATION:
		error_set(&error, ERR_CONFLICT, "the cluster knows this node from a later start (%" PRIu64 ") than this (%" PRIu64 "): "
		          "its data directory is an old copy; remove it, and start it again", conflict->generation, node->generation);
		break;
	default:
		error_set(&error, ERR_VERSION, "the node at %s speaks another version of the gossip protocol", conflict->address);
		break;
	}
	if (conflict->reason == GOSSIP_REFUSED_PROTOCOL)
		node->problem = error;
	else
		node_fail(node, &error);
}

static int gossip(struct node *node, struct gossip_event *event, struct buffer *reply)
{
	struct gossip_effects effects;
	gossip_step(node->gossip, node->host->now(node->context), event, &effects);
	send_datagrams(node, &effects);
	send_exchanges(node, &effects, reply);
	for (size_t i = 0; i < effects.change_count; i++)
		take_change(node, &effects.changes[i]);
	if (effects.change_count > 0)
		roster_changed(node);
	if (effects.conflict != NULL)
		take_conflict(node, effects.conflict);
	if (effects.left)
		node->host->left(node->context);
	struct gossip_sighting sighting;
	bool sighted = effects.sighting != NULL;
	if (sighted)
		sighting = *effects.sighting;
	int result = effects.result;
	if (sighted)
		take_sighting(node, &sighting);
	return result;
}

/* --- what comes ---------------------------------------------------------------------------------------------------- */

/* What cannot be decoded is counted. Of another version of the protocol it is known who says it: the core answers. */
static bool decode(struct node *node, struct slice bytes, struct gossip_message *ret_message)
{
	struct error error = {0};
	int code = gossip_decode(bytes, &node->arena, ret_message, &error);
	if (code == 0 || code == ERR_VERSION)
		return true;
	node->counts.messages_refused++;
	return false;
}

void node_datagram(struct node *node, const char *from, struct slice bytes)
{
	struct gossip_message message;
	if (!node->failed && decode(node, bytes, &message)) {
		struct gossip_event event = event_of(node, GOSSIP_DATAGRAM);
		event.message = &message;
		event.source = from;
		gossip(node, &event, NULL);
	}
	arena_reset(&node->arena);
}

void node_exchange(struct node *node, const char *from, struct slice bytes, struct buffer *reply)
{
	struct gossip_message message;
	if (!node->failed && decode(node, bytes, &message)) {
		struct gossip_event event = event_of(node, GOSSIP_EXCHANGE);
		event.message = &message;
		event.source = from;
		gossip(node, &event, reply);
	}
	arena_reset(&node->arena);
}

void node_exchange_failed(struct node *node, const char *address)
{
	struct gossip_event event = event_of(node, GOSSIP_EXCHANGE_FAILED);
	event.source = address;
	if (!node->failed)
		gossip(node, &event, NULL);
}

static void keep_seeds(struct node *node, const char *const *seeds, size_t count)
{
	for (size_t i = 0; i < node->seed_count; i++)
		mem_free(node->seeds[i]);
	mem_free(node->seeds);
	node->seed_count = count < GOSSIP_SEEDS_MAX ? count : GOSSIP_SEEDS_MAX;
	node->seeds = mem_array(node->seed_count, sizeof *node->seeds);
	for (size_t i = 0; i < node->seed_count; i++)
		node->seeds[i] = mem_string(seeds[i]);
}

/* What was found, and members as they were when this node went down. */
static void tell_seeds(struct node *node)
{
	const char *seeds[GOSSIP_SEEDS_MAX];
	struct gossip_event event = event_of(node, GOSSIP_JOIN);
	event.seeds = seeds;
	for (size_t i = 0; i < node->seed_count; i++)
		seeds[event.seed_count++] = node->seeds[i];
	for (size_t i = 0; i < node->known_count && event.seed_count < GOSSIP_SEEDS_MAX; i++)
		seeds[event.seed_count++] = node->known[i];
	if (!node->failed)
		gossip(node, &event, NULL);
}

void node_seeds(struct node *node, const char *const *seeds, size_t count)
{
	keep_seeds(node, seeds, count);
	tell_seeds(node);
}

void cluster_set(struct node *node, const char *key, const char *value)
{
	struct gossip_event event = event_of(node, GOSSIP_SET);
	event.key = slice_of(key);
	event.value = slice_of(value);
	gossip(node, &event, NULL);
}

void cluster_doubt(struct node *node, uint64_t member)
{
	struct gossip_event event = event_of(node, GOSSIP_DOUBT);
	event.member = member;
	gossip(node, &event, NULL);
}

static bool can_hand_over(const struct node *node)
{
	const struct raft_configuration *configuration = raft_configuration(node->raft);
	uint32_t voters = 0;
	for (uint32_t i = 0; i < configuration->count; i++)
		voters += configuration->members[i].voter;
	return node->leader && voters > 1;
}

/* Who is about to go hands over first what it leads. Who leaves for good says so last; then it stops. */
static void prepare_to_go(struct node *node, msec now)
{
	if (node->leave_said || now < node->leave_at)
		return;
	node->leave_at = now + LEAVE_AGAIN_MS;
	if (can_hand_over(node)) {
		if (raft_transferee(node->raft) == 0)
			replica_step(node, &(struct raft_event){.kind = RAFT_TRANSFER});
		return;
	}
	if (!node->leaving)
		return;
	node->leave_said = true;
	struct gossip_event event = event_of(node, GOSSIP_LEAVE);
	gossip(node, &event, NULL);
}

void cluster_turn(struct node *node, msec now)
{
	if (gossip_deadline(node->gossip) <= now) {
		struct gossip_event event = event_of(node, GOSSIP_TICK);
		gossip(node, &event, NULL);
	}
	forming_turn(node, now);
	if ((node->leaving || node->draining) && !node->failed)
		prepare_to_go(node, now);
	if (node->leader && node->ready && !node->failed)
		roster_turn(node, now);
}

msec cluster_deadline(const struct node *node)
{
	msec deadline = msec_earlier(gossip_deadline(node->gossip), forming_deadline(node));
	if ((node->leaving && !node->leave_said) || (node->draining && can_hand_over(node)))
		deadline = msec_earlier(deadline, node->leave_at);
	return node->leader && node->ready ? msec_earlier(deadline, roster_deadline(node)) : deadline;
}


/* --- identity ------------------------------------------------------------------------------------------------------ */

void cluster_save_identity(struct node *node)
{
	assert(!node->saving_identity);
	node->saving_identity = true;
	node->host->save_identity(node->context, &node->identity);
}

void node_identity_saved(struct node *node)
{
	const struct node_identity *identity = &node->identity;
	node->saving_identity = false;
	if (identity->cluster_id[0] == '\0')
		cluster_set(node, KEY_PLEDGE, identity->pledged_id);
	else
		cluster_enter(node);
}

void cluster_enter(struct node *node)
{
	struct error error = {0};
	const struct node_identity *identity = &node->identity;
	/* Raft begins anew with the founders: what the disk is asked to do for the one that waits must be over. */
	node->entering = node->saving_vote;
	if (node->entering)
		return;
	int code = identity->founder_count > 0
	                   ? replica_found(node, &error)
	                   : machine_join(node->machine, slice_of(identity->cluster_id), &error);
	if (code != 0) {
		node_fail(node, &error);
		return;
	}
	struct gossip_event event = event_of(node, GOSSIP_CLUSTER);
	event.cluster_id = identity->cluster_id;
	gossip(node, &event, NULL);
	node->entered = true;
	node->problem = (struct error){0};
}

/* --- looking at it ------------------------------------------------------------------------------------------------- */

bool cluster_is_server(const struct gossip_member *member)
{
	struct slice role;
	return gossip_value(member, GOSSIP_KEY_ROLE, &role) && slice_is(role, "server");
}

bool cluster_find(const struct node *node, const char *name_or_id, struct gossip_member *ret_member)
{
	long long id;
	if (gossip_find_name(node->gossip, name_or_id, ret_member))
		return true;
	return json_integer(slice_of(name_or_id), 1, GOSSIP_ID_MAX, &id) == 0 &&
	       gossip_find(node->gossip, (uint64_t)id, ret_member);
}

const char *cluster_leader_name(const struct node *node)
{
	struct gossip_member member;
	uint64_t leader = node_leader(node);
	if (leader == node->id)
		return node->name;
	if (leader == 0)
		return "";
	if (gossip_find(node->gossip, leader, &member))
		return member.name;
	const struct node_use *use = machine_node(node->machine, leader); /* Raft is heard before gossip after a restart */
	return use != NULL ? use->name : "";
}

static const char *seat(const struct node *node, uint64_t id)
{
	const struct raft_configuration *configuration = raft_configuration(node->raft);
	for (uint32_t i = 0; i < configuration->count; i++) {
		if (configuration->members[i].id == id)
			return configuration->members[i].voter ? "voter" : "learner";
	}
	return "";
}

static void print_value(struct buffer *out, const struct gossip_member *member, const char *key)
{
	struct slice value = SLICE("");
	gossip_value(member, key, &value);
	json_quote(out, value);
}

void cluster_print_tags(struct buffer *out, const struct gossip_member *member)
{
	size_t prefix = strlen(GOSSIP_KEY_TAG);
	const char *comma = "";
	buffer_append_char(out, '{');
	for (size_t i = 0; i < member->pair_count; i++) {
		struct slice key = member->pairs[i].key;
		if (key.size <= prefix || memcmp(key.data, GOSSIP_KEY_TAG, prefix) != 0)
			continue;
		buffer_append_string(out, comma);
		json_quote(out, (struct slice){key.data + prefix, key.size - prefix});
		buffer_append_char(out, ':');
		json_quote(out, member->pairs[i].value);
		comma = ",";
	}
	buffer_append_char(out, '}');
}

void cluster_print_members(struct node *node, struct buffer *out)
{
	struct gossip_member member;
	uint64_t leader = node_leader(node);
	const char *comma = "";
	buffer_append_char(out, '[');
	for (uint64_t id = 0; gossip_next(node->gossip, id, &member); id = member.id) {
		buffer_format(out, "%s{\"id\":%" PRIu64 ",\"name\":", comma, member.id);
		json_quote(out, slice_of(member.name));
		buffer_append_string(out, ",\"role\":");
		print_value(out, &member, GOSSIP_KEY_ROLE);
		buffer_append_string(out, ",\"address\":");
		json_quote(out, slice_of(member.address));
		buffer_append_string(out, ",\"datacenter\":");
		print_value(out, &member, GOSSIP_KEY_DATACENTER);
		buffer_format(out, ",\"state\":\"%s\",\"seat\":\"%s\",\"leader\":%s,\"generation\":%" PRIu64 ",\"tags\":",
		              gossip_state_name(member.state), seat(node, member.id), member.id == leader ? "true" : "false",
		              member.generation);
		cluster_print_tags(out, &member);
		const struct node_use *use = machine_node(node->machine, member.id);
		buffer_format(out, ",\"drain\":\"%s\"}", drain_state_names[use != NULL ? use->drain : DRAIN_NONE]);
		comma = ",";
	}
	buffer_append_char(out, ']');
}

/* --- life ---------------------------------------------------------------------------------------------------------- */

static void note_known(void *context, const struct catalog_node *row)
{
	struct node *node = context;
	if (row->id == node->id || row->address.size == 0 || node->known_count == KNOWN_ADDRESSES_MAX ||
	    !slice_is(row->state, "alive"))
		return;
	char *address = mem_format("%.*s", SLICE_ARGS(row->address));
	node->known[node->known_count++] = address;
	node->host->peer_address(node->context, row->id, address);
}

void cluster_start(struct node *node)
{
	struct error error = {0};
	int code = catalog_nodes(node->catalog, note_known, node);
	if (code == 0 && node->seed_count + node->known_count > 0)
		tell_seeds(node);
	if (code == 0)
		return;
	error_set(&error, code, "the catalog cannot be read: %s", catalog_error(node->catalog));
	node_fail(node, &error);
}

static size_t tag_pairs(struct slice tags, struct gossip_pair *pairs, size_t room, struct arena *arena)
{
	struct json_iterator iterator;
	struct slice key;
	struct slice value;
	size_t count = 0;
	if (json_check(tags, NULL) != 0 || json_kind(json_trim(tags)) != JSON_OBJECT)
		return 0;
	json_iterate(&iterator, tags);
	while (count < room && json_next(&iterator, &key, &value)) {
		struct buffer name = BUFFER_EMPTY;
		struct buffer text = BUFFER_EMPTY;
		buffer_append_string(&name, GOSSIP_KEY_TAG);
		buffer_append_slice(&name, key);
		json_unquote(&text, value);
		pairs[count++] = (struct gossip_pair){.key = {arena_string(arena, buffer_slice(&name)), name.size},
		                                      .value = {arena_string(arena, buffer_slice(&text)), text.size}};
		buffer_finish(&name);
		buffer_finish(&text);
	}
	return count;
}

static struct gossip_pair own_pair(const char *key, const char *value, struct arena *arena)
{
	return (struct gossip_pair){.key = slice_of(key), .value = slice_of(arena_string(arena, slice_of(value)))};
}

/* What it has to give to tasks of jobs. */
static size_t capacity_pairs(const struct node_config *config, struct gossip_pair *pairs, struct arena *arena)
{
	size_t count = 0;
	char text[48];
	if (config->cpu > 0) {
		snprintf(text, sizeof text, "%u", config->cpu);
		pairs[count++] = own_pair(GOSSIP_KEY_CPU, text, arena);
	}
	if (config->memory > 0) {
		snprintf(text, sizeof text, "%" PRIu64, config->memory);
		pairs[count++] = own_pair(GOSSIP_KEY_MEMORY, text, arena);
	}
	if (config->port_low > 0) {
		snprintf(text, sizeof text, "%u-%u", config->port_low, config->port_high);
		pairs[count++] = own_pair(GOSSIP_KEY_PORTS, text, arena);
	}
	return count;
}

int cluster_create(struct node *node, const struct node_config *config, struct error *error)
{
	struct gossip_pair pairs[GOSSIP_PAIRS_MAX];
	struct arena arena = {0};
	char expect[12];
	size_t count = 0;
	snprintf(expect, sizeof expect, "%u", config->expect);
	pairs[count++] = (struct gossip_pair){.key = SLICE(GOSSIP_KEY_ROLE),
	                                      .value = config->agent ? SLICE("agent") : SLICE("server")};
	pairs[count++] = (struct gossip_pair){.key = SLICE(GOSSIP_KEY_DATACENTER), .value = slice_of(config->datacenter)};
	pairs[count++] = (struct gossip_pair){.key = SLICE(KEY_EXPECT), .value = slice_of(expect)};
	if (config->identity.pledged_id[0] != '\0')
		pairs[count++] = (struct gossip_pair){.key = SLICE(KEY_PLEDGE), .value = slice_of(config->identity.pledged_id)};
	count += capacity_pairs(config, pairs + count, &arena);
	count += tag_pairs(slice_of(config->tags), pairs + count, GOSSIP_PAIRS_MAX - count, &arena);
	struct gossip_config settings = {
		.id = config->id,
		.generation = config->generation,
		.name = config->name,
		.address = config->address,
		.cluster_id = config->identity.cluster_id,
		.pairs = pairs,
		.pair_count = count,
		.seed = config->seed,
		.clock = &node->clock,
	};
	int code = gossip_create(&settings, &node->gossip);
	arena_finish(&arena);
	if (code != 0)
		return error_set(error, code, "name %s, address %s or tags %s cannot be those of a member: a name has at most %d bytes, an "
		                 "address is IP:PORT, and tags have at most %d bytes together",
		                 config->name, config->address, config->tags, GOSSIP_NAME_MAX, GOSSIP_PROFILE_SIZE_MAX);
	node->expect = config->expect;
	node->entered = config->identity.cluster_id[0] != '\0';
	node->forming_seed = config->seed ^ config->id;
	keep_seeds(node, config->seeds, config->seed_count);
	return 0;
}

void cluster_destroy(struct node *node)
{
	roster_destroy(node);
	gossip_destroy(node->gossip);
	for (size_t i = 0; i < node->known_count; i++)
		mem_free(node->known[i]);
	for (size_t i = 0; i < node->seed_count; i++)
		mem_free(node->seeds[i]);
	mem_free(node->seeds);
}
