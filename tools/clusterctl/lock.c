#include "command.h"

#include "base/json.h"
#include "base/memory.h"
#include "lang/parser.h"

#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

/* Holding a lock or the lead of an election, while a command runs or until a signal comes. */

#define TTL_DEFAULT 10000
#define GRACE_DEFAULT 5000
#define LEAVE_MS 1000
#define EXIT_SIGNAL 128 /* and the signal, as shells have it */

enum { SIGNAL_INT, SIGNAL_TERM, SIGNAL_HUP, SIGNAL_CHILD, SIGNAL_COUNT };

struct holder {
	struct context *context;
	struct clusterd_contender *contender;
	bool settled; /* it holds, or has lost */
	bool lost;
	uint64_t token;
	struct clusterd_error error; /* why it is lost */
	struct loop_signal *signals[SIGNAL_COUNT];
	const char *kind; /* "lock", "election" */
	const char *name;
	msec grace;
	int stopped_by; /* the signal that told it to stop; 0: none */
	pid_t child;    /* 0: none, or it has been collected */
	int child_status;
	bool has_terminal;
};

/* --- signals ------------------------------------------------------------------------------------------------------- */

static void stop(struct holder *holder, int number)
{
	if (holder->stopped_by == 0)
		holder->stopped_by = number;
	client_interrupt(holder->context->client);
}

static void stop_int(void *context)
{
	stop(context, SIGINT);
}

static void stop_term(void *context)
{
	stop(context, SIGTERM);
}

static void stop_hup(void *context)
{
	stop(context, SIGHUP);
}

static void child_changed(void *context)
{
	struct holder *holder = context;
	client_interrupt(holder->context->client);
}

static void listen_to_signals(struct holder *holder)
{
	struct loop *loop = client_loop(holder->context->client);
	holder->signals[SIGNAL_INT] = loop_signal_create(loop, SIGINT, stop_int, holder);
	holder->signals[SIGNAL_TERM] = loop_signal_create(loop, SIGTERM, stop_term, holder);
	holder->signals[SIGNAL_HUP] = loop_signal_create(loop, SIGHUP, stop_hup, holder);
	holder->signals[SIGNAL_CHILD] = loop_signal_create(loop, SIGCHLD, child_changed, holder);
}

/* --- the command --------------------------------------------------------------------------------------------------- */

/* In the child: in a process group of its own, in front of the terminal, gone when its parent is. */
static void become(const struct holder *holder, pid_t parent, const char *const *argv)
{
	static const int changed[] = {SIGINT, SIGTERM, SIGHUP, SIGCHLD, SIGPIPE, SIGTTOU};
	char token[24];
	sigset_t none;
	setpgid(0, 0);
	if (holder->has_terminal) {
		signal(SIGTTOU, SIG_IGN);
		tcsetpgrp(STDIN_FILENO, getpid());
	}
	for (size_t i = 0; i < sizeof changed / sizeof changed[0]; i++)
		signal(changed[i], SIG_DFL);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != parent)
		_exit(EXIT_SIGNAL + SIGKILL);
	snprintf(token, sizeof token, "%" PRIu64, holder->token);
	setenv(strcmp(holder->kind, "lock") == 0 ? "CLUSTERD_LOCK" : "CLUSTERD_ELECTION", holder->name, 1);
	setenv("CLUSTERD_FENCING_TOKEN", token, 1);
	execvp(argv[0], (char *const *)(uintptr_t)argv);
	fprintf(stderr, "clusterctl: %s cannot be run: %s\n", argv[0], strerror(errno));
	_exit(errno == ENOENT ? 127 : 126);
}

static int start(struct holder *holder, const char *const *argv)
{
	pid_t parent = getpid();
	holder->has_terminal = isatty(STDIN_FILENO) && tcgetpgrp(STDIN_FILENO) == getpgrp();
	fflush(stdout);
	fflush(stderr);
	holder->child = fork();
	if (holder->child == 0)
		become(holder, parent, argv);
	if (holder->child < 0) {
		holder->child = 0;
		error_set(&holder->context->error, ERR_IO, "no process can be started: %s", strerror(errno));
		return report(holder->context);
	}
	setpgid(holder->child, holder->child); /* whoever is first */
	return 0;
}

static bool collect(struct holder *holder)
{
	if (holder->child != 0 && waitpid(holder->child, &holder->child_status, WNOHANG) == holder->child)
		holder->child = 0;
	return holder->child == 0;
}

static void give_terminal_back(const struct holder *holder)
{
	if (!holder->has_terminal)
		return;
	signal(SIGTTOU, SIG_IGN);
	tcsetpgrp(STDIN_FILENO, getpgrp());
	signal(SIGTTOU, SIG_DFL);
}

/* Ends it: asks, and when that takes too long, kills. What is lost is not waited for longer than the lease lasts. */
static void end_command(struct holder *holder, int number)
{
	struct client *client = holder->context->client;
	const bool never = false;
	msec kill_at = client_clock(client) + holder->grace;
	kill(-holder->child, number);
	while (!collect(holder) && client_clock(client) < kill_at) {
		if (holder->lost)
			kill_at = msec_earlier(kill_at,
			                       client_clock(client) + (msec)clusterd_contender_left_ms(holder->contender));
		client_go_on(client);
		client_await(client, holder->lost ? &never : &holder->lost, kill_at);
	}
	if (holder->child != 0) {
		kill(-holder->child, SIGKILL);
		waitpid(holder->child, &holder->child_status, 0);
		holder->child = 0;
	}
}

static int exit_code_of(int status)
{
	return WIFEXITED(status) ? WEXITSTATUS(status) : EXIT_SIGNAL + WTERMSIG(status);
}

static int run_command(struct holder *holder, const char *const *argv)
{
	struct context *context = holder->context;
	int code = start(holder, argv);
	if (code != 0)
		return code;
	while (!collect(holder)) {
		client_go_on(context->client);
		if (client_await(context->client, &holder->lost, MSEC_NEVER)) {
			report_failure(context, &holder->error);
			end_command(holder, SIGTERM);
			give_terminal_back(holder);
			return EXIT_FAILED;
		}
		if (holder->stopped_by != 0)
			end_command(holder, holder->stopped_by);
	}
	give_terminal_back(holder);
	return exit_code_of(holder->child_status);
}

/* --- contending ---------------------------------------------------------------------------------------------------- */

static void standing_changed(void *context, enum clusterd_standing standing, uint64_t token,
                             const struct clusterd_error *error)
{
	struct holder *holder = context;
	holder->settled = true;
	holder->lost = standing == CLUSTERD_LOST;
	if (holder->lost)
		holder->error = *error;
	else
		holder->token = token;
}

static bool leads(const struct holder *holder)
{
	return strcmp(holder->kind, "election") == 0;
}

static void say_held(const struct holder *holder)
{
	if (holder->context->form == OUTPUT_TABLE)
		printf("%s %" PRIu64 "\n", leads(holder) ? "leader" : holder->name, holder->token);
	else
		printf("{\"key\":\"%s\",\"token\":%" PRIu64 "}\n", clusterd_contender_key(holder->contender), holder->token);
	fflush(stdout);
}

static int hold(struct holder *holder, const struct arguments *arguments)
{
	if (arguments->rest_count > 0) {
		if (leads(holder))
			say_held(holder);
		return run_command(holder, arguments->rest);
	}
	say_held(holder);
	while (holder->stopped_by == 0) {
		client_go_on(holder->context->client);
		if (client_await(holder->context->client, &holder->lost, MSEC_NEVER))
			return report_failure(holder->context, &holder->error);
	}
	return EXIT_DONE;
}

/* That there is a cluster to contend in is to be known in time; the wait for the lock itself has no limit, unless one is given. */
static int look_for_cluster(struct holder *holder)
{
	struct clusterd_reply *reply;
	char *directory = mem_format("%s/%s/", holder->kind, holder->name);
	int code = clusterd_key_list(client_library(holder->context->client), directory, NULL, 1, true, &reply,
	                             timeout_of(holder->context), &holder->error);
	mem_free(directory);
	if (code == 0)
		clusterd_reply_destroy(reply);
	return code;
}

static int contend(struct holder *holder, struct slice value, msec ttl, msec patience, const struct arguments *arguments)
{
	struct context *context = holder->context;
	struct client *client = context->client;
	struct clusterd_contender_options options = CLUSTERD_CONTENDER_OPTIONS;
	msec deadline = patience == MSEC_NEVER ? MSEC_NEVER : client_clock(client) + patience;
	int code;
	if (look_for_cluster(holder) != 0)
		return report_failure(context, &holder->error);
	options.name = holder->name;
	options.value = value.data;
	options.value_size = value.size;
	options.ttl_ms = (uint64_t)ttl;
	options.changed = standing_changed;
	options.context = holder;
	holder->contender = leads(holder) ? clusterd_campaign_create(client_library(client), &options)
	                                  : clusterd_lock_create(client_library(client), &options);
	client_await(client, &holder->settled, deadline);
	if (holder->stopped_by != 0) {
		code = EXIT_SIGNAL + holder->stopped_by;
	} else if (!holder->settled) {
		error_set(&context->error, ERR_TIMEOUT, "%s/%s is held by others, and the time to wait for it is out", holder->kind,
		          holder->name);
		code = report(context);
	} else {
		code = holder->lost ? report_failure(context, &holder->error) : hold(holder, arguments);
	}
	clusterd_contender_leave(holder->contender, LEAVE_MS, NULL);
	clusterd_contender_destroy(holder->contender);
	return code;
}

static bool read_duration(const char *word, const char *flag, msec *duration)
{
	if (word == NULL || parser_duration(slice_of(word), duration) == 0)
		return true;
	fprintf(stderr, "clusterctl: %s is a duration such as 500ms or 30s, not \"%s\"\n", flag, word);
	return false;
}

/* flags: --ttl, --wait, --grace */
static int run_holder(struct context *context, const struct arguments *arguments, const char *kind, struct slice value)
{
	struct holder holder = {.context = context, .kind = kind, .name = arguments->values[0], .grace = GRACE_DEFAULT};
	msec ttl = TTL_DEFAULT;
	msec patience = MSEC_NEVER;
	if (!read_duration(arguments->flags[0], "--ttl", &ttl) || !read_duration(arguments->flags[1], "--wait", &patience) ||
	    !read_duration(arguments->flags[2], "--grace", &holder.grace))
		return EXIT_USAGE;
	if (arguments->rest != NULL && arguments->rest_count == 0) {
		fprintf(stderr, "clusterctl: behind \"--\" comes a command\n");
		return EXIT_USAGE;
	}
	int code = need_client(context);
	if (code != 0)
		return code;
	listen_to_signals(&holder);
	code = contend(&holder, value, ttl, patience, arguments);
	for (size_t i = 0; i < SIGNAL_COUNT; i++)
		loop_signal_destroy(holder.signals[i]);
	return code;
}

int run_lock(struct context *context, const struct arguments *arguments)
{
	return run_holder(context, arguments, "lock", SLICE(""));
}

int run_campaign(struct context *context, const struct arguments *arguments)
{
	char host[256] = "";
	if (arguments->value_count > 1)
		return run_holder(context, arguments, "election", slice_of(arguments->values[1]));
	gethostname(host, sizeof host - 1);
	return run_holder(context, arguments, "election", slice_of(host));
}
