/* Files that travel with a definition, on their way into working directories: fetched once, kept in a directory by
 * hash. */
#ifndef CLUSTERD_DAEMON_ATTACHMENTS_H
#define CLUSTERD_DAEMON_ATTACHMENTS_H

#include "base/buffer.h"
#include "base/error.h"
#include "workflow/definition.h"

struct attachments;

/* executor_handler.fetch */
typedef int attachments_fetch(void *context, struct slice hash, bool *ret_executable, struct buffer *ret_content,
                              struct error *error);

/* `cache` is an empty directory, by its absolute path. */
struct attachments *attachments_create(const char *cache, attachments_fetch *fetch, void *context);
void attachments_destroy(struct attachments *attachments); /* the files stay; NULL is fine */
/* Puts copies (never links: a child may change what it gets) into a fresh working directory. What fetch returns;
 * ERR_IO, ERR_NO_SPACE; ERR_INVALID: a path or hash that no definition may have. */
int attachments_place(struct attachments *attachments, const struct process_file *files, uint32_t count,
                      const char *directory, struct error *error);

#endif
