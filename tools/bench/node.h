/* A clusterd of our own, in a directory of its own. */
#ifndef BENCH_NODE_H
#define BENCH_NODE_H

#include "base/error.h"
#include "base/slice.h"
#include "status.h"

#include <stdbool.h>
#include <sys/types.h>

struct node;

struct node_file {
	const char *path;
	struct slice content;
};

/* Starts `program` on `directory` (made if it is not there), with further arguments (NULL at the end), and returns when
 * it is ready. */
int node_start(const char *program, const char *directory, const char *const *arguments, struct node **ret_node,
               struct error *error);
/* The same for a cluster of NODE_GROUP servers: directories DIRECTORY-a and so on. Clients show its token from here on (CLUSTERD_TOKEN). */
enum { NODE_GROUP = 3 };
int node_start_group(const char *program, const char *directory, struct node *ret_nodes[NODE_GROUP], struct error *error);
double node_start_ms(const struct node *node); /* from fork to ready */
const char *node_address(const struct node *node);
pid_t node_pid(const struct node *node);       /* as it says itself: `program` may be a script that starts it */
/* For who has lost it: whether it ended by itself, and then how. */
bool node_has_ended(struct node *node, struct error *error);
int node_status(struct node *node, struct status *ret_status, struct error *error);
/* Of a node that is not ours; waits for a second at most. */
int node_status_at(const char *address, struct status *ret_status, struct error *error);
/* Registers a source and, if it is not NULL, the one file that its processes need. */
int node_register(struct node *node, const struct node_file *source, const struct node_file *attachment,
                  struct error *error);
void node_stop(struct node *node); /* SIGTERM; NULL is fine */
void node_kill(struct node *node); /* SIGKILL; NULL is fine */
/* Of a node that is stopped: the catalog goes, the log stays. */
void node_forget_catalog(const char *directory);

#endif
