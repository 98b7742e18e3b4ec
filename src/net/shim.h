/* What child.c (in the daemon) and shim.c (the same program, started again) agree upon. */
#ifndef CLUSTERD_NET_SHIM_H
#define CLUSTERD_NET_SHIM_H

/* The shim's command line: SHIM_NAME, SHIM_MARK, "address_space,open_files,processes,without_group",
 * working directory ("": as it is), then the command's own. */
#define SHIM_NAME "clusterd-shim"
#define SHIM_MARK "--child-1"
#define SHIM_LIMITS 2
#define SHIM_DIRECTORY 3
#define SHIM_COMMAND 4

/* The command's environment is the shim's with this before every variable: so LD_PRELOAD and its like act on the
 * command, not on the shim, and values stay where only the owner can read them. */
#define SHIM_VARIABLE_PREFIX '@'

/* Descriptors 0, 1, 2 are the command's; this one is the shim's end of a socket pair that keeps message boundaries.
 * The daemon sends orders of one byte; the shim sends one `struct child_exit` when all is over. */
#define SHIM_CONTROL 3
#define SHIM_TERMINATE 'T'
#define SHIM_KILL 'K'

#endif
