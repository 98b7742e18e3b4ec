/* Random well-typed workflows, run with random orders of results, against a direct evaluation of their syntax trees.
 *
 *   clusterd-property [--seed N] [--runs N] [--seconds N] [--verbose]
 *
 * Seeds are N, N + 1, …; a failure is made smaller and printed with its seed, and `--seed SEED --runs 1` shows it again. */
#include "shrink.h"

#include "base/memory.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

struct options {
	uint64_t seed;
	uint64_t runs;
	uint64_t seconds; /* 0: no limit */
	bool verbose;
};

/* Shared with the child that does the work. */
struct progress {
	uint64_t seed; /* that is being tried */
	uint64_t done;
	uint64_t too_large;
	uint64_t calls;
	uint64_t steps;
	uint64_t bytes; /* of source */
};

static void print_program(const struct generated *program)
{
	static const char *const arrangements[] = {
		"one unit",
		"types and processes first, then all together",
		"types and processes, then types and workflows",
	};
	printf("# registered: %s\n%.*s%.*s%.*s", arrangements[program->arrangement],
	       SLICE_ARGS(buffer_slice(&program->types)), SLICE_ARGS(buffer_slice(&program->processes)),
	       SLICE_ARGS(buffer_slice(&program->workflows)));
}

static enum verdict try_seed(uint64_t seed, struct progress *progress, bool verbose)
{
	struct choices choices;
	struct trial trial;
	choices_init(&choices, seed);
	enum verdict verdict = trial_run(&trial, &choices, seed);
	progress->too_large += verdict == VERDICT_TOO_LARGE;
	progress->calls += trial.calls;
	progress->steps += trial.steps;
	progress->bytes += trial.program.types.size + trial.program.processes.size + trial.program.workflows.size;
	if (verbose) {
		printf("## seed %llu: %u calls, %u steps%s\n", (unsigned long long)seed, trial.calls, trial.steps,
		       verdict == VERDICT_TOO_LARGE ? ", too large" : "");
		print_program(&trial.program);
	}
	trial_finish(&trial);
	choices_finish(&choices);
	return verdict;
}

static _Noreturn void work(const struct options *options, struct progress *progress)
{
	time_t end = time(NULL) + (time_t)options->seconds;
	for (; progress->done < options->runs; progress->done++) {
		progress->seed = options->seed + progress->done;
		if (options->seconds > 0 && time(NULL) >= end)
			break;
		alarm(TRIAL_SECONDS);
		if (try_seed(progress->seed, progress, options->verbose) == VERDICT_WRONG) {
			fflush(NULL);
			_exit(EXIT_FAILURE);
		}
	}
	fflush(NULL);
	exit(EXIT_SUCCESS); /* not _exit: a sanitizer looks for leaks now */
}

/* Makes the failure as small as it gets, and prints it. */
static void report(uint64_t seed)
{
	struct choices choices;
	struct generated program;
	choices_init(&choices, seed);
	generate(&choices, &program);
	generated_finish(&program);
	printf("seed %llu fails; making it smaller\n", (unsigned long long)seed);
	shrink(&choices, seed);
	struct choices smallest;
	choices_init_recorded(&smallest, choices.values, choices.count);
	generate(&smallest, &program);
	print_program(&program);
	printf("\n");
	if (!trial_fails(&choices, seed, true))
		printf("it does not fail again by itself: perhaps a leak, or what came before it\n");
	printf("\nthe whole of it: --seed %llu --runs 1 --verbose\n", (unsigned long long)seed);
	generated_finish(&program);
	choices_finish(&smallest);
	choices_finish(&choices);
}

static bool run(const struct options *options)
{
	struct progress *progress = mmap(NULL, sizeof *progress, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1,
	                                 0);
	int status = 0;
	if (progress == MAP_FAILED) {
		perror("mmap");
		return false;
	}
	fflush(NULL);
	pid_t child = fork();
	if (child == 0)
		work(options, progress);
	if (child < 0 || waitpid(child, &status, 0) != child) {
		perror("fork");
		return false;
	}
	bool fine = WIFEXITED(status) && WEXITSTATUS(status) == EXIT_SUCCESS;
	printf("%llu programs, %llu KiB of source, %llu calls, %llu steps; %llu were too large to run\n",
	       (unsigned long long)progress->done, (unsigned long long)progress->bytes / 1024,
	       (unsigned long long)progress->calls, (unsigned long long)progress->steps,
	       (unsigned long long)progress->too_large);
	if (!fine)
		report(progress->seed);
	munmap(progress, sizeof *progress);
	return fine;
}

static bool parse_number(const char *text, uint64_t *ret_number)
{
	char *end;
	if (text == NULL || *text < '0' || *text > '9')
		return false;
	*ret_number = strtoull(text, &end, 10);
	return *end == '\0';
}

int main(int argc, char **argv)
{
	struct options options = {.seed = 1, .runs = 1000};
	bool fine = true;
	for (int i = 1; i < argc && fine; i++) {
		if (strcmp(argv[i], "--verbose") == 0)
			options.verbose = true;
		else if (strcmp(argv[i], "--seed") == 0)
			fine = parse_number(argv[++i], &options.seed);
		else if (strcmp(argv[i], "--runs") == 0)
			fine = parse_number(argv[++i], &options.runs);
		else if (strcmp(argv[i], "--seconds") == 0)
			fine = parse_number(argv[++i], &options.seconds);
		else
			fine = false;
	}
	if (!fine) {
		fprintf(stderr, "usage: %s [--seed N] [--runs N] [--seconds N] [--verbose]\n", argv[0]);
		return 2;
	}
	return run(&options) ? EXIT_SUCCESS : EXIT_FAILURE;
}
