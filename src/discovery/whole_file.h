/* A small file as a whole. */
#ifndef CLUSTERD_DISCOVERY_WHOLE_FILE_H
#define CLUSTERD_DISCOVERY_WHOLE_FILE_H

#include "base/buffer.h"
#include "base/error.h"

/* Blocks, as disks do; of a pipe or a device, which might never end, nothing is read. ERR_IO, ERR_NOT_FOUND, ERR_LIMIT, ERR_INVALID (it is
 * no file); the text names the path. */
int whole_file_read(const char *path, size_t size_max, struct buffer *out, struct error *error);

#endif
