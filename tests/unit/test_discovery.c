#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/log.h"
#include "base/memory.h"
#include "discovery/source.h"
#include "fake_api.h"
#include "net/https.h"

#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define DEADLINE_MS 20000

static struct loop *loop;
static char directory[64];
static pid_t server;
static uint16_t server_port;
static unsigned changes;
static struct error error;

/* --- what tests stand on ------------------------------------------------------------------------------------------- */

static void put(const char *name, const char *text)
{
	char path[128];
	snprintf(path, sizeof path, "%s/%s", directory, name);
	FILE *file = fopen(path, "we");
	assert_non_null(file);
	fputs(text, file);
	assert_int_equal(fclose(file), 0);
}

static void take_away(const char *name)
{
	char path[128];
	snprintf(path, sizeof path, "%s/%s", directory, name);
	unlink(path);
}

/* The fake API, as a process of its own; it has a certificate for `host`. */
static void serve(const char *host)
{
	int ends[2];
	assert_int_equal(pipe(ends), 0);
	server = fork();
	assert_true(server >= 0);
	if (server == 0) {
		char authorities[128];
		snprintf(authorities, sizeof authorities, "%s/ca.crt", directory);
		struct fake_api *api = fake_api_create(directory, host, authorities);
		uint16_t port = fake_api_port(api);
		if (write(ends[1], &port, sizeof port) == sizeof port)
			fake_api_serve(api);
		_exit(1);
	}
	close(ends[1]);
	assert_int_equal(read(ends[0], &server_port, sizeof server_port), sizeof server_port);
	close(ends[0]);
	char text[16];
	snprintf(text, sizeof text, "%u", server_port);
	setenv("KUBERNETES_SERVICE_HOST", host, 1);
	setenv("KUBERNETES_SERVICE_PORT", text, 1);
}

static void end_server(void)
{
	if (server <= 0)
		return;
	kill(server, SIGKILL);
	waitpid(server, NULL, 0);
	server = 0;
}

static int setup(void **state)
{
	(void)state;
	strcpy(directory, "/tmp/clusterd-discovery.XXXXXX");
	assert_non_null(mkdtemp(directory));
	assert_int_equal(loop_create(&loop), 0);
	log_set_level(LOG_ERROR);
	changes = 0;
	put("token", "first");
	put("namespace", "home\n");
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	static const char *const names[] = {"token", "namespace", "ca.crt", "other.crt", "questions", "slices", "endpoints",
	                                    "status", "silent", "list", "list.new"};
	end_server();
	for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
		take_away(names[i]);
	assert_int_equal(rmdir(directory), 0);
	loop_destroy(loop);
	unsetenv("KUBERNETES_SERVICE_HOST");
	unsetenv("KUBERNETES_SERVICE_PORT");
	return 0;
}

static void changed(void *context)
{
	(void)context;
	changes++;
}

/* Runs the loop until `done`. */
struct wait {
	const bool *looking;
	const int *status;
	struct loop_timer *timer;
	msec ends;
};

static void look_whether_done(void *context)
{
	struct wait *wait = context;
	if ((wait->looking != NULL && !*wait->looking) || (wait->status != NULL && *wait->status != 0) || loop_now(loop) >= wait->ends)
		loop_stop(loop);
	else
		loop_timer_set(wait->timer, loop_now(loop) + 2);
}

static void run_until(const bool *looking, const int *status)
{
	struct wait wait = {.looking = looking, .status = status, .ends = loop_now(loop) + DEADLINE_MS};
	wait.timer = loop_timer_create(loop, look_whether_done, &wait);
	loop_timer_set(wait.timer, loop_now(loop));
	loop_run(loop);
	loop_timer_destroy(wait.timer);
	assert_true(loop_now(loop) < wait.ends);
}

static void init(struct source *source, const char *spelled)
{
	struct discovery_options options = {.mount = directory, .seed = 1};
	assert_int_equal(discovery_check(spelled, &error), 0);
	assert_int_equal(source_init(source, loop, spelled, &options, changed, NULL, &error), 0);
}

/* One look from its beginning to its end. */
static void look(struct source *source)
{
	source_look(source);
	run_until(&source->looking, NULL);
}

static void assert_problem(const struct source *source, int code, const char *text)
{
	if (source->problem.code != code || strstr(source->problem.text, text) == NULL)
		fail_msg("%d \"%s\" is not %d \"%s\"", source->problem.code, source->problem.text, code, text);
}

/* --- spelling ------------------------------------------------------------------------------------------------------ */

static void sources_are_told_by_their_spelling(void **state)
{
	(void)state;
	static const char *const good[] = {"10.0.0.1:9189", "[::1]:1", "host:9189", "dns:host.example:9189", "file:/etc/nodes",
	                                   "file:nodes", "k8s:clusterd", "k8s:clusterd.prod", "k8s:clusterd.prod:9189",
	                                   "k8s:clusterd:gossip"};
	static const char *const bad[] = {"10.0.0.1", "host", "dns:host", "dns:", "file:", "k8s:", "k8s:A", "k8s:a.", "k8s:a:", "k8s:a.b:0",
	                                  "k8s:a.b:65536", "k8s:a.b.c", "k8s:a/b", "https:x", "/a/socket", "k8s:a:b:c"};
	const char *text;
	for (size_t i = 0; i < sizeof good / sizeof good[0]; i++)
		assert_int_equal(discovery_check(good[i], &error), 0);
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
		if (discovery_check(bad[i], &error) != ERR_INVALID)
			fail_msg("taken: %s", bad[i]);
	assert_ptr_equal(source_kind_of("10.0.0.1:9189", &text), &source_fixed);
	assert_ptr_equal(source_kind_of("host:9189", &text), &source_name);
	assert_ptr_equal(source_kind_of("k8s:a", &text), &source_kubernetes);
	assert_true(discovery_is_local("127.0.0.1:1") && discovery_is_local("localhost:1") && discovery_is_local("dns:localhost:1"));
	assert_false(discovery_is_local("10.0.0.1:1") || discovery_is_local("host:1") || discovery_is_local("file:/x") ||
	             discovery_is_local("k8s:a"));
}

/* --- all together -------------------------------------------------------------------------------------------------- */

static struct places told;

static void found(void *context, const struct places *places)
{
	(void)context;
	told = *places;
	changes++;
}

static void fixed_addresses_are_told_at_once_and_once(void **state)
{
	(void)state;
	static const char *const sources[] = {"10.0.0.1:1", "10.0.0.2:1", "10.0.0.1:1", "[fd00::1]:2"};
	struct discovery_options options = {.sources = sources, .source_count = 4};
	struct discovery *discovery;
	struct buffer out = BUFFER_EMPTY;
	assert_int_equal(discovery_create(loop, &options, found, NULL, &discovery, &error), 0);
	assert_int_equal(changes, 0);
	discovery_start(discovery);
	assert_int_equal(changes, 1);
	assert_int_equal(told.count, 3);
	assert_string_equal(told.places[2].address, "[fd00::1]:2");
	discovery_status(discovery, &out);
	assert_non_null(strstr(buffer_string(&out), ",\"discovery_errors\":0,\"discovery\":[{\"source\":\"10.0.0.1:1\","
	                                            "\"found\":[\"10.0.0.1:1\"],\"looks\":1,\"errors\":0,\"problem\":\"\"}"));
	buffer_finish(&out);
	discovery_destroy(discovery);
	options.source_count = 0;
	assert_int_equal(discovery_create(loop, &options, found, NULL, &discovery, &error), 0);
	discovery_start(discovery);
	assert_int_equal(changes, 1);
	discovery_destroy(discovery);
}

static void what_is_under_way_is_given_up(void **state)
{
	(void)state;
	static const char *const sources[] = {"localhost:1", "file:/nothing", "k8s:clusterd"};
	struct discovery_options options = {.sources = sources, .source_count = 3, .mount = directory};
	struct discovery *discovery;
	assert_int_equal(discovery_create(loop, &options, found, NULL, &discovery, &error), 0);
	discovery_start(discovery);
	discovery_destroy(discovery);
	assert_int_equal(changes, 0);
}

/* --- names --------------------------------------------------------------------------------------------------------- */

static void all_addresses_of_a_name_are_found(void **state)
{
	(void)state;
	struct source source;
	init(&source, "dns:localhost:4711");
	look(&source);
	assert_true(source.places.count >= 1);
	assert_non_null(strstr(source.places.places[0].address, ":4711"));
	assert_int_equal(changes, 1);
	look(&source);
	assert_int_equal(changes, 1);
	source_finish(&source);
}

/* --- files --------------------------------------------------------------------------------------------------------- */

static void files_are_read_again_however_they_change(void **state)
{
	(void)state;
	struct source source;
	char spelled[128];
	char path[128];
	char other[128];
	snprintf(spelled, sizeof spelled, "file:%s/list", directory);
	snprintf(path, sizeof path, "%s/list", directory);
	snprintf(other, sizeof other, "%s/list.new", directory);
	init(&source, spelled);
	look(&source);
	assert_problem(&source, ERR_NOT_FOUND, "No such file");
	put("list", "10.0.0.1:1\n");
	look(&source);
	assert_int_equal(source.problem.code, 0);
	assert_string_equal(source.places.places[0].address, "10.0.0.1:1");
	put("list", "10.0.0.2:1\n"); /* in place, of the same size */
	look(&source);
	assert_string_equal(source.places.places[0].address, "10.0.0.2:1");
	put("list.new", "10.0.0.3:1\n");
	assert_int_equal(rename(other, path), 0);
	look(&source);
	assert_string_equal(source.places.places[0].address, "10.0.0.3:1");
	assert_int_equal(changes, 3);
	/* What is wrong with it changes nothing. */
	put("list", "10.0.0.4:1\nnonsense\n");
	look(&source);
	assert_problem(&source, ERR_INVALID, "line 2 is \"nonsense\"");
	take_away("list");
	look(&source);
	assert_int_equal(mkdir(path, 0700), 0);
	look(&source);
	assert_problem(&source, ERR_INVALID, "is not a file");
	assert_int_equal(rmdir(path), 0);
	assert_int_equal(mkfifo(path, 0600), 0);
	look(&source); /* nobody writes to it: it must not wait */
	assert_problem(&source, ERR_INVALID, "is not a file");
	assert_int_equal(unlink(path), 0);
	assert_int_equal(source.errors, 5);
	assert_int_equal(source.places.count, 1);
	assert_int_equal(changes, 3);
	source_finish(&source);
}

/* --- Kubernetes ---------------------------------------------------------------------------------------------------- */

#define ENDPOINTS "{\"kind\":\"Endpoints\",\"subsets\":[{\"addresses\":[{\"ip\":\"10.1.0.9\"}],\"ports\":[{\"port\":443}]}]}"

static void put_slices(const char *ip, const char *uid)
{
	char json[256];
	snprintf(json, sizeof json, "{\"items\":[{\"endpoints\":[{\"addresses\":[\"%s\"],\"targetRef\":{\"uid\":\"%s\"}}]}]}", ip, uid);
	put("slices", json);
}

static void assert_question(const char *expected)
{
	char path[128];
	char line[512] = "";
	snprintf(path, sizeof path, "%s/questions", directory);
	FILE *file = fopen(path, "re");
	assert_non_null(file);
	while (fgets(line, sizeof line, file) != NULL)
		;
	fclose(file);
	line[strcspn(line, "\n")] = '\0';
	assert_string_equal(line, expected);
}

static void slices_are_asked_for_and_their_changes_are_seen(void **state)
{
	(void)state;
	struct source source;
	serve("127.0.0.1");
	put_slices("10.1.0.1", "a");
	init(&source, "k8s:clusterd");
	look(&source);
	assert_problem(&source, 0, "");
	assert_question("/apis/discovery.k8s.io/v1/namespaces/home/endpointslices?labelSelector=kubernetes.io%2Fservice-name%3Dclusterd");
	assert_string_equal(source.places.places[0].address, "10.1.0.1:9189");
	look(&source);
	assert_int_equal(changes, 1);
	put_slices("10.1.0.1", "b"); /* another pod at the same address */
	look(&source);
	assert_int_equal(changes, 2);
	put_slices("10.1.0.2", "b");
	look(&source);
	assert_int_equal(changes, 3);
	assert_int_equal(source.errors, 0);
	source_finish(&source);
}

static void endpoints_are_asked_for_where_there_are_no_slices(void **state)
{
	(void)state;
	struct source source;
	serve("127.0.0.1");
	put("endpoints", ENDPOINTS);
	init(&source, "k8s:clusterd.prod");
	look(&source);
	assert_question("/api/v1/namespaces/prod/endpoints/clusterd");
	assert_string_equal(source.places.places[0].address, "10.1.0.9:443");
	assert_true(source.places.places[0].secure);
	assert_int_equal(source.errors, 0);
	take_away("endpoints");
	look(&source);
	assert_problem(&source, ERR_NOT_FOUND, "answers 404 for endpoints: that is the fake's answer");
	assert_int_equal(source.places.count, 1);
	source_finish(&source);
}

static void errors_of_the_api_are_counted_and_change_nothing(void **state)
{
	(void)state;
	struct source source;
	serve("127.0.0.1");
	put_slices("10.1.0.1", "a");
	init(&source, "k8s:clusterd");
	look(&source);
	put("status", "500");
	look(&source);
	assert_problem(&source, ERR_CLOSED, "answers 500 for endpointslices");
	put("status", "403");
	look(&source);
	assert_problem(&source, ERR_DENIED, "answers 403 for endpoints");
	put("status", "302");
	look(&source);
	assert_problem(&source, ERR_CLOSED, "answers 302");
	take_away("status");
	put("slices", "{\"items\":[{\"endpoints\":[");
	look(&source);
	assert_problem(&source, ERR_INVALID, "the answer is not JSON");
	char *huge = mem_alloc((2u << 20) + 1);
	memset(huge, ' ', 2u << 20);
	huge[2u << 20] = '\0';
	put("slices", huge);
	mem_free(huge);
	look(&source);
	assert_problem(&source, ERR_LIMIT, "larger than 1048576 bytes");
	end_server();
	look(&source);
	assert_problem(&source, ERR_CLOSED, "no connection");
	assert_int_equal(source.errors, 6);
	assert_int_equal(source.looks, 7);
	assert_int_equal(source.places.count, 1);
	assert_int_equal(changes, 1);
	source_finish(&source);
}

static void tokens_and_authorities_are_read_anew_each_time(void **state)
{
	(void)state;
	struct source source;
	serve("127.0.0.1");
	put_slices("10.1.0.1", "a");
	init(&source, "k8s:clusterd");
	look(&source);
	assert_int_equal(source.errors, 0);
	put("token", "second\n"); /* the server reads it, too */
	look(&source);
	assert_int_equal(source.errors, 0);
	put("token", "");
	look(&source);
	assert_problem(&source, ERR_INVALID, "token is not what it should be");
	put("token", "two\nlines");
	look(&source);
	assert_problem(&source, ERR_INVALID, "no header can hold");
	put("token", "second");
	put("ca.crt", "-----BEGIN CERTIFICATE-----\nnone\n-----END CERTIFICATE-----\n");
	look(&source);
	assert_problem(&source, ERR_INVALID, "no certificate to trust");
	take_away("ca.crt");
	look(&source);
	assert_problem(&source, ERR_NOT_FOUND, "ca.crt");
	source_finish(&source);
}

static void whose_certificate_is_not_trusted_is_not_believed(void **state)
{
	(void)state;
	struct source source;
	char other[128];
	char own[128];
	serve("127.0.0.1");
	put_slices("10.1.0.1", "a");
	init(&source, "k8s:clusterd");
	snprintf(other, sizeof other, "%s/other.crt", directory);
	snprintf(own, sizeof own, "%s/ca.crt", directory);
	fake_api_destroy(fake_api_create(directory, "127.0.0.1", other));
	assert_int_equal(rename(other, own), 0);
	look(&source);
	assert_problem(&source, ERR_DENIED, "its certificate is not one to trust for 127.0.0.1");
	assert_int_equal(source.places.count, 0);
	source_finish(&source);
}

static void a_certificate_for_another_host_is_not_believed(void **state)
{
	(void)state;
	struct source source;
	char port[16];
	static const char *const certified[] = {"127.0.0.2", "kubernetes.example", "localhost"};
	static const char *const asked[] = {"127.0.0.1", "localhost", "127.0.0.1"};
	put_slices("10.1.0.1", "a");
	for (size_t i = 0; i < 3; i++) {
		serve(certified[i]);
		snprintf(port, sizeof port, "%u", server_port);
		setenv("KUBERNETES_SERVICE_HOST", asked[i], 1);
		init(&source, "k8s:clusterd");
		look(&source);
		assert_problem(&source, ERR_DENIED, "mismatch");
		source_finish(&source);
		end_server();
	}
	serve("localhost"); /* a name that is the right one */
	setenv("KUBERNETES_SERVICE_HOST", "localhost", 1);
	init(&source, "k8s:clusterd");
	for (int i = 0; i < 2 && source.places.count == 0; i++)
		look(&source); /* localhost may be ::1 first, where nobody is */
	assert_problem(&source, 0, "");
	assert_int_equal(source.places.count, 1);
	source_finish(&source);
}

static void outside_of_pods_it_is_said_what_is_missing(void **state)
{
	(void)state;
	struct source source;
	init(&source, "k8s:clusterd");
	look(&source);
	assert_problem(&source, ERR_NOT_FOUND, "KUBERNETES_SERVICE_HOST");
	source_finish(&source);
}

/* --- one question -------------------------------------------------------------------------------------------------- */

struct outcome {
	struct https *https;
	int status; /* or the error's code */
	struct error error;
	size_t size;
};

static void outcome_known(void *context, int status, struct slice body, const struct error *failure)
{
	struct outcome *outcome = context;
	outcome->status = failure != NULL ? failure->code : status;
	if (failure != NULL)
		outcome->error = *failure;
	outcome->size = body.size;
	https_destroy(outcome->https);
}

static void start_question(struct outcome *outcome, uint32_t number, uint16_t port, msec timeout)
{
	struct address address = {0};
	struct sockaddr_in *ipv4 = (struct sockaddr_in *)(void *)&address.storage;
	char text[8192];
	char path[128];
	snprintf(path, sizeof path, "%s/ca.crt", directory);
	FILE *file = fopen(path, "re");
	assert_non_null(file);
	size_t size = fread(text, 1, sizeof text, file);
	fclose(file);
	*ipv4 = (struct sockaddr_in){.sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(number)};
	address.size = sizeof *ipv4;
	struct https_request request = {.host = "127.0.0.1", .address = &address, .path = "/endpoints", .authorities = {text, size},
	                                .token = "first", .answer_max = 1000, .timeout = timeout};
	*outcome = (struct outcome){0};
	assert_int_equal(https_get(loop, &request, outcome_known, outcome, &outcome->https, &error), 0);
}

static void silence_ends_in_time(void **state)
{
	(void)state;
	struct outcome outcome;
	serve("127.0.0.1");
	put("silent", "");
	start_question(&outcome, INADDR_LOOPBACK, server_port, 200);
	run_until(NULL, &outcome.status);
	assert_int_equal(outcome.status, ERR_TIMEOUT);
	assert_non_null(strstr(outcome.error.text, "200 ms"));
	start_question(&outcome, INADDR_LOOPBACK, server_port, 60000); /* and one that is given up */
	https_destroy(outcome.https);
}

static void bodies_up_to_the_limit_are_taken(void **state)
{
	(void)state;
	struct outcome outcome;
	char body[1002];
	serve("127.0.0.1");
	memset(body, ' ', sizeof body);
	body[1000] = '\0';
	put("endpoints", body);
	start_question(&outcome, INADDR_LOOPBACK, server_port, DEADLINE_MS);
	run_until(NULL, &outcome.status);
	assert_int_equal(outcome.status, 200);
	assert_int_equal(outcome.size, 1000);
	body[1000] = ' ';
	body[1001] = '\0';
	put("endpoints", body);
	start_question(&outcome, INADDR_LOOPBACK, server_port, DEADLINE_MS);
	run_until(NULL, &outcome.status);
	assert_int_equal(outcome.status, ERR_LIMIT);
}

static void who_cannot_be_reached_or_speaks_no_tls_is_an_error(void **state)
{
	(void)state;
	struct outcome outcome;
	serve("127.0.0.1");
	start_question(&outcome, INADDR_BROADCAST, 443, DEADLINE_MS); /* refused by this system at once */
	run_until(NULL, &outcome.status);
	assert_int_equal(outcome.status, ERR_CLOSED);
	int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	struct sockaddr_in own = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t size = sizeof own;
	assert_int_equal(bind(listener, (struct sockaddr *)&own, sizeof own), 0);
	assert_int_equal(getsockname(listener, (struct sockaddr *)&own, &size), 0);
	assert_int_equal(listen(listener, 1), 0);
	start_question(&outcome, INADDR_LOOPBACK, ntohs(own.sin_port), DEADLINE_MS);
	pid_t other = fork();
	assert_true(other >= 0);
	if (other == 0) {
		static const char answer[] = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}";
		int connection = accept(listener, NULL, NULL);
		_exit(connection >= 0 && write(connection, answer, sizeof answer - 1) > 0 ? 0 : 1);
	}
	run_until(NULL, &outcome.status);
	assert_int_equal(outcome.status, ERR_CLOSED);
	waitpid(other, NULL, 0);
	close(listener);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(sources_are_told_by_their_spelling),
		TEST(fixed_addresses_are_told_at_once_and_once),
		TEST(what_is_under_way_is_given_up),
		TEST(all_addresses_of_a_name_are_found),
		TEST(files_are_read_again_however_they_change),
		TEST(slices_are_asked_for_and_their_changes_are_seen),
		TEST(endpoints_are_asked_for_where_there_are_no_slices),
		TEST(errors_of_the_api_are_counted_and_change_nothing),
		TEST(tokens_and_authorities_are_read_anew_each_time),
		TEST(whose_certificate_is_not_trusted_is_not_believed),
		TEST(a_certificate_for_another_host_is_not_believed),
		TEST(outside_of_pods_it_is_said_what_is_missing),
		TEST(silence_ends_in_time),
		TEST(bodies_up_to_the_limit_are_taken),
		TEST(who_cannot_be_reached_or_speaks_no_tls_is_an_error),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
