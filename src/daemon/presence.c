#include "daemon/forward.h"

#include "base/memory.h"
#include "wire/frame.h"

/* Who is there: sessions live as long as somebody is heard of, connections take with them what hangs on them. Each node knows the
 * connections of its own clients; one that does not lead tells the leader of their sessions now and then (FRAME_PRESENCE). */

#define SESSIONS_EXPIRED_AT_ONCE 1000
#define SESSIONS_TOLD_AT_ONCE 4096

static struct session_seen *seen_find(const struct node *node, uint64_t id)
{
	struct session_seen *seen;
	HASH_FIND(hh, node->sessions, &id, sizeof id, seen);
	return seen;
}

static bool is_known(const struct node *node, uint64_t id)
{
	const struct answer *answer;
	return machine_session_answer(node->machine, id, UINT64_MAX, &answer) >= 0;
}

/* Its time begins anew. NULL: there are too many that this node has not applied the beginning of, if there is one. */
static struct session_seen *session_heard(struct node *node, uint64_t id)
{
	struct session_seen *seen = seen_find(node, id);
	if (seen == NULL && HASH_COUNT(node->sessions) >= 2 * NODE_SESSIONS_MAX && !is_known(node, id))
		return NULL;
	if (seen == NULL) {
		seen = mem_zero(sizeof *seen);
		seen->session = id;
		HASH_ADD(hh, node->sessions, session, sizeof seen->session, seen);
	}
	seen->seen = node->host->now(node->context);
	return seen;
}

static void tell(struct node *node, uint64_t leader, uint64_t *sessions, size_t count)
{
	Clusterd__Wire__Presence presence = CLUSTERD__WIRE__PRESENCE__INIT;
	presence.sessions = sessions;
	presence.n_sessions = count;
	node->host->peer_send(node->context, leader, FRAME_PRESENCE, 0, &presence.base, NULL, 0);
}

/* Its client has come from elsewhere, perhaps from a node that is gone: much of its time may be over. */
static void tell_at_once(struct node *node, uint64_t session)
{
	uint64_t leader = node_leader(node);
	if (node->failed || node->leader || leader == node->id)
		return;
	if (leader != 0 && forward_reaches(node, leader))
		tell(node, leader, &session, 1);
	else
		node->next_presence = 0;
}

void session_touch(struct node *node, uint64_t id, uint64_t connection)
{
	struct session_seen *seen = session_heard(node, id);
	/* That another node is reached says nothing of the clients behind it: it tells of them. */
	if (seen == NULL || (connection & NODE_PEER_CONNECTION) != 0)
		return;
	bool is_new = seen->connection == 0;
	seen->connection = connection;
	if (is_new)
		tell_at_once(node, id);
}

static void seen_drop(struct node *node, struct session_seen *seen)
{
	HASH_DELETE(hh, node->sessions, seen);
	mem_free(seen);
}

void waiters_not_leader(struct node *node)
{
	struct waiter waiter;
	while (waiters_take_any(node->waiters, WAIT_ANSWER, &waiter))
		respond_error(node, waiter.connection, waiter.stream, ERR_NOT_LEADER,
		              SLICE("the node leads no more, and does not know what became of this: ask again, with the same "
		                    "session and sequence"));
}

/* All ids; released by the caller. */
static uint64_t *session_ids(const struct node *node, size_t *ret_count)
{
	size_t count = machine_session_count(node->machine);
	uint64_t *ids = mem_array(count, sizeof *ids);
	*ret_count = machine_sessions(node->machine, ids, count);
	return ids;
}

void sessions_granted(struct node *node)
{
	size_t count;
	uint64_t *ids = session_ids(node, &count);
	for (size_t i = 0; i < count; i++)
		session_heard(node, ids[i]);
	mem_free(ids);
}

/* What was said of sessions that there are not: they have ended, or never were. */
static void forget_unknown(struct node *node, msec now)
{
	struct session_seen *seen;
	struct session_seen *next;
	msec ttl = machine_settings(node->machine)->session_ttl;
	HASH_ITER (hh, node->sessions, seen, next) {
		if (seen->seen + ttl < now && !is_known(node, seen->session))
			seen_drop(node, seen);
	}
}

/* One that has a time to live of its own is a lease: what connections there are does not count. */
static bool is_over(const struct node *node, const struct session_seen *seen, msec ttl, msec now)
{
	msec own = machine_session_ttl(node->machine, seen->session);
	return own != 0 ? seen->seen + own < now : seen->connection == 0 && seen->seen + ttl < now;
}

bool session_is_ending(const struct node *node, uint64_t id)
{
	const struct session_seen *seen = seen_find(node, id);
	return seen != NULL && seen->ending != 0 && seen->ending == raft_term(node->raft);
}

/* Proposes the end of sessions that have not been heard of for their time to live. One that somebody holds a connection for
 * lives on. Keep-alives are not logged (INVARIANTS, 25). */
bool sessions_keep(struct node *node, msec now)
{
	uint64_t expired[SESSIONS_EXPIRED_AT_ONCE];
	size_t count = 0;
	size_t known_count;
	uint64_t *known = session_ids(node, &known_count);
	msec ttl = machine_settings(node->machine)->session_ttl;
	bool leased = false;
	for (size_t i = 0; i < known_count && count < SESSIONS_EXPIRED_AT_ONCE; i++) {
		leased = leased || machine_session_ttl(node->machine, known[i]) != 0;
		struct session_seen *seen = seen_find(node, known[i]);
		if (seen == NULL) {
			session_heard(node, known[i]);
		} else if (is_over(node, seen, ttl, now)) {
			seen->ending = raft_term(node->raft);
			expired[count++] = known[i];
		}
	}
	mem_free(known);
	forget_unknown(node, now);
	if (count == 0)
		return leased;
	struct command command = {.kind = COMMAND_CLOSE_SESSION};
	command.close_session.sessions = expired;
	command.close_session.count = count;
	node_propose(node, &command, true);
	return leased;
}

/* --- between nodes ------------------------------------------------------------------------------------------------- */

/* Tells the leader of all sessions that clients of this node hold a connection for, and forgets the others. */
static void presence_tell(struct node *node, uint64_t leader, msec now)
{
	uint64_t sessions[SESSIONS_TOLD_AT_ONCE];
	size_t count = 0;
	struct session_seen *seen;
	struct session_seen *next;
	forget_unknown(node, now);
	HASH_ITER (hh, node->sessions, seen, next) {
		if (seen->connection == 0) {
			seen_drop(node, seen);
			continue;
		}
		sessions[count++] = seen->session;
		if (count == SESSIONS_TOLD_AT_ONCE) {
			tell(node, leader, sessions, count);
			count = 0;
		}
	}
	if (count > 0)
		tell(node, leader, sessions, count);
}

void presence_turn(struct node *node, msec now)
{
	uint64_t leader = node_leader(node);
	if (node->leader || leader == 0 || leader == node->id || now < node->next_presence || node->sessions == NULL)
		return;
	if (!forward_reaches(node, leader))
		return;
	node->next_presence = now + machine_settings(node->machine)->session_ttl / 3;
	presence_tell(node, leader, now);
}

msec presence_deadline(const struct node *node)
{
	uint64_t leader = node_leader(node);
	bool tells = !node->leader && node->sessions != NULL && leader != 0 && forward_reaches(node, leader);
	return tells ? node->next_presence : MSEC_NEVER;
}

void presence_heard(struct node *node, const Clusterd__Wire__Presence *presence)
{
	for (size_t i = 0; i < presence->n_sessions; i++) {
		if (is_known(node, presence->sessions[i]) && machine_session_ttl(node->machine, presence->sessions[i]) == 0)
			session_heard(node, presence->sessions[i]);
	}
}

void node_connection_closed(struct node *node, uint64_t connection)
{
	requests_dropped(node, connection);
	if (node->host->closed != NULL)
		node->host->closed(node->context, connection);
	worker_gone(node, connection);
	for (struct session_seen *seen = node->sessions; seen != NULL; seen = seen->hh.next) {
		if (seen->connection != connection)
			continue;
		seen->connection = 0;
		if (machine_session_ttl(node->machine, seen->session) != 0)
			continue;
		seen->seen = node->host->now(node->context);
	}
}
