#include "daemon/forward.h"

#include "base/memory.h"
#include "daemon/parked.h"
#include "wire/frame.h"

#include <assert.h>
#include <inttypes.h>

#define TAKEN_AT_ONCE 256 /* of what has waited, in one turn */
#define REACH_MS 5000      /* a member that a request is for is reached within, or it is refused */
#define KNOCK_MS 500       /* between attempts to reach it */

struct reached {
	uint64_t member;
	UT_hash_handle hh;
};

struct forwarding {
	struct parking parking;
	struct reached *reached; /* members with an open connection */
	uint32_t next_stream;
	/* As they were when all was looked at last. */
	uint64_t leader;
	uint64_t term;
	bool serves;
	bool again; /* not all could be looked at */
	struct arena arena;
};

struct forwarding *forwarding_create(void)
{
	struct forwarding *forwarding = mem_zero(sizeof *forwarding);
	forwarding->parking.next = MSEC_NEVER;
	forwarding->next_stream = 1;
	return forwarding;
}

void forwarding_destroy(struct forwarding *forwarding)
{
	struct reached *reached;
	struct reached *next;
	if (forwarding == NULL)
		return;
	HASH_ITER (hh, forwarding->reached, reached, next) {
		HASH_DELETE(hh, forwarding->reached, reached);
		mem_free(reached);
	}
	parked_clear(&forwarding->parking);
	arena_finish(&forwarding->arena);
	mem_free(forwarding);
}

bool forward_serves(const struct node *node)
{
	return node->leader && node->ready && raft_transferee(node->raft) == 0;
}

bool forward_reaches(const struct node *node, uint64_t member)
{
	struct reached *reached;
	HASH_FIND(hh, node->forwarding->reached, &member, sizeof member, reached);
	return reached != NULL;
}

static bool is_peer(uint64_t connection)
{
	return (connection & NODE_PEER_CONNECTION) != 0;
}

/* --- giving to the leader ------------------------------------------------------------------------------------------ */

/* The leader that it could be given to; 0: there is none, or it is this node. */
static uint64_t other_leader(const struct node *node)
{
	uint64_t leader = node_leader(node);
	return leader != node->id ? leader : 0;
}

/* Whom it is to be given to; 0: nobody, for now. */
static uint64_t destination(const struct node *node, const struct parked *parked)
{
	return parked->target != 0 ? parked->target : other_leader(node);
}

static bool was_given_to(const struct parked *parked, uint64_t leader)
{
	return leader != 0 && parked->member == leader;
}

static void cancel_at(struct node *node, const struct parked *parked)
{
	if (parked->member != 0 && !parked->refused && forward_reaches(node, parked->member))
		node->host->peer_send(node->context, parked->member, FRAME_FORWARD_CANCEL, (uint32_t)parked->id, NULL,
		                      NULL, 0);
}

static void give(struct node *node, struct parked *parked, const Clusterd__Wire__Request *message, struct slice payload)
{
	uint64_t leader = destination(node, parked);
	if (parked->member != leader)
		cancel_at(node, parked);
	parked->member = leader;
	parked->first = parked->first != 0 ? parked->first : leader;
	parked->refused = false;
	parked_rests(parked);
	node->counts.forwarded++;
	node->host->peer_send(node->context, leader, FRAME_FORWARD, (uint32_t)parked->id, &message->base, &payload,
	                      payload.size != 0 ? 1 : 0);
}

/* The request, which can be read: this node has packed it. */
static const Clusterd__Wire__Request *unpack(struct node *node, const struct parked *parked, struct slice *ret_payload)
{
	struct error error = {0};
	const Clusterd__Wire__Request *message = parked_read(parked, &node->forwarding->arena, ret_payload, &error);
	assert(message != NULL);
	/* What one leader has done another must not do once more. */
	if (message->body_case == CLUSTERD__WIRE__REQUEST__BODY_TRANSFER && message->transfer->from == 0)
		message->transfer->from = parked->first;
	return message;
}

static void give_again(struct node *node, struct parked *parked)
{
	struct slice payload;
	give(node, parked, unpack(node, parked, &payload), payload);
	arena_reset(&node->forwarding->arena);
}

/* Out of the parking, and no more waiting; released by the caller. */
static void take_out(struct node *node, struct parked *parked)
{
	struct waiter waiter;
	waiters_take(node->waiters, WAIT_FORWARDED, parked->id, 0, &waiter);
	parked_take(&node->forwarding->parking, parked);
}

static void refuse(struct node *node, struct parked *parked, int code, const char *text)
{
	take_out(node, parked);
	respond_error(node, parked->connection, parked->stream, code, slice_of(text));
	parked_destroy(parked);
}

static void carry_out(struct node *node, struct parked *parked)
{
	struct request request = {.node = node, .connection = parked->connection, .stream = parked->stream};
	take_out(node, parked);
	cancel_at(node, parked);
	request.message = unpack(node, parked, &request.payload);
	request_lead(&request);
	arena_reset(&node->forwarding->arena);
	parked_destroy(parked);
}

/* It waits until its member is reached; to send anything to it is to try. */
static void knock(struct node *node, struct parked *parked)
{
	struct parking *parking = &node->forwarding->parking;
	msec now = node->host->now(node->context);
	if (parked->until == MSEC_NEVER) {
		parked->until = msec_earlier(parked->deadline, now + REACH_MS);
		parking->next = msec_earlier(parking->next, parked->until);
	}
	node->host->peer_send(node->context, parked->target, FRAME_FORWARD_CANCEL, 0, NULL, NULL, 0);
	parked_again(parking, parked, now + KNOCK_MS);
}

static void look_at_direct(struct node *node, struct parked *parked)
{
	if (parked->member == parked->target)
		parked_rests(parked);
	else if (forward_reaches(node, parked->target))
		give_again(node, parked);
	else
		knock(node, parked);
}

/* What can be done with one of them. */
static void look_at(struct node *node, struct parked *parked)
{
	uint64_t leader = other_leader(node);
	if (parked->target != 0)
		look_at_direct(node, parked);
	else if (forward_serves(node))
		carry_out(node, parked);
	else if (is_peer(parked->connection) && !node->leader)
		refuse(node, parked, ERR_NOT_LEADER, "another node leads"); /* it goes on from there, not from here */
	else if (was_given_to(parked, leader) && !parked->refused)
		parked_rests(parked);
	else if (leader != 0 && !was_given_to(parked, leader) && forward_reaches(node, leader))
		give_again(node, parked);
	else
		parked_waits(&node->forwarding->parking, parked, node->host->now(node->context));
}

static void look_at_all(struct node *node)
{
	struct forwarding *forwarding = node->forwarding;
	struct parked *parked;
	struct parked *next;
	uint32_t taken = 0;
	forwarding->again = false;
	HASH_ITER (hh, forwarding->parking.items, parked, next) {
		if (++taken > TAKEN_AT_ONCE && forwarding->serves) {
			forwarding->again = true;
			return;
		}
		look_at(node, parked);
	}
}

static bool has_changed(const struct node *node)
{
	const struct forwarding *forwarding = node->forwarding;
	return node_leader(node) != forwarding->leader || node_leader_term(node) != forwarding->term ||
	       forward_serves(node) != forwarding->serves;
}

void forward_look(struct node *node)
{
	struct forwarding *forwarding = node->forwarding;
	if (!has_changed(node))
		return;
	uint64_t term = node_leader_term(node);
	/* Who leads in another term may take what it did not in the last one. */
	for (struct parked *parked = forwarding->parking.items; parked != NULL; parked = parked->hh.next) {
		if (parked->refused && term != forwarding->term)
			parked->member = 0;
	}
	forwarding->leader = node_leader(node);
	forwarding->term = term;
	forwarding->serves = forward_serves(node);
	look_at_all(node);
}

/* --- taking them --------------------------------------------------------------------------------------------------- */

static uint32_t new_stream(struct forwarding *forwarding)
{
	uint32_t stream;
	do {
		stream = forwarding->next_stream++;
	} while (stream == 0 || parked_find(&forwarding->parking, stream) != NULL);
	return stream;
}

void forward_request(const struct request *request)
{
	struct node *node = request->node;
	struct forwarding *forwarding = node->forwarding;
	struct error error = {0};
	uint64_t leader = other_leader(node);
	if (is_peer(request->connection) && !node->leader) {
		request_refuse(request, ERR_NOT_LEADER, "another node leads");
		return;
	}
	if (node->draining) {
		request_refuse(request, ERR_CLOSED, "the node is shutting down and takes no new requests");
		return;
	}
	uint32_t stream = new_stream(forwarding);
	msec now = node->host->now(node->context);
	struct parked *parked = parked_add(&forwarding->parking, stream, request->connection, request->stream,
	                                   request->message, request->payload, now, &error);
	if (parked == NULL) {
		node->counts.busy++;
		request_refuse(request, error.code, "%s", error.text);
		return;
	}
	request_wait(request, WAIT_FORWARDED, stream, 0, 0);
	if (request->message->session != 0 && !is_peer(request->connection))
		session_touch(node, request->message->session, request->connection);
	if (leader != 0 && forward_reaches(node, leader))
		give(node, parked, request->message, request->payload);
	else
		parked_waits(&forwarding->parking, parked, now);
}

void forward_to(const struct request *request, uint64_t member)
{
	struct node *node = request->node;
	struct forwarding *forwarding = node->forwarding;
	struct error error = {0};
	uint32_t stream = new_stream(forwarding);
	struct parked *parked = parked_add(&forwarding->parking, stream, request->connection, request->stream,
	                                   request->message, request->payload, node->host->now(node->context), &error);
	if (parked == NULL) {
		node->counts.busy++;
		request_refuse(request, error.code, "%s", error.text);
		return;
	}
	parked->target = member;
	request_wait(request, WAIT_FORWARDED, stream, 0, 0);
	look_at(node, parked);
}

void forward_forget(struct node *node, uint64_t id)
{
	struct parked *parked = parked_find(&node->forwarding->parking, id);
	if (parked == NULL)
		return;
	cancel_at(node, parked);
	parked_take(&node->forwarding->parking, parked);
	parked_destroy(parked);
}

/* --- time ---------------------------------------------------------------------------------------------------------- */

static void expire(struct node *node, msec now)
{
	struct parking *parking = &node->forwarding->parking;
	struct parked *parked;
	struct parked *next;
	HASH_ITER (hh, parking->items, parked, next) {
		if (parked->until <= now && parked->target != 0)
			refuse(node, parked, ERR_TIMEOUT, "the node that has it cannot be reached from here");
		else if (parked->until <= now)
			refuse(node, parked, ERR_NOT_LEADER,
			       "no leader has taken the request in time: the cluster has none, or it "
			       "cannot be reached from here");
		else if (parked->deadline <= now) {
			cancel_at(node, parked);
			refuse(node, parked, ERR_TIMEOUT,
			       parked->target != 0 ? "the node that has it has not answered in time"
			                           : "the leader has not answered in time");
		} else if (parked->target != 0 && parked->again <= now) {
			knock(node, parked);
		}
	}
	parking_looked(parking, now);
}

void forward_turn(struct node *node)
{
	msec now = node->host->now(node->context);
	forward_look(node);
	if (node->forwarding->again)
		look_at_all(node);
	if (node->forwarding->parking.next <= now)
		expire(node, now);
}

msec forward_deadline(const struct node *node)
{
	return node->forwarding->again || has_changed(node) ? node->host->now(node->context)
	                                                    : node->forwarding->parking.next;
}

/* --- other nodes --------------------------------------------------------------------------------------------------- */

void forward_peer_down(struct node *node, uint64_t member)
{
	struct forwarding *forwarding = node->forwarding;
	struct reached *reached;
	HASH_FIND(hh, forwarding->reached, &member, sizeof member, reached);
	if (reached != NULL) {
		HASH_DELETE(hh, forwarding->reached, reached);
		mem_free(reached);
	}
	for (struct parked *parked = forwarding->parking.items; parked != NULL; parked = parked->hh.next) {
		if (parked->member != member)
			continue;
		parked->member = 0; /* it or its answer may be lost */
		if (parked->target != 0)
			parked_again(&forwarding->parking, parked, node->host->now(node->context));
		else
			parked_waits(&forwarding->parking, parked, node->host->now(node->context));
	}
	node_connection_closed(node, NODE_PEER_CONNECTION | member);
}

/* What the member knew of this node's requests is gone. */
static void give_all_again(struct node *node, uint64_t member)
{
	struct parking *parking = &node->forwarding->parking;
	if (!forward_reaches(node, member))
		return; /* they are given when it is reached */
	node->host->peer_send(node->context, member, FRAME_FORWARD_CANCEL, 0, NULL, NULL, 0);
	for (struct parked *parked = parking->items; parked != NULL; parked = parked->hh.next) {
		if (parked->member != member)
			continue;
		parked->member = 0;
		parked->refused = false;
		if (member == destination(node, parked))
			give_again(node, parked);
		else
			parked_waits(parking, parked, node->host->now(node->context));
	}
}

/* Each side has its own connection to the other, and only that: what was asked before over one may have been answered over the other,
 * and be lost. So both begin anew. */
void forward_peer_up(struct node *node, uint64_t member)
{
	Clusterd__Wire__Response lost = CLUSTERD__WIRE__RESPONSE__INIT;
	forward_peer_down(node, member);
	struct reached *reached = mem_zero(sizeof *reached);
	reached->member = member;
	HASH_ADD(hh, node->forwarding->reached, member, sizeof reached->member, reached);
	node->host->peer_send(node->context, member, FRAME_FORWARD_CANCEL, 0, NULL, NULL, 0);
	node->host->peer_send(node->context, member, FRAME_FORWARDED, 0, &lost.base, NULL, 0);
	if (member == other_leader(node)) {
		look_at_all(node);
		return;
	}
	struct parked *next;
	struct parked *parked;
	HASH_ITER (hh, node->forwarding->parking.items, parked, next) {
		if (parked->target == member)
			look_at(node, parked);
	}
}

static bool is_refusal(const Clusterd__Wire__Response *response)
{
	const Clusterd__Wire__Error *error = response->error;
	return error != NULL && (error->code == ERR_NOT_LEADER || error->code == ERR_CLOSED);
}

static void forwarded(struct node *node, uint64_t member, uint32_t stream, const Clusterd__Wire__Response *response,
                      struct slice payload)
{
	struct parked *parked = parked_find(&node->forwarding->parking, stream);
	if (parked == NULL || parked->member != member)
		return; /* nobody waits for it any more, or another has been asked since */
	if (is_refusal(response) && parked->target == 0) {
		parked->refused = true;
		look_at(node, parked);
		return;
	}
	if (response->more) {
		node_respond(node, parked->connection, parked->stream, response, payload);
		return;
	}
	take_out(node, parked);
	node_respond(node, parked->connection, parked->stream, response, payload);
	parked_destroy(parked);
}

void forward_message(struct node *node, uint64_t member, int frame_type, uint32_t stream,
                     const ProtobufCMessage *message, struct slice payload)
{
	uint64_t connection = NODE_PEER_CONNECTION | member;
	if (frame_type == FRAME_FORWARD)
		node_request(node, connection, stream, (const Clusterd__Wire__Request *)message, payload);
	else if (frame_type == FRAME_FORWARDED && stream == 0)
		give_all_again(node, member);
	else if (frame_type == FRAME_FORWARDED)
		forwarded(node, member, stream, (const Clusterd__Wire__Response *)message, payload);
	else if (stream == 0)
		requests_dropped(node, connection);
	else
		node_request_cancelled(node, connection, stream);
}
