#include "daemon/peers_internal.h"

#include "base/log.h"
#include "base/memory.h"

#include <sys/random.h>

#include <errno.h>
#include <stdlib.h>

#define REFUSED_QUIET_MS 10000 /* between two lines of the log about one kind of refusal */
#define STEADY_MS 1000         /* a connection that was open for so long has been of use: the next try is soon */

/* --- members ------------------------------------------------------------------------------------------------------- */

static struct peer *peer_find(const struct peers *peers, uint64_t id)
{
	struct peer *peer;
	HASH_FIND(hh, peers->members, &id, sizeof id, peer);
	return peer;
}

static struct peer *peer_need(struct peers *peers, uint64_t id)
{
	struct peer *peer = peer_find(peers, id);
	if (peer != NULL)
		return peer;
	peer = mem_zero(sizeof *peer);
	peer->id = id;
	peer->address = mem_string("");
	HASH_ADD(hh, peers->members, id, sizeof peer->id, peer);
	return peer;
}

static void peer_destroy(struct peers *peers, struct peer *peer)
{
	HASH_DELETE(hh, peers->members, peer);
	mem_free(peer->address);
	mem_free(peer);
}

/* Who neither is to be reached nor is connected is forgotten. */
static void peer_trim(struct peers *peers, struct peer *peer)
{
	if (peer->address[0] == '\0' && peer->out == NULL && peer->in == NULL)
		peer_destroy(peers, peer);
}

static void not_up(struct peers *peers, struct peer *peer)
{
	peers->counts.connected -= peer->is_up;
	peer->is_up = false;
}

/* The owner does not want the link any more; its stream is lost with what is queued. */
static void drop_out(struct peers *peers, struct peer *peer)
{
	struct link *link = peer->out;
	if (link == NULL)
		return;
	peers->counts.frames_dropped += link->pending_count;
	peer->out = NULL;
	link->peer = NULL;
	link_destroy(link);
	not_up(peers, peer);
}

static void drop_in(struct peers *peers, struct peer *peer)
{
	struct link *link = peer->in;
	if (link == NULL)
		return;
	peer->in = NULL;
	link->peer = NULL;
	peers->incoming_count--;
	peers->counts.incoming--;
	link_destroy(link);
}

static msec next_try(struct peers *peers, struct peer *peer, bool was_steady)
{
	msec wait = was_steady || peer->backoff == 0 ? PEERS_RETRY_MIN_MS : peer->backoff;
	peer->backoff = 2 * wait < PEERS_RETRY_MAX_MS ? 2 * wait : PEERS_RETRY_MAX_MS;
	/* Nodes that lost one another at the same moment do not come back at the same moment. */
	wait = wait * 3 / 4 + (msec)random_below(&peers->random, (uint64_t)wait / 2 + 1);
	return loop_now(peers->loop) + wait;
}

void peers_address(struct peers *peers, uint64_t member, const char *address)
{
	struct peer *peer = address[0] != '\0' ? peer_need(peers, member) : peer_find(peers, member);
	if (peer == NULL || strcmp(peer->address, address) == 0)
		return;
	bool was_up = peer->is_up;
	mem_free(peer->address);
	peer->address = mem_string(address);
	drop_out(peers, peer);
	peer->backoff = 0;
	if (address[0] == '\0') {
		drop_in(peers, peer);
		peer_trim(peers, peer);
	} else if (peer->wanted) {
		peer->out = link_create(peers, address, peer, loop_now(peers->loop));
		peer->out->tell_down = was_up;
	}
}

void peers_send(struct peers *peers, uint64_t member, int frame_type, uint32_t stream, const ProtobufCMessage *message,
                const struct slice *payload, size_t payload_count)
{
	struct peer *peer = peer_find(peers, member);
	if (peer == NULL || peer->address[0] == '\0') {
		peers->counts.frames_dropped++;
		return;
	}
	peer->wanted = true;
	if (peer->out == NULL)
		peer->out = link_create(peers, peer->address, peer, loop_now(peers->loop));
	struct link *link = peer->out;
	bool full = frame_type == FRAME_RAFT && link->phase == LINK_OPEN && stream_queued(link->stream) > PEERS_QUEUE_MAX;
	if (full || !link_send(link, (enum frame_type)frame_type, stream, message, payload, payload_count)) {
		peers->counts.frames_dropped++;
		return;
	}
	if (link->phase == LINK_OPEN && !link->stall_watched) {
		link->stall_watched = true;
		link->taken = link->written - stream_queued(link->stream);
		link->progress_at = loop_now(peers->loop);
		loop_timer_set(link->timer, link->progress_at + peers->stall_ms / 4);
	}
}

/* --- from connections ---------------------------------------------------------------------------------------------- */

void peers_link_open(struct link *link)
{
	struct peers *peers = link->peers;
	if (link->exchanges) {
		exchanges_link_open(link);
		return;
	}
	link->peer->is_up = true;
	peers->counts.connected++;
	log_write(LOG_INFO, "peers", "connected to %s at %s", connection_peer(link->connection), link->address);
	peers->handler->up(peers->context, link->peer->id);
}

void peers_link_frame(struct link *link, const struct frame *frame, const ProtobufCMessage *message)
{
	struct peers *peers = link->peers;
	if (link->exchanges)
		exchanges_link_frame(link, frame);
	else
		peers->handler->message(peers->context, link->peer->id, (int)frame->type, frame->stream, message, frame->payload);
}

static void out_over(struct link *link, const char *reason)
{
	struct peers *peers = link->peers;
	struct peer *peer = link->peer;
	bool was_open = link->phase == LINK_OPEN;
	bool steady = was_open && loop_now(peers->loop) - link->opened_at >= STEADY_MS;
	uint64_t id = peer->id;
	log_write(was_open ? LOG_WARNING : LOG_DEBUG, "peers", was_open ? "lost %s: %s" : "cannot reach %s: %s", link->address,
	          reason);
	not_up(peers, peer);
	link->peer = NULL;
	peer->out = link_create(peers, peer->address, peer, next_try(peers, peer, steady));
	peers->handler->down(peers->context, id);
}

void peers_link_over(struct link *link, const char *reason)
{
	struct peers *peers = link->peers;
	struct peer *peer = link->peer;
	if (link->exchanges) {
		exchanges_link_over(link);
	} else if (link->outgoing && peer != NULL) {
		out_over(link, reason);
	} else if (peer != NULL) {
		peer->in = NULL;
		link->peer = NULL;
		peers->incoming_count--;
		peers->counts.incoming--;
		peer_trim(peers, peer);
	}
}

/* Of an outgoing link: has the other side taken anything? */
void peers_link_due(struct link *link)
{
	struct peers *peers = link->peers;
	struct error stalled = {0};
	if (link->exchanges) {
		exchanges_link_due(link);
		return;
	}
	uint64_t taken = link->written - stream_queued(link->stream);
	msec now = loop_now(peers->loop);
	link->stall_watched = false;
	if (taken == link->written)
		return;
	if (taken != link->taken)
		link->progress_at = now;
	link->taken = taken;
	if (now - link->progress_at < peers->stall_ms) {
		link->stall_watched = true;
		loop_timer_set(link->timer, now + peers->stall_ms / 4);
		return;
	}
	peers->counts.stalled++;
	error_set(&stalled, ERR_TIMEOUT, "it has taken nothing for %lld ms, %zu bytes wait", (long long)peers->stall_ms,
	          stream_queued(link->stream));
	log_write(LOG_WARNING, "peers", "%s: %s", link->address, stalled.text);
	link_fail(link, stalled.text);
}

/* --- incoming ------------------------------------------------------------------------------------------------------ */

static void refuse(struct link *link, enum connection_refusal refusal, int code, const char *text)
{
	struct error error = {0};
	error_set(&error, code, "%s", text);
	peers_refused(link->peers, refusal, connection_peer(link->connection), text);
	link_end(link, &error);
}

/* The newest connection of a member is the one that counts: an older one is of a former life, or its network has gone. */
static void take_member(struct peers *peers, struct link *link)
{
	uint64_t id = connection_peer_id(link->connection);
	uint64_t generation = connection_peer_generation(link->connection);
	struct peer *peer = peer_find(peers, id);
	if (peer != NULL && generation < peer->generation) {
		refuse(link, REFUSAL_GENERATION, ERR_CONFLICT, "this node is known in a later life: it was started again since");
		return;
	}
	bool has_room = peers->incoming_count < peers->connections_max || (peer != NULL && peer->in != NULL);
	if (!has_room) {
		refuse(link, REFUSAL_LIMIT, ERR_BUSY, "more nodes are connected than there may be");
		return;
	}
	peer = peer_need(peers, id);
	if (peer->in != NULL) {
		peers->counts.replaced++;
		drop_in(peers, peer);
	}
	peer->generation = generation;
	peer->in = link;
	link->peer = peer;
	peers->incoming_count++;
	peers->counts.incoming++;
	if (!peers->reading)
		stream_set_reading(link->stream, false);
	struct link *out = peer->out;
	if (out != NULL && out->phase == LINK_OPEN && connection_peer_generation(out->connection) < generation)
		link_fail(out, "it was started again"); /* before the system notices that nobody is there any more */
	peer = peer_find(peers, id); /* who was told of it may have let go of it all */
	if (peer != NULL && peer->out != NULL)
		link_wake(peer->out); /* it is there again: no need to wait */
}

void peers_take(struct peers *peers, struct stream *take_stream, struct connection *take_connection)
{
	struct link *link = link_take(peers, take_stream, take_connection);
	if (!link->exchanges) {
		take_member(peers, link);
	} else if (peers->exchanges_in >= PEERS_EXCHANGES_MAX) {
		link->exchanges = false; /* nobody's */
		refuse(link, REFUSAL_LIMIT, ERR_BUSY, "more exchanges than there may be at once");
	} else {
		exchanges_link_open(link);
	}
}

void peers_refused(struct peers *peers, enum connection_refusal refusal, const char *who, const char *text)
{
	msec now = loop_now(peers->loop);
	bool harmless = refusal == REFUSAL_ITSELF || refusal == REFUSAL_LATE;
	peers->counts.refused[refusal]++;
	if (now < peers->quiet_until[refusal]) {
		peers->unsaid[refusal]++;
		return;
	}
	peers->quiet_until[refusal] = now + REFUSED_QUIET_MS;
	log_write(harmless ? LOG_DEBUG : LOG_WARNING, "peers", "no connection with %s: %s (%s, %u more since the last time)", who,
	          text, connection_refusal_name(refusal), peers->unsaid[refusal]);
	peers->unsaid[refusal] = 0;
}

void peers_set_reading(struct peers *peers, bool reading)
{
	struct link *link;
	if (peers->reading == reading)
		return;
	peers->reading = reading;
	TAILQ_FOREACH(link, &peers->links, entry) {
		if (!link->outgoing && link->peer != NULL)
			stream_set_reading(link->stream, reading);
	}
}

/* --- life ---------------------------------------------------------------------------------------------------------- */

static void draw_nonce(void *context, unsigned char ret_nonce[CONNECTION_NONCE_SIZE])
{
	(void)context;
	/* Blocks only before the system has gathered randomness once, at boot. Without it no proof is worth anything. */
	while (getrandom(ret_nonce, CONNECTION_NONCE_SIZE, 0) != CONNECTION_NONCE_SIZE) {
		if (errno != EINTR)
			abort();
	}
}

static void names_changed(void *context)
{
	struct peers *peers = context;
	struct link *link;
	/* Not at once: what comes of it may change the list. */
	TAILQ_FOREACH(link, &peers->links, entry) {
		if (link->phase == LINK_WAITING && !link->look)
			link_wake(link);
	}
}

struct peers *peers_create(struct loop *loop, const struct peers_options *options, struct resolver *resolver,
                           const struct peers_handler *handler, void *context)
{
	struct peers *peers = mem_zero(sizeof *peers);
	peers->loop = loop;
	peers->resolver = resolver;
	peers->handler = handler;
	peers->context = context;
	peers->cluster_id = mem_string(options->cluster_id);
	peers->name = mem_string(options->name);
	peers->address = mem_string(options->address);
	peers->random.state = options->seed;
	peers->connections_max = options->connections_max != 0 ? options->connections_max : PEERS_CONNECTIONS_MAX;
	peers->connect_ms = options->connect_ms != 0 ? options->connect_ms : PEERS_CONNECT_MS;
	peers->answer_ms = options->answer_ms != 0 ? options->answer_ms : PEERS_ANSWER_MS;
	peers->idle_ms = options->idle_ms != 0 ? options->idle_ms : PEERS_EXCHANGE_IDLE_MS;
	peers->stall_ms = options->stall_ms != 0 ? options->stall_ms : PEERS_STALL_MS;
	peers->reading = true;
	peers->self = (struct connection_node){
		.id = options->id,
		.generation = options->generation,
		.address = peers->address,
		.secret = options->secret,
		.nonce = draw_nonce,
	};
	peers->config = (struct connection_config){
		.side = CONNECTION_CLIENT,
		.version_low = PROTOCOL_VERSION,
		.version_high = PROTOCOL_VERSION,
		.cluster_id = peers->cluster_id,
		.name = peers->name,
		.token = "",
		.role = CLUSTERD__WIRE__ROLE__ROLE_PEER,
		.node = &peers->self,
	};
	TAILQ_INIT(&peers->links);
	resolver_watch(resolver, names_changed, peers);
	return peers;
}

void peers_destroy(struct peers *peers)
{
	struct link *link;
	struct peer *peer;
	struct peer *next;
	if (peers == NULL)
		return;
	resolver_forget(peers->resolver, names_changed, peers);
	while ((link = TAILQ_FIRST(&peers->links)) != NULL)
		link_destroy(link);
	HASH_ITER(hh, peers->members, peer, next)
		peer_destroy(peers, peer);
	buffer_finish(&peers->out);
	arena_finish(&peers->arena);
	mem_free(peers->cluster_id);
	mem_free(peers->name);
	mem_free(peers->address);
	mem_free(peers);
}

void peers_set_cluster(struct peers *peers, const char *cluster_id)
{
	mem_free(peers->cluster_id);
	peers->cluster_id = mem_string(cluster_id);
	peers->config.cluster_id = peers->cluster_id;
}

const struct connection_node *peers_self(const struct peers *peers)
{
	return &peers->self;
}

const struct peers_counts *peers_counts(const struct peers *peers)
{
	return &peers->counts;
}
