#include "sim/sim.h"

#include "base/arena.h"
#include "base/memory.h"
#include "wire/frame.h"
#include "wire/message.h"

#include <assert.h>
#include <inttypes.h>
#include <sys/queue.h>

/* What is between the servers: connections, on which what arrives does so in order, and datagrams. All of it is packed into frames and
 * unpacked again, as on a wire. A direction from one server to another may be blocked: nothing passes, and a connection that waits for
 * too long breaks, with all that was under way. */

#pragma weak node_datagram
#pragma weak node_exchange
#pragma weak node_exchange_failed

#define QUEUE_MAX 2000       /* frames that wait on one connection: more are dropped, as when an outbox is full */
#define FRAMES_AT_ONCE 16
#define OPENING_MS 1000
#define AGAIN_MS 40          /* a blocked direction is tried again */

struct packet {
	struct buffer bytes;
	uint32_t from, to;       /* numbers of servers */
	bool exchange, answer;
	uint32_t life;           /* of `from` */
	msec due;
	TAILQ_ENTRY(packet) link;
};

TAILQ_HEAD(packets, packet);

enum connection_state { CLOSED, OPENING, OPEN };

/* Between two servers, whoever opened it. */
struct link {
	enum connection_state state;
	uint32_t epoch;          /* another one for each connection */
	uint32_t lives[2];       /* of the process with the lower number, and of the other */
	msec begun;
	msec patience;           /* what is not acknowledged for so long breaks it */
	msec retry_at;
};

/* One direction of a connection. */
struct pipe {
	struct packets packets;
	size_t count;
	bool scheduled;
	msec last_due;
	msec stalled_since;      /* 0: not stalled */
};

struct sim_net {
	struct link links[SIM_SERVERS_MAX][SIM_SERVERS_MAX]; /* the lower number first */
	struct pipe pipes[SIM_SERVERS_MAX][SIM_SERVERS_MAX];
	bool blocked[SIM_SERVERS_MAX][SIM_SERVERS_MAX];
	struct packets flying;   /* datagrams and exchanges */
	msec exchange_due[SIM_SERVERS_MAX][SIM_SERVERS_MAX];
	uint32_t latency;        /* milliseconds, at most, as a rule */
	uint32_t loss, lateness; /* per thousand */
	struct arena arena;
	struct buffer payload;
};

static void deliver(void *subject, uint64_t pair, uint64_t epoch);

static struct link *link_of(struct sim_net *net, uint32_t one, uint32_t other)
{
	return one < other ? &net->links[one][other] : &net->links[other][one];
}

static uint64_t pair_of(uint32_t from, uint32_t to)
{
	return (uint64_t)from << 8 | to;
}

static struct server *server_by_id(const struct sim *sim, uint64_t id)
{
	for (uint32_t i = sim->server_count; i-- > 0;) {
		if (sim->servers[i]->vote.node_id == id)
			return sim->servers[i];
	}
	return NULL;
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

static void pipe_clear(struct pipe *pipe)
{
	while (!TAILQ_EMPTY(&pipe->packets))
		packet_destroy(&pipe->packets, TAILQ_FIRST(&pipe->packets));
	pipe->count = 0;
	pipe->stalled_since = 0;
	pipe->scheduled = false;
}

/* --- breaking ------------------------------------------------------------------------------------------------------ */

static void tell_down(void *subject, uint64_t member, uint64_t unused)
{
	struct server *server = subject;
	(void)unused;
	node_peer_down(server->node, member);
}

static void tell_if_there(struct server *server, uint32_t life, const struct server *other)
{
	if (server_is_up(server) && server->life == life)
		server_after(server, 0, tell_down, other->vote.node_id, 0);
}

static void break_link(struct sim *sim, uint32_t one, uint32_t other)
{
	struct sim_net *net = sim->net;
	struct link *link = link_of(net, one, other);
	struct server *low = sim->servers[one < other ? one : other];
	struct server *high = sim->servers[one < other ? other : one];
	if (link->state == OPEN) {
		sim_trace(sim, "the connection between %s and %s breaks (%zu and %zu frames are lost)", low->name, high->name,
		          net->pipes[low->number][high->number].count, net->pipes[high->number][low->number].count);
		sim->counts[COUNT_BREAK]++;
		tell_if_there(low, link->lives[0], high);
		tell_if_there(high, link->lives[1], low);
	}
	link->state = CLOSED;
	link->epoch++;
	link->retry_at = sim->now + 1 + (msec)sim_below(sim, 200);
	if (link->retry_at <= low->paused_until)
		link->retry_at = low->paused_until + 1;
	if (link->retry_at <= high->paused_until)
		link->retry_at = high->paused_until + 1;
	pipe_clear(&net->pipes[one][other]);
	pipe_clear(&net->pipes[other][one]);
}

static void break_later(void *subject, uint64_t pair, uint64_t epoch)
{
	struct sim *sim = subject;
	uint32_t one = (uint32_t)(pair >> 8);
	uint32_t other = (uint32_t)(pair & 255);
	struct link *link = link_of(sim->net, one, other);
	if (link->epoch == epoch && link->state != CLOSED)
		break_link(sim, one, other);
}

void net_server_down(struct server *server, bool silently)
{
	struct sim *sim = server->sim;
	for (uint32_t i = 0; i < sim->server_count; i++) {
		struct link *link = i != server->number ? link_of(sim->net, i, server->number) : NULL;
		if (link == NULL || link->state == CLOSED)
			continue;
		if (silently && link->state == OPEN)
			sim_after(sim, link->patience, break_later, pair_of(i, server->number), link->epoch);
		else
			break_link(sim, i, server->number);
	}
}

/* --- opening ------------------------------------------------------------------------------------------------------- */

static void schedule_pipe(struct sim *sim, uint32_t from, uint32_t to, msec at)
{
	struct pipe *pipe = &sim->net->pipes[from][to];
	if (pipe->scheduled)
		return;
	pipe->scheduled = true;
	sim_after(sim, at > sim->now ? at - sim->now : 0, deliver, pair_of(from, to), link_of(sim->net, from, to)->epoch);
}

static void opened(struct sim *sim, struct server *from, struct server *to)
{
	struct link *link = link_of(sim->net, from->number, to->number);
	link->state = OPEN;
	link->lives[0] = from->number < to->number ? from->life : to->life;
	link->lives[1] = from->number < to->number ? to->life : from->life;
	sim_trace(sim, "%s is connected to %s", from->name, to->name);
	from->touched = to->touched = true;
	node_peer_up(to->node, from->vote.node_id);
	node_peer_up(from->node, to->vote.node_id);
	if (sim->net->pipes[from->number][to->number].count > 0)
		schedule_pipe(sim, from->number, to->number, sim->now);
	if (sim->net->pipes[to->number][from->number].count > 0)
		schedule_pipe(sim, to->number, from->number, sim->now);
}

static void try_to_open(void *subject, uint64_t pair, uint64_t epoch)
{
	struct sim *sim = subject;
	struct server *from = sim->servers[pair >> 8];
	struct server *to = sim->servers[pair & 255];
	struct link *link = link_of(sim->net, from->number, to->number);
	if (link->epoch != epoch || link->state != OPENING)
		return;
	bool passes = !sim->net->blocked[from->number][to->number] && !sim->net->blocked[to->number][from->number];
	if (!server_is_up(from) || (passes && !server_is_up(to)) || sim->now - link->begun > OPENING_MS) {
		break_link(sim, from->number, to->number);
		return;
	}
	if (!passes || !server_answers(to) || !server_answers(from)) {
		sim_after(sim, AGAIN_MS, try_to_open, pair, epoch);
		return;
	}
	opened(sim, from, to);
}

static void begin_to_open(struct server *server, struct server *to)
{
	struct sim *sim = server->sim;
	struct link *link = link_of(sim->net, server->number, to->number);
	link->state = OPENING;
	link->epoch++;
	link->begun = sim->now;
	link->patience = 300 + (msec)sim_below(sim, 3000);
	sim_after(sim, latency(sim) + latency(sim) + latency(sim), try_to_open, pair_of(server->number, to->number), link->epoch);
}

/* --- sending ------------------------------------------------------------------------------------------------------- */

void net_address(struct server *server, uint64_t member, const char *address)
{
	server_trace(server, "member %" PRIu64 " is at \"%s\"", member, address);
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

void net_send(struct server *server, uint64_t member, int frame_type, uint32_t stream, const ProtobufCMessage *message,
              const struct slice *payload, size_t payload_count)
{
	struct sim *sim = server->sim;
	struct server *to = server_by_id(sim, member);
	if (to == NULL || to == server)
		server_fail(server, "sends to member %" PRIu64 ", which is no other server", member);
	struct link *link = link_of(sim->net, server->number, to->number);
	struct pipe *pipe = &sim->net->pipes[server->number][to->number];
	if (link->state == OPEN && link->lives[server->number > to->number] != server->life)
		break_link(sim, server->number, to->number); /* of a former life */
	if (link->state == CLOSED && sim->now >= link->retry_at)
		begin_to_open(server, to);
	if (link->state == CLOSED || pipe->count >= QUEUE_MAX) {
		sim->counts[COUNT_LOST]++;
		return;
	}
	struct packet *packet = packet_create(server->number, to->number);
	int code = message_frame(&packet->bytes, (enum frame_type)frame_type, stream, message,
	                         join(sim->net, payload, payload_count));
	if (code != 0)
		server_fail(server, "sends a frame that is too large");
	packet->due = sim->now + latency(sim);
	if (packet->due < pipe->last_due)
		packet->due = pipe->last_due;
	pipe->last_due = packet->due;
	TAILQ_INSERT_TAIL(&pipe->packets, packet, link);
	pipe->count++;
	if (link->state == OPEN)
		schedule_pipe(sim, server->number, to->number, packet->due);
}

/* --- arriving ------------------------------------------------------------------------------------------------------ */

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
	to->touched = true;
	sim->counts[COUNT_MESSAGES]++;
	node_peer_message(to->node, from->vote.node_id, (int)frame.type, frame.stream, message, frame.payload);
	arena_reset(&sim->net->arena);
}

/* Nothing of it passes now; whether it has broken. */
static bool stalls(struct sim *sim, uint32_t from, uint32_t to)
{
	struct pipe *pipe = &sim->net->pipes[from][to];
	struct link *link = link_of(sim->net, from, to);
	if (!sim->net->blocked[from][to]) {
		pipe->stalled_since = 0;
		return false;
	}
	if (pipe->stalled_since == 0)
		pipe->stalled_since = sim->now;
	if (sim->now - pipe->stalled_since > link->patience)
		break_link(sim, from, to);
	else
		schedule_pipe(sim, from, to, sim->now + AGAIN_MS);
	return true;
}

static void deliver(void *subject, uint64_t pair, uint64_t epoch)
{
	struct sim *sim = subject;
	uint32_t from = (uint32_t)(pair >> 8);
	uint32_t to = (uint32_t)(pair & 255);
	struct link *link = link_of(sim->net, from, to);
	struct pipe *pipe = &sim->net->pipes[from][to];
	struct server *server = sim->servers[to];
	if (link->epoch != epoch || link->state != OPEN)
		return;
	pipe->scheduled = false;
	if (stalls(sim, from, to))
		return;
	if (server_is_up(server) && server->life != link->lives[to > from]) {
		break_link(sim, from, to);
		return;
	}
	if (server->paused_until > sim->now) {
		schedule_pipe(sim, from, to, server->paused_until);
		return;
	}
	for (int i = 0; i < FRAMES_AT_ONCE && link->epoch == epoch; i++) {
		struct packet *packet = TAILQ_FIRST(&pipe->packets);
		if (packet == NULL || packet->due > sim->now)
			break;
		if (server_is_up(server))
			hand_over(sim, packet);
		packet_destroy(&pipe->packets, packet);
		pipe->count--;
	}
	if (!TAILQ_EMPTY(&pipe->packets))
		schedule_pipe(sim, from, to, TAILQ_FIRST(&pipe->packets)->due);
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
		if (packet->exchange)
			take_exchange(sim, packet);
		else
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
	for (uint32_t one = 0; one < sim->server_count; one++) {
		for (uint32_t other = one + 1; other < sim->server_count; other++) {
			if (link_of(sim->net, one, other)->state == OPEN && sim_chance(sim, 40))
				break_link(sim, one, other);
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
			TAILQ_INIT(&net->pipes[i][k].packets);
	}
}

void net_finish(struct sim *sim)
{
	struct sim_net *net = sim->net;
	for (uint32_t i = 0; i < SIM_SERVERS_MAX; i++) {
		for (uint32_t k = 0; k < SIM_SERVERS_MAX; k++)
			pipe_clear(&net->pipes[i][k]);
	}
	while (!TAILQ_EMPTY(&net->flying))
		packet_destroy(&net->flying, TAILQ_FIRST(&net->flying));
	arena_finish(&net->arena);
	buffer_finish(&net->payload);
	mem_free(net);
}
