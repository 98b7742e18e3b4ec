#include "daemon/request.h"

#include "wire/secret.h"

#include <inttypes.h>

/* Sessions: opened, closed, kept alive, and who may act in one. */

#define SECRET_SIZE_LEAST 16 /* bytes of a session's secret */
#define SECRET_SIZE_MOST 64

static struct slice shown_secret(const struct request *request)
{
	return (struct slice){(const char *)request->message->session_secret.data, request->message->session_secret.len};
}

bool request_shows_secret(const struct request *request)
{
	const char *proof = machine_session_proof(request->node->machine, request->message->session);
	char shown[SECRET_TOKEN_SIZE];
	if (proof == NULL || proof[0] == '\0')
		return true;
	secret_digest(shown_secret(request), shown);
	if (secret_equal(shown, proof, SESSION_PROOF_SIZE))
		return true;
	request_refuse(request, ERR_DENIED, "session %" PRIu64 " is of another client: its secret was not shown",
	               request->message->session);
	return false;
}

void request_open_session(const struct request *request)
{
	struct node *node = request->node;
	uint64_t ttl = request->message->open_session->ttl_ms;
	struct slice secret = shown_secret(request);
	struct command command = {.kind = COMMAND_OPEN_SESSION, .sequence = node->next_nonce};
	char proof[SECRET_TOKEN_SIZE];
	if (ttl != 0 && (ttl < SESSION_TTL_MIN || ttl > SESSION_TTL_MAX)) {
		request_refuse(request, ERR_LIMIT, "a session lives for %d ms to %d ms, not %" PRIu64, SESSION_TTL_MIN,
		               SESSION_TTL_MAX, ttl);
		return;
	}
	if (secret.size != 0 && (secret.size < SECRET_SIZE_LEAST || secret.size > SECRET_SIZE_MOST)) {
		request_refuse(request, ERR_LIMIT, "a session's secret has %d to %d bytes, not %zu", SECRET_SIZE_LEAST,
		               SECRET_SIZE_MOST, secret.size);
		return;
	}
	if (secret.size != 0) {
		secret_digest(secret, proof);
		command.open_session.proof = (struct slice){proof, SESSION_PROOF_SIZE};
	}
	command.open_session.ttl = (msec)ttl;
	node->next_nonce++;
	request_wait(request, WAIT_ANSWER, 0, command.sequence, 0);
	node_propose(node, &command, true);
}

void request_close_session(const struct request *request)
{
	struct command command = {.kind = COMMAND_CLOSE_SESSION};
	command.close_session.sessions = &request->message->session;
	command.close_session.count = 1;
	request_propose(request, &command, ANSWER_PLAIN);
}

static uint64_t time_to_live(const struct node *node, uint64_t session)
{
	msec ttl = machine_session_ttl(node->machine, session);
	return (uint64_t)(ttl != 0 ? ttl : machine_settings(node->machine)->session_ttl);
}

void respond_opened(struct node *node, uint64_t connection, uint32_t stream, uint64_t session)
{
	Clusterd__Wire__Response response = CLUSTERD__WIRE__RESPONSE__INIT;
	Clusterd__Wire__Opened opened = CLUSTERD__WIRE__OPENED__INIT;
	opened.session = session;
	opened.time_to_live_ms = time_to_live(node, session);
	response.body_case = CLUSTERD__WIRE__RESPONSE__BODY_OPENED;
	response.opened = &opened;
	node_respond(node, connection, stream, &response, SLICE(""));
}

/* It was heard of when the request came; all that is left is to say so. */
void request_keep_session(const struct request *request)
{
	struct node *node = request->node;
	uint64_t session = request->message->session;
	if (!node->leader)
		request_refuse(request, ERR_NOT_LEADER, "sessions are kept alive by the leader, which this node is not");
	else if (machine_session_proof(node->machine, session) == NULL)
		request_refuse(request, ERR_EXPIRED, "session %" PRIu64 " is unknown or has expired: open a new one", session);
	else if (session_is_ending(node, session)) /* what is in the log already, nobody takes back */
		request_refuse(request, ERR_BUSY, "the end of session %" PRIu64 " is under way: ask again what became of it", session);
	else
		respond_opened(node, request->connection, request->stream, session);
}
