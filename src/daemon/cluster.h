/* The node's view of the cluster, for its own files only: gossip, and what follows from it.
 *   cluster.c   gossip in and out, what it reports
 *   roster.c    the leader's part: members as rows, who is in the replicated group
 *   forming.c   servers begin a cluster together */
#ifndef CLUSTERD_DAEMON_CLUSTER_H
#define CLUSTERD_DAEMON_CLUSTER_H

#include "daemon/node_internal.h"

#define KEY_EXPECT "expect" /* gossip: how many servers this one waits for to begin a cluster with */
#define KEY_PLEDGE "pledge" /* gossip: the cluster that it has promised to be of */

/* cluster.c */
int cluster_create(struct node *node, const struct node_config *config, struct error *error);
void cluster_destroy(struct node *node);
void cluster_start(struct node *node);
/* Its connection broke: gossip looks at it next. */
void cluster_doubt(struct node *node, uint64_t member);
void cluster_turn(struct node *node, msec now);
msec cluster_deadline(const struct node *node);
void cluster_set(struct node *node, const char *key, const char *value); /* of this node, for all to see */
/* Makes the identity durable; cluster_identified follows when it is. */
void cluster_save_identity(struct node *node);
/* The identity says of which cluster this node is: from now on it takes part. */
void cluster_enter(struct node *node);
bool cluster_is_server(const struct gossip_member *member);
/* By name or id; false: nobody. */
bool cluster_find(const struct node *node, const char *name_or_id, struct gossip_member *ret_member);
const char *cluster_leader_name(const struct node *node); /* "": none is known */
void cluster_print_tags(struct buffer *out, const struct gossip_member *member); /* a JSON object */
void cluster_print_members(struct node *node, struct buffer *out); /* a JSON array */

/* roster.c */
void roster_begin_term(struct node *node);
void roster_changed(struct node *node);
void roster_turn(struct node *node, msec now);
msec roster_deadline(const struct node *node);
void roster_destroy(struct node *node);

/* forming.c */
void forming_turn(struct node *node, msec now);
msec forming_deadline(const struct node *node);
void forming_message(struct node *node, uint64_t member, const Clusterd__Wire__Form *message);
/* The cluster was heard of that this node has pledged itself to: it was begun, with it. */
void forming_formed(struct node *node);

#endif
