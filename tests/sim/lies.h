/* Disks that say what is not so, for mistakes that are planted. */
#ifndef CLUSTERD_SIM_LIES_H
#define CLUSTERD_SIM_LIES_H

#include "store/fs.h"

/* Syncs that fail are said to have succeeded. */
void lie_about_failed_syncs(struct fs *fs);
/* The files of a SQLite VFS are never synced, and it says that they are. */
void lie_about_catalog_syncs(const char *vfs);

#endif
