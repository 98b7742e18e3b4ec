#include "bench.h"

#include "base/memory.h"
#include "directory.h"
#include "process.h"

#include <errno.h>
#include <fnmatch.h>
#include <limits.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define DURATION_MS 5000
#define DURATION_QUICK_MS 1000

static const char help[] =
	"usage: clusterd-bench [OPTION]…\n\n"
	"Measures a clusterd that it starts itself, in a temporary directory, and the machine beside it.\n\n"
	"  --quick            1 s for each measurement instead of 5, and without what takes minutes\n"
	"  --only PATTERN     scenarios whose name contains this, or matches it: native, */steps-3/64, start, idle\n"
	"  --seconds N        for each measurement\n"
	"  --node PATH        clusterd to measure (default: beside this program, in its build tree, or in PATH)\n"
	"  --dir DIR          where the temporary directory is made: its disk is measured (default $TMPDIR, /tmp)\n"
	"  --puts             puts of keys instead: connections with one put of 128 bytes in flight each, random keys\n"
	"  --address HOST:PORT[,HOST:PORT…]  the nodes to put to, which run already (default: one that it starts)\n"
	"  --connections N    for --puts (default 1, 16, 64 and 256, one after another)\n"
	"  --keys N           different keys for --puts (default 100000)\n"
	"  --check            says which targets were met\n"
	"  -o table|json      how to print it (default table)\n"
	"  --help\n\n"
	"Example:\n"
	"  clusterd-bench --only 'native/steps-3/*' --seconds 2\n";

/* --- what the scenarios share ------------------------------------------------------------------------------------- */

bool bench_wants(const struct bench *bench, const char *scenario)
{
	return bench->only == NULL || strstr(scenario, bench->only) != NULL || fnmatch(bench->only, scenario, 0) == 0;
}

void bench_say(const struct bench *bench, const char *format, ...)
{
	va_list args;
	(void)bench;
	va_start(args, format);
	vfprintf(stderr, format, args);
	va_end(args);
	fputc('\n', stderr);
}

char *bench_node_directory(const struct bench *bench)
{
	return mem_format("%s/node", bench->directory);
}

int bench_start_node(const struct bench *bench, enum worker_kind kind, const char *const *arguments,
                     struct node **ret_node, struct error *error)
{
	char *directory = bench_node_directory(bench);
	struct node *node = NULL;
	directory_remove(directory);
	int code = node_start(bench->program, directory, arguments, &node, error);
	if (code == 0)
		code = definitions_register(node, kind, error);
	if (code == 0)
		*ret_node = node;
	else
		bench_end_node(bench, node);
	mem_free(directory);
	return code;
}

static void remove_group(const struct bench *bench)
{
	for (int i = 0; i < NODE_GROUP; i++) {
		char *directory = mem_format("%s/group-%c", bench->directory, 'a' + i);
		directory_remove(directory);
		mem_free(directory);
	}
}

int bench_start_group(const struct bench *bench, struct node *ret_nodes[NODE_GROUP], struct error *error)
{
	char *directory = mem_format("%s/group", bench->directory);
	remove_group(bench);
	int code = node_start_group(bench->program, directory, ret_nodes, error);
	if (code == 0)
		code = definitions_register(ret_nodes[0], WORKER_NATIVE, error);
	mem_free(directory);
	return code;
}

void bench_end_group(const struct bench *bench, struct node *nodes[NODE_GROUP])
{
	for (int i = 0; i < NODE_GROUP; i++)
		node_stop(nodes[i]);
	remove_group(bench);
	unsetenv("CLUSTERD_TOKEN");
}

void bench_end_node(const struct bench *bench, struct node *node)
{
	char *directory = bench_node_directory(bench);
	node_stop(node);
	directory_remove(directory);
	mem_free(directory);
}

/* --- options ------------------------------------------------------------------------------------------------------ */

static int usage(const char *before, const char *word, const char *behind)
{
	fprintf(stderr, "clusterd-bench: %s%s%s; see clusterd-bench --help\n", before, word, behind);
	return 2;
}

static bool take_seconds(const char *word, msec *ret_duration)
{
	char *end;
	double seconds = strtod(word, &end);
	if (end == word || *end != '\0' || !(seconds >= 0.1 && seconds <= 3600))
		return false;
	*ret_duration = (msec)(seconds * 1000);
	return true;
}

static bool take_number(const char *word, uint64_t most, uint64_t *ret_number)
{
	char *end;
	unsigned long long number = strtoull(word, &end, 10);
	if (end == word || *end != '\0' || number == 0 || number > most)
		return false;
	*ret_number = number;
	return true;
}

/* 0: run; −1: help is wanted; else the exit code. */
static int read_options(int argc, char **argv, struct bench *bench, const char **ret_parent)
{
	for (int i = 1; i < argc; i++) {
		const char *option = argv[i];
		const char *value = i + 1 < argc ? argv[i + 1] : NULL;
		uint64_t number = 0;
		if (strcmp(option, "--help") == 0)
			return -1;
		if (strcmp(option, "--quick") == 0) {
			bench->quick = true;
			continue;
		}
		if (strcmp(option, "--check") == 0) {
			bench->check = true;
			continue;
		}
		if (strcmp(option, "--puts") == 0) {
			bench->puts = true;
			continue;
		}
		bool known = true;
		if (strcmp(option, "--only") == 0)
			bench->only = value;
		else if (strcmp(option, "--node") == 0)
			bench->program = value;
		else if (strcmp(option, "--dir") == 0)
			*ret_parent = value;
		else if (strcmp(option, "--address") == 0)
			bench->address = value;
		else
			known = strcmp(option, "--seconds") == 0 || strcmp(option, "-o") == 0 ||
			        strcmp(option, "--connections") == 0 || strcmp(option, "--keys") == 0;
		if (!known)
			return usage("there is no option ", option, "");
		if (value == NULL)
			return usage("", option, " needs a value");
		if (strcmp(option, "--seconds") == 0 && !take_seconds(value, &bench->duration))
			return usage("--seconds is a number from 0.1 to 3600, not ", value, "");
		if (strcmp(option, "--connections") == 0 && !take_number(value, 10000, &number))
			return usage("--connections is a number from 1 to 10000, not ", value, "");
		if (strcmp(option, "--connections") == 0)
			bench->connections = (uint32_t)number;
		if (strcmp(option, "--keys") == 0 && !take_number(value, UINT64_C(1) << 48, &bench->keys))
			return usage("--keys is a number from 1 on, not ", value, "");
		if (strcmp(option, "-o") == 0 && strcmp(value, "json") == 0)
			bench->format = REPORT_JSON;
		else if (strcmp(option, "-o") == 0 && strcmp(value, "table") != 0)
			return usage("-o is table or json, not ", value, "");
		i++;
	}
	return 0;
}

/* Beside this program, where the build tree or an installation has it; NULL: it is not there. */
static char *find_program(void)
{
	static const char *const places[] = {"clusterd", "../../src/daemon/clusterd", "../sbin/clusterd"};
	char self[PATH_MAX];
	char *found = NULL;
	ssize_t size = readlink("/proc/self/exe", self, sizeof self - 1);
	if (size <= 0)
		return NULL;
	self[size] = '\0';
	*strrchr(self, '/') = '\0';
	for (size_t i = 0; found == NULL && i < sizeof places / sizeof places[0]; i++) {
		char *path = mem_format("%s/%s", self, places[i]);
		if (access(path, X_OK) == 0)
			found = realpath(path, NULL);
		mem_free(path);
	}
	return found;
}

/* --- the run ------------------------------------------------------------------------------------------------------ */

static int run(struct bench *bench)
{
	struct error error = {0};
	bench->report = report_create(bench->format);
	int code = bench_machine(bench, &error);
	if (code == 0 && bench->puts) {
		code = bench_puts(bench, &error);
		report_destroy(bench->report);
		if (code != 0)
			fprintf(stderr, "clusterd-bench: %s\n", error.text);
		return code == 0 ? 0 : 1;
	}
	if (code == 0)
		code = bench_workflows(bench, &error);
	if (code == 0)
		code = bench_starts(bench, &error);
	if (code == 0)
		code = bench_idle(bench, &error);
	if (code == 0 && bench->check)
		bench_targets(bench);
	report_destroy(bench->report);
	if (code != 0)
		fprintf(stderr, "clusterd-bench: %s\n", error.text);
	return code == 0 ? 0 : 1;
}

/* The run is a process of its own: however it ends, what it started ends with it, and the directory is removed here. */
static int supervise(struct bench *bench)
{
	static const int signals[] = {SIGINT, SIGTERM, SIGHUP, SIGCHLD};
	sigset_t watched;
	sigset_t before;
	pid_t self = getpid();
	int status = 0;
	sigemptyset(&watched);
	for (size_t i = 0; i < sizeof signals / sizeof signals[0]; i++)
		sigaddset(&watched, signals[i]);
	sigprocmask(SIG_BLOCK, &watched, &before);
	pid_t pid = fork();
	if (pid < 0) {
		fprintf(stderr, "clusterd-bench: cannot fork: %s\n", strerror(errno));
		return 1;
	}
	if (pid == 0) {
		sigprocmask(SIG_SETMASK, &before, NULL);
		exit(process_dies_with(self) ? run(bench) : 1);
	}
	while (waitpid(pid, &status, WNOHANG) == 0) {
		int signal = sigwaitinfo(&watched, NULL);
		if (signal > 0 && signal != SIGCHLD)
			kill(pid, SIGKILL);
	}
	return WIFEXITED(status) ? WEXITSTATUS(status) : 1;
}

int main(int argc, char **argv)
{
	struct bench bench = {.duration = 0};
	struct error error = {0};
	char *program = NULL;
	char *directory = NULL;
	const char *parent = getenv("TMPDIR");
	if (parent == NULL || *parent == '\0')
		parent = "/tmp";
	int code = read_options(argc, argv, &bench, &parent);
	if (code != 0) {
		if (code < 0)
			fputs(help, stdout);
		return code < 0 ? 0 : code;
	}
	if (bench.duration == 0)
		bench.duration = bench.quick ? DURATION_QUICK_MS : DURATION_MS;
	program = bench.program != NULL ? realpath(bench.program, NULL) : find_program();
	if (program == NULL) {
		fprintf(stderr, "clusterd-bench: there is no clusterd%s%s; --node PATH says where it is\n",
		        bench.program != NULL ? " at " : "", bench.program != NULL ? bench.program : "");
		return 1;
	}
	bench.program = program;
	if (directory_create(parent, &directory, &error) != 0) {
		fprintf(stderr, "clusterd-bench: %s\n", error.text);
		free(program);
		return 1;
	}
	bench.directory = directory;
	code = supervise(&bench);
	directory_remove(directory);
	mem_free(directory);
	free(program);
	return code;
}
