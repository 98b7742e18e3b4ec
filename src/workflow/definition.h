/* What is registered: processes (atomic), workflows (composite) and jobs, immutable, each with a version. */
#ifndef CLUSTERD_WORKFLOW_DEFINITION_H
#define CLUSTERD_WORKFLOW_DEFINITION_H

#include "base/time.h"
#include "workflow/program.h"
#include "workflow/type.h"

enum definition_kind { DEFINITION_PROCESS, DEFINITION_WORKFLOW, DEFINITION_JOB };

/* "process", … */
const char *definition_kind_name(enum definition_kind kind);

enum stdout_form { STDOUT_JSON, STDOUT_TEXT, STDOUT_LINES, STDOUT_NONE };

/* One word of a command line: literal text, or the value of a parameter. */
struct command_word {
	struct slice literal;
	int param; /* −1: literal; else the index of the parameter. A Text goes as its characters, all else as JSON */
};

struct process_file {
	struct slice path; /* relative, plain, no ".."; its content is the attachment of that path */
	struct slice hash; /* of the content, 32 lower-case hex digits (XXH128); from the attachments */
};

struct process_variable {
	struct slice name;
	struct slice value;
};

/* Settings of an atomic process, defaults filled in. */
struct process_settings {
	struct command_word *exec; /* count 0: not given */
	uint32_t exec_count;
	struct command_word *pool; /* literals only */
	uint32_t pool_count;
	const struct definition *job; /* a batch job; NULL: not given */
	struct process_file *files;
	uint32_t file_count;
	struct process_variable *env;
	uint32_t env_count;
	struct slice *on; /* tags */
	uint32_t on_count;
	enum stdout_form stdout_form;
	msec timeout;       /* of an attempt, from its start; default 1 h */
	msec start_timeout; /* from ready to started; 0: none */
	msec heartbeat;     /* longest silence while running; 0: none */
	uint32_t retries;   /* further attempts; default 2 */
	msec backoff;       /* before the second attempt, doubles; default 1 s */
	msec backoff_max;   /* default 1 min */
};

struct param {
	struct slice name;
	const struct type *type;
	bool has_default;
	struct slice default_json;
};

/* Type of signal `name` in a workflow and all its frames. */
struct signal_type {
	struct slice name;
	const struct type *type;
};

struct job_settings;

struct definition {
	enum definition_kind kind;
	struct slice name;
	uint32_t version;           /* 1, 2, …; given by the registry */
	struct param *params;
	uint32_t param_count;
	const struct type *result;  /* NULL: jobs */
	struct slice signature;     /* "(x: X) -> A * B"; jobs: "(x: X)" */
	struct slice source;        /* the text of the declaration */
	uint64_t fingerprint;       /* of its tokens, the types and attachments it uses and the versions it is bound to */
	struct process_settings settings; /* processes */
	struct job_settings *job;         /* jobs: workflow/job.h */
	struct program *program;          /* workflows */
	struct signal_type *signals;      /* workflows */
	uint32_t signal_count;
};

/* Checks arguments and appends them as the one JSON object keyed by parameter in the order of declaration, defaults
 * filled in, that an instance or call carries. `json` is an object; an unknown or missing parameter is ERR_TYPE. */
int definition_accept_args(const struct definition *definition, struct slice json, struct buffer *out,
                           struct error *error);

#endif
