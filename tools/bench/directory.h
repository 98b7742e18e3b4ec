/* Temporary directories. */
#ifndef BENCH_DIRECTORY_H
#define BENCH_DIRECTORY_H

#include "base/error.h"

/* A new one in `parent`; the path is the caller's to free. */
int directory_create(const char *parent, char **ret_path, struct error *error);
/* With all that is in it, also while others still write there. */
void directory_remove(const char *path);

#endif
