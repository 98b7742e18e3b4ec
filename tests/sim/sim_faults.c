#include "sim/sim.h"

#include "daemon/node_internal.h"

#include <sqlite3.h>

/* What goes wrong, and when. */


static void cut_in_host_call(struct server *server, enum sim_down how)
{
	struct sim *sim = server->sim;
	server->cut_how = how;
	server->cut_at = server->host_calls + 1 + sim_below(sim, 40);
}

static void power(struct server *server)
{
	struct sim *sim = server->sim;
	switch (sim_below(sim, 4)) {
	case 0:
		server_go_down(server, DOWN_POWER);
		break;
	case 1:
		cut_in_host_call(server, DOWN_POWER);
		break;
	case 2:
		faulty_fs_power_off_at(sim_chance(sim, 85) ? server->log_fs : server->fs, 1 + sim_below(sim, 12));
		break;
	default:
		/* Between two writes of a COMMIT, or of a checkpoint. */
		server->cut_in_catalog = true;
		faulty_vfs_fail(server->vfs, sim_chance(sim, 80) ? FAULTY_WRITE : FAULTY_SYNC, 1 + sim_below(sim, 60),
		                SQLITE_IOERR_WRITE, true);
		break;
	}
}

static void io(struct server *server)
{
	struct sim *sim = server->sim;
	static const int codes[FAULTY_OPERATIONS] = {SQLITE_CANTOPEN, SQLITE_IOERR_READ, SQLITE_IOERR_WRITE,
	                                             SQLITE_IOERR_TRUNCATE, SQLITE_IOERR_FSYNC};
	enum faulty_operation operation = (enum faulty_operation)sim_below(sim, FAULTY_OPERATIONS);
	server->may_break = true;
	if (sim_chance(sim, 50))
		faulty_fs_fail_sync(sim_chance(sim, 85) ? server->log_fs : server->fs, 1 + sim_below(sim, 8));
	else
		faulty_vfs_fail(server->vfs, operation, 1 + sim_below(sim, 60), codes[operation], sim_chance(sim, 50));
}

static void space(struct server *server)
{
	struct sim *sim = server->sim;
	server->may_break = true;
	if (sim_chance(sim, 50))
		faulty_fs_fail_space(server->log_fs, 1 + sim_below(sim, 20));
	else
		faulty_vfs_fail(server->vfs, FAULTY_WRITE, 1 + sim_below(sim, 60), SQLITE_FULL, true);
}

static void jump(struct server *server)
{
	struct sim *sim = server->sim;
	server->wall_offset += (msec)sim_below(sim, 4000) - 2000;
	server_trace(server, "the wall clock is %lld ms off", (long long)server->wall_offset);
}

static bool leads(const struct server *server)
{
	return server_answers(server) && raft_role(server->node->raft) == RAFT_LEADER;
}

/* Who cannot be heard and still believes to lead is the most dangerous one. */
static struct server *rather_leader(struct sim *sim, struct server *server, uint32_t percent)
{
	for (uint32_t i = 0; i < sim->server_count && sim_chance(sim, percent); i++) {
		if (leads(sim->servers[i]))
			return sim->servers[i];
	}
	return server;
}

/* Some of the servers do not hear some others: all pairs across a line, one server, one direction, or all but one bridge. */
static void partition(struct sim *sim, msec time)
{
	uint32_t count = sim->server_count;
	uint32_t one = rather_leader(sim, machines_some(sim), 50)->number;
	uint32_t other = (one + 1 + (uint32_t)sim_below(sim, count - 1)) % count;
	uint64_t side = sim_below(sim, UINT64_C(1) << count);
	uint64_t shape = sim_below(sim, 5);
	sim->counts[COUNT_PARTITION]++;
	if (leads(sim->servers[one]))
		keys_tempt(sim->servers[one], time);
	net_heal(sim);
	for (uint32_t from = 0; from < count; from++) {
		for (uint32_t to = 0; to < count; to++) {
			bool across = (side >> from & 1) != (side >> to & 1);
			bool cut[] = {from == one || to == one,               /* one is alone */
			              across,                                 /* two sides */
			              across && from != one && to != one,     /* one knows both sides */
			              from == one && (to == other || across), /* one is not heard by some */
			              from == one};                           /* one hears all, and nobody hears it */
			net_block(sim, from, to, from != to && cut[shape]);
			if (from != to && cut[shape])
				sim_trace(sim, "%s is not heard by %s", sim->servers[from]->name, sim->servers[to]->name);
		}
	}
}

static void heal(void *subject, uint64_t unused1, uint64_t unused2)
{
	struct sim *sim = subject;
	(void)unused1;
	(void)unused2;
	sim_trace(sim, "all hear one another again");
	net_heal(sim);
}

static void quiet(void *subject, uint64_t unused1, uint64_t unused2)
{
	(void)unused1;
	(void)unused2;
	net_trouble(subject, 0, 0);
}

/* Short ones are many, long ones few. */
static msec duration(struct sim *sim)
{
	return 1 + (msec)sim_below(sim, (uint64_t[]){200, 1000, 4000, 15000}[sim_below(sim, 4)]);
}

static void network(struct sim *sim, unsigned int kind)
{
	if (kind == SIM_PARTITION) {
		msec time = duration(sim);
		partition(sim, time);
		sim_after(sim, time, heal, 0, 0);
	} else if (sim_chance(sim, 50)) {
		net_break_some(sim);
	} else {
		sim_trace(sim, "the network is bad");
		net_trouble(sim, (uint32_t)sim_below(sim, 300), (uint32_t)sim_below(sim, 300));
		sim_after(sim, duration(sim), quiet, 0, 0);
	}
}

static void on_server(struct server *server, unsigned int kind)
{
	struct sim *sim = server->sim;
	msec time = duration(sim);
	switch (kind) {
	case SIM_POWER:
		power(server);
		break;
	case SIM_KILL:
		if (sim_chance(sim, 50))
			server_go_down(server, DOWN_KILL);
		else
			cut_in_host_call(server, DOWN_KILL);
		break;
	case SIM_STOP:
		server_drain(server, 200 + (msec)sim_below(sim, 3000));
		break;
	case SIM_IO:
		sim->counts[COUNT_IO]++;
		server_trace(server, "something of its disk will fail");
		io(server);
		break;
	case SIM_SPACE:
		sim->counts[COUNT_SPACE]++;
		server_trace(server, "its disk is almost full");
		space(server);
		break;
	case SIM_CLOCK:
		sim->counts[COUNT_CLOCK]++;
		jump(server);
		break;
	case SIM_PAUSE:
		server_trace(server, "--- does nothing for %lld ms", (long long)time);
		sim->counts[COUNT_PAUSE]++;
		if (leads(server))
			keys_tempt(server, time);
		server->paused_until = sim->now + time;
		break;
	case SIM_SLOW:
		server_trace(server, "the disk is slow for %lld ms", (long long)time);
		sim->counts[COUNT_SLOW]++;
		server->slow_until = sim->now + time;
		break;
	default:
		break;
	}
}

/* A trouble of a random kind. An armed cut in SQLite is left alone, so that nothing is taken for it. */
static void trouble(void *subject, uint64_t unused1, uint64_t unused2)
{
	static const unsigned int alone[] = {SIM_POWER, SIM_KILL, SIM_STOP, SIM_IO, SIM_SPACE, SIM_CLOCK};
	static const unsigned int several[] = {SIM_POWER, SIM_KILL, SIM_STOP,      SIM_IO,        SIM_SPACE, SIM_CLOCK,
	                                       SIM_PAUSE, SIM_SLOW, SIM_PARTITION, SIM_PARTITION, SIM_NET,   SIM_MEMBERS,
	                                       SIM_FLIP};
	struct sim *sim = subject;
	struct server *server = machines_some(sim);
	unsigned int kind = sim->founder_count == 1 ? alone[sim_below(sim, 6)] : several[sim_below(sim, 13)];
	(void)unused1;
	(void)unused2;
	if (sim->calm)
		return;
	sim_after(sim, 1 + (msec)sim_below(sim, (uint64_t)sim->trouble_pause), trouble, 0, 0);
	if ((sim->options.faults & kind) == 0)
		return;
	if (kind == SIM_PAUSE)
		server = rather_leader(sim, server, 80);
	if (kind == SIM_PARTITION || kind == SIM_NET)
		network(sim, kind);
	else if (kind == SIM_MEMBERS || kind == SIM_FLIP)
		machines_trouble(sim, kind);
	else if (server_answers(server) && !server->cut_in_catalog)
		on_server(server, kind);
}

void faults_init(struct sim *sim)
{
	sim->trouble_pause = sim->founder_count == 1 ? 1500 : (msec[]){1000, 3000, 10000, 30000}[sim_below(sim, 4)];
	for (uint32_t i = 0; i < sim->server_count && sim->founder_count > 1 && (sim->options.faults & SIM_CLOCK) != 0; i++) {
		struct server *server = sim->servers[i];
		if (sim_chance(sim, 30)) {
			server->drift = (int64_t)sim_below(sim, 20001) - 10000;
			sim->counts[COUNT_DRIFT]++;
		}
		server->wall_offset = (msec)sim_below(sim, 400) - 200;
	}
	sim_after(sim, (msec)sim_below(sim, (uint64_t)sim->trouble_pause), trouble, 0, 0);
}

void faults_withdraw(struct server *server)
{
	for (int i = 0; i < FAULTY_OPERATIONS; i++)
		faulty_vfs_fail(server->vfs, (enum faulty_operation)i, 0, 0, false);
	faulty_fs_fail_sync(server->fs, 0);
	faulty_fs_fail_sync(server->log_fs, 0);
	faulty_fs_fail_space(server->fs, 0);
	faulty_fs_fail_space(server->log_fs, 0);
	faulty_fs_power_off_at(server->fs, 0);
	faulty_fs_power_off_at(server->log_fs, 0);
	server->cut_at = 0;
	server->cut_in_catalog = false;
	server->may_break = false;
}

void faults_end(struct sim *sim)
{
	net_heal(sim);
	net_trouble(sim, 0, 0);
	machines_calm(sim);
	for (uint32_t i = 0; i < sim->server_count; i++) {
		struct server *server = sim->servers[i];
		faults_withdraw(server);
		server->slow_until = 0;
		if (server->paused_until > sim->now)
			server->paused_until = sim->now;
	}
}
