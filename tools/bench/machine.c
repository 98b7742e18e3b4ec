#include "bench.h"

#include "base/memory.h"
#include "process.h"
#include "rows.h"

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <sys/vfs.h>
#include <unistd.h>

/* What the machine can do by itself: the floor for whatever writes a log and rows. */

#define RECORD_SIZE 1024
#define FILE_SIZE (4u << 20)
#define SYNCS_MAX 200000
#define DURATION_MAX_MS 1000 /* longer is not truer */

static const struct report_column sync_columns[] = {
	{"per_s", "per s", 0},
	{"mean_us", "mean µs", 1},
	{"p50_us", "p50 µs", 1},
	{"p99_us", "p99 µs", 1},
};

static const struct report_column row_columns[] = {
	{"per_s", "per s", 0},
	{"mean_us", "mean µs", 2},
};

static msec duration_of(const struct bench *bench)
{
	return msec_earlier(bench->duration / 2, DURATION_MAX_MS);
}

/* --- who it is ---------------------------------------------------------------------------------------------------- */

static void processor_name(char *name, size_t size)
{
	char line[256];
	FILE *file = fopen("/proc/cpuinfo", "re");
	snprintf(name, size, "unknown processor");
	while (file != NULL && fgets(line, sizeof line, file) != NULL) {
		const char *colon = strchr(line, ':');
		if (strncmp(line, "model name", 10) != 0 || colon == NULL)
			continue;
		line[strcspn(line, "\n")] = '\0';
		snprintf(name, size, "%s", colon + 2);
		break;
	}
	if (file != NULL)
		fclose(file);
}

static const char *file_system_name(uint32_t type)
{
	static const struct {
		uint32_t type;
		const char *name;
	} known[] = {
		{0xEF53, "ext4"},
		{0x01021994, "tmpfs"},
		{0x58465342, "xfs"},
		{0x9123683E, "btrfs"},
		{0xF2F52010, "f2fs"},
		{0x794C7630, "overlay"},
		{0x2FC12FC1, "zfs"},
		{0x6969, "nfs"},
	};
	for (size_t i = 0; i < sizeof known / sizeof known[0]; i++) {
		if (known[i].type == type)
			return known[i].name;
	}
	return "another file system";
}

static void report_facts(struct bench *bench)
{
	char processor[128];
	struct utsname system;
	struct statfs file_system;
	double load[1] = {0};
	processor_name(processor, sizeof processor);
	uname(&system);
	report_fact(bench->report, "processor", "%ld × %s", sysconf(_SC_NPROCESSORS_ONLN), processor);
	report_fact(bench->report, "kernel", "%s %s", system.sysname, system.release);
	if (statfs(bench->directory, &file_system) == 0)
		report_fact(bench->report, "files", "%s (%s)%s", file_system_name((uint32_t)file_system.f_type),
		            bench->directory,
		            file_system.f_type == 0x01021994 ? ": in memory, syncs cost nothing" : "");
	report_fact(bench->report, "sqlite", "%s", rows_sqlite_version());
	report_fact(bench->report, "clusterd", "%s", bench->program);
	if (getloadavg(load, 1) == 1)
		report_fact(bench->report, "load", "%.2f when it began%s", load[0],
		            load[0] > 0.5 ? ": the machine was not idle" : "");
	report_fact(bench->report, "duration", "%.1f s for each measurement", (double)bench->duration / 1e3);
}

/* --- syncs -------------------------------------------------------------------------------------------------------- */

static int compare_floats(const void *left, const void *right)
{
	float a = *(const float *)left;
	float b = *(const float *)right;
	return (a > b) - (a < b);
}

/* Written, not only reserved: so that a later write changes no metadata. */
static int fill(int file)
{
	char block[16 * RECORD_SIZE] = {0};
	for (size_t at = 0; at < FILE_SIZE; at += sizeof block) {
		if (pwrite(file, block, sizeof block, (off_t)at) != (ssize_t)sizeof block)
			return ERR_IO;
	}
	return fsync(file);
}

static int sync_often(int file, msec duration, float *times_us, size_t *ret_count)
{
	char record[RECORD_SIZE];
	size_t count = 0;
	double end_us = clock_us() + (double)duration * 1e3;
	memset(record, 'r', sizeof record);
	while (count < SYNCS_MAX && clock_us() < end_us) {
		double begin_us = clock_us();
		off_t at = (off_t)(count * RECORD_SIZE % FILE_SIZE);
		record[0] = (char)count;
		if (pwrite(file, record, sizeof record, at) != (ssize_t)sizeof record || fdatasync(file) != 0)
			return ERR_IO;
		times_us[count++] = (float)(clock_us() - begin_us);
	}
	*ret_count = count;
	return 0;
}

/* Gives the times of many syncs in ascending order. */
static int measure_syncs(const struct bench *bench, msec duration, float **ret_times_us, size_t *ret_count,
                         struct error *error)
{
	char *path = mem_format("%s/syncs", bench->directory);
	float *times_us = mem_array(SYNCS_MAX, sizeof *times_us);
	size_t count = 0;
	int code = 0;
	int file = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	if (file < 0 || fill(file) != 0 || sync_often(file, duration, times_us, &count) != 0 || count == 0)
		code = error_set(error, ERR_IO, "%s: %s", path, strerror(errno));
	if (file >= 0)
		close(file);
	unlink(path);
	mem_free(path);
	if (code != 0) {
		mem_free(times_us);
		return code;
	}
	qsort(times_us, count, sizeof *times_us, compare_floats);
	*ret_times_us = times_us;
	*ret_count = count;
	return 0;
}

int bench_sync_us(const struct bench *bench, msec duration, double *ret_median_us, struct error *error)
{
	float *times_us;
	size_t count;
	int code = measure_syncs(bench, duration, &times_us, &count, error);
	if (code != 0)
		return code;
	*ret_median_us = (double)times_us[count / 2];
	mem_free(times_us);
	return 0;
}

static int report_syncs(struct bench *bench, struct error *error)
{
	float *times_us;
	size_t count;
	double sum_us = 0;
	int code = measure_syncs(bench, duration_of(bench), &times_us, &count, error);
	if (code != 0)
		return code;
	for (size_t i = 0; i < count; i++)
		sum_us += (double)times_us[i];
	report_group(bench->report, "machine", sync_columns, sizeof sync_columns / sizeof sync_columns[0]);
	report_row(bench->report, "machine/fdatasync",
	           (double[]){(double)count * 1e6 / sum_us, sum_us / (double)count, (double)times_us[count / 2],
	                      (double)times_us[count * 99 / 100]});
	mem_free(times_us);
	return 0;
}

/* --- all of it ---------------------------------------------------------------------------------------------------- */

static int report_rows(struct bench *bench, struct error *error)
{
	uint64_t count;
	double seconds;
	int code = rows_insert(bench->directory, duration_of(bench), &count, &seconds, error);
	if (code != 0)
		return code;
	report_group(bench->report, "machine", row_columns, sizeof row_columns / sizeof row_columns[0]);
	report_row(bench->report, "machine/sqlite-rows",
	           (double[]){(double)count / seconds, seconds * 1e6 / (double)count});
	return 0;
}

int bench_machine(struct bench *bench, struct error *error)
{
	report_facts(bench);
	int code = report_syncs(bench, error);
	if (code == 0)
		code = report_rows(bench, error);
	return code;
}
