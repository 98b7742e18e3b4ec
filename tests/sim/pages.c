/* A catalog has large pages since disks like them. To a disk in memory they are only bytes to be moved about. And in a small catalog there
 * are more of the small ones, so more are split and torn. The linker gives the catalog's calls of sqlite3_exec to the one here (--wrap). */
#include "sim/pages.h"

#include "base/memory.h"

#include <sqlite3.h>
#include <string.h>

static unsigned int page_size;

int __real_sqlite3_exec(sqlite3 *database, const char *sql, int (*row)(void *, int, char **, char **), void *context,
                        char **ret_text);
int __wrap_sqlite3_exec(sqlite3 *database, const char *sql, int (*row)(void *, int, char **, char **), void *context,
                        char **ret_text);

int __wrap_sqlite3_exec(sqlite3 *database, const char *sql, int (*row)(void *, int, char **, char **), void *context,
                        char **ret_text)
{
	static const char sets_size[] = "PRAGMA page_size = ";
	if (page_size == 0 || strncmp(sql, sets_size, sizeof sets_size - 1) != 0)
		return __real_sqlite3_exec(database, sql, row, context, ret_text);
	const char *rest = strchr(sql, ';');
	char *changed = mem_format("%s%u%s", sets_size, page_size, rest != NULL ? rest : "");
	int code = __real_sqlite3_exec(database, changed, row, context, ret_text);
	mem_free(changed);
	return code;
}

void pages_set_size(unsigned int size)
{
	page_size = size;
}
