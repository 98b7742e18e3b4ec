/* Stands in for libFuzzer where there is none: gives every file of a corpus to the fuzz target, whole and cut short at
 * several places. Without a fuzzer's mutations it finds little that is new, but what was found once is not lost again. */
#include "base/buffer.h"
#include "base/memory.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#define CUTS 16

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* A copy of exactly this size, so that a sanitizer or valgrind sees a read behind its end. */
static void run_once(const char *data, size_t size)
{
	uint8_t *copy = mem_alloc(size);
	if (size != 0)
		memcpy(copy, data, size);
	LLVMFuzzerTestOneInput(copy, size);
	mem_free(copy);
}

static bool run_file(const char *path)
{
	struct buffer content = BUFFER_EMPTY;
	FILE *file = fopen(path, "rb");
	if (file == NULL) {
		fprintf(stderr, "%s: %s\n", path, strerror(errno));
		return false;
	}
	for (;;) {
		char *place = buffer_reserve(&content, 65536);
		size_t count = fread(place, 1, 65536, file);
		if (count == 0)
			break;
		content.size += count;
	}
	bool whole = ferror(file) == 0;
	fclose(file);
	if (whole) {
		run_once(content.data, content.size);
		for (size_t i = 0; i < CUTS && i < content.size; i++)
			run_once(content.data, content.size * i / CUTS);
	}
	buffer_finish(&content);
	return whole;
}

static int compare_names(const void *left, const void *right)
{
	return strcmp(*(char *const *)left, *(char *const *)right);
}

/* In the order of the names, so that a failure comes at the same file each time. */
static bool run_directory(const char *directory, size_t *files)
{
	char **names = NULL;
	size_t count = 0;
	size_t capacity = 0;
	bool good = true;
	DIR *stream = opendir(directory);
	if (stream == NULL) {
		fprintf(stderr, "%s: %s\n", directory, strerror(errno));
		return false;
	}
	for (struct dirent *entry = readdir(stream); entry != NULL; entry = readdir(stream)) {
		if (entry->d_name[0] == '.')
			continue;
		mem_grow(names, capacity, count + 1);
		names[count++] = mem_format("%s/%s", directory, entry->d_name);
	}
	closedir(stream);
	if (count != 0)
		qsort(names, count, sizeof *names, compare_names);
	for (size_t i = 0; i < count; i++) {
		printf("%s\n", names[i]);
		fflush(stdout);
		good = run_file(names[i]) && good;
		mem_free(names[i]);
	}
	mem_free(names);
	*files += count;
	return good;
}

int main(int argc, char **argv)
{
	size_t files = 0;
	bool good = true;
	for (int i = 1; i < argc; i++) {
		struct stat status;
		if (stat(argv[i], &status) == 0 && !S_ISDIR(status.st_mode)) {
			good = run_file(argv[i]) && good;
			files++;
		} else {
			good = run_directory(argv[i], &files) && good;
		}
	}
	printf("%zu files\n", files);
	return good && files > 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
