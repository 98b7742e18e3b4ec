/* The host of a node on libevent: loop, disk thread, reader's thread, connections, children. */
#ifndef CLUSTERD_DAEMON_HOST_H
#define CLUSTERD_DAEMON_HOST_H

#include "base/error.h"
#include "daemon/config.h"

/* Runs a node until it is told to stop. 0: stopped as asked; else the error that ended it. */
int host_run(struct config *config, struct error *error);

#endif
