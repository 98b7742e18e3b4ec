/* Working directories of children: fresh ones are made, used ones are emptied bit by bit, so that no child can hold
 * up the loop by what it leaves behind. */
#ifndef CLUSTERD_DAEMON_WORKDIR_H
#define CLUSTERD_DAEMON_WORKDIR_H

#include "base/error.h"
#include "net/loop.h"

struct workdirs;

/* Makes `directory` when it is absent, and in it work/, cache/ and trash/. What an earlier run left in these three
 * goes to the trash; nothing else in `directory` is touched. ERR_IO. */
int workdirs_create(struct loop *loop, const char *directory, struct workdirs **ret_workdirs, struct error *error);
/* Removes the directories that are left, as far as that is done quickly; the next start removes the rest. NULL is
 * fine. */
void workdirs_destroy(struct workdirs *workdirs);
/* A new, empty directory; the absolute path is the caller's (mem_free). ERR_IO. */
int workdirs_add(struct workdirs *workdirs, char **ret_path, struct error *error);
/* Nothing may run in it any more. Takes the path. NULL is fine. */
void workdirs_remove(struct workdirs *workdirs, char *take_path);
/* Absolute path of cache/. */
const char *workdirs_cache(const struct workdirs *workdirs);

#endif
