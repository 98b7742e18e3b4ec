/* Reads the catalog for others on a thread of its own: SQL queries and copies. */
#ifndef CLUSTERD_DAEMON_READER_H
#define CLUSTERD_DAEMON_READER_H

#include "catalog/query.h"
#include "daemon/node.h"
#include "net/loop.h"

struct reader;

/* How a query or a copy ended; lent for the call. */
struct reader_answer {
	uint64_t connection;
	uint32_t stream;
	int code;
	struct error error;
	struct query_result result; /* of a query */
	const char *copy_path;      /* of a copy: the callee removes the file */
};

typedef void reader_done(void *context, const struct reader_answer *answer);

int reader_create(struct loop *loop, const char *catalog_path, const char *copy_directory, reader_done *done, void *context,
                  struct reader **ret_reader, struct error *error);
void reader_destroy(struct reader *reader); /* NULL is fine */
/* At most READER_QUEUE_MAX wait; ERR_BUSY. */
#define READER_QUEUE_MAX 256
int reader_query(struct reader *reader, uint64_t connection, uint32_t stream, const struct node_query *query);
int reader_copy(struct reader *reader, uint64_t connection, uint32_t stream);

#endif
