/* A request on its way through the node, for the files that answer requests:
 *   requests.c         the door
 *   forward.c          those that another node has to take
 *   consistency.c      when a reading one may be answered
 *   requests_change.c  those that change something
 *   requests_read.c    those that read
 *   requests_keys.c    those of keys
 *   requests_jobs.c    those of jobs
 *   requests_topics.c  those of topics
 *   requests_catalog.c  those of the catalog as a service
 *   requests_sessions.c  those of sessions, and who may act in one
 *   watches.c          who watches keys
 *   leases.c           those of leases, and when they run out
 *   requests_cluster.c those about the cluster itself
 *   requests_local.c   those that one machine answers: what its tasks have written, …
 *   answers.c          what is answered */
#ifndef CLUSTERD_DAEMON_REQUEST_H
#define CLUSTERD_DAEMON_REQUEST_H

#include "daemon/node_internal.h"

struct request {
	struct node *node;
	uint64_t connection;
	uint32_t stream;
	const Clusterd__Wire__Request *message;
	struct slice payload;
};

/* What the answer of a command is made into; `more` of who waits for it. */
enum answer_form { ANSWER_PLAIN, ANSWER_AWAITED /* the end of what was started */, ANSWER_WRITTEN, ANSWER_LEASE,
                   ANSWER_PUBLISHED, ANSWER_SUBSCRIBED };

/* requests.c: carries out what only the leader does; this node is it. */
void request_lead(const struct request *request);
void request_to_leader(const struct request *request); /* here, when that is this node */
/* requests_change.c, requests_read.c: carry it out here and now. */
void request_change(const struct request *request);
void request_read(const struct request *request);
/* Proposes the command with the request's session and sequence; its answer is the request's. */
void request_propose(const struct request *request, struct command *command, enum answer_form form);

/* What a person typed, as the object that a program would send. */
int request_words(const struct definition *definition, char **words, size_t count, struct buffer *out, struct error *error);

/* requests_jobs.c: false when the request is none of these. */
bool request_jobs_change(const struct request *request);
void request_await_job(const struct request *request);

/* plan.c: the answer to a registration that is only planned; why tasks of a job wait. On the leader. */
void plan_answer(const struct request *request, const struct registration *registration, struct slice warnings);
void request_explain_job(const struct request *request);

/* requests_local.c: answered by the host of the node that it names. */
void request_local(const struct request *request);

/* requests_keys.c: the key may be one; else it has been answered. */
bool request_key_fits(const struct request *request, const char *key);
void request_catalog_fails(const struct request *request); /* and so does the node */
/* watches.c, leases.c */
void request_watch_keys(const struct request *request);
void request_grant_lease(const struct request *request);
void request_keep_lease(const struct request *request);
void request_revoke_lease(const struct request *request);

/* requests_keys.c: false when the request is none of these. */
bool request_keys_change(const struct request *request);
bool request_keys_read(const struct request *request);
/* The form of the answers of changing requests of this file; ANSWER_PLAIN: it is none. */
enum answer_form request_keys_form(const Clusterd__Wire__Request *message);
void respond_keys_answer(struct node *node, const struct waiter *waiter, const struct answer *answer);

/* requests_sessions.c */
void request_open_session(const struct request *request);
void request_close_session(const struct request *request);
void request_keep_session(const struct request *request);
/* Whoever asks may act in the session of the request; else it was refused. Where there is no such session, nothing is said. */
bool request_shows_secret(const struct request *request);
void respond_opened(struct node *node, uint64_t connection, uint32_t stream, uint64_t session);

/* requests_topics.c: as those of keys. */
bool request_topics_change(const struct request *request);
bool request_topics_read(const struct request *request);
enum answer_form request_topics_form(const Clusterd__Wire__Request *message);
void respond_topics_answer(struct node *node, const struct waiter *waiter, const struct answer *answer);
/* It was about "$catalog", which is of this node, and was answered. */
bool request_catalog_topic(const struct request *request);

/* requests_catalog.c: as those of keys. */
bool request_catalog_read(const struct request *request);

/* requests_cluster.c. false: it is another request. */
bool request_cluster(const struct request *request);

/* answers.c */
void request_refuse(const struct request *request, int code, const char *format, ...)
	__attribute__((format(printf, 3, 4)));
void respond_text(const struct request *request, struct slice text);
/* It is answered when what it waits for comes. */
void request_wait(const struct request *request, enum wait_kind kind, uint64_t first, uint64_t second, uint64_t more);
/* Answers with the end of an instance, now or when it comes; `form` is of who waits for it. */
enum awaited_form { AWAITED_ANSWER, AWAITED_SETTLED /* the catalog's file is to have it, too */ };
void request_await(const struct request *request, uint64_t instance, enum awaited_form form);

#endif
