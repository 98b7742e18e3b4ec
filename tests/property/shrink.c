#include "shrink.h"

#include "base/memory.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define SHRINK_SECONDS 60

static _Noreturn void run_child(const struct choices *choices, uint64_t seed, bool loud)
{
	struct choices copy;
	struct trial trial;
	int nowhere = loud ? -1 : open("/dev/null", O_WRONLY);
	if (nowhere >= 0) {
		dup2(nowhere, STDERR_FILENO);
		dup2(nowhere, STDOUT_FILENO);
	}
	alarm(TRIAL_SECONDS);
	choices_init_recorded(&copy, choices->values, choices->count);
	enum verdict verdict = trial_run(&trial, &copy, seed);
	if (loud)
		fwrite(trial.failure.data, 1, trial.failure.size, stdout);
	fflush(NULL);
	_exit(verdict == VERDICT_WRONG ? EXIT_FAILURE : EXIT_SUCCESS);
}

bool trial_fails(const struct choices *choices, uint64_t seed, bool loud)
{
	int status = 0;
	fflush(NULL);
	pid_t child = fork();
	if (child == 0)
		run_child(choices, seed, loud);
	if (child < 0 || waitpid(child, &status, 0) != child)
		return false;
	if (loud && WIFSIGNALED(status))
		printf("the trial ends by signal %d (%s)\n", WTERMSIG(status), strsignal(WTERMSIG(status)));
	return !WIFEXITED(status) || WEXITSTATUS(status) != EXIT_SUCCESS;
}

/* Keeps the candidate when it fails, too. */
static bool try_instead(struct choices *choices, struct choices *candidate, uint64_t seed)
{
	if (!trial_fails(candidate, seed, false)) {
		choices_finish(candidate);
		return false;
	}
	choices_finish(choices);
	*choices = *candidate;
	return true;
}

/* Takes `size` choices out at each place. */
static bool take_out(struct choices *choices, size_t size, uint64_t seed, time_t end)
{
	bool any = false;
	for (size_t at = 0; at + size <= choices->count && time(NULL) < end;) {
		struct choices candidate;
		choices_init_recorded(&candidate, choices->values, choices->count);
		memmove(candidate.values + at, candidate.values + at + size,
		        (candidate.count - at - size) * sizeof *candidate.values);
		candidate.count -= size;
		if (try_instead(choices, &candidate, seed))
			any = true;
		else
			at += size > 1 ? size / 2 : 1;
	}
	return any;
}

/* Sets `size` choices to 0 at each place. */
static bool set_zero(struct choices *choices, size_t size, uint64_t seed, time_t end)
{
	bool any = false;
	for (size_t at = 0; at + size <= choices->count && time(NULL) < end; at += size) {
		struct choices candidate;
		bool zero = true;
		for (size_t i = at; i < at + size; i++)
			zero = zero && choices->values[i] == 0;
		if (zero)
			continue;
		choices_init_recorded(&candidate, choices->values, choices->count);
		memset(candidate.values + at, 0, size * sizeof *candidate.values);
		any = try_instead(choices, &candidate, seed) || any;
	}
	return any;
}

static bool make_smaller(struct choices *choices, uint64_t seed, time_t end)
{
	bool any = false;
	for (size_t at = 0; at < choices->count && time(NULL) < end; at++) {
		struct choices candidate;
		if (choices->values[at] < 2)
			continue;
		choices_init_recorded(&candidate, choices->values, choices->count);
		candidate.values[at] /= 2;
		any = try_instead(choices, &candidate, seed) || any;
	}
	return any;
}

void shrink(struct choices *choices, uint64_t seed)
{
	time_t end = time(NULL) + SHRINK_SECONDS;
	for (bool more = true; more && time(NULL) < end;) {
		more = false;
		for (size_t size = 128; size > 0; size /= 2) {
			more = take_out(choices, size, seed, end) || more;
			more = set_zero(choices, size, seed, end) || more;
		}
		more = make_smaller(choices, seed, end) || more;
	}
}
