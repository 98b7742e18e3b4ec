#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/buffer.h"
#include "base/memory.h"
#include "registry_fixture.h"
#include "workflow/job.h"

#include <signal.h>
#include <stdio.h>

static struct registry_fixture fixture;

static int begin(void **state)
{
	(void)state;
	registry_fixture_init(&fixture);
	return 0;
}

static int end(void **state)
{
	(void)state;
	registry_fixture_finish(&fixture);
	return 0;
}

static const struct definition *registered(const char *source, const char *name)
{
	if (registry_fixture_register(&fixture, source, false) != 0)
		fail_msg("%s", buffer_string(&fixture.text));
	const struct definition *definition = registry_find(fixture.registry, slice_of(name), 0);
	assert_non_null(definition);
	return definition;
}

static const struct job_settings *job_of(const char *settings)
{
	char *source = mem_format("job j { %s }", settings);
	const struct definition *definition = registered(source, "j");
	mem_free(source);
	assert_int_equal(definition->kind, DEFINITION_JOB);
	return definition->job;
}

static void assert_slice(struct slice slice, const char *expected)
{
	if (!slice_is(slice, expected))
		fail_msg("\"%.*s\" is not \"%s\"", SLICE_ARGS(slice), expected);
}

static void job_is_registered_like_a_process(void **state)
{
	(void)state;
	const char *source = "# nightly\njob backup {\n  exec = [\"./backup.sh\"] # all\n}\n";
	assert_string_equal(registry_fixture_versions(&fixture, source), "backup@1 new");
	assert_string_equal(registry_fixture_versions(&fixture, "job backup {exec=[\"./backup.sh\"]}"),
	                    "backup@1 same");
	assert_string_equal(registry_fixture_versions(&fixture, "job backup {exec=[\"./backup.sh\", \"x\"]}"),
	                    "backup@2 new");
	const struct definition *job = registry_find(fixture.registry, SLICE("backup"), 1);
	assert_int_equal(job->kind, DEFINITION_JOB);
	assert_slice(job->signature, "()");
	assert_slice(job->source, "job backup {\n  exec = [\"./backup.sh\"] # all\n}");
	assert_null(job->result);
	assert_null(job->program);
}

static void names_of_jobs_and_processes_are_one_space(void **state)
{
	(void)state;
	assert_string_equal(registry_fixture_diagnose(&fixture, "process P(x: X) -> Y job P { exec = [\"a\"] }"),
	                    "1:26: error: `P` is declared twice\n  note 1:9: process, here first\n");
	assert_string_equal(registry_fixture_diagnose(&fixture, "job P { exec = [\"a\"] } process P(x: X) -> Y"),
	                    "1:32: error: `P` is declared twice\n  note 1:5: job, here first\n");
}

static void new_file_makes_a_new_version(void **state)
{
	(void)state;
	struct attachment attachment = {SLICE("run.sh"), SLICE("00112233445566778899aabbccddeeff")};
	const char *source = "job j { exec = [\"./run.sh\"] files = [\"run.sh\"] }";
	struct source_file file = {SLICE("t.flow"), slice_of(source)};
	struct buffer paths = BUFFER_EMPTY;
	fixture.attachments = &attachment;
	fixture.attachment_count = 1;
	assert_string_equal(registry_fixture_versions(&fixture, source), "j@1 new");
	assert_string_equal(registry_fixture_versions(&fixture, source), "j@1 same");
	attachment.hash = SLICE("10112233445566778899aabbccddeeff");
	assert_string_equal(registry_fixture_versions(&fixture, source), "j@2 new");
	assert_int_equal(registry_attachments(&file, 1, &paths, NULL, &fixture.error), 0);
	assert_int_equal(paths.size, 7);
	assert_string_equal(paths.data, "run.sh");
	buffer_finish(&paths);
}

static void defaults_are_those_of_the_type(void **state)
{
	(void)state;
	const struct job_settings *job = job_of("exec = [\"a\"]");
	assert_int_equal(job->type, JOB_BATCH);
	assert_int_equal(job->count, 1);
	assert_int_equal(job->placement, JOB_PACK);
	assert_int_equal(job->priority, 50);
	assert_int_equal(job->retries, 2);
	assert_int_equal(job->backoff, 1000);
	assert_int_equal(job->backoff_max, 60000);
	assert_int_equal(job->timeout, 0);
	assert_int_equal(job->stop_signal, SIGTERM);
	assert_int_equal(job->stop_grace, 10000);
	assert_int_equal(job->register_timeout, 30000);
	assert_int_equal(job->workers, 1);
	assert_int_equal(job->memory, 0);
	assert_false(job->group);
	assert_int_equal(job->check.kind, JOB_CHECK_NONE);
	job = job_of("exec = [\"a\"] type = service");
	assert_int_equal(job->placement, JOB_SPREAD);
	assert_int_equal(job->retries, JOB_UNLIMITED);
	job = job_of("exec = [\"a\"] schedule = \"@daily\" type = periodic");
	assert_slice(job->timezone, "UTC");
	assert_int_equal(job->retries, 2);
	assert_int_equal(job->overlap, JOB_OVERLAP_SKIP);
}

static void settings_are_taken(void **state)
{
	(void)state;
	const struct job_settings *job = job_of("type = service exec = [\"./web\", 3] env = {\"A\": \"b\"} count = 3 "
	                                        "placement = random nodes = [\"a\", \"b\", \"c\"] "
	                                        "on = [\"gpu\", \"zone=b\", \"!old\"] datacenter = \"vienna\" priority "
	                                        "= 70 cpu = 0.25 memory = \"1.5GiB\" "
	                                        "ports = {http: 8080, admin: 0} retries = 5 retries_within = 10m "
	                                        "backoff = 2s backoff_max = 5m stop_signal = "
	                                        "\"INT\" stop_grace = 3s health = {http: \"admin\", path: \"/up\", "
	                                        "interval: 5s, timeout: 1s, failures: 4, "
	                                        "grace: 20s} group = stop register_timeout = 5s workers = 4");
	assert_int_equal(job->type, JOB_SERVICE);
	assert_int_equal(job->exec_count, 2);
	assert_slice(job->exec[1].literal, "3");
	assert_slice(job->env[0].name, "A");
	assert_slice(job->env[0].value, "b");
	assert_int_equal(job->count, 3);
	assert_int_equal(job->placement, JOB_RANDOM);
	assert_int_equal(job->node_count, 3);
	assert_slice(job->nodes[2], "c");
	assert_int_equal(job->on_count, 3);
	assert_slice(job->on[1].text, "zone=b");
	assert_false(job->on[1].without);
	assert_slice(job->on[2].text, "old");
	assert_true(job->on[2].without);
	assert_slice(job->datacenter, "vienna");
	assert_int_equal(job->priority, 70);
	assert_int_equal(job->cpu, 250);
	assert_int_equal(job->memory, 1610612736);
	assert_int_equal(job->port_count, 2);
	assert_slice(job->ports[0].name, "http");
	assert_int_equal(job->ports[0].number, 8080);
	assert_int_equal(job->ports[1].number, 0);
	assert_int_equal(job->retries, 5);
	assert_int_equal(job->retry_window, 600000);
	assert_int_equal(job->backoff, 2000);
	assert_int_equal(job->backoff_max, 300000);
	assert_int_equal(job->stop_signal, SIGINT);
	assert_int_equal(job->stop_grace, 3000);
	assert_int_equal(job->check.kind, JOB_CHECK_HTTP);
	assert_int_equal(job->check.port, 1);
	assert_slice(job->check.path, "/up");
	assert_int_equal(job->check.interval, 5000);
	assert_int_equal(job->check.timeout, 1000);
	assert_int_equal(job->check.failures, 4);
	assert_int_equal(job->check.grace, 20000);
	assert_true(job->group);
	assert_int_equal(job->group_policy, JOB_GROUP_STOP);
	assert_int_equal(job->register_timeout, 5000);
	assert_int_equal(job->workers, 4);
}

static void free_ports_health_and_memory_have_short_forms(void **state)
{
	(void)state;
	const struct job_settings *job = job_of("type = system exec = [\"a\"] ports = [\"http\", \"admin\"] health = "
	                                        "{tcp: \"admin\"} memory = 4194304 "
	                                        "processes = 100 disk = \"3MiB\"");
	assert_int_equal(job->port_count, 2);
	assert_int_equal(job->ports[1].number, 0);
	assert_int_equal(job->check.kind, JOB_CHECK_TCP);
	assert_int_equal(job->check.port, 1);
	assert_int_equal(job->check.interval, 10000);
	assert_int_equal(job->memory, 4194304);
	assert_int_equal(job->processes, 100);
	assert_int_equal(job->disk, 3 << 20);
	job = job_of(
		"type = service exec = [\"a\"] health = {exec: [\"./check\", 1], failures: 3} retries = unlimited");
	assert_int_equal(job->check.kind, JOB_CHECK_EXEC);
	assert_int_equal(job->check.exec_count, 2);
	assert_int_equal(job->check.failures, 3);
	assert_int_equal(job->retries, JOB_UNLIMITED);
}

static void periodic_job_has_a_schedule(void **state)
{
	(void)state;
	const struct job_settings *job = job_of(
		"type = periodic exec = [\"a\"] schedule = \"30 3 * * mon-fri\" timezone = "
		"\"Europe/Vienna\" overlap = replace timeout = 2h");
	assert_slice(job->schedule, "30 3 * * mon-fri");
	assert_slice(job->timezone, "Europe/Vienna");
	assert_int_equal(job->overlap, JOB_OVERLAP_REPLACE);
	assert_int_equal(job->timeout, 7200000);
}

static void pinned_tasks_are_as_many_as_nodes(void **state)
{
	(void)state;
	const struct job_settings *job = job_of("exec = [\"a\"] placement = pinned nodes = [\"a\", \"b\"]");
	assert_int_equal(job->placement, JOB_PINNED);
	assert_int_equal(job->count, 2);
	assert_int_equal(job_of("exec = [\"a\"] placement = pinned nodes = \"a\" count = 1")->count, 1);
}

/* Parameters. */

static void parameters_are_types_or_defaults(void **state)
{
	(void)state;
	const struct definition *job = registered("type Image = Text job j { exec = [\"./run\", input, n] parameters = "
	                                          "{input: Image, n: 3, pause: 2s, fast: false, "
	                                          "name: \"x\", list: [[Text]], point: {x: Number, label: \"here\"}} }",
	                                          "j");
	assert_slice(job->signature,
	             "(input: Text, n: Number, pause: Duration, fast: Bool, name: Text, list: [[Text]], "
	             "point: {x: Number, label: Text = \"here\"})");
	assert_int_equal(job->job->exec[1].param, 0);
	assert_int_equal(job->job->exec[2].param, 1);
	assert_false(job->params[0].has_default);
	assert_slice(job->params[1].default_json, "3");
	assert_slice(job->params[2].default_json, "2000");
	assert_slice(job->params[3].default_json, "false");
	assert_slice(job->params[4].default_json, "\"x\"");
	assert_false(job->params[5].has_default);
}

static void arguments_are_checked_against_parameters(void **state)
{
	(void)state;
	const struct definition *job = registered(
		"job j { exec = [\"./run\", input] parameters = {input: Text, n: 3, at: {x: 1, y: Number}} }", "j");
	struct buffer out = BUFFER_EMPTY;
	struct error error;
	assert_int_equal(definition_accept_args(job, SLICE("{\"at\": {\"y\":2}, \"input\": \"a\"}"), &out, &error), 0);
	assert_string_equal(buffer_string(&out), "{\"input\":\"a\",\"n\":3,\"at\":{\"y\":2,\"x\":1}}");
	assert_int_equal(definition_accept_args(job, SLICE("{\"n\": 4}"), &out, &error), ERR_TYPE);
	assert_string_equal(error.text, "argument `input` is missing");
	assert_int_equal(definition_accept_args(job, SLICE("{\"input\": \"a\", \"m\": 4}"), &out, &error), ERR_TYPE);
	assert_non_null(strstr(error.text, "`j` has no parameter `m`"));
	buffer_finish(&out);
}

static void wrong_parameters_are_refused(void **state)
{
	(void)state;
	static const char *const rows[][2] = {
		{"parameters = [Text]", "1:35: error: `parameters` takes {name: Type, …}\n"},
		{"parameters = {a: text}", "1:39: error: this is no type\n"},
		{"parameters = {a: null}", "1:39: error: this is no type\n"},
		{"parameters = {a: [Text, Text]}", "1:39: error: a list's type is written [Text]\n"},
		{"parameters = {a: [3]}", "1:39: error: a list's type is written [Text]\n"},
		{"parameters = {a: {}}", "1:39: error: a record has at least one member\n"},
		{"parameters = {\"A b\": Text}",
	         "1:36: error: the name of a parameter begins with a small letter, and is no word of the language\n"},
		{"parameters = {each: Text}", "1:36: error: the name of a parameter begins with"},
		{"parameters = {inptu: Text} env = {\"B\": input}", "1:61: error: `env` takes strings as values\n"},
	};
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		char *source = mem_format("job j { exec = [\"a\"] %s }", rows[i][0]);
		const char *found = registry_fixture_diagnose(&fixture, source);
		if (strstr(found, rows[i][1]) == NULL)
			fail_msg("%s: %s", rows[i][0], found);
		mem_free(source);
	}
	assert_string_equal(
		registry_fixture_diagnose(&fixture, "job j { exec = [\"a\", inptu] parameters = {input: Text} }"),
		"1:22: error: `j` has no parameter `inptu`\n  hint: did you mean `input`?\n");
}

/* What is wrong. */

static void assert_refused(const char *const (*rows)[2], size_t count)
{
	for (size_t i = 0; i < count; i++) {
		char *source = mem_format("job j { exec = [\"a\"] %s }", rows[i][0]);
		const char *found = registry_fixture_diagnose(&fixture, source);
		if (strstr(found, rows[i][1]) == NULL)
			fail_msg("%s: %s", rows[i][0], found);
		mem_free(source);
	}
}

#define ASSERT_REFUSED(rows) assert_refused(rows, sizeof(rows) / sizeof(rows)[0])

static void values_are_checked(void **state)
{
	(void)state;
	static const char *const rows[][2] = {
		{"type = servce", "`type` takes batch, service, system or periodic\n  hint: did you mean `service`?\n"},
		{"type = \"service\"", "`type` takes batch, service, system or periodic\n  hint: without quotes\n"},
		{"count = 0", "`count` takes an integer from 1 to 1000000\n"},
		{"count = 1000001", "`count` takes an integer from 1 to 1000000\n"},
		{"placement = bin", "`placement` takes spread, pack, random or pinned\n"},
		{"nodes = []", "`nodes` takes at least one node\n"},
		{"nodes = [a]",
	         "`nodes` takes the name of a node, or a list of names, in quotes\n  hint: in quotes: \"a\"\n"},
		{"nodes = [\"a\", \"b\", \"a\"]", "`a` is there twice\n"},
		{"on = [\"gpu\", \"!gpu\"]", "no node both has `gpu` and does not\n"},
		{"on = [\"gpu\", \"gpu\"]", "`gpu` is there twice\n"},
		{"on = \"!\"", "a tag is written \"gpu\" or \"zone=b\", or \"!gpu\" for nodes that do not have it\n"},
		{"datacenter = \"\"", "`datacenter` takes the name of a datacenter, in quotes\n"},
		{"priority = 101", "`priority` takes an integer from 1 to 100\n"},
		{"cpu = \"1\"",
	         "`cpu` takes processors, from 0 to 1000, to a thousandth of one\n  hint: half of one: cpu = 0.5\n"},
		{"cpu = 0.0005", "`cpu` takes processors, from 0 to 1000, to a thousandth of one\n"},
		{"cpu = 1001", "`cpu` takes processors, from 0 to 1000, to a thousandth of one\n"},
		{"cpu = -1", "`cpu` takes processors, from 0 to 1000, to a thousandth of one\n"},
		{"memory = \"256MB\"",
	         "`memory` takes bytes, up to \"1024TiB\": a number, or one with B, KiB, MiB, GiB or TiB in "
	         "quotes\n  hint: \"256MiB\", \"1.5GiB\"\n"},
		{"processes = 1000001", "`processes` takes an integer from 0 to 1000000\n"},
		{"disk = 256",
	         "`disk` takes at least a MiB, or 0 for what the node says\n  hint: a number is one of bytes; \"256MiB\"?\n"},
		{"memory = 256",
	         "`memory` takes at least a MiB, or 0 for no limit\n  hint: a number is one of bytes; \"256MiB\"?\n"},
		{"ports = \"http\"", "`ports` takes names in a list for free ports, [\"http\"], or with their numbers"},
		{"ports = [http]", "`ports` takes names of ports, in quotes\n  hint: in quotes: \"http\"\n"},
		{"ports = [\"Http\"]", "the name of a port is of small letters, digits and _, up to 64\n"},
		{"ports = [\"a\", \"a\"]", "port `a` is there twice\n"},
		{"ports = {a: 80, b: 80}", "port 80 is `a` already\n"},
		{"ports = {a: 70000}", "a port is a number up to 65535, or 0 for a free one\n"},
		{"ports = "
	         "[\"a\",\"b\",\"c\",\"d\",\"e\",\"f\",\"g\",\"h\",\"i\",\"j\",\"k\",\"l\",\"m\",\"n\",\"o\",\"p\","
	         "\"q\"]",
	         "`ports` has 17 of them; the limit is 16\n"},
		{"retries = \"all\"", "`retries` takes an integer from 0 to 1000000, or unlimited\n"},
		{"retries = -1", "`retries` takes an integer from 0 to 1000000\n"},
		{"backoff = 25h", "`backoff` takes a duration of at most 1d\n"},
		{"backoff = 1h backoff_max = 1m", "`backoff_max` is shorter than `backoff`\n"},
		{"timeout = 0s", "`timeout` takes a duration longer than 0\n"},
		{"stop_signal = \"SIGTERM\"", "TERM, INT, QUIT, HUP, USR1, USR2, WINCH or KILL\n  hint: without SIG\n"},
		{"stop_signal = TERM", "hint: in quotes: \"TERM\"\n"},
		{"group = yes", "`group` takes restart or stop\n"},
		{"workers = 0", "`workers` takes an integer from 1 to 4096\n"},
		{"wrkers = 2", "there is no setting `wrkers`\n  hint: did you mean `workers`?\n"},
		{"stdout = json", "there is no setting `stdout`\n  hint: processes have it, jobs do not\n"},
		{"cpu = 1 cpu = 2", "1:30: error: `cpu` is set twice\n  note 1:22: here first\n"},
	};
	ASSERT_REFUSED(rows);
}

#define HASH "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

static void submitted_program_is_taken(void **state)
{
	(void)state;
	const struct job_settings *job = job_of("exec = [\"./solve\"] program = {path: \"solve\", sha256: \"" HASH
	                                        "\", size: 4294967295, at: [\"a\", \"b\"]}");
	assert_slice(job->program.path, "solve");
	assert_slice(job->program.hash, HASH);
	assert_true(job->program.size == 4294967295u);
	assert_int_equal(job->program.at_count, 2);
	assert_slice(job->program.at[1], "b");
	job = job_of("exec = [\"a\"]");
	assert_int_equal(job->program.path.size, 0);
}

static void submitted_program_is_checked(void **state)
{
	(void)state;
	static const char *const rows[][2] = {
		{"program = 3", "`program` takes {path: \"solve\", sha256: "},
		{"program = {}", "`program` takes {path: \"solve\", sha256: "},
		{"program = {path: \"solve\", size: 1}", "`program` takes {path: \"solve\", sha256: "},
		{"program = {path: \"a/b\", sha256: \"" HASH "\", size: 1}", "is more than the name of a file\n"},
		{"program = {path: \"..\", sha256: \"" HASH "\", size: 1}", "this path "},
		{"program = {path: \"a\", sha256: \"" HASH "0\", size: 1}", "`sha256` takes 64 hex digits"},
		{"program = {path: \"a\", sha256: \"ABC\", size: 1}", "`sha256` takes 64 hex digits"},
		{"program = {path: \"a\", sha256: \"" HASH "\", size: 0}", "`size` takes an integer from 1 to 4294967295\n"},
		{"program = {path: \"a\", sha256: \"" HASH "\", size: 1, from: \"a\"}", "not `from`\n"},
	};
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		char *source = mem_format("job j { exec = [\"a\"] %s }", rows[i][0]);
		const char *found = registry_fixture_diagnose(&fixture, source);
		if (strstr(found, rows[i][1]) == NULL)
			fail_msg("%s: %s", rows[i][0], found);
		mem_free(source);
	}
}

static void health_is_checked(void **state)
{
	(void)state;
	static const char *const rows[][2] = {
		{"health = 3",
	         "`health` takes {tcp: \"http\"}, {http: \"http\", path: \"/up\"} or {exec: [\"./check\"]}\n"},
		{"health = {interval: 3s}", "this does not say how health is checked\n"},
		{"health = {tcp: \"htpp\"}", "`j` has no port `htpp`\n  hint: did you mean `http`?\n"},
		{"health = {tcp: \"other\"}", "`j` has no port `other`\n  hint: ports = [\"other\"] gives it one\n"},
		{"health = {tcp: \"http\", exec: [\"a\"]}", "`health` is one of exec, tcp and http\n"},
		{"health = {tcp: \"http\", path: \"/\"}", "only `http` has a path\n"},
		{"health = {http: \"http\", path: \"up\"}",
	         "`path` takes a path that begins with /, without spaces, in quotes\n"},
		{"health = {http: \"http\", intreval: 3s}",
	         "`health` has no `intreval`\n  hint: did you mean `interval`?\n"},
		{"health = {http: \"http\", interval: 50ms}", "`interval` takes a duration of at least 100ms\n"},
		{"health = {http: \"http\", failures: 0}", "`failures` takes an integer from 1 to 1000\n"},
		{"health = {exec: [a]}", "`exec` takes strings and numbers\n"},
	};
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		char *source = mem_format("job j { type = service exec = [\"a\"] ports = [\"http\"] %s }", rows[i][0]);
		const char *found = registry_fixture_diagnose(&fixture, source);
		if (strstr(found, rows[i][1]) == NULL)
			fail_msg("%s: %s", rows[i][0], found);
		mem_free(source);
	}
}

static void settings_fit_the_type(void **state)
{
	(void)state;
	static const char *const rows[][2] = {
		{"schedule = \"@daily\"", "a batch job has no `schedule`: only a periodic job is begun by a schedule\n "
	                                  " hint: type = periodic\n"},
		{"type = service timezone = \"UTC\"",
	         "a service job has no `timezone`: only a periodic job is begun by a schedule\n"},
		{"health = {exec: [\"a\"]}",
	         "a batch job has no `health`: it ends by itself; `timeout` ends an attempt that hangs\n"},
		{"type = service timeout = 1h",
	         "a service job has no `timeout`: it runs until it is stopped; `health` finds one that hangs\n"},
		{"type = system count = 3", "a system job has no `count`: one of it runs on every node that fits\n"},
		{"type = system group = stop",
	         "a system job has no `group`: the nodes that it runs on come and go, and a group begins together\n"},
		{"retries = 3 retries_within = 1h",
	         "a batch job has no `retries_within`: all attempts of a task count\n"},
		{"type = service parameters = {a: Text}",
	         "a service job has no `parameters`: arguments are given to batch jobs as they are dispatched\n"},
	};
	ASSERT_REFUSED(rows);
}

static void settings_fit_together(void **state)
{
	(void)state;
	static const char *const rows[][2] = {
		{"type = periodic", "1:29: error: a periodic job has a `schedule`\n"},
		{"type = periodic schedule = \"@daily\" parameters = {a: Text, b: 3}",
	         "1:72: error: parameter `a` of a periodic job needs a default: its schedule gives no arguments\n"},
		{"type = service retries_within = 1h", "`retries_within` says nothing without `retries`\n"},
		{"type = service retries = unlimited retries_within = 1h",
	         "`retries_within` says nothing where `retries` are unlimited\n"},
		{"register_timeout = 3s", "`register_timeout` says nothing without `group`\n"},
		{"placement = pinned", "`pinned` puts each task on the one of `nodes` that is its own\n"},
		{"placement = pinned nodes = [\"a\", \"b\"] count = 3",
	         "`pinned` puts each task on a node of its own: here are 3 tasks, and 2 nodes\n"},
		{"placement = random nodes = [\"a\", \"b\"] count = 3",
	         "`random` puts each task on another node: here are 3 tasks, and 2 nodes\n"},
	};
	ASSERT_REFUSED(rows);
	assert_string_equal(registry_fixture_diagnose(&fixture, "job nothing { }"),
	                    "1:5: error: a job has `exec`: what is run\n  hint: exec = [\"./run.sh\"]\n");
}

static void all_errors_are_told_at_once(void **state)
{
	(void)state;
	assert_string_equal(
		registry_fixture_diagnose(&fixture, "job j {\n type = servce\n cout = 3\n cpu = all\n ports = [\"A\", "
	                                            "\"B\"]\n schedule = \"61 * * * *\"\n}\njob k { cpu = no }"),
		"1:5: error: a job has `exec`: what is run\n  hint: exec = [\"./run.sh\"]\n"
		"2:9: error: `type` takes batch, service, system or periodic\n  hint: did you mean `service`?\n"
		"3:2: error: there is no setting `cout`\n  hint: did you mean `count`?\n"
		"4:8: error: `cpu` takes processors, from 0 to 1000, to a thousandth of one\n"
		"  hint: half of one: cpu = 0.5\n"
		"5:11: error: the name of a port is of small letters, digits and _, up to 64\n"
		"  hint: \"http\" is in the environment as CLUSTERD_PORT_HTTP\n"
		"5:16: error: the name of a port is of small letters, digits and _, up to 64\n"
		"  hint: \"http\" is in the environment as CLUSTERD_PORT_HTTP\n"
		"6:14: error: the minute is from 0 to 59\n"
		"8:5: error: a job has `exec`: what is run\n  hint: exec = [\"./run.sh\"]\n"
		"8:15: error: `cpu` takes processors, from 0 to 1000, to a thousandth of one\n"
		"  hint: half of one: cpu = 0.5\n");
}

static void schedule_is_refused_where_it_is_wrong(void **state)
{
	(void)state;
	static const char *const rows[][2] = {
		{"schedule = \"0 24 * * *\"", "1:52: error: the hour is from 0 to 23\n"},
		{"schedule = \"0 0 31 2 *\"", "1:50: error: this day never comes: no such month is so long\n"},
		{"schedule = \"0 0 * * *\" timezone = \"../etc/passwd\"",
	         "`timezone` takes the name of a time zone in quotes: \"UTC\", \"Europe/Vienna\"\n"},
	};
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		char *source = mem_format("job j { type = periodic exec = [\"a\"] %s }", rows[i][0]);
		const char *found = registry_fixture_diagnose(&fixture, source);
		if (strstr(found, rows[i][1]) == NULL)
			fail_msg("%s: %s", rows[i][0], found);
		mem_free(source);
	}
}

/* Workflows and processes. */

static void workflow_calls_no_job(void **state)
{
	(void)state;
	assert_string_equal(registry_fixture_diagnose(&fixture, "job J { exec = [\"a\"] } workflow W() -> Y { J() }"),
	                    "1:44: error: `J` is a job, and workflows call processes\n  hint: a process with `job = J` "
	                    "is run by it\n");
	assert_string_equal(
		registry_fixture_diagnose(&fixture, "job J { exec = [\"a\"] } process P = J { retries = 1 }"),
		"1:36: error: `J` is a job; only processes have variants\n");
}

static void assert_bound(const char *source, const char *expected)
{
	assert_string_equal(registry_fixture_diagnose(&fixture, source), expected);
}

static void process_may_be_bound_to_a_batch_job(void **state)
{
	(void)state;
	registry_fixture_register(&fixture, "job there { exec = [\"a\"] parameters = {a: A, n: 1} }", false);
	assert_bound("process P(a: A) -> Y { job = J } job J { exec = [\"a\"] parameters = {a: A} }", "");
	assert_bound("process P(a: A) -> Y { job = there timeout = 1h }", "");
	assert_bound("process P(n: Number, a: A) -> Text { job = there stdout = text }", "");
}

static void bound_job_must_fit(void **state)
{
	(void)state;
	registry_fixture_register(&fixture, "job there { exec = [\"a\"] parameters = {a: A} }", false);
	assert_bound("process P(a: A) -> Y { job = thre }",
	             "1:30: error: there is no job `thre`\n  hint: did you mean `there`?\n");
	assert_bound("process P(a: A) -> Y { job = \"there\" }",
	             "1:30: error: `job` takes the name of a batch job\n  hint: without quotes\n");
	assert_bound("process Q() -> Y process P(a: A) -> Y { job = Q }",
	             "1:47: error: `Q` is a process; what a process is bound to is a batch job\n");
	assert_bound("process P(a: B, b: B) -> Y { job = there }",
	             "1:36: error: parameter `a` is B, and that of `there` is A\n"
	             "1:36: error: `there` has no parameter `b`\n");
	assert_bound("process P() -> Y { job = there }",
	             "1:26: error: `there` needs an argument for `a`, and `P` has no such parameter\n"
	             "  hint: the job is there(a: A)\n");
	assert_bound("process P() -> Y { job = j } job j { exec = [\"a\"] type = service }",
	             "1:26: error: `j` is no batch job, and a call returns when what it runs has ended\n");
	assert_bound("process P() -> Y { job = j } job j { exec = [\"a\"] count = 2 }",
	             "1:26: error: `j` has 2 tasks, and a call gives what one has printed\n");
	assert_bound("process P(a: A) -> Y { job = there env = {\"A\": \"b\"} }",
	             "1:36: error: a process that a job runs has no `env`\n  note 1:24: the job's settings count\n");
	assert_bound("process P(a: A) -> Y { job = there heartbeat = 1s }",
	             "1:36: error: a process that a job runs has no `heartbeat`\n  note 1:24: the job's settings "
	             "count\n");
	assert_bound("process P() -> Y { job = P }",
	             "1:26: error: `P` is a process; what a process is bound to is a batch job\n");
	assert_bound("process P(a: A) -> Y { exec = [\"a\"] job = there }",
	             "1:37: error: a process has `exec` or `job`, not both\n  note 1:24: the other one\n");
	assert_bound("process P(a: A) -> Y { job = there stdout = text } type Y = Number",
	             "1:45: error: `text` gives Text, but the result of `P` is Number\n");
	assert_bound("process P(a: A) -> Y { job = j } job j { exec = [\"a\"] parameters = {a: a} }",
	             "1:72: error: this is no type\n"
	             "  hint: parameters = {input: Text, n: 3}: types begin with a capital letter, a literal is a "
	             "default\n");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(job_is_registered_like_a_process, begin, end),
		cmocka_unit_test_setup_teardown(names_of_jobs_and_processes_are_one_space, begin, end),
		cmocka_unit_test_setup_teardown(new_file_makes_a_new_version, begin, end),
		cmocka_unit_test_setup_teardown(defaults_are_those_of_the_type, begin, end),
		cmocka_unit_test_setup_teardown(settings_are_taken, begin, end),
		cmocka_unit_test_setup_teardown(free_ports_health_and_memory_have_short_forms, begin, end),
		cmocka_unit_test_setup_teardown(periodic_job_has_a_schedule, begin, end),
		cmocka_unit_test_setup_teardown(pinned_tasks_are_as_many_as_nodes, begin, end),
		cmocka_unit_test_setup_teardown(parameters_are_types_or_defaults, begin, end),
		cmocka_unit_test_setup_teardown(arguments_are_checked_against_parameters, begin, end),
		cmocka_unit_test_setup_teardown(wrong_parameters_are_refused, begin, end),
		cmocka_unit_test_setup_teardown(values_are_checked, begin, end),
		cmocka_unit_test_setup_teardown(submitted_program_is_taken, begin, end),
		cmocka_unit_test_setup_teardown(submitted_program_is_checked, begin, end),
		cmocka_unit_test_setup_teardown(health_is_checked, begin, end),
		cmocka_unit_test_setup_teardown(settings_fit_the_type, begin, end),
		cmocka_unit_test_setup_teardown(settings_fit_together, begin, end),
		cmocka_unit_test_setup_teardown(all_errors_are_told_at_once, begin, end),
		cmocka_unit_test_setup_teardown(schedule_is_refused_where_it_is_wrong, begin, end),
		cmocka_unit_test_setup_teardown(workflow_calls_no_job, begin, end),
		cmocka_unit_test_setup_teardown(process_may_be_bound_to_a_batch_job, begin, end),
		cmocka_unit_test_setup_teardown(bound_job_must_fit, begin, end),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
