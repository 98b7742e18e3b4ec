/* A session that is kept alive, for the files beside it. */
#ifndef CLUSTERD_CLIENT_SESSION_H
#define CLUSTERD_CLIENT_SESSION_H

#include "client/client.h"

struct clusterd_session {
	struct clusterd_client *client;
	struct request_session in;
	msec ttl;
	struct clusterd_request *request; /* that opens or keeps it */
	struct timer timer;               /* the next sign of life */
	clusterd_session_told *told;
	void *context;
};

#endif
