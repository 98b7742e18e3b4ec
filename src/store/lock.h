/* One daemon for one directory. */
#ifndef CLUSTERD_STORE_LOCK_H
#define CLUSTERD_STORE_LOCK_H

#include "base/error.h"

/* Creates the directory when it is absent (mode 0700), checks that it can be written, takes DIRECTORY/lock (an open file
 * description lock, gone with the process) and writes the process id into it. ERR_BUSY names the process that holds it. */
int lock_take(const char *directory, int *ret_fd, struct error *error);
void lock_release(int fd);

#endif
