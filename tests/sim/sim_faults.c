#include "sim/sim.h"

#include <sqlite3.h>

/* What goes wrong, and when. */

#define PAUSE_MS 1500

static void cut_in_host_call(struct sim *sim, enum sim_down how)
{
	sim->cut_how = how;
	sim->cut_at = sim->host_calls + 1 + sim_below(sim, 40);
}

static void power(struct sim *sim)
{
	switch (sim_below(sim, 4)) {
	case 0:
		sim_go_down(sim, DOWN_POWER);
		break;
	case 1:
		cut_in_host_call(sim, DOWN_POWER);
		break;
	case 2:
		faulty_fs_power_off_at(sim_chance(sim, 85) ? sim->log_fs : sim->fs, 1 + sim_below(sim, 12));
		break;
	default:
		/* Between two writes of a COMMIT, or of a checkpoint. */
		sim->cut_in_catalog = true;
		faulty_vfs_fail(sim->vfs, sim_chance(sim, 80) ? FAULTY_WRITE : FAULTY_SYNC, 1 + sim_below(sim, 60),
		                SQLITE_IOERR_WRITE, true);
		break;
	}
}

static void io(struct sim *sim)
{
	static const int codes[FAULTY_OPERATIONS] = {SQLITE_CANTOPEN, SQLITE_IOERR_READ, SQLITE_IOERR_WRITE,
	                                             SQLITE_IOERR_TRUNCATE, SQLITE_IOERR_FSYNC};
	enum faulty_operation operation = (enum faulty_operation)sim_below(sim, FAULTY_OPERATIONS);
	sim->may_break = true;
	if (sim_chance(sim, 50))
		faulty_fs_fail_sync(sim_chance(sim, 85) ? sim->log_fs : sim->fs, 1 + sim_below(sim, 8));
	else
		faulty_vfs_fail(sim->vfs, operation, 1 + sim_below(sim, 60), codes[operation], sim_chance(sim, 50));
}

static void space(struct sim *sim)
{
	sim->may_break = true;
	if (sim_chance(sim, 50))
		faulty_fs_fail_space(sim->log_fs, 1 + sim_below(sim, 20));
	else
		faulty_vfs_fail(sim->vfs, FAULTY_WRITE, 1 + sim_below(sim, 60), SQLITE_FULL, true);
}

static void stop(struct sim *sim)
{
	if (sim->draining)
		return;
	sim_trace(sim, "--- it is asked to stop");
	sim->draining = true;
	sim->drain_until = sim->now + 200 + (msec)sim_below(sim, 3000);
	node_drain(sim->node);
}

static void jump(struct sim *sim)
{
	sim->wall_offset += (msec)sim_below(sim, 4000) - 2000;
	sim_trace(sim, "the wall clock is %lld ms off", (long long)sim->wall_offset);
}

/* A trouble of a random kind. An armed cut in SQLite is left alone, so that nothing is taken for it. */
static void trouble(struct sim *sim, uint64_t unused1, uint64_t unused2)
{
	unsigned int kind = 1u << sim_below(sim, 6);
	(void)unused1;
	(void)unused2;
	if (sim->calm)
		return;
	sim_after_any(sim, 1 + (msec)sim_below(sim, PAUSE_MS), trouble, 0, 0);
	if (!sim_is_up(sim) || sim->cut_in_catalog || (sim->options.faults & kind) == 0)
		return;
	switch (kind) {
	case SIM_POWER:
		power(sim);
		break;
	case SIM_KILL:
		if (sim_chance(sim, 50))
			sim_go_down(sim, DOWN_KILL);
		else
			cut_in_host_call(sim, DOWN_KILL);
		break;
	case SIM_STOP:
		stop(sim);
		break;
	case SIM_IO:
		io(sim);
		break;
	case SIM_SPACE:
		space(sim);
		break;
	default:
		jump(sim);
		break;
	}
}

void faults_init(struct sim *sim)
{
	sim_after_any(sim, (msec)sim_below(sim, PAUSE_MS), trouble, 0, 0);
}

void faults_withdraw(struct sim *sim)
{
	for (int i = 0; i < FAULTY_OPERATIONS; i++)
		faulty_vfs_fail(sim->vfs, (enum faulty_operation)i, 0, 0, false);
	faulty_fs_fail_sync(sim->fs, 0);
	faulty_fs_fail_sync(sim->log_fs, 0);
	faulty_fs_fail_space(sim->fs, 0);
	faulty_fs_fail_space(sim->log_fs, 0);
	faulty_fs_power_off_at(sim->fs, 0);
	faulty_fs_power_off_at(sim->log_fs, 0);
	sim->cut_at = 0;
	sim->cut_in_catalog = false;
	sim->may_break = false;
}
