#include "process.h"

#include "base/memory.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static double in_us(const struct timespec *time)
{
	return (double)time->tv_sec * 1e6 + (double)time->tv_nsec / 1e3;
}

double clock_us(void)
{
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return in_us(&now);
}

void pause_us(unsigned microseconds)
{
	struct timespec pause = {microseconds / 1000000, (long)(microseconds % 1000000) * 1000};
	nanosleep(&pause, NULL);
}

double process_cpu_us(pid_t pid)
{
	clockid_t clock;
	struct timespec time;
	if (clock_getcpuclockid(pid, &clock) != 0 || clock_gettime(clock, &time) != 0)
		return 0;
	return in_us(&time);
}

static pid_t parent_of(pid_t pid)
{
	char path[64];
	char line[512];
	int parent = 0;
	snprintf(path, sizeof path, "/proc/%d/stat", (int)pid);
	FILE *file = fopen(path, "re");
	if (file == NULL)
		return 0;
	if (fgets(line, sizeof line, file) != NULL) {
		const char *behind_name = strrchr(line, ')');
		if (behind_name == NULL || sscanf(behind_name, ") %*c %d", &parent) != 1)
			parent = 0;
	}
	fclose(file);
	return parent;
}

static bool is_below(pid_t pid, pid_t ancestor)
{
	for (int depth = 0; depth < 16 && pid > 1; depth++) {
		pid = parent_of(pid);
		if (pid == ancestor)
			return true;
	}
	return false;
}

double process_descendants_cpu_us(pid_t pid)
{
	double sum = 0;
	const struct dirent *entry;
	DIR *directory = opendir("/proc");
	if (directory == NULL)
		return 0;
	while ((entry = readdir(directory)) != NULL) {
		pid_t found = isdigit((unsigned char)entry->d_name[0]) ? (pid_t)atoi(entry->d_name) : 0;
		if (found > 0 && is_below(found, pid))
			sum += process_cpu_us(found);
	}
	closedir(directory);
	return sum;
}

static double status_mib(pid_t pid, const char *field)
{
	char path[64];
	char line[256];
	double kib = 0;
	snprintf(path, sizeof path, "/proc/%d/status", (int)pid);
	FILE *file = fopen(path, "re");
	if (file == NULL)
		return 0;
	while (fgets(line, sizeof line, file) != NULL) {
		if (strncmp(line, field, strlen(field)) == 0)
			kib = strtod(line + strlen(field), NULL);
	}
	fclose(file);
	return kib / 1024;
}

double process_resident_mib(pid_t pid)
{
	return status_mib(pid, "VmRSS:");
}

double process_private_mib(pid_t pid)
{
	return status_mib(pid, "RssAnon:");
}

bool process_dies_with(pid_t parent)
{
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	return getppid() == parent;
}

void process_end(pid_t pid, int signal, unsigned patience_ms)
{
	double until = clock_us() + patience_ms * 1e3;
	kill(pid, signal);
	while (clock_us() < until) {
		pid_t ended = waitpid(pid, NULL, WNOHANG);
		if (ended == pid || (ended < 0 && errno == ECHILD))
			return;
		pause_us(1000);
	}
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
}
