/* Settings: what those of processes and of jobs have in common. Private to the checker. Its parts:
 *   check_settings.c  which settings there are, each once; values of any setting
 *   check_command.c   how a child is run: its words, files and environment
 *   check_process.c   settings of processes
 *   check_job.c       settings of jobs, what does not go together, parameters
 *   check_program.c   programs that were submitted
 *   check_place.c     where a job's tasks go, and what they take there
 *   check_run.c       how they are kept going: retries, groups, schedules
 *   check_health.c    how they are seen to be well
 *   check_bound.c     processes that a job runs */
#ifndef CLUSTERD_WORKFLOW_CHECK_SETTINGS_H
#define CLUSTERD_WORKFLOW_CHECK_SETTINGS_H

#include "lang/parser.h"
#include "workflow/check.h"
#include "workflow/job.h"

#define SETTING_PATH_SIZE_MAX 1024u
#define SETTING_RETRIES_MAX 1000000u

struct setting_rule;

struct setting_context {
	struct checker *checker;
	struct declared *declared;
	struct definition *definition;
	const struct setting_rule *rules;
	size_t rule_count;
	const struct syntax_setting **found; /* by the index of its rule; NULL: it is not set */
	bool type_unknown;                   /* jobs: an error was reported in it */
	bool params_broken;                  /* jobs: in its parameters */
};

struct setting_rule {
	const char *name;
	void (*apply)(struct setting_context *context, const struct syntax_setting *setting);
	bool later;      /* checked, and refused all the same: this version cannot do it yet */
	unsigned types;  /* of jobs that it fits: 1 << JOB_…; 0: all */
	const char *why; /* it fits no others */
};

/* check_settings.c */

/* Which rule each setting is for, into ->found. Those of no rule and those that are there twice are reported. */
void settings_find(struct setting_context *context, const struct syntax_settings *settings);
/* NULL: it is not set. `name` is one of the rules'. */
const struct syntax_setting *settings_get(const struct setting_context *context, const char *name);
/* Applies the one that was found for this rule; refuses it, too, when it is for later. */
void settings_apply(struct setting_context *context, size_t rule);
/* `backoff_max` is not shorter than `backoff`: an error when it was set, else it follows. */
void settings_order_backoff(const struct setting_context *context, msec backoff, msec *backoff_max);

/* Values. `key` is what the value is for. What is wrong is reported: then the result is false, and outputs are untouched. */

/* "`key` takes DUE" */
struct diagnostic *setting_refuse(const struct setting_context *context, const struct syntax_name *key,
                                  const struct syntax_value *value, const char *due);
/* The characters of a string without NUL, for as long as the unit lives. */
bool setting_text(const struct setting_context *context, const struct syntax_name *key,
                  const struct syntax_value *value, const char *due, struct slice *ret_text);
/* A string, or a list of at most `limit` of them, none empty. */
bool setting_texts(const struct setting_context *context, const struct syntax_name *key,
                   const struct syntax_value *value, const char *due, uint32_t limit, struct slice **ret_texts,
                   uint32_t *ret_count);
bool setting_duration(const struct setting_context *context, const struct syntax_name *key,
                      const struct syntax_value *value, msec at_least, msec at_most, msec *ret_duration);
bool setting_integer(const struct setting_context *context, const struct syntax_name *key,
                     const struct syntax_value *value, uint32_t low, uint32_t high, uint32_t *ret_number);
/* One of some words, NULL at their end: its index. */
bool setting_choice(const struct setting_context *context, const struct syntax_name *key,
                    const struct syntax_value *value, const char *const *words, uint32_t *ret_index);
/* There are more than `limit` of something: reported, and false. */
bool setting_fits(const struct setting_context *context, const struct syntax_name *key,
                  const struct syntax_value *value, uint32_t count, uint32_t limit);

/* check_command.c */

/* A command line. With `params` a parameter's name stands for its value. */
bool setting_command(const struct setting_context *context, const struct syntax_name *key,
                     const struct syntax_value *value, bool params, struct command_word **ret_words,
                     uint32_t *ret_count);
void setting_files(const struct setting_context *context, const struct syntax_setting *setting,
                   struct process_file **ret_files, uint32_t *ret_count);
void setting_env(const struct setting_context *context, const struct syntax_setting *setting,
                 struct process_variable **ret_env, uint32_t *ret_count);

/* check_process.c */
extern const struct setting_rule process_rules[];
extern const size_t process_rule_count;

/* check_job.c */
extern const struct setting_rule job_rules[];
extern const size_t job_rule_count;

/* check_place.c */
void job_count(struct setting_context *context, const struct syntax_setting *setting);
void job_placement(struct setting_context *context, const struct syntax_setting *setting);
void job_nodes(struct setting_context *context, const struct syntax_setting *setting);
void job_on(struct setting_context *context, const struct syntax_setting *setting);
void job_datacenter(struct setting_context *context, const struct syntax_setting *setting);
void job_priority(struct setting_context *context, const struct syntax_setting *setting);
void job_cpu(struct setting_context *context, const struct syntax_setting *setting);
void job_memory(struct setting_context *context, const struct syntax_setting *setting);
void job_processes(struct setting_context *context, const struct syntax_setting *setting);
void job_disk(struct setting_context *context, const struct syntax_setting *setting);
void job_ports(struct setting_context *context, const struct syntax_setting *setting);

/* check_run.c */
void job_retries(struct setting_context *context, const struct syntax_setting *setting);
void job_retries_within(struct setting_context *context, const struct syntax_setting *setting);
void job_backoff(struct setting_context *context, const struct syntax_setting *setting);
void job_backoff_max(struct setting_context *context, const struct syntax_setting *setting);
void job_timeout(struct setting_context *context, const struct syntax_setting *setting);
void job_stop_signal(struct setting_context *context, const struct syntax_setting *setting);
void job_stop_grace(struct setting_context *context, const struct syntax_setting *setting);
void job_group(struct setting_context *context, const struct syntax_setting *setting);
void job_register_timeout(struct setting_context *context, const struct syntax_setting *setting);
void job_workers(struct setting_context *context, const struct syntax_setting *setting);
void job_schedule(struct setting_context *context, const struct syntax_setting *setting);
void job_timezone(struct setting_context *context, const struct syntax_setting *setting);
void job_overlap(struct setting_context *context, const struct syntax_setting *setting);

/* check_program.c */
void job_program(struct setting_context *context, const struct syntax_setting *setting);

/* check_health.c; after job_ports */
void job_health(struct setting_context *context, const struct syntax_setting *setting);

/* check_bound.c */
/* The batch job that a process is bound to. False: it is none, or does not fit, which is reported. */
bool check_bound_job(const struct setting_context *context, const struct syntax_setting *setting,
                     struct target *ret_target);

#endif
