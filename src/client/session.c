#include "client/session.h"

#include "base/memory.h"

/* Sessions as leases. Whether one has ended the cluster alone says: while no node can be reached, it may live on, and who opened another
 * one meanwhile would find all published that it wants to publish. */

#define TTL_DEFAULT 10000

static void open_session(struct clusterd_session *session);

static void end(struct clusterd_session *session, const struct error *why)
{
	struct clusterd_error public = {0};
	client_say(&public, why);
	timers_set(&session->client->base.timers, &session->timer, MSEC_NEVER);
	request_session_end(&session->in, why);
	if (session->told != NULL)
		session->told(session->context, 0, &public);
}

static void take_kept(void *context, struct clusterd_reply *reply, const struct error *error)
{
	struct clusterd_session *session = context;
	struct link_base *base = &session->client->base;
	struct error why;
	session->request = NULL;
	if (error == NULL && reply->response->body_case == CLUSTERD__WIRE__RESPONSE__BODY_OPENED) {
		timers_set(&base->timers, &session->timer, base->now + session->ttl / 3);
	} else if (error != NULL && error->code == ERR_EXPIRED) {
		error_set(&why, ERR_EXPIRED, "the session has ended, and with it all that it owned");
		end(session, &why);
	} else if (error != NULL && request_may_pass(error->code)) {
		/* Time has gone by: another node is to answer now, whatever becomes of this one. */
		requests_move(session->client, error);
		timers_set(&base->timers, &session->timer, base->now);
	} else {
		timers_set(&base->timers, &session->timer, base->now + session->ttl / 30 + 1);
	}
}

static void keep(void *context)
{
	struct clusterd_session *session = context;
	Clusterd__Wire__Request message = CLUSTERD__WIRE__REQUEST__INIT;
	Clusterd__Wire__KeepSession body = CLUSTERD__WIRE__KEEP_SESSION__INIT;
	if (session->request != NULL)
		return;
	message.body_case = CLUSTERD__WIRE__REQUEST__BODY_KEEP_SESSION;
	message.keep_session = &body;
	session->request = request_begin_in(&session->in, &message, session->ttl / 3, take_kept, session);
}

static void take_opened(void *context, struct clusterd_reply *reply, const struct error *error)
{
	struct clusterd_session *session = context;
	struct link_base *base = &session->client->base;
	struct error failure;
	session->request = NULL;
	if (error == NULL && reply->response->body_case != CLUSTERD__WIRE__RESPONSE__BODY_OPENED) {
		request_unexpected(&failure);
		end(session, &failure);
	} else if (error != NULL && request_may_pass(error->code)) {
		open_session(session);
	} else if (error != NULL) {
		end(session, error);
	} else {
		session->in.id = reply->response->opened->session;
		timers_set(&base->timers, &session->timer, base->now + session->ttl / 3);
		requests_connected(session->client);
		if (session->told != NULL)
			session->told(session->context, session->in.id, NULL);
	}
}

static void open_session(struct clusterd_session *session)
{
	Clusterd__Wire__Request message = CLUSTERD__WIRE__REQUEST__INIT;
	Clusterd__Wire__OpenSession body = CLUSTERD__WIRE__OPEN_SESSION__INIT;
	body.ttl_ms = (uint64_t)session->ttl;
	message.body_case = CLUSTERD__WIRE__REQUEST__BODY_OPEN_SESSION;
	message.open_session = &body;
	session->request = request_begin_in(&session->in, &message, CLUSTERD_NO_TIMEOUT, take_opened, session);
}

struct clusterd_session *clusterd_session_create(struct clusterd_client *client, uint64_t ttl_ms,
                                                 clusterd_session_told *told, void *context)
{
	struct clusterd_session *session = mem_zero(sizeof *session);
	client_look_at_clock(client);
	session->client = client;
	session->ttl = ttl_ms == 0 ? TTL_DEFAULT : ttl_ms > INT32_MAX ? INT32_MAX : (msec)ttl_ms;
	session->told = told;
	session->context = context;
	session->timer = (struct timer){.call = keep, .context = session};
	request_session_init(&session->in, client);
	session->in.doubt = &session->timer;
	client->users++;
	open_session(session);
	return session;
}

uint64_t clusterd_session_id(const struct clusterd_session *session)
{
	return session->in.id;
}

int clusterd_session_close(struct clusterd_session *session, int timeout_ms, struct clusterd_error *error)
{
	Clusterd__Wire__Request message = CLUSTERD__WIRE__REQUEST__INIT;
	Clusterd__Wire__CloseSession body = CLUSTERD__WIRE__CLOSE_SESSION__INIT;
	struct clusterd_reply *reply = NULL;
	struct error failure = {0};
	struct error ended;
	message.body_case = CLUSTERD__WIRE__REQUEST__BODY_CLOSE_SESSION;
	message.close_session = &body;
	int code = request_ask_in(&session->in, &message, timeout_ms, CLUSTERD__WIRE__RESPONSE__BODY__NOT_SET, &reply,
	                          &failure);
	if (code != 0 && code != ERR_EXPIRED)
		return client_say(error, &failure);
	clusterd_reply_destroy(reply);
	timers_set(&session->client->base.timers, &session->timer, MSEC_NEVER);
	clusterd_request_cancel(session->request);
	session->request = NULL;
	error_set(&ended, ERR_EXPIRED, "the session was closed");
	request_session_end(&session->in, &ended);
	return 0;
}

void clusterd_session_destroy(struct clusterd_session *session)
{
	if (session == NULL)
		return;
	timers_set(&session->client->base.timers, &session->timer, MSEC_NEVER);
	request_session_leave(&session->in);
	session->client->users--;
	mem_free(session);
}
