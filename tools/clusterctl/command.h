/* The commands: one table that help, completion, man pages and the dispatcher are made from. */
#ifndef CLUSTERCTL_COMMAND_H
#define CLUSTERCTL_COMMAND_H

#include "client.h"
#include "output.h"

#include <stdbool.h>

/* Exit codes. */
enum { EXIT_DONE = 0, EXIT_FAILED = 1, EXIT_USAGE = 2, EXIT_UNREACHABLE = 3, EXIT_TIME = 4 };

struct flag {
	const char *name;     /* "--process" */
	const char *letter;   /* "-p", or NULL */
	const char *argument; /* NULL: a switch */
	const char *help;
};

#define FLAGS_MAX 6

/* What was typed after the command's words. */
struct arguments {
	const char *const *flags;      /* in the order of the command's flags: the value, "" for a switch, NULL: not given */
	const char *const *values;
	int value_count;
	const char *const *rest;       /* after "--"; NULL: none */
	int rest_count;
};

struct context {
	struct client *client;        /* opened by need_client */
	const char *address;
	const char *data_dir;         /* as given; NULL: not */
	const char *token;            /* NULL: none */
	enum output_form form;
	bool form_given;
	msec timeout;
	bool timeout_given;
	enum clusterd_consistency consistency;
	struct error error;
};

struct command_line {
	const char *words;            /* "workflow start" */
	const char *usage;            /* "NAME [ARG…]" */
	const char *summary;
	const char *example;
	int values_min, values_max;   /* −1: any number */
	struct flag flags[FLAGS_MAX + 1]; /* ended by name NULL */
	int (*run)(struct context *context, const struct arguments *arguments);
};

extern const struct command_line commands[];
extern const size_t command_count;
extern const struct flag global_flags[];

struct client_options client_options_of(const struct context *context);
/* Connects; an exit code when it cannot. */
int need_client(struct context *context);
/* Says what went wrong on stderr and gives the exit code for it. */
int report(struct context *context);
int report_failure(struct context *context, const struct clusterd_error *failure);
/* How long a command that ends by itself may take, as libclusterd has it. */
int timeout_of(const struct context *context);
/* A query; 0: its rows are in `ret_reply`, else it was told, and this is the exit code. */
int ask_query(struct context *context, const char *sql, const char *const *parameters, size_t count, struct reply *ret_reply);
/* A query whose rows are printed; parameters for its ?1, … */
int print_query(struct context *context, const char *sql, const char *const *parameters, size_t count);
/* Whether there is a row with this id: EXIT_FAILED and a message when there is no such `what`. */
int need_row(struct context *context, const char *what, const char *table, const char *id);
/* The row with this id, which is ?1 of `sql`. */
int print_record(struct context *context, const char *what, const char *table, const char *id, const char *sql);
/* A request without an answer worth showing. */
int ask_simple(struct context *context, Clusterd__Wire__Request *request, struct slice payload);
/* Its number, and the node that it was given to; 0, or what went wrong was told, and this is the exit code. */
int find_allocation(struct context *context, const char *id, uint64_t *ret_allocation, uint64_t *ret_node);
/* From 0 on; says what is wrong. */
bool parse_number(const char *word, const char *what, uint64_t *ret_number);
bool parse_id(struct context *context, const char *word, uint64_t *ret_id);

int run_run(struct context *context, const struct arguments *arguments);
int run_register(struct context *context, const struct arguments *arguments);
int run_process_list(struct context *context, const struct arguments *arguments);
int run_process_show(struct context *context, const struct arguments *arguments);
int run_start(struct context *context, const struct arguments *arguments);
int run_workflow_list(struct context *context, const struct arguments *arguments);
int run_workflow_show(struct context *context, const struct arguments *arguments);
int run_history(struct context *context, const struct arguments *arguments);
int run_wait(struct context *context, const struct arguments *arguments);
int run_cancel(struct context *context, const struct arguments *arguments);
int run_retry(struct context *context, const struct arguments *arguments);
int run_signal(struct context *context, const struct arguments *arguments);
int run_kv_put(struct context *context, const struct arguments *arguments);
int run_kv_get(struct context *context, const struct arguments *arguments);
int run_kv_delete(struct context *context, const struct arguments *arguments);
int run_kv_watch(struct context *context, const struct arguments *arguments);
int run_lease_grant(struct context *context, const struct arguments *arguments);
int run_lease_keep_alive(struct context *context, const struct arguments *arguments);
int run_lease_revoke(struct context *context, const struct arguments *arguments);
int run_lease_list(struct context *context, const struct arguments *arguments);
int run_lock(struct context *context, const struct arguments *arguments);
int run_campaign(struct context *context, const struct arguments *arguments);
int run_observe(struct context *context, const struct arguments *arguments);
int run_resign(struct context *context, const struct arguments *arguments);
int run_kv_list(struct context *context, const struct arguments *arguments);
int run_status(struct context *context, const struct arguments *arguments);
int run_member_list(struct context *context, const struct arguments *arguments);
int run_member_leave(struct context *context, const struct arguments *arguments);
int run_member_remove(struct context *context, const struct arguments *arguments);
int run_member_promote(struct context *context, const struct arguments *arguments);
int run_leader_transfer(struct context *context, const struct arguments *arguments);
int run_sql(struct context *context, const struct arguments *arguments);
int run_setting_list(struct context *context, const struct arguments *arguments);
int run_setting_set(struct context *context, const struct arguments *arguments);
int run_snapshot_save(struct context *context, const struct arguments *arguments);
int run_snapshot_inspect(struct context *context, const struct arguments *arguments);
int run_snapshot_restore(struct context *context, const struct arguments *arguments);
int run_job_check(struct context *context, const struct arguments *arguments);
int run_job_run(struct context *context, const struct arguments *arguments);
int run_catalog_list(struct context *context, const struct arguments *arguments);
int run_catalog_watch(struct context *context, const struct arguments *arguments);
int run_topic_list(struct context *context, const struct arguments *arguments);
int run_topic_lookup(struct context *context, const struct arguments *arguments);
int run_topic_publish(struct context *context, const struct arguments *arguments);
int run_topic_subscribe(struct context *context, const struct arguments *arguments);
int run_collection_publish(struct context *context, const struct arguments *arguments);
int run_collection_subscribe(struct context *context, const struct arguments *arguments);
int run_service_announce(struct context *context, const struct arguments *arguments);
int run_service_call(struct context *context, const struct arguments *arguments);
int run_job_list(struct context *context, const struct arguments *arguments);
int run_job_status(struct context *context, const struct arguments *arguments);
int run_job_history(struct context *context, const struct arguments *arguments);
int run_job_logs(struct context *context, const struct arguments *arguments);
int run_allocation_ready(struct context *context, const struct arguments *arguments);
int run_allocation_list(struct context *context, const struct arguments *arguments);
int run_allocation_status(struct context *context, const struct arguments *arguments);
int run_allocation_exec(struct context *context, const struct arguments *arguments);
int run_allocation_logs(struct context *context, const struct arguments *arguments);
int run_job_plan(struct context *context, const struct arguments *arguments);
int run_submit(struct context *context, const struct arguments *arguments);
int run_job_stop(struct context *context, const struct arguments *arguments);
int run_job_scale(struct context *context, const struct arguments *arguments);
int run_job_dispatch(struct context *context, const struct arguments *arguments);
int run_job_wait(struct context *context, const struct arguments *arguments);
int run_node_drain(struct context *context, const struct arguments *arguments);
int run_node_status(struct context *context, const struct arguments *arguments);
int run_node_eligibility(struct context *context, const struct arguments *arguments);
int run_worker(struct context *context, const struct arguments *arguments);
int run_completion(struct context *context, const struct arguments *arguments);
int run_man(struct context *context, const struct arguments *arguments);

enum registration_mode { REGISTRATION_ONLY, REGISTRATION_CHECK, REGISTRATION_RUN /* and runs the jobs */, REGISTRATION_PLAN };
/* registration.c: registers files (with what their processes need); what the node answered goes to `ret_json`. */
int register_files(struct context *context, const char *const *paths, int count, enum registration_mode mode,
                   struct buffer *ret_json);
void print_warnings(struct slice json);
/* workflow.c: 0 or the error in the context. `key` may be NULL. */
int start_workflow(struct context *context, const char *name, const char *const *words, int word_count, const char *key,
                   uint64_t *ret_id);
/* progress.c: waits for an instance's end, showing what runs when stderr is a terminal; prints the result. */
int await_end(struct context *context, uint64_t id);

#endif
