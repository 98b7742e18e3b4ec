#include "daemon/node_internal.h"

#include "base/memory.h"

/* Who is there: sessions live as long as somebody is heard of, connections take with them what hangs on them. */

#define SESSIONS_EXPIRED_AT_ONCE 1000

void session_touch(struct node *node, uint64_t id, uint64_t connection)
{
	struct session_seen *seen;
	HASH_FIND(hh, node->sessions, &id, sizeof id, seen);
	if (seen == NULL) {
		seen = mem_zero(sizeof *seen);
		seen->session = id;
		HASH_ADD(hh, node->sessions, session, sizeof seen->session, seen);
	}
	seen->connection = connection;
	seen->seen = node->host->now(node->context);
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
		session_touch(node, ids[i], 0);
	mem_free(ids);
}

/* Proposes the end of sessions that have not been heard of for their time to live. One that somebody holds a connection for
 * lives on. Keep-alives are not logged (INVARIANTS, 25). */
void sessions_keep(struct node *node, msec now)
{
	uint64_t expired[SESSIONS_EXPIRED_AT_ONCE];
	size_t count = 0;
	size_t known_count;
	uint64_t *known = session_ids(node, &known_count);
	msec ttl = machine_settings(node->machine)->session_ttl;
	for (size_t i = 0; i < known_count && count < SESSIONS_EXPIRED_AT_ONCE; i++) {
		struct session_seen *seen;
		HASH_FIND(hh, node->sessions, &known[i], sizeof known[i], seen);
		if (seen == NULL)
			session_touch(node, known[i], 0);
		else if (seen->connection == 0 && seen->seen + ttl < now)
			expired[count++] = known[i];
	}
	mem_free(known);
	if (count == 0)
		return;
	struct command command = {.kind = COMMAND_CLOSE_SESSION};
	command.close_session.sessions = expired;
	command.close_session.count = count;
	node_propose(node, &command, true);
}

void node_connection_closed(struct node *node, uint64_t connection)
{
	waiters_drop_connection(node->waiters, connection);
	worker_gone(node, connection);
	for (struct session_seen *seen = node->sessions; seen != NULL; seen = seen->hh.next) {
		if (seen->connection != connection)
			continue;
		seen->connection = 0;
		seen->seen = node->host->now(node->context);
	}
}
