#include "directory.h"

#include "base/memory.h"
#include "process.h"

#include <errno.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define TRIES 50
#define PAUSE_US 20000

int directory_create(const char *parent, char **ret_path, struct error *error)
{
	char *path = mem_format("%s/clusterd-bench-XXXXXX", parent);
	if (mkdtemp(path) == NULL) {
		error_set(error, ERR_IO, "cannot make a directory in %s: %s", parent, strerror(errno));
		mem_free(path);
		return ERR_IO;
	}
	*ret_path = path;
	return 0;
}

static int remove_one(const char *path, const struct stat *status, int type, struct FTW *where)
{
	(void)status;
	(void)type;
	(void)where;
	remove(path);
	return 0;
}

void directory_remove(const char *path)
{
	struct stat status;
	for (int i = 0; i < TRIES && lstat(path, &status) == 0; i++) {
		if (i > 0)
			pause_us(PAUSE_US);
		nftw(path, remove_one, 16, FTW_DEPTH | FTW_PHYS);
	}
}
