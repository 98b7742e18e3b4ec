#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "daemon/config.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static struct config config;
static struct error error;

/* Words with blanks between them, as on a command line. */
static int read_words(const char *line)
{
	char words[1024];
	char *argv[40] = {(char *)(uintptr_t)"clusterd"};
	int argc = 1;
	snprintf(words, sizeof words, "%s", line);
	for (char *word = strtok(words, " "); word != NULL; word = strtok(NULL, " "))
		argv[argc++] = word;
	memset(&error, 0, sizeof error);
	return config_read(argc, argv, &config, &error);
}

static void assert_wrong(const char *line, const char *text)
{
	assert_int_not_equal(read_words(line), 0);
	if (strstr(error.text, text) == NULL)
		fail_msg("\"%s\" does not have \"%s\"", error.text, text);
}

static void node_by_itself_joins_nobody(void **state)
{
	(void)state;
	assert_int_equal(read_words(""), 0);
	assert_int_equal(config.join_count, 0);
	assert_int_equal(config.expect, 0);
	assert_false(config.agent);
	assert_null(config.secret_file);
	assert_string_equal(config.listen, "127.0.0.1:9189");
	config_finish(&config);
}

static void addresses_to_join_by_add_up(void **state)
{
	(void)state;
	assert_int_equal(read_words("--join 127.0.0.1:1 --join=[::1]:2 --join localhost:3,127.0.0.1:4 --expect 3"), 0);
	assert_int_equal(config.join_count, 4);
	assert_string_equal(config.join[0], "127.0.0.1:1");
	assert_string_equal(config.join[1], "[::1]:2");
	assert_string_equal(config.join[2], "localhost:3");
	assert_string_equal(config.join[3], "127.0.0.1:4");
	assert_int_equal(config.expect, 3);
	config_finish(&config);
}

static void everything_may_stand_in_environment_and_file(void **state)
{
	(void)state;
	char path[] = "/tmp/clusterd-config.XXXXXX";
	char line[200];
	int descriptor = mkstemp(path);
	assert_true(dprintf(descriptor, "join = [\"a:1\", \"b:2\"]\nexpect = 5\nsecret_file = \"/a\"\ntag = [\"x=1\"]\n") > 0);
	close(descriptor);
	setenv("CLUSTERD_JOIN", "c:3,d:4", 1);
	setenv("CLUSTERD_SECRET_FILE", "/b", 1);
	snprintf(line, sizeof line, "--config %s --join e:5 --expect 3", path);
	int code = read_words(line);
	unsetenv("CLUSTERD_JOIN");
	unsetenv("CLUSTERD_SECRET_FILE");
	assert_int_equal(code, 0);
	assert_int_equal(config.join_count, 5);
	assert_string_equal(config.join[4], "e:5");
	assert_int_equal(config.expect, 3);
	assert_string_equal(config.secret_file, "/b");
	assert_int_equal(config_reload(&config, &error), 0);
	assert_int_equal(config.join_count, 5); /* what cannot change does not */
	assert_int_equal(config.expect, 3);
	assert_string_equal(config.tags, "{\"x\":\"1\"}");
	config_finish(&config);
	unlink(path);
}

static void reload_takes_the_level_of_the_log(void **state)
{
	(void)state;
	char path[] = "/tmp/clusterd-config.XXXXXX";
	char line[200];
	int descriptor = mkstemp(path);
	assert_true(dprintf(descriptor, "expect = 1\n") > 0);
	snprintf(line, sizeof line, "--config %s --log-level error", path);
	assert_int_equal(read_words(line), 0);
	assert_int_equal(config_reload(&config, &error), 0);
	assert_int_equal(config.log_level, LOG_ERROR);
	assert_true(dprintf(descriptor, "log_level = \"debug\"\n") > 0);
	assert_int_equal(config_reload(&config, &error), 0);
	assert_int_equal(config.log_level, LOG_DEBUG);
	close(descriptor);
	config_finish(&config);
	unlink(path);
}

static void secret_is_needed_for_more_than_this_machine(void **state)
{
	(void)state;
	assert_wrong("--listen 0.0.0.0:9189", "to listen on more than loopback");
	assert_wrong("--listen [::]:9189", "secret-file");
	assert_wrong("--listen 192.0.2.1:9189", "secret-file");
	assert_wrong("--listen 127.evil.example:9189", "secret-file");
	assert_wrong("--join 192.0.2.1:9189", "to join nodes of other machines, a secret is needed");
	assert_wrong("--join example.org:9189", "secret-file");
	assert_wrong("--advertise 192.0.2.1:9189", "for nodes of other machines, a secret is needed");
	static const char *const fine[] = {
		"--listen [::1]:9189", "--listen localhost:9189", "--listen 127.9.9.9:0", "--join localhost:1",
		"--secret-file /s --listen 0.0.0.0:9189 --join example.org:9189 --advertise 192.0.2.1:9189"};
	for (size_t i = 0; i < sizeof fine / sizeof fine[0]; i++) {
		assert_int_equal(read_words(fine[i]), 0);
		config_finish(&config);
	}
}

static void agent_joins_and_begins_nothing(void **state)
{
	(void)state;
	assert_int_equal(read_words("--role agent --join localhost:1"), 0);
	assert_true(config.agent);
	config_finish(&config);
	assert_wrong("--role agent", "an agent needs a cluster to join");
	assert_wrong("--role agent --join localhost:1 --expect 3", "expect is for servers");
	assert_wrong("--role leader", "role is server or agent, not \"leader\"");
}

static void what_is_no_address_is_refused(void **state)
{
	(void)state;
	assert_wrong("--join nowhere", "neither HOST:PORT nor a path");
	assert_wrong("--join localhost:1,,localhost:2", "neither HOST:PORT nor a path");
	assert_wrong("--join localhost:99999", "port");
	assert_wrong("--join /path/of/socket", "is a path");
	assert_wrong("--listen 9189", "neither HOST:PORT");
	assert_wrong("--advertise ::1:9189", "brackets");
	assert_wrong("--listen a-name-of-a-host-that-is-much-longer-than-any-member-may-have-in-a-cluster:1 --secret-file x",
	             "at most 64 bytes");
	assert_wrong("--join dns:nowhere", "neither HOST:PORT");
	assert_wrong("--join k8s:Service", "k8s:SERVICE[.NAMESPACE][:PORT]");
	assert_wrong("--join file:", "path");
	assert_wrong("--expect 0", "from 1 to 9");
	assert_wrong("--expect 10", "from 1 to 9");
}

static void what_is_found_elsewhere_needs_a_secret(void **state)
{
	(void)state;
	static const char *const elsewhere[] = {"dns:seed:9189", "seed:9189", "file:/etc/nodes", "k8s:clusterd.prod:9189"};
	for (size_t i = 0; i < sizeof elsewhere / sizeof elsewhere[0]; i++) {
		char line[100];
		snprintf(line, sizeof line, "--join %s", elsewhere[i]);
		assert_wrong(line, "secret-file");
		strcat(line, " --secret-file x --kubernetes-mount /run/pod");
		assert_int_equal(read_words(line), 0);
		assert_string_equal(config.join[0], elsewhere[i]);
		assert_string_equal(config.kubernetes_mount, "/run/pod");
		config_finish(&config);
	}
}

static void more_addresses_than_there_may_be_are_refused(void **state)
{
	(void)state;
	char line[1024] = "--join localhost:1";
	for (int i = 0; i < CONFIG_JOIN_MAX; i++)
		strcat(line, ",localhost:1");
	assert_wrong(line, "more than 64 addresses to join by");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(node_by_itself_joins_nobody),
		cmocka_unit_test(addresses_to_join_by_add_up),
		cmocka_unit_test(everything_may_stand_in_environment_and_file),
		cmocka_unit_test(reload_takes_the_level_of_the_log),
		cmocka_unit_test(secret_is_needed_for_more_than_this_machine),
		cmocka_unit_test(agent_joins_and_begins_nothing),
		cmocka_unit_test(what_is_no_address_is_refused),
		cmocka_unit_test(what_is_found_elsewhere_needs_a_secret),
		cmocka_unit_test(more_addresses_than_there_may_be_are_refused),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
