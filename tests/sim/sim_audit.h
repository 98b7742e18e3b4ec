/* Reading a server's catalog with SQL, for sim_audit.c and sim_job_checks.c. */
#ifndef CLUSTERD_SIM_SIM_AUDIT_H
#define CLUSTERD_SIM_SIM_AUDIT_H

#include "sim/sim.h"

#include <sqlite3.h>

sqlite3 *audit_open(struct server *server);
sqlite3_stmt *audit_prepare(struct sim *sim, sqlite3 *database, const char *sql);
bool audit_row(struct sim *sim, sqlite3 *database, sqlite3_stmt *statement);
struct slice audit_text(sqlite3_stmt *statement, int column);
/* Queries that must give no row; the first column says what is wrong. */
void audit_expect_nothing(struct sim *sim, sqlite3 *database, const char *const *queries, size_t count);

#endif
