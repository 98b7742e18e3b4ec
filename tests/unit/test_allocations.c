#include "daemon/allocations.h"

#include "base/memory.h"
#include "net/child.h"
#include "net/supervisor.h"

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <arpa/inet.h>
#include <dirent.h>
#include <fcntl.h>
#include <ftw.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#define DEADLINE_MS 30000
#define IDS 100

/* ---- Helpers ---- */

struct told {
	int count;
	enum allocation_state state;
	bool checked;
	bool healthy;
	bool lost;
	int code;
	int signal;
	msec started_ms;
	uint64_t job;
	char text[500];
};

static struct {
	char top[64];
	char directory[80];
	struct loop *loop;
	struct allocations *allocations;
	struct told told[IDS];
	bool acknowledge;
	msec kept;
	uint64_t kept_bytes;
	int wants;
	char wanted[80];
} fixture;

static int remove_entry(const char *path, const struct stat *status, int flag, struct FTW *place)
{
	(void)status, (void)flag, (void)place;
	return remove(path);
}

static int processes_left(void)
{
	char path[300];
	static char content[65536];
	struct dirent *entry;
	int count = 0;
	DIR *directory = opendir("/proc");
	while ((entry = readdir(directory)) != NULL) {
		for (int i = 0; i < 2; i++) {
			snprintf(path, sizeof path, "/proc/%s/%s", entry->d_name, i == 0 ? "environ" : "cmdline");
			int file = entry->d_name[0] >= '1' && entry->d_name[0] <= '9' ? open(path, O_RDONLY) : -1;
			ssize_t size = file >= 0 ? read(file, content, sizeof content) : -1;
			if (file >= 0)
				close(file);
			count += size > 0 &&
			         memmem(content, (size_t)size, fixture.directory, strlen(fixture.directory)) != NULL;
		}
	}
	closedir(directory);
	return count;
}

static void note_report(void *context, const struct allocation_report *report)
{
	(void)context;
	assert_true(report->id < IDS);
	struct told *told = &fixture.told[report->id];
	*told = (struct told){told->count + 1,   report->state,       report->checked,    report->healthy, report->lost,
	                      report->exit_code, report->exit_signal, report->started_ms, report->job,     ""};
	snprintf(told->text, sizeof told->text, "%.*s", SLICE_ARGS(report->text));
	if (report->state == ALLOCATION_ENDED && fixture.acknowledge)
		allocations_acknowledge(fixture.allocations, report->id);
	loop_stop(fixture.loop);
}

static int fetch(void *context, struct slice hash, bool *ret_executable, struct buffer *ret_content,
                 struct error *error)
{
	(void)context;
	if (!slice_is(hash, "abc"))
		return error_set(error, ERR_NOT_FOUND, "nobody has the file %.*s", SLICE_ARGS(hash));
	*ret_executable = true;
	buffer_append_string(ret_content, "#!/bin/sh\necho from the file\n");
	return 0;
}

static void note_want(void *context, const struct job_program *program)
{
	(void)context;
	fixture.wants++;
	snprintf(fixture.wanted, sizeof fixture.wanted, "%.*s", SLICE_ARGS(program->hash));
}

static void open_allocations(void)
{
	static const struct allocations_handler handler = {note_report, fetch, note_want};
	struct error error = {0};
	const struct allocations_options options = {
		.directory = fixture.directory,
		.node_name = "node-1",
		.address = "10.0.0.1:9189",
		.socket = "/run/s",
		.log_size = 1000,
		.log_files = 3,
		.kept = fixture.kept,
		.kept_bytes = fixture.kept_bytes,
	};
	assert_int_equal(loop_create(&fixture.loop), 0);
	if (allocations_create(fixture.loop, &options, &handler, NULL, &fixture.allocations, &error) != 0)
		fail_msg("%s", error.text);
}

static void close_allocations(void)
{
	allocations_destroy(fixture.allocations);
	loop_destroy(fixture.loop);
}

/* The daemon ends and comes again. */
static void restart(void)
{
	close_allocations();
	memset(fixture.told, 0, sizeof fixture.told);
	open_allocations();
}

static int setup(void **state)
{
	(void)state;
	memset(&fixture, 0, sizeof fixture);
	strcpy(fixture.top, "/tmp/clusterd-test-XXXXXX");
	assert_non_null(mkdtemp(fixture.top));
	snprintf(fixture.directory, sizeof fixture.directory, "%s/allocations", fixture.top);
	open_allocations();
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	allocations_keep_only(fixture.allocations, NULL, 0);
	close_allocations();
	for (int i = 0; processes_left() > 0; i++) {
		if (i > DEADLINE_MS / 5)
			fail_msg("%d processes are left", processes_left());
		usleep(5000); /* between two looks */
	}
	nftw(fixture.top, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
	return 0;
}

static void give_up(void *context)
{
	loop_stop(context);
}

static bool has_ended(uint64_t id)
{
	return fixture.told[id].count > 0 && fixture.told[id].state == ALLOCATION_ENDED;
}

static bool runs(uint64_t id)
{
	return fixture.told[id].count > 0 && fixture.told[id].state == ALLOCATION_RUNNING;
}

static bool is_healthy(uint64_t id)
{
	return runs(id) && fixture.told[id].checked && fixture.told[id].healthy;
}

static bool is_unhealthy(uint64_t id)
{
	return runs(id) && fixture.told[id].checked && !fixture.told[id].healthy;
}

static bool is_gone(uint64_t id)
{
	(void)id;
	return allocations_running(fixture.allocations) == 0;
}

static void wait_until(bool (*so)(uint64_t id), uint64_t id)
{
	struct loop_timer *timer = loop_timer_create(fixture.loop, give_up, fixture.loop);
	msec deadline = loop_now(fixture.loop) + DEADLINE_MS;
	while (!so(id) && loop_now(fixture.loop) < deadline) {
		loop_timer_set(timer, loop_now(fixture.loop) + 10); /* looks again */
		loop_run(fixture.loop);
	}
	loop_timer_destroy(timer);
	if (!so(id))
		fail_msg("state %d, \"%s\"", fixture.told[id].state, fixture.told[id].text);
}

static bool has_printed(uint64_t id)
{
	struct buffer out = BUFFER_EMPTY;
	uint64_t offset;
	bool ended;
	int code = allocations_read_output(fixture.allocations, id, false, 0, 10, &out, &offset, &ended, NULL);
	bool printed = code == 0 && out.size > 0;
	buffer_finish(&out);
	return printed;
}

static struct allocation_order order_of(uint64_t id, const struct slice *argv, uint32_t argc)
{
	return (struct allocation_order){
		.id = id,
		.job = 7,
		.job_name = SLICE("Print"),
		.version = 2,
		.task = 1,
		.count = 4,
		.attempt = 3,
		.argv = argv,
		.argv_count = argc,
		.stop_signal = SIGTERM,
		.stop_grace = 10000,
		.workers = 5,
	};
}

static void start_shell(uint64_t id, const char *script)
{
	const struct slice argv[] = {SLICE("sh"), SLICE("-c"), slice_of(script)};
	struct allocation_order order = order_of(id, argv, 3);
	allocations_start(fixture.allocations, &order);
}

static void assert_output(uint64_t id, const char *expected)
{
	struct buffer out = BUFFER_EMPTY;
	uint64_t offset;
	bool ended;
	assert_int_equal(
		allocations_read_output(fixture.allocations, id, false, 0, 100000, &out, &offset, &ended, NULL), 0);
	assert_string_equal(buffer_string(&out), expected);
	assert_int_equal(offset, 0);
	assert_true(ended);
	buffer_finish(&out);
}

/* ---- Facts ---- */

static void end_is_reported_until_it_is_acknowledged(void **state)
{
	(void)state;
	start_shell(1, "exit 3");
	wait_until(has_ended, 1);
	assert_int_equal(fixture.told[1].code, 3);
	assert_int_equal(fixture.told[1].job, 7);
	assert_true(fixture.told[1].started_ms > 0);
	restart();
	wait_until(has_ended, 1);
	assert_int_equal(fixture.told[1].code, 3);
	assert_int_equal(fixture.told[1].job, 7);
	int before = fixture.told[1].count;
	allocations_report_all(fixture.allocations);
	while (fixture.told[1].count == before)
		loop_run(fixture.loop);
	allocations_acknowledge(fixture.allocations, 1);
	allocations_acknowledge(fixture.allocations, 1);
	restart();
	allocations_report_all(fixture.allocations);
	start_shell(2, "true");
	wait_until(has_ended, 2);
	assert_int_equal(fixture.told[1].count, 0);
}

static void environment_is_the_documented_one(void **state)
{
	static const char *const names[] = {
		"CLUSTERD_JOB=7\n",         "CLUSTERD_JOB_NAME=Print\n",
		"CLUSTERD_VERSION=2\n",     "CLUSTERD_ALLOCATION=1\n",
		"CLUSTERD_TASK=1\n",        "CLUSTERD_TASKS=4\n",
		"CLUSTERD_ATTEMPT=3\n",     "CLUSTERD_WORKERS=5\n",
		"CLUSTERD_HOSTS=a:1,b:2\n", "CLUSTERD_PORT_HTTP=4711\n",
		"CLUSTERD_NODE=node-1\n",   "CLUSTERD_ADDRESS=10.0.0.1:9189\n",
		"CLUSTERD_SOCKET=/run/s\n", "MINE=x y\n",
	};
	const struct slice argv[] = {SLICE("env")};
	const struct slice hosts[] = {SLICE("a:1"), SLICE("b:2")};
	const struct process_variable env[] = {{SLICE("MINE"), SLICE("x y")}};
	const struct job_port ports[] = {{SLICE("http"), 4711}};
	struct allocation_order order = order_of(1, argv, 1);
	struct buffer out = BUFFER_EMPTY;
	char home[120];
	uint64_t offset;
	bool ended;
	(void)state;
	order.hosts = hosts;
	order.host_count = 2;
	order.env = env;
	order.env_count = 1;
	order.ports = ports;
	order.port_count = 1;
	allocations_start(fixture.allocations, &order);
	wait_until(has_ended, 1);
	assert_int_equal(allocations_read_output(fixture.allocations, 1, false, 0, 100000, &out, &offset, &ended, NULL),
	                 0);
	for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
		if (strstr(buffer_string(&out), names[i]) == NULL)
			fail_msg("%s is not in %s", names[i], buffer_string(&out));
	}
	snprintf(home, sizeof home, "HOME=%s/1/work\n", fixture.directory);
	assert_non_null(strstr(buffer_string(&out), home));
	buffer_finish(&out);
}

#define HASH "0123456789012345678901234567890123456789012345678901234567890123"

static struct allocation_order submitted(uint64_t id)
{
	static struct slice argv[2];
	argv[0] = SLICE("./solve");
	argv[1] = SLICE("x");
	struct allocation_order order = order_of(id, argv, 2);
	order.program = (struct job_program){.path = SLICE("solve"), .hash = SLICE(HASH), .size = 1};
	return order;
}

static bool is_starting(uint64_t id)
{
	return fixture.told[id].count > 0 && fixture.told[id].state == ALLOCATION_STARTING;
}

static void task_waits_for_its_program(void **state)
{
	char path[100];
	struct stat status;
	struct allocation_order order = submitted(1);
	(void)state;
	snprintf(path, sizeof path, "%s/program", fixture.top);
	FILE *file = fopen(path, "w");
	assert_non_null(file);
	fputs("#!/bin/sh\necho solved $1\n", file);
	fclose(file);
	assert_int_equal(chmod(path, 0555), 0);
	allocations_start(fixture.allocations, &order);
	assert_int_equal(fixture.wants, 1);
	assert_string_equal(fixture.wanted, HASH);
	wait_until(is_starting, 1);
	allocations_start(fixture.allocations, &order); /* told again */
	allocations_supply(fixture.allocations, SLICE("another"), path, NULL);
	wait_until(is_starting, 1);
	allocations_supply(fixture.allocations, SLICE(HASH), path, NULL);
	wait_until(has_ended, 1);
	assert_int_equal(fixture.told[1].code, 0);
	assert_output(1, "solved x\n");
	assert_int_equal(stat(path, &status), 0);
	assert_int_equal(status.st_nlink, 2); /* it has not been copied */
}

/* The other one has as much of both as it may. */
static void task_that_takes_more_than_it_may_is_ended(void **state)
{
	static const char *const scripts[] = {
		"for i in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20; do setsid sleep 1000 & done; wait",
		"mkdir a; head -c 5000000 /dev/zero >a/b; sleep 1000",
		"for i in 1 2 3 4 5 6 7 8; do sleep 1000 & done; head -c 1000000 /dev/zero >b; wait",
	};
	(void)state;
	for (uint64_t id = 3; id > 0; id--) {
		const struct slice argv[] = {SLICE("sh"), SLICE("-c"), slice_of(scripts[id - 1])};
		struct allocation_order order = order_of(id, argv, 3);
		order.processes = 10;
		order.disk = 2 << 20;
		order.stop_grace = 100000;
		allocations_start(fixture.allocations, &order);
		if (id == 3)
			wait_until(runs, id);
	}
	wait_until(has_ended, 1);
	assert_non_null(strstr(fixture.told[1].text, "too many processes: it had "));
	assert_non_null(strstr(fixture.told[1].text, ", and may have 10"));
	wait_until(has_ended, 2);
	assert_non_null(strstr(fixture.told[2].text, "too much on the disk: its working directory had "));
	assert_int_equal(fixture.told[3].state, ALLOCATION_RUNNING);
}

static void program_that_cannot_be_had_is_told(void **state)
{
	struct allocation_order order = submitted(1);
	(void)state;
	allocations_start(fixture.allocations, &order);
	allocations_supply(fixture.allocations, SLICE(HASH), NULL, "nobody has it");
	wait_until(has_ended, 1);
	assert_int_equal(fixture.told[1].code, -1);
	assert_string_equal(fixture.told[1].text, "nobody has it");
	restart();
	wait_until(has_ended, 1);
	assert_string_equal(fixture.told[1].text, "nobody has it");
}

static void task_is_stopped_before_its_program_is_here(void **state)
{
	struct allocation_order order = submitted(1);
	(void)state;
	allocations_start(fixture.allocations, &order);
	allocations_stop(fixture.allocations, 1);
	wait_until(has_ended, 1);
	assert_false(fixture.told[1].lost);
	allocations_supply(fixture.allocations, SLICE(HASH), "/nowhere", NULL); /* too late, and no harm */
	order = submitted(2);
	allocations_start(fixture.allocations, &order);
	restart(); /* it was never begun: whoever has ordered it orders it again */
	order = submitted(2);
	allocations_start(fixture.allocations, &order);
	assert_int_equal(fixture.wants, 3);
}

static void files_are_placed_and_missing_ones_are_told(void **state)
{
	const struct slice argv[] = {SLICE("./bin/run")};
	const struct process_file good[] = {{SLICE("bin/run"), SLICE("abc")}};
	const struct process_file bad[] = {{SLICE("bin/run"), SLICE("none")}};
	struct allocation_order order = order_of(1, argv, 1);
	(void)state;
	order.files = good;
	order.file_count = 1;
	allocations_start(fixture.allocations, &order);
	wait_until(has_ended, 1);
	assert_int_equal(fixture.told[1].code, 0);
	assert_output(1, "from the file\n");
	order.id = 2;
	order.files = bad;
	allocations_start(fixture.allocations, &order);
	wait_until(has_ended, 2);
	assert_int_equal(fixture.told[2].code, -1);
	assert_string_equal(fixture.told[2].text, "nobody has the file none");
	restart();
	wait_until(has_ended, 2);
	assert_string_equal(fixture.told[2].text, "nobody has the file none");
}

static void command_that_is_not_there_is_told(void **state)
{
	const struct slice argv[] = {SLICE("./nothing")};
	struct allocation_order order = order_of(1, argv, 1);
	(void)state;
	allocations_start(fixture.allocations, &order);
	wait_until(has_ended, 1);
	assert_string_equal(fixture.told[1].text, "could not be executed: ./nothing: No such file or directory");
	assert_int_equal(fixture.told[1].code, -1);
}

static void one_that_runs_goes_on_after_a_restart(void **state)
{
	(void)state;
	start_shell(1, "echo once; exec sleep 1000");
	start_shell(2, "echo once; exec sleep 1000");
	wait_until(runs, 1);
	wait_until(runs, 2);
	wait_until(has_printed, 1);
	msec started_ms = fixture.told[1].started_ms;
	restart();
	wait_until(runs, 1);
	wait_until(runs, 2);
	assert_int_equal(fixture.told[1].started_ms, started_ms);
	assert_int_equal(allocations_running(fixture.allocations), 2);
	start_shell(1, "echo twice");
	allocations_stop(fixture.allocations, 1);
	wait_until(has_ended, 1);
	assert_int_equal(fixture.told[1].signal, SIGTERM);
	assert_output(1, "once\n");
	assert_true(runs(2));
}

static void acknowledged_one_is_not_started_again(void **state)
{
	(void)state;
	fixture.acknowledge = true;
	start_shell(1, "echo once");
	wait_until(has_ended, 1);
	fixture.told[1].count = 0;
	start_shell(1, "echo twice");
	wait_until(has_ended, 1);
	assert_int_equal(fixture.told[1].code, 0);
	assert_output(1, "once\n");
}

static void unknown_ones_are_lost(void **state)
{
	const struct slice argv[] = {SLICE("true")};
	struct allocation_order order = order_of(6, argv, 1);
	(void)state;
	allocations_stop(fixture.allocations, 5);
	wait_until(has_ended, 5);
	assert_true(fixture.told[5].lost);
	order.begun = true;
	allocations_start(fixture.allocations, &order);
	wait_until(has_ended, 6);
	assert_true(fixture.told[6].lost);
	assert_int_equal(fixture.told[6].job, 7);
}

static void one_that_was_never_started_is_lost_and_not_started(void **state)
{
	char path[120];
	(void)state;
	snprintf(path, sizeof path, "%s/9", fixture.directory);
	assert_int_equal(mkdir(path, 0700), 0);
	restart();
	wait_until(has_ended, 9);
	assert_true(fixture.told[9].lost);
}

static void those_that_the_group_does_not_know_are_stopped(void **state)
{
	static const uint64_t known[] = {2, 40};
	(void)state;
	for (uint64_t id = 1; id <= 3; id++) {
		start_shell(id, "exec sleep 1000");
		wait_until(runs, id);
	}
	allocations_keep_only(fixture.allocations, known, 2);
	allocations_stop(fixture.allocations, 2);
	wait_until(has_ended, 2);
	wait_until(is_gone, 0);
	assert_false(has_ended(1));
	assert_false(has_ended(3));
}

static bool starts(uint64_t id)
{
	return fixture.told[id].count > 0 && fixture.told[id].state == ALLOCATION_STARTING;
}

/* Before its trap is set, it would end at once. */
static bool is_deaf(uint64_t id)
{
	char path[100];
	snprintf(path, sizeof path, "%s/deaf", fixture.top);
	return runs(id) && access(path, F_OK) == 0;
}

static void new_one_waits_for_those_that_the_group_does_not_know(void **state)
{
	static const uint64_t known[] = {2};
	char script[300];
	char go[100];
	(void)state;
	snprintf(go, sizeof go, "%s/go", fixture.top);
	snprintf(script, sizeof script, "trap '' TERM; touch %s/deaf; until [ -e %s ]; do sleep 0.05; done", fixture.top,
	         go);
	start_shell(1, script);
	wait_until(is_deaf, 1);
	allocations_keep_only(fixture.allocations, known, 1);
	start_shell(2, "exit 0");
	wait_until(starts, 2);
	start_shell(3, "exit 0");
	allocations_stop(fixture.allocations, 3); /* it need not wait for that */
	wait_until(has_ended, 3);
	assert_int_equal(fixture.told[3].code, -1);
	assert_true(starts(2));
	close(open(go, O_WRONLY | O_CREAT, 0600));
	wait_until(has_ended, 2);
	assert_int_equal(fixture.told[2].code, 0);
	assert_false(has_ended(1)); /* nobody is told */
}

static void one_that_takes_too_long_is_ended(void **state)
{
	const struct slice argv[] = {SLICE("sleep"), SLICE("1000")};
	struct allocation_order order = order_of(1, argv, 2);
	(void)state;
	order.timeout = 300;
	allocations_start(fixture.allocations, &order);
	wait_until(has_ended, 1);
	assert_string_equal(fixture.told[1].text, "timeout: it ran for longer than 300 ms");
	restart();
	wait_until(has_ended, 1);
	assert_string_equal(fixture.told[1].text, "timeout: it ran for longer than 300 ms");
}

static void output_is_read_by_its_offset_over_all_files(void **state)
{
	struct buffer out = BUFFER_EMPTY;
	uint64_t offset;
	bool ended;
	(void)state;
	start_shell(
		1,
		"i=1000; while [ $i -lt 2000 ]; do echo $i; i=$((i+1)); done"); /* 5000 bytes, the last 2 to 3 files are left */
	wait_until(has_ended, 1);
	assert_int_equal(allocations_read_output(fixture.allocations, 1, false, -1, 10, &out, &offset, &ended, NULL),
	                 0);
	assert_string_equal(buffer_string(&out), "1998\n1999\n");
	assert_int_equal(offset, 4990);
	assert_true(ended);
	buffer_clear(&out);
	assert_int_equal(allocations_read_output(fixture.allocations, 1, false, 3995, 10, &out, &offset, &ended, NULL),
	                 0);
	assert_string_equal(buffer_string(&out), "1799\n1800\n"); /* from two files */
	assert_int_equal(offset, 3995);
	assert_false(ended);
	buffer_clear(&out);
	assert_int_equal(allocations_read_output(fixture.allocations, 1, false, 0, 5, &out, &offset, &ended, NULL), 0);
	assert_true(offset >= 2000 && offset % 1000 == 0); /* what was before is gone */
	buffer_clear(&out);
	assert_int_equal(allocations_read_output(fixture.allocations, 1, false, 9000, 5, &out, &offset, &ended, NULL),
	                 0);
	assert_int_equal(out.size, 0);
	assert_true(ended);
	assert_int_equal(allocations_read_output(fixture.allocations, 1, true, 0, 5, &out, &offset, &ended, NULL), 0);
	assert_int_equal(out.size, 0);
	assert_int_equal(allocations_read_output(fixture.allocations, 77, false, 0, 5, &out, &offset, &ended, NULL),
	                 ERR_NOT_FOUND);
	buffer_finish(&out);
}

static void old_ones_are_removed_when_they_take_too_much(void **state)
{
	struct buffer out = BUFFER_EMPTY;
	uint64_t offset;
	bool ended;
	(void)state;
	close_allocations();
	fixture.kept_bytes = 40 << 10; /* two directories */
	fixture.acknowledge = true;
	open_allocations();
	for (uint64_t id = 1; id <= 4; id++) {
		start_shell(id, "echo x; mkdir -p deep/er; touch deep/er/file");
		wait_until(has_ended, id);
	}
	assert_int_equal(allocations_read_output(fixture.allocations, 1, false, 0, 5, &out, &offset, &ended, NULL),
	                 ERR_NOT_FOUND);
	assert_output(4, "x\n");
	restart();
	assert_output(4, "x\n");
	assert_int_equal(allocations_read_output(fixture.allocations, 1, false, 0, 5, &out, &offset, &ended, NULL),
	                 ERR_NOT_FOUND);
	buffer_finish(&out);
}

/* ---- Health ---- */

static int listen_somewhere(uint16_t *ret_port)
{
	struct sockaddr_in address = {.sin_family = AF_INET};
	socklen_t size = sizeof address;
	address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	int socket_ = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	assert_int_equal(bind(socket_, (struct sockaddr *)&address, sizeof address), 0);
	assert_int_equal(listen(socket_, 16), 0);
	assert_int_equal(getsockname(socket_, (struct sockaddr *)&address, &size), 0);
	*ret_port = ntohs(address.sin_port);
	return socket_;
}

static struct job_port port;

static struct allocation_order checked_order(uint64_t id, enum job_check_kind kind)
{
	static struct slice argv[2];
	argv[0] = SLICE("sleep");
	argv[1] = SLICE("1000");
	struct allocation_order order = order_of(id, argv, 2);
	port.name = SLICE("http");
	order.ports = &port;
	order.port_count = 1;
	order.check = (struct job_check){
		.kind = kind, .path = SLICE("/up"), .interval = 50, .timeout = 5000, .failures = 2};
	return order;
}

static void port_that_is_open_is_well_and_a_closed_one_ends_it(void **state)
{
	char expected[120];
	(void)state;
	int listener = listen_somewhere(&port.number);
	struct allocation_order order = checked_order(1, JOB_CHECK_TCP);
	allocations_start(fixture.allocations, &order);
	wait_until(is_healthy, 1);
	restart();
	wait_until(is_healthy, 1);
	close(listener);
	wait_until(has_ended, 1);
	snprintf(expected, sizeof expected, "unwell: connecting to 127.0.0.1:%d: Connection refused", (int)port.number);
	assert_string_equal(fixture.told[1].text, expected);
	assert_int_equal(fixture.told[1].signal, SIGTERM);
}

static int answering;
static int asking = -1;
static struct loop_watch *asking_watch;
static const char *answer;

static void close_asking(void)
{
	loop_watch_destroy(asking_watch);
	asking_watch = NULL;
	if (asking >= 0)
		close(asking);
	asking = -1;
}

static void on_question(void *context, bool readable, bool writable)
{
	char question[200];
	(void)context, (void)readable, (void)writable;
	ssize_t size = recv(asking, question, sizeof question - 1, MSG_DONTWAIT);
	if (size > 0) {
		question[size] = '\0';
		assert_int_equal(strncmp(question, "GET /up HTTP/1.1\r\n", 18), 0);
		send(asking, answer, strlen(answer), MSG_NOSIGNAL);
	}
	close_asking();
}

static void on_asking(void *context, bool readable, bool writable)
{
	(void)context, (void)readable, (void)writable;
	int connection = accept4(answering, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	if (connection < 0)
		return;
	close_asking();
	asking = connection;
	asking_watch = loop_watch_create(fixture.loop, connection, on_question, NULL);
	loop_watch_set(asking_watch, true, false);
}

static void status_of_http_says_how_it_is(void **state)
{
	char expected[120];
	(void)state;
	answering = listen_somewhere(&port.number);
	struct loop_watch *watch = loop_watch_create(fixture.loop, answering, on_asking, NULL);
	loop_watch_set(watch, true, false);
	answer = "HTTP/1.1 204 No Content\r\n\r\n";
	struct allocation_order order = checked_order(1, JOB_CHECK_HTTP);
	order.check.failures = 3;
	allocations_start(fixture.allocations, &order);
	wait_until(is_healthy, 1);
	answer = "HTTP/1.1 503 Service Unavailable\r\n\r\n";
	wait_until(is_unhealthy, 1);
	wait_until(has_ended, 1);
	snprintf(expected, sizeof expected, "unwell: GET http://127.0.0.1:%d/up: status 503", (int)port.number);
	assert_string_equal(fixture.told[1].text, expected);
	close_asking();
	loop_watch_destroy(watch);
	close(answering);
}

static void command_says_how_it_is_with_the_environment_of_the_task(void **state)
{
	struct command_word words[] = {
		{SLICE("sh"), -1},
		{SLICE("-c"), -1},
		{SLICE("[ $CLUSTERD_PORT_HTTP = 4711 ] && [ ! -e bad ] || { echo broken >&2; exit 1; }"), -1}};
	char path[120];
	(void)state;
	port.number = 4711;
	struct allocation_order order = checked_order(1, JOB_CHECK_EXEC);
	order.check.exec = words;
	order.check.exec_count = 3;
	allocations_start(fixture.allocations, &order);
	wait_until(is_healthy, 1);
	restart();
	wait_until(is_healthy, 1);
	snprintf(path, sizeof path, "%s/1/work/bad", fixture.directory);
	close(open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600));
	wait_until(has_ended, 1);
	assert_string_equal(fixture.told[1].text, "unwell: sh: exit code 1: broken");
}

static void machine_has_something_to_give(void **state)
{
	uint32_t cpu;
	uint64_t memory;
	(void)state;
	allocations_capacity(&cpu, &memory);
	assert_true(cpu > 0);
	assert_true(memory > 1 << 20);
}

int main(int argc, char **argv)
{
	child_shim_main(argc, argv);
	supervisor_main(argc, argv);
#define FACT(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		FACT(end_is_reported_until_it_is_acknowledged),
		FACT(environment_is_the_documented_one),
		FACT(task_waits_for_its_program),
		FACT(task_that_takes_more_than_it_may_is_ended),
		FACT(program_that_cannot_be_had_is_told),
		FACT(task_is_stopped_before_its_program_is_here),
		FACT(files_are_placed_and_missing_ones_are_told),
		FACT(command_that_is_not_there_is_told),
		FACT(one_that_runs_goes_on_after_a_restart),
		FACT(acknowledged_one_is_not_started_again),
		FACT(unknown_ones_are_lost),
		FACT(one_that_was_never_started_is_lost_and_not_started),
		FACT(those_that_the_group_does_not_know_are_stopped),
		FACT(new_one_waits_for_those_that_the_group_does_not_know),
		FACT(one_that_takes_too_long_is_ended),
		FACT(output_is_read_by_its_offset_over_all_files),
		FACT(old_ones_are_removed_when_they_take_too_much),
		FACT(port_that_is_open_is_well_and_a_closed_one_ends_it),
		FACT(status_of_http_says_how_it_is),
		FACT(command_says_how_it_is_with_the_environment_of_the_task),
		FACT(machine_has_something_to_give),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
