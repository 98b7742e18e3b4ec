#include "command.h"
#include "contender.h"

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
#define EXIT_SIGNAL 128 /* and the signal, as shells have it */

enum { SIGNAL_INT, SIGNAL_TERM, SIGNAL_HUP, SIGNAL_CHILD, SIGNAL_COUNT };

struct holder {
	struct context *context;
	struct contender contender;
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
	snprintf(token, sizeof token, "%" PRIu64, holder->contender.token);
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
	struct error error;
	msec kill_at = client_now(client) + holder->grace;
	if (holder->contender.lost)
		kill_at = msec_earlier(kill_at, contender_deadline(&holder->contender));
	kill(-holder->child, number);
	while (!collect(holder) && client_now(client) < kill_at) {
		client_go_on(client);
		if (holder->contender.lost)
			client_idle(client, kill_at);
		else
			contender_hold(&holder->contender, kill_at, &error);
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
	client_go_on(context->client);
	while (!collect(holder)) {
		code = contender_hold(&holder->contender, MSEC_NEVER, &context->error);
		if (code != 0) {
			report(context);
			end_command(holder, SIGTERM);
			give_terminal_back(holder);
			return EXIT_FAILED;
		}
		client_go_on(context->client);
		if (holder->stopped_by != 0)
			end_command(holder, holder->stopped_by);
	}
	give_terminal_back(holder);
	return exit_code_of(holder->child_status);
}

/* --- contending ---------------------------------------------------------------------------------------------------- */

static void say_held(const struct holder *holder)
{
	const struct contender *contender = &holder->contender;
	bool leads = strcmp(holder->kind, "election") == 0;
	if (holder->context->form == OUTPUT_TABLE)
		printf("%s %" PRIu64 "\n", leads ? "leader" : holder->name, contender->token);
	else
		printf("{\"key\":\"%s\",\"token\":%" PRIu64 "}\n", contender->key, contender->token);
	fflush(stdout);
}

static int hold(struct holder *holder, const struct arguments *arguments)
{
	struct context *context = holder->context;
	bool leads = strcmp(holder->kind, "election") == 0;
	if (arguments->rest_count > 0) {
		if (leads)
			say_held(holder);
		return run_command(holder, arguments->rest);
	}
	say_held(holder);
	while (holder->stopped_by == 0) {
		client_go_on(context->client);
		if (contender_hold(&holder->contender, MSEC_NEVER, &context->error) != 0)
			return report(context);
	}
	return EXIT_DONE;
}

static int contend(struct holder *holder, struct slice value, msec patience, const struct arguments *arguments)
{
	struct context *context = holder->context;
	struct client *client = context->client;
	int code = contender_join(&holder->contender, value, &context->error);
	if (code == 0)
		code = contender_await(&holder->contender, patience == MSEC_NEVER ? MSEC_NEVER : client_now(client) + patience,
		                       &context->error);
	if (holder->stopped_by != 0)
		code = EXIT_SIGNAL + holder->stopped_by;
	else if (code != 0)
		code = report(context);
	else
		code = hold(holder, arguments);
	contender_leave(&holder->contender);
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
	int code = need_client(context, CLUSTERD__WIRE__ROLE__ROLE_CLIENT);
	if (code != 0)
		return code;
	listen_to_signals(&holder);
	contender_init(&holder.contender, context->client, kind, holder.name, ttl);
	code = contend(&holder, value, patience, arguments);
	contender_finish(&holder.contender);
	for (size_t i = 0; i < SIGNAL_COUNT; i++)
		loop_signal_destroy(holder.signals[i]);
	return code;
}

int run_lock(struct context *context, const struct arguments *arguments)
{
	return run_holder(context, arguments, "lock", SLICE(""));
}

/* --- elections ----------------------------------------------------------------------------------------------------- */

int run_campaign(struct context *context, const struct arguments *arguments)
{
	char host[256] = "";
	if (arguments->value_count > 1)
		return run_holder(context, arguments, "election", slice_of(arguments->values[1]));
	gethostname(host, sizeof host - 1);
	return run_holder(context, arguments, "election", slice_of(host));
}

static void print_leader(enum output_form form, uint64_t token, struct slice value)
{
	struct buffer quoted = BUFFER_EMPTY;
	json_quote(&quoted, value);
	if (form == OUTPUT_TABLE)
		printf("%" PRIu64 " %.*s\n", token, SLICE_ARGS(value));
	else
		printf("{\"token\":%" PRIu64 ",\"value\":%s}\n", token, buffer_string(&quoted));
	fflush(stdout);
	buffer_finish(&quoted);
}

static void note_any(void *context, const struct key_seen *seen)
{
	(void)seen;
	*(bool *)context = true;
}

/* Until something below the directory changes; over lost connections, too. */
static int await_change(struct context *context, const char *directory, uint64_t from)
{
	struct keys_walk walk;
	bool any = false;
	keys_walk_init(&walk, directory, false);
	walk.from = from;
	int code = keys_follow(context->client, &walk, note_any, &any, &context->error);
	client_set_timeout(context->client, context->timeout);
	keys_walk_finish(&walk);
	return code == ERR_COMPACTED ? 0 : code;
}

int run_observe(struct context *context, const struct arguments *arguments)
{
	struct buffer value = BUFFER_EMPTY;
	uint64_t shown = 0;
	int code = need_client(context, CLUSTERD__WIRE__ROLE__ROLE_CLIENT);
	if (code != 0)
		return code;
	char *directory = mem_format("election/%s/", arguments->values[0]);
	while (code == 0) {
		uint64_t token = 0;
		uint64_t from;
		char *key = NULL;
		buffer_clear(&value);
		code = contender_first(context->client, directory, &token, &key, &value, &from, &context->error);
		mem_free(key);
		if (code == 0 && token != 0 && token != shown)
			print_leader(context->form, token, buffer_slice(&value));
		shown = token != 0 ? token : shown;
		if (code == 0 && arguments->flags[0] != NULL)
			break;
		if (code == 0)
			code = await_change(context, directory, from);
	}
	mem_free(directory);
	buffer_finish(&value);
	if (code != 0)
		return report(context);
	return shown != 0 ? EXIT_DONE : EXIT_FAILED;
}

int run_resign(struct context *context, const struct arguments *arguments)
{
	struct buffer value = BUFFER_EMPTY;
	uint64_t token = 0;
	uint64_t from;
	char *key = NULL;
	int code = need_client(context, CLUSTERD__WIRE__ROLE__ROLE_CLIENT);
	if (code != 0)
		return code;
	char *directory = mem_format("election/%s/", arguments->values[0]);
	code = contender_first(context->client, directory, &token, &key, &value, &from, &context->error);
	if (code == 0 && key == NULL)
		code = error_set(&context->error, ERR_NOT_FOUND, "nobody leads in %s", arguments->values[0]);
	if (code == 0)
		code = keys_delete(context->client, key, &context->error);
	mem_free(key);
	mem_free(directory);
	buffer_finish(&value);
	return code != 0 ? report(context) : EXIT_DONE;
}
