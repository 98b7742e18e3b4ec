/* What all clients have to know of requests. */
#ifndef CLUSTERD_WIRE_REQUEST_H
#define CLUSTERD_WIRE_REQUEST_H

#include "proto/wire.pb-c.h"

#include <stdbool.h>

/* Whether it is given a session and a sequence, so that it takes effect once however often it is sent. */
bool request_changes_something(const Clusterd__Wire__Request *request);

#endif
