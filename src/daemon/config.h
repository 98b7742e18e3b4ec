/* What clusterd was told: defaults, then the configuration file, then the environment (CLUSTERD_…), then the command line. */
#ifndef CLUSTERD_DAEMON_CONFIG_H
#define CLUSTERD_DAEMON_CONFIG_H

#include "base/buffer.h"
#include "base/error.h"
#include "base/log.h"
#include "base/time.h"

#define CONFIG_JOIN_MAX 64
#define CONFIG_EXPECT_MAX 9
#define CONFIG_JOIN_SIZE_MAX 1024 /* bytes of one of them */
#define CONFIG_ADDRESS_MAX 64 /* bytes of an address that other nodes are told */

struct config {
	char *config_file; /* NULL: none */
	char *data_dir;
	char *name;
	char *listen;      /* HOST:PORT */
	char *advertise;   /* NULL: as it listens */
	bool agent;        /* only runs work */
	char **join;       /* where nodes of the cluster are, as discovery.h has it */
	size_t join_count;
	long long expect;  /* servers that begin a cluster together; 0: not said */
	char *salvage;     /* file to write what the directory holds to, and end; NULL: run a node */
	char *kubernetes_mount; /* NULL: the usual directory */
	char *secret_file; /* NULL: no secret */
	char *datacenter;
	char *tags;        /* a JSON object */
	enum log_level log_level;
	long long exec_slots;
	long long pool_children;
	long long pool_depth;
	long long port_low, port_high; /* that tasks of jobs may get; 0: none */
	long long connections;
	msec drain_timeout;
	msec kill_grace;
	long long program_max; /* bytes */
	msec program_kept;
	long long task_processes;
	long long task_disk; /* bytes */
	long long log_tail;
	size_t join_capacity;
	bool help;
	bool version;
};

/* Reads all of it. ERR_INVALID: wrong usage, the text says what. */
int config_read(int argc, char **argv, struct config *ret_config, struct error *error);
void config_finish(struct config *config);
/* Reads the file again for what may change while running: log_level. */
int config_reload(struct config *config, struct error *error);
void config_help(struct buffer *out);

#endif
