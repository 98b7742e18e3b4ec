/* A client, for the files beside it. */
#ifndef CLUSTERD_CLIENT_CLIENT_H
#define CLUSTERD_CLIENT_CLIENT_H

#include "client/request.h"

struct clusterd_client {
	struct link_base base;
	struct link *link;
	struct requests requests;
	Clusterd__Wire__Consistency consistency;
	bool turns;     /* inside of a turn: in a callback, that is */
	bool welcomed;  /* or each address has failed; see clusterd_client_connect */
	uint32_t users; /* watches, leases, contenders, workers */
};

msec client_now(void); /* monotonic */
/* Takes the time for what is begun outside of a turn. */
void client_look_at_clock(struct clusterd_client *client);
/* ERR_CONFLICT: from inside a callback nothing may. */
int client_may_block(const struct clusterd_client *client, struct error *error);
/* Turns until `*flag`, or `deadline`: ERR_TIMEOUT; ERR_CONFLICT: from inside a callback. */
int client_turn_until(struct clusterd_client *client, const bool *flag, msec deadline, struct error *error);
/* Turns until `*flag`, `deadline`, or until a signal has come. ERR_CONFLICT. */
int client_turn_for(struct clusterd_client *client, const bool *flag, msec deadline, struct error *error);
/* Copies an error into the caller's; both may be NULL. Returns the code. */
int client_say(struct clusterd_error *error, const struct error *from);
/* A deadline from a timeout that counts from now. */
msec client_deadline(const struct clusterd_client *client, msec timeout_ms);

#endif
