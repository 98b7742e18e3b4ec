#include "client/client.h"

#include "base/memory.h"

/* Leases, by hand and kept alive. */

struct message {
	Clusterd__Wire__Request request;
	union {
		Clusterd__Wire__GrantLease grant;
		Clusterd__Wire__KeepLease keep;
		Clusterd__Wire__RevokeLease revoke;
	};
};

static void grant_message(struct message *message, uint64_t ttl_ms, const char *owner)
{
	clusterd__wire__request__init(&message->request);
	clusterd__wire__grant_lease__init(&message->grant);
	message->grant.ttl_ms = ttl_ms;
	message->grant.owner = (char *)(uintptr_t)(owner != NULL ? owner : "");
	message->request.body_case = CLUSTERD__WIRE__REQUEST__BODY_GRANT_LEASE;
	message->request.grant_lease = &message->grant;
}

static void keep_message(struct message *message, uint64_t lease)
{
	clusterd__wire__request__init(&message->request);
	clusterd__wire__keep_lease__init(&message->keep);
	message->keep.lease = lease;
	message->request.body_case = CLUSTERD__WIRE__REQUEST__BODY_KEEP_LEASE;
	message->request.keep_lease = &message->keep;
}

static void revoke_message(struct message *message, uint64_t lease)
{
	clusterd__wire__request__init(&message->request);
	clusterd__wire__revoke_lease__init(&message->revoke);
	message->revoke.lease = lease;
	message->request.body_case = CLUSTERD__WIRE__REQUEST__BODY_REVOKE_LEASE;
	message->request.revoke_lease = &message->revoke;
}

/* --- by hand ------------------------------------------------------------------------------------------------------- */

int clusterd_lease_grant(struct clusterd_client *client, uint64_t ttl_ms, const char *owner, uint64_t *ret_lease,
                         int timeout_ms, struct clusterd_error *error)
{
	struct message message;
	struct clusterd_reply *reply;
	grant_message(&message, ttl_ms, owner);
	int code = request_ask_for(client, &message.request, SLICE(""), timeout_ms,
	                           CLUSTERD__WIRE__RESPONSE__BODY_LEASE, &reply, error);
	if (code != 0)
		return code;
	if (ret_lease != NULL)
		*ret_lease = clusterd_reply_lease(reply);
	clusterd_reply_destroy(reply);
	return 0;
}

struct clusterd_request *clusterd_lease_grant_begin(struct clusterd_client *client, uint64_t ttl_ms, const char *owner,
                                                    int timeout_ms, clusterd_done *done, void *context)
{
	struct message message;
	grant_message(&message, ttl_ms, owner);
	return request_begin_public(client, &message.request, SLICE(""), timeout_ms, done, context);
}

int clusterd_lease_keep(struct clusterd_client *client, uint64_t lease, int timeout_ms, struct clusterd_error *error)
{
	struct message message;
	struct clusterd_reply *reply;
	keep_message(&message, lease);
	int code = request_ask_for(client, &message.request, SLICE(""), timeout_ms,
	                           CLUSTERD__WIRE__RESPONSE__BODY_LEASE, &reply, error);
	if (code == 0)
		clusterd_reply_destroy(reply);
	return code;
}

struct clusterd_request *clusterd_lease_keep_begin(struct clusterd_client *client, uint64_t lease, int timeout_ms,
                                                   clusterd_done *done, void *context)
{
	struct message message;
	keep_message(&message, lease);
	return request_begin_public(client, &message.request, SLICE(""), timeout_ms, done, context);
}

int clusterd_lease_revoke(struct clusterd_client *client, uint64_t lease, int timeout_ms, struct clusterd_error *error)
{
	struct message message;
	struct clusterd_reply *reply;
	revoke_message(&message, lease);
	int code = request_ask_for(client, &message.request, SLICE(""), timeout_ms,
	                           CLUSTERD__WIRE__RESPONSE__BODY_WRITTEN, &reply, error);
	if (code == 0)
		clusterd_reply_destroy(reply);
	return code;
}

struct clusterd_request *clusterd_lease_revoke_begin(struct clusterd_client *client, uint64_t lease, int timeout_ms,
                                                     clusterd_done *done, void *context)
{
	struct message message;
	revoke_message(&message, lease);
	return request_begin_public(client, &message.request, SLICE(""), timeout_ms, done, context);
}

/* --- kept alive ---------------------------------------------------------------------------------------------------- */

#define REVOKE_MS 5000

struct clusterd_lease {
	struct clusterd_client *client;
	msec ttl;
	char *owner;
	uint64_t id; /* 0: not granted yet, or lost */
	bool announced;
	bool lost;
	msec asked; /* when what is under way was asked */
	msec kept;  /* when the last that was answered was asked: it lives for its time from then */
	struct clusterd_request *request;
	struct timer timer; /* the next keep-alive, or the end */
	clusterd_lease_told *told;
	void *context;
};

static void grant(struct clusterd_lease *lease);

static msec lost_at(const struct clusterd_lease *lease)
{
	return lease->kept + lease->ttl - lease->ttl / 3;
}

static void lose(struct clusterd_lease *lease, int code, const char *text)
{
	struct clusterd_error error = {0};
	struct error failure;
	error_set(&failure, code, "%s", text);
	client_say(&error, &failure);
	clusterd_request_cancel(lease->request);
	lease->request = NULL;
	timers_set(&lease->client->base.timers, &lease->timer, MSEC_NEVER);
	lease->id = 0;
	lease->lost = true;
	if (lease->told != NULL)
		lease->told(lease->context, 0, &error);
}

/* It lives from when `asked`. */
static void kept(struct clusterd_lease *lease)
{
	lease->kept = lease->asked;
	timers_set(&lease->client->base.timers, &lease->timer, lease->kept + lease->ttl / 3);
	if (lease->announced)
		return;
	lease->announced = true;
	if (lease->told != NULL)
		lease->told(lease->context, lease->id, NULL);
}

static void take_kept(void *context, struct clusterd_reply *reply, const struct error *error)
{
	struct clusterd_lease *lease = context;
	struct link_base *base = &lease->client->base;
	lease->request = NULL;
	if (error == NULL && reply->response->body_case == CLUSTERD__WIRE__RESPONSE__BODY_LEASE) {
		kept(lease);
	} else if (error != NULL && error->code == ERR_NOT_FOUND && !lease->announced) {
		grant(lease);
	} else if (error != NULL && error->code == ERR_NOT_FOUND) {
		lose(lease, ERR_EXPIRED, "the lease has ended");
	} else if (error != NULL && request_may_pass(error->code)) {
		/* Time has gone by: another node is to answer now, whatever becomes of this one. */
		requests_move(lease->client, error);
		timers_set(&base->timers, &lease->timer, base->now);
	} else {
		timers_set(&base->timers, &lease->timer, base->now + lease->ttl / 30 + 1);
	}
}

static void keep(struct clusterd_lease *lease)
{
	struct message message;
	msec left = lost_at(lease) - lease->client->base.now;
	lease->asked = lease->client->base.now;
	keep_message(&message, lease->id);
	lease->request = request_begin(lease->client, &message.request, SLICE(""),
	                               left > 0 ? left / 2 + 1 : lease->ttl / 3, take_kept, lease);
	timers_set(&lease->client->base.timers, &lease->timer, lease->announced ? lost_at(lease) : MSEC_NEVER);
}

static void time_has_come(void *context)
{
	struct clusterd_lease *lease = context;
	if (lease->announced && lease->client->base.now >= lost_at(lease))
		lose(lease, ERR_EXPIRED, "no keep-alive of the lease was answered in time");
	else if (lease->request == NULL)
		keep(lease);
	else
		timers_set(&lease->client->base.timers, &lease->timer, lost_at(lease));
}

static void take_grant(void *context, struct clusterd_reply *reply, const struct error *error)
{
	struct clusterd_lease *lease = context;
	struct error failure;
	lease->request = NULL;
	if (error == NULL && reply->response->body_case != CLUSTERD__WIRE__RESPONSE__BODY_LEASE) {
		request_unexpected(&failure);
		lose(lease, failure.code, failure.text);
	} else if (error != NULL && request_may_pass(error->code)) {
		grant(lease);
	} else if (error != NULL) {
		lose(lease, error->code, error->text);
	} else {
		lease->id = reply->response->lease->id;
		lease->kept = lease->asked;
		/* It was long in coming: whether it still lives is to be known first. */
		if (lease->client->base.now >= lease->asked + lease->ttl / 3)
			keep(lease);
		else
			kept(lease);
	}
}

static void grant(struct clusterd_lease *lease)
{
	struct message message;
	lease->asked = lease->client->base.now;
	grant_message(&message, (uint64_t)lease->ttl, lease->owner);
	lease->request = request_begin(lease->client, &message.request, SLICE(""), CLUSTERD_NO_TIMEOUT, take_grant,
	                               lease);
}

struct clusterd_lease *clusterd_lease_create(struct clusterd_client *client, uint64_t ttl_ms, const char *owner,
                                             clusterd_lease_told *told, void *context)
{
	struct clusterd_lease *lease = mem_zero(sizeof *lease);
	client_look_at_clock(client);
	lease->client = client;
	lease->ttl = ttl_ms > INT32_MAX ? INT32_MAX : (msec)ttl_ms;
	lease->owner = mem_string(owner != NULL ? owner : "");
	lease->told = told;
	lease->context = context;
	lease->timer = (struct timer){.call = time_has_come, .context = lease};
	client->users++;
	grant(lease);
	return lease;
}

uint64_t clusterd_lease_id(const struct clusterd_lease *lease)
{
	return lease->announced ? lease->id : 0;
}

uint64_t clusterd_lease_left_ms(const struct clusterd_lease *lease)
{
	msec left = lease->kept + lease->ttl - client_now();
	return lease->announced && left > 0 ? (uint64_t)left : 0;
}

void clusterd_lease_destroy(struct clusterd_lease *lease)
{
	if (lease == NULL)
		return;
	clusterd_request_cancel(lease->request);
	timers_set(&lease->client->base.timers, &lease->timer, MSEC_NEVER);
	lease->client->users--;
	if (lease->id != 0)
		clusterd_lease_revoke_begin(lease->client, lease->id, REVOKE_MS, NULL, NULL);
	mem_free(lease->owner);
	mem_free(lease);
}
