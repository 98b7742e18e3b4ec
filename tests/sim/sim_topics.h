/* Topics in the simulator, for its own files only:
 *   sim_topics.c        clients that publish, subscribe and look up, each with a session that is a lease
 *   sim_topic_checks.c  what of topics the log gives, and what holds at the end
 *   sim_topic_watch.c   who watches tables of the catalog */
#ifndef CLUSTERD_SIM_SIM_TOPICS_H
#define CLUSTERD_SIM_SIM_TOPICS_H

#include "sim/sim.h"

#include <sqlite3.h>

struct sim_topics;

void topics_init(struct sim *sim);
void topics_finish(struct sim *sim);
void topics_down(struct server *server);
bool topics_done(const struct sim *sim);
void topics_explain(struct sim *sim); /* fails with what is not done */
void topics_audit(struct server *server); /* when all is done */
/* false: the connection is another one's. */
bool topics_response(struct server *server, uint64_t connection, uint32_t stream, const Clusterd__Wire__Response *response);

/* sim_topic_checks.c: what is published under a name, as of an entry of the log. */
struct topic_truth;
struct topic_truth *topic_truth_of(const char *name); /* it is followed from now on */
/* A state machine has applied the entry. */
void topics_applied(const struct machine *machine, uint64_t index);
/* The answer to who looked a topic up when `floor` was the newest entry that was acknowledged to anybody. */
void topic_check_state(struct sim *sim, const struct topic_truth *truth, const Clusterd__Wire__TopicState *state, uint64_t floor);
void topic_check_absent(struct sim *sim, const struct topic_truth *truth, uint64_t floor);
void topics_audit_always(struct sim *sim, sqlite3 *database); /* what holds at any moment between transactions */

uint64_t topics_known_up_to(void); /* the last entry that may have changed a topic */

/* sim_topic_watch.c */
void watchers_init(struct sim *sim);
void watchers_finish(void);
void watchers_down(const struct server *server);
bool watchers_know(uint64_t index); /* all that has changed up to there */
void watchers_audit(struct sim *sim, sqlite3 *database);
bool watchers_response(struct server *server, uint64_t connection, uint32_t stream,
                       const Clusterd__Wire__Response *response);

#endif
