#include "sim/sim.h"

#include "base/arena.h"
#include "base/memory.h"
#include "wire/frame.h"
#include "wire/message.h"

#include <assert.h>
#include <inttypes.h>
#include <sys/queue.h>

/* What is between the servers: from each to each other a connection, on which what arrives does so in order, exchanges, and datagrams.
 * All of it is packed into frames and unpacked again, as on a wire. A direction from one server to another may be blocked: nothing
 * passes, and a connection that waits for too long breaks, with all that was under way. Who hears of what is as daemon/peers.h has it:
 * a server is told of the connections that it has made. */

#define QUEUE_MAX 2000       /* frames that wait on one connection: more are dropped, as when an outbox is full */
#define FRAMES_AT_ONCE 16
#define OPENING_MS 1000
#define AGAIN_MS 40          /* a blocked direction is tried again */
#define BEHIND_MS 5          /* a server that does not read now is tried again */
#define BACKOFF_MAX_MS 1000

struct packet {
	struct buffer bytes;
	uint32_t from, to;       /* numbers of servers */
	bool exchange, answer;
	uint32_t life;           /* of `from` */
	msec due;
	uint64_t number;         /* of datagrams: in the order in which they were sent */
	TAILQ_ENTRY(packet) link;
};

TAILQ_HEAD(packets, packet);

enum link_state { CLOSED, OPENING, OPEN };

/* From one server to another. */
struct link {
	enum link_state state;
	uint32_t epoch;          /* another one for each connection */
	uint32_t from_life, to_life;
	uint64_t member;         /* that was meant */
	bool wanted;             /* something was sent: it is made again when it breaks */
	msec begun;
	msec patience;           /* what is not acknowledged for so long breaks it */
	msec retry_at;
	msec backoff;
	struct packets packets;
	size_t count;
	bool scheduled;
	msec last_due;
	bool untold; /* that it broke */
	msec stalled_since;      /* 0: not stalled */
};

struct sim_net {
	struct link links[SIM_SERVERS_MAX][SIM_SERVERS_MAX]; /* from, to */
	bool blocked[SIM_SERVERS_MAX][SIM_SERVERS_MAX];
	uint64_t known[SIM_SERVERS_MAX][SIM_SERVERS_MAX];    /* which member a server believes to be at the address of the other; 0: none */
	struct packets flying;   /* datagrams and exchanges */
	uint64_t datagrams;      /* sent so far */
	uint64_t newest[SIM_SERVERS_MAX][SIM_SERVERS_MAX]; /* that has arrived */
	msec exchange_due[SIM_SERVERS_MAX][SIM_SERVERS_MAX];
	uint32_t latency;        /* milliseconds, at most, as a rule */
	uint32_t loss, lateness; /* per thousand */
	struct arena arena;
	struct buffer payload;
};

static void deliver(void *subject, uint64_t pair, uint64_t epoch);
static void try_to_open(void *subject, uint64_t pair, uint64_t epoch);

static struct link *link_of(const struct sim *sim, const struct server *from, const struct server *to)
{
	return &sim->net->links[from->number][to->number];
}

static uint64_t pair_of(const struct server *from, const struct server *to)
{
	return (uint64_t)from->number << 8 | to->number;
}

static struct server *server_by_address(const struct sim *sim, const char *address)
{
	for (uint32_t i = sim->server_count; i-- > 0;) {
		if (strcmp(sim->servers[i]->address, address) == 0)
			return sim->servers[i];
	}
	return NULL;
}

static bool per_thousand(struct sim *sim, uint32_t share)
{
	return share > 0 && sim_below(sim, 1000) < share;
}

static msec latency(struct sim *sim)
{
	msec time = (msec)sim_below(sim, sim->net->latency + 1);
	if (per_thousand(sim, sim->net->lateness)) {
		time += 10 + (msec)sim_below(sim, 500);
		sim->counts[COUNT_LATE]++;
	}
	return time;
}

/* --- packets ------------------------------------------------------------------------------------------------------- */

static struct packet *packet_create(uint32_t from, uint32_t to)
{
	struct packet *packet = mem_zero(sizeof *packet);
	packet->from = from;
	packet->to = to;
	return packet;
}

static void packet_destroy(struct packets *list, struct packet *packet)
{
	TAILQ_REMOVE(list, packet, link);
	buffer_finish(&packet->bytes);
	mem_free(packet);
}

static void link_clear(struct link *link)
{
	while (!TAILQ_EMPTY(&link->packets))
		packet_destroy(&link->packets, TAILQ_FIRST(&link->packets));
	link->count = 0;
	link->stalled_since = 0;
	link->scheduled = false;
}

/* --- opening and breaking ------------------------------------------------------------------------------------------ */

/* Once for a break; before the connection is told to be there again. */
static void tell_down(void *subject, uint64_t member, uint64_t to)
{
	struct server *server = subject;
	struct link *link = link_of(server->sim, server, server->sim->servers[to]);
	if (!link->untold)
		return;
	link->untold = false;
	node_peer_down(server->node, member);
}

static void begin_to_open(struct sim *sim, struct server *from, struct server *to)
{
	struct link *link = link_of(sim, from, to);
	link->state = OPENING;
	link->epoch++;
	link->from_life = from->life;
	link->member = sim->net->known[from->number][to->number];
	link->begun = sim->now > link->retry_at ? sim->now : link->retry_at;
	link->patience = 300 + (msec)sim_below(sim, 5000);
	msec time = link->begun - sim->now + latency(sim) + latency(sim) + latency(sim);
	sim_after(sim, time, try_to_open, pair_of(from, to), link->epoch);
}

/* It is tried again, unless nobody wants it. */
static void break_link(struct sim *sim, struct server *from, struct server *to)
{
	struct link *link = link_of(sim, from, to);
	bool there = server_is_up(from) && from->life == link->from_life;
	if (link->state == CLOSED)
		return;
	if (link->state == OPEN) {
		sim_trace(sim, "the connection from %s to %s breaks (%zu frames are lost)", from->name, to->name, link->count);
		sim->counts[COUNT_BREAK]++;
	}
	link->backoff = link->state == OPEN || link->backoff == 0 ? 50 : 2 * link->backoff;
	if (link->backoff > BACKOFF_MAX_MS)
		link->backoff = BACKOFF_MAX_MS;
	link->state = CLOSED;
	link->epoch++;
	link->retry_at = sim->now + 1 + link->backoff * 3 / 4 + (msec)sim_below(sim, (uint64_t)link->backoff / 2);
	if (link->retry_at <= from->paused_until)
		link->retry_at = from->paused_until + 1;
	link_clear(link);
	if (!there)
		return;
	link->untold = true;
	server_after(from, 0, tell_down, link->member, to->number);
	if (link->wanted && sim->net->known[from->number][to->number] != 0)
		begin_to_open(sim, from, to);
}

static void break_later(void *subject, uint64_t pair, uint64_t epoch)
{
	struct sim *sim = subject;
	struct server *from = sim->servers[pair >> 8];
	struct server *to = sim->servers[pair & 255];
	if (link_of(sim, from, to)->epoch == epoch)
		break_link(sim, from, to);
}

void net_server_down(struct server *server, bool silently)
{
	struct sim *sim = server->sim;
	for (uint32_t i = 0; i < sim->server_count; i++) {
		struct server *other = sim->servers[i];
		struct link *link = link_of(sim, other, server);
		if (silently && link->state == OPEN)
			sim_after(sim, link->patience, break_later, pair_of(other, server), link->epoch);
		else
			break_link(sim, other, server);
		break_link(sim, server, other);
		link_of(sim, server, other)->wanted = false;
		sim->net->known[server->number][i] = 0;
	}
}

static void schedule_link(struct sim *sim, struct server *from, struct server *to, msec at)
{
	struct link *link = link_of(sim, from, to);
	if (link->scheduled)
		return;
	link->scheduled = true;
	sim_after(sim, at > sim->now ? at - sim->now : 0, deliver, pair_of(from, to), link->epoch);
}

/* Whoever is connected to by a new process gives up its connection to the old one, and tries again at once if it had none. */
static void accept_link(struct sim *sim, struct server *to, struct server *from)
{
	struct link *back = link_of(sim, to, from);
	if (back->state == OPEN && back->to_life != from->life)
		break_link(sim, to, from);
	if (back->state == OPENING && back->begun > sim->now) {
		back->retry_at = sim->now;
		begin_to_open(sim, to, from);
	}
}

static void opened(struct sim *sim, struct server *from, struct server *to)
{
	struct link *link = link_of(sim, from, to);
	link->state = OPEN;
	link->to_life = to->life;
	sim_trace(sim, "%s is connected to %s", from->name, to->name);
	from->touched = to->touched = true;
	accept_link(sim, to, from);
	tell_down(from, link->member, to->number); /* it may have stood still since the break */
	node_peer_up(from->node, link->member);
	if (link->count > 0)
		schedule_link(sim, from, to, sim->now);
}

static void try_to_open(void *subject, uint64_t pair, uint64_t epoch)
{
	struct sim *sim = subject;
	struct server *from = sim->servers[pair >> 8];
	struct server *to = sim->servers[pair & 255];
	struct link *link = link_of(sim, from, to);
	if (link->epoch != epoch || link->state != OPENING)
		return;
	if (from->paused_until > sim->now) {
		sim_after(sim, from->paused_until - sim->now, try_to_open, pair, epoch);
		return;
	}
	bool passes = !sim->net->blocked[from->number][to->number] && !sim->net->blocked[to->number][from->number];
	bool refused = passes && (!server_is_up(to) || to->vote.node_id != link->member);
	if (!server_is_up(from) || refused || sim->now - link->begun > OPENING_MS)
		break_link(sim, from, to);
	else if (!passes || !server_answers(to))
		sim_after(sim, AGAIN_MS, try_to_open, pair, epoch);
	else
		opened(sim, from, to);
}

/* --- sending ------------------------------------------------------------------------------------------------------- */

void net_address(struct server *server, uint64_t member, const char *address)
{
	struct sim *sim = server->sim;
	const struct server *at = address[0] != '\0' ? server_by_address(sim, address) : NULL;
	server_trace(server, "member %" PRIu64 " is at \"%s\"", member, address);
	if (at == server)
		server_fail(server, "takes its own address for that of member %" PRIu64, member);
	for (uint32_t i = 0; i < sim->server_count; i++) {
		uint64_t *known = &sim->net->known[server->number][i];
		uint64_t before = *known;
		if (sim->servers[i] == at)
			*known = member;
		else if (*known == member)
			*known = 0;
		if (*known != before && link_of(sim, server, sim->servers[i])->state != CLOSED)
			break_link(sim, server, sim->servers[i]);
	}
}

static struct slice join(struct sim_net *net, const struct slice *parts, size_t count)
{
	if (count <= 1)
		return count == 1 ? parts[0] : SLICE("");
	buffer_clear(&net->payload);
	for (size_t i = 0; i < count; i++)
		buffer_append_slice(&net->payload, parts[i]);
	return buffer_slice(&net->payload);
}

static struct server *reached(const struct server *server, uint64_t member)
{
	const struct sim *sim = server->sim;
	for (uint32_t i = 0; i < sim->server_count; i++) {
		if (member != 0 && sim->net->known[server->number][i] == member)
			return sim->servers[i];
	}
	return NULL;
}

void net_send(struct server *server, uint64_t member, int frame_type, uint32_t stream, const ProtobufCMessage *message,
              const struct slice *payload, size_t payload_count)
{
	struct sim *sim = server->sim;
	struct server *to = reached(server, member);
	if (to == NULL) {
		sim->counts[COUNT_LOST]++;
		return;
	}
	struct link *link = link_of(sim, server, to);
	link->wanted = true;
	if (link->state == CLOSED)
		begin_to_open(sim, server, to);
	if (link->count >= QUEUE_MAX) {
		sim->counts[COUNT_LOST]++;
		return;
	}
	struct packet *packet = packet_create(server->number, to->number);
	int code = message_frame(&packet->bytes, (enum frame_type)frame_type, stream, message,
	                         join(sim->net, payload, payload_count));
	if (code != 0)
		server_fail(server, "sends a frame that is too large");
	packet->due = sim->now + latency(sim);
	if (packet->due < link->last_due)
		packet->due = link->last_due;
	link->last_due = packet->due;
	TAILQ_INSERT_TAIL(&link->packets, packet, link);
	link->count++;
	if (link->state == OPEN)
		schedule_link(sim, server, to, packet->due);
}

/* --- arriving ------------------------------------------------------------------------------------------------------ */

static const char *raft_kind(const ProtobufCMessage *message)
{
	static const char *const names[] = {": vote request",   ": vote response", ": append request", ": append response", ": heartbeat",
	                                    ": snapshot chunk", ": snapshot response", ": timeout now", ": read request",
	                                    ": read response"};
	uint32_t kind = ((const Clusterd__Wire__RaftMessage *)message)->kind;
	return kind < sizeof names / sizeof names[0] ? names[kind] : "";
}

static void hand_over(struct sim *sim, const struct packet *packet)
{
	struct server *from = sim->servers[packet->from];
	struct server *to = sim->servers[packet->to];
	ProtobufCMessage *message = NULL;
	struct error error = {0};
	struct frame frame;
	size_t size;
	if (frame_parse(buffer_slice(&packet->bytes), &frame, &size, &error) != 1 || size != packet->bytes.size)
		server_fail(from, "sends a frame that cannot be read: %s", error.text);
	const ProtobufCMessageDescriptor *descriptor = message_of_frame(frame.type);
	if (descriptor != NULL && message_unpack(descriptor, frame.message, &sim->net->arena, &message, &error) != 0)
		server_fail(from, "sends a message that cannot be read: %s", error.text);
	server_trace(to, "from %s: %s%s", from->name, frame_type_name(frame.type), frame.type == FRAME_RAFT ? raft_kind(message) : "");
	to->touched = true;
	sim->counts[COUNT_MESSAGES]++;
	node_peer_message(to->node, from->vote.node_id, (int)frame.type, frame.stream, message, frame.payload);
	arena_reset(&sim->net->arena);
}

/* Nothing of it passes now. */
static bool stalls(struct sim *sim, struct server *from, struct server *to)
{
	struct link *link = link_of(sim, from, to);
	if (!sim->net->blocked[from->number][to->number]) {
		link->stalled_since = 0;
		return false;
	}
	if (link->stalled_since == 0)
		link->stalled_since = sim->now;
	if (sim->now - link->stalled_since > link->patience)
		break_link(sim, from, to);
	else
		schedule_link(sim, from, to, sim->now + AGAIN_MS);
	return true;
}

static void deliver(void *subject, uint64_t pair, uint64_t epoch)
{
	struct sim *sim = subject;
	struct server *from = sim->servers[pair >> 8];
	struct server *to = sim->servers[pair & 255];
	struct link *link = link_of(sim, from, to);
	if (link->epoch != epoch || link->state != OPEN)
		return;
	link->scheduled = false;
	if (stalls(sim, from, to))
		return;
	if (server_is_up(to) && to->life != link->to_life) {
		break_link(sim, from, to);
		return;
	}
	if (to->paused_until > sim->now || (server_is_up(to) && node_behind(to->node))) {
		schedule_link(sim, from, to, to->paused_until > sim->now ? to->paused_until : sim->now + BEHIND_MS);
		return;
	}
	for (int i = 0; i < FRAMES_AT_ONCE && link->epoch == epoch; i++) {
		struct packet *packet = TAILQ_FIRST(&link->packets);
		if (packet == NULL || packet->due > sim->now)
			break;
		if (server_is_up(to))
			hand_over(sim, packet);
		packet_destroy(&link->packets, packet);
		link->count--;
	}
	if (!TAILQ_EMPTY(&link->packets))
		schedule_link(sim, from, to, TAILQ_FIRST(&link->packets)->due);
}

/* --- datagrams and exchanges --------------------------------------------------------------------------------------- */

static void arrive(void *subject, uint64_t pointer, uint64_t unused);

static void fly(struct sim *sim, struct packet *packet, msec time)
{
	packet->due = sim->now + time;
	TAILQ_INSERT_TAIL(&sim->net->flying, packet, link);
	sim_after(sim, time, arrive, (uint64_t)(uintptr_t)packet, 0);
}

void net_datagram(struct server *server, const char *address, struct slice bytes)
{
	struct sim *sim = server->sim;
	struct server *to = server_by_address(sim, address);
	if (to == NULL)
		return;
	if (per_thousand(sim, sim->net->loss)) {
		sim->counts[COUNT_LOST]++;
		return;
	}
	uint32_t copies = per_thousand(sim, sim->net->lateness) ? 2 : 1;
	sim->counts[COUNT_DOUBLED] += copies - 1;
	for (; copies > 0; copies--) {
		struct packet *packet = packet_create(server->number, to->number);
		buffer_append_slice(&packet->bytes, bytes);
		packet->number = ++sim->net->datagrams;
		fly(sim, packet, latency(sim));
	}
}

static void send_exchange(struct server *server, struct server *to, struct slice bytes, bool answer)
{
	struct sim *sim = server->sim;
	struct packet *packet = packet_create(server->number, to->number);
	msec *due = &sim->net->exchange_due[server->number][to->number];
	msec time = latency(sim);
	buffer_append_slice(&packet->bytes, bytes);
	packet->exchange = true;
	packet->answer = answer;
	packet->life = server->life;
	if (sim->now + time < *due)
		time = *due - sim->now;
	*due = sim->now + time;
	fly(sim, packet, time);
}

void net_exchange(struct server *server, const char *address, struct slice bytes)
{
	struct server *to = server_by_address(server->sim, address);
	if (to != NULL && to != server)
		send_exchange(server, to, bytes, false);
}

static void tell_exchange_failed(void *subject, uint64_t number, uint64_t unused)
{
	struct server *server = subject;
	(void)unused;
	node_exchange_failed(server->node, server->sim->servers[number]->address);
}

static void take_exchange(struct sim *sim, const struct packet *packet)
{
	struct server *from = sim->servers[packet->from];
	struct server *to = sim->servers[packet->to];
	struct buffer reply = BUFFER_EMPTY;
	node_exchange(to->node, from->address, buffer_slice(&packet->bytes), &reply);
	if (reply.size > 0)
		send_exchange(to, from, buffer_slice(&reply), !packet->answer);
	buffer_finish(&reply);
}

static void arrive(void *subject, uint64_t pointer, uint64_t unused)
{
	struct sim *sim = subject;
	struct packet *packet = (struct packet *)(uintptr_t)pointer;
	struct server *from = sim->servers[packet->from];
	struct server *to = sim->servers[packet->to];
	bool passes = !sim->net->blocked[packet->from][packet->to] && server_is_up(to);
	(void)unused;
	if (passes && to->paused_until > sim->now) {
		sim_after(sim, to->paused_until - sim->now, arrive, pointer, 0);
		return;
	}
	if (passes) {
		to->touched = true;
		sim->counts[COUNT_DATAGRAMS]++;
		uint64_t *newest = &sim->net->newest[packet->from][packet->to];
		if (packet->exchange)
			take_exchange(sim, packet);
		else if (packet->number < *newest)
			sim->counts[COUNT_REORDERED]++;
		else
			*newest = packet->number;
		if (!packet->exchange)
			node_datagram(to->node, from->address, buffer_slice(&packet->bytes));
	} else if (packet->exchange && !packet->answer && server_is_up(from) && from->life == packet->life) {
		server_after(from, (msec)sim_below(sim, 1000), tell_exchange_failed, to->number, 0);
	}
	packet_destroy(&sim->net->flying, packet);
}

/* --- trouble ------------------------------------------------------------------------------------------------------- */

void net_block(struct sim *sim, uint32_t from, uint32_t to, bool blocked)
{
	sim->net->blocked[from][to] = blocked;
}

void net_heal(struct sim *sim)
{
	memset(sim->net->blocked, 0, sizeof sim->net->blocked);
}

void net_break_some(struct sim *sim)
{
	for (uint32_t from = 0; from < sim->server_count; from++) {
		for (uint32_t to = 0; to < sim->server_count; to++) {
			if (sim->net->links[from][to].state == OPEN && sim_chance(sim, 40))
				break_link(sim, sim->servers[from], sim->servers[to]);
		}
	}
}

void net_trouble(struct sim *sim, uint32_t loss, uint32_t lateness)
{
	sim->net->loss = loss;
	sim->net->lateness = lateness;
}

void net_init(struct sim *sim)
{
	struct sim_net *net = sim->net = mem_zero(sizeof *sim->net);
	net->latency = (uint32_t[]){0, 1, 2, 5, 20}[sim_below(sim, 5)];
	TAILQ_INIT(&net->flying);
	for (uint32_t i = 0; i < SIM_SERVERS_MAX; i++) {
		for (uint32_t k = 0; k < SIM_SERVERS_MAX; k++)
			TAILQ_INIT(&net->links[i][k].packets);
	}
}

void net_finish(struct sim *sim)
{
	struct sim_net *net = sim->net;
	for (uint32_t i = 0; i < SIM_SERVERS_MAX; i++) {
		for (uint32_t k = 0; k < SIM_SERVERS_MAX; k++)
			link_clear(&net->links[i][k]);
	}
	while (!TAILQ_EMPTY(&net->flying))
		packet_destroy(&net->flying, TAILQ_FIRST(&net->flying));
	arena_finish(&net->arena);
	buffer_finish(&net->payload);
	mem_free(net);
}
