/* A file with an address a line. */
#ifndef CLUSTERD_DISCOVERY_LINES_H
#define CLUSTERD_DISCOVERY_LINES_H

#include "base/error.h"
#include "discovery/places.h"

/* IP:PORT a line; blanks around it, empty lines and what is behind # do not matter. ERR_INVALID names the line. */
int lines_read(struct slice text, struct places *ret_places, struct error *error);

#endif
