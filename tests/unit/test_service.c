#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "client/clusterd_streams.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* A service and one that calls it in one thread, each with a client of its own, without a cluster. */

#define KEPT 5000

static struct clusterd_client *serving;
static struct clusterd_client *calling;
static struct clusterd_service *service;
static struct clusterd_binding *binding;
static struct clusterd_error error;
static struct clusterd_service_request *kept[KEPT];
static size_t kept_count;
static bool keeps; /* instead of an answer at once */
static int came;
static int failed; /* the last code */
static char answers[200];
static char *address;

static struct clusterd_client *new_client(void)
{
	struct clusterd_client_options options = CLUSTERD_CLIENT_OPTIONS;
	struct clusterd_client *made;
	options.addresses = "127.0.0.1:1";
	options.token = "0123456789abcdef";
	assert_int_equal(clusterd_client_create(&options, &made, &error), 0);
	return made;
}

static void called(void *context, struct clusterd_service_request *request)
{
	size_t size;
	const char *data = clusterd_service_request_data(request, &size);
	(void)context;
	came++;
	if (keeps)
		kept[kept_count++] = request;
	else if (strcmp(data, "no") == 0)
		clusterd_service_refuse(request, "I will not");
	else
		clusterd_service_answer(request, data, size);
}

static void announce(const char *listen)
{
	struct clusterd_service_options options = CLUSTERD_SERVICE_OPTIONS;
	options.topic = "echo";
	options.unlisted = true;
	options.listen = listen;
	options.called = called;
	assert_int_equal(clusterd_service_announce(serving, &options, &service, &error), 0);
}

static void bind_it(uint32_t calls_max, bool wait)
{
	struct clusterd_binding_options options = CLUSTERD_BINDING_OPTIONS;
	options.topic = "echo";
	options.address = address;
	options.calls_max = calls_max;
	options.wait = wait;
	clusterd_binding_destroy(binding);
	assert_int_equal(clusterd_service_bind(calling, &options, &binding, &error), 0);
}

static int set_up(void **state)
{
	(void)state;
	kept_count = 0;
	keeps = false;
	came = failed = 0;
	answers[0] = '\0';
	serving = new_client();
	calling = new_client();
	announce(NULL);
	address = strdup(clusterd_service_address(service));
	bind_it(0, false);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	clusterd_binding_destroy(binding);
	clusterd_service_destroy(service);
	binding = NULL;
	service = NULL;
	clusterd_client_destroy(serving);
	clusterd_client_destroy(calling);
	free(address);
	return 0;
}

static int answered_count;

static void answered(void *context, const void *data, size_t size, const struct clusterd_error *why)
{
	(void)context;
	answered_count++;
	if (why != NULL)
		failed = why->code;
	else if (size < 20 && strlen(answers) + size + 2 < sizeof answers)
		snprintf(answers + strlen(answers), sizeof answers - strlen(answers), "%.*s ", (int)size, (const char *)data);
}

static struct clusterd_service_call *call(const char *data)
{
	return clusterd_service_call_begin(binding, data, strlen(data), 20000, answered, NULL);
}

#define until(condition)                                          \
	do {                                                      \
		for (int turns = 0; !(condition); turns++) {      \
			assert_true(turns < 100000);              \
			clusterd_client_poll(serving, 0);         \
			clusterd_client_poll(calling, 0);         \
			if (turns > 100)                          \
				usleep(100);                      \
		}                                                 \
	} while (0)

static void requests_are_answered_in_any_order(void **state)
{
	(void)state;
	keeps = true;
	call("a");
	call("b");
	call("c");
	until(kept_count == 3);
	clusterd_service_answer(kept[2], "C", 1);
	clusterd_service_refuse(kept[0], "no");
	clusterd_service_answer(kept[1], "B", 1);
	answered_count = 0;
	until(answered_count == 3);
	assert_string_equal(answers, "C B ");
	assert_int_equal(failed, CLUSTERD_ERR_CONFLICT);
}

static void large_ones_and_empty_ones_come_whole(void **state)
{
	static char large[3 << 20];
	(void)state;
	answered_count = 0;
	clusterd_service_call_begin(binding, large, sizeof large, 20000, answered, NULL);
	call("");
	until(answered_count == 2);
	assert_int_equal(failed, 0);
	clusterd_service_call_begin(binding, large, CLUSTERD_MESSAGE_MAX + 1, 20000, answered, NULL);
	until(answered_count == 3);
	assert_int_equal(failed, CLUSTERD_ERR_LIMIT);
}

static void calls_fail_at_once_when_the_service_is_lost(void **state)
{
	(void)state;
	keeps = true;
	answered_count = 0;
	call("a");
	until(kept_count == 1);
	clusterd_service_destroy(service);
	service = NULL;
	until(answered_count == 1);
	assert_int_equal(failed, CLUSTERD_ERR_CLOSED);
	failed = 0;
	call("b"); /* nobody is there */
	until(answered_count == 2);
	assert_int_equal(failed, CLUSTERD_ERR_CLOSED);
	keeps = false;
	announce(address);
	call("c");
	until(answered_count == 3);
	assert_string_equal(answers, "c ");
}

static void who_waits_is_answered_when_the_service_comes(void **state)
{
	(void)state;
	clusterd_service_destroy(service);
	service = NULL;
	bind_it(0, true);
	answered_count = 0;
	call("a");
	for (int i = 0; i < 100; i++)
		clusterd_client_poll(calling, 1);
	assert_int_equal(answered_count, 0);
	announce(address);
	until(answered_count == 1);
	assert_string_equal(answers, "a ");
}

static void a_call_that_is_not_answered_in_time_fails(void **state)
{
	(void)state;
	keeps = true;
	answered_count = 0;
	clusterd_service_call_begin(binding, "a", 1, 10, answered, NULL);
	until(answered_count == 1);
	assert_int_equal(failed, CLUSTERD_ERR_TIMEOUT);
	call("b");
	until(kept_count == 2);
	clusterd_service_answer(kept[0], "late", 4); /* which is for nobody */
	clusterd_service_answer(kept[1], "B", 1);
	until(answered_count == 2);
	assert_string_equal(answers, "B ");
}

static void too_many_calls_are_refused_by_either_side(void **state)
{
	(void)state;
	bind_it(2000, false);
	keeps = true;
	answered_count = 0;
	for (int i = 0; i < 2001; i++)
		call("a");
	until(answered_count == 1);
	assert_int_equal(failed, CLUSTERD_ERR_BUSY);
	until(kept_count == 1000); /* and no more, until some are answered */
	for (int i = 0; i < 50; i++) {
		clusterd_client_poll(serving, 0);
		clusterd_client_poll(calling, 0);
	}
	assert_int_equal(kept_count, 1000);
	for (int i = 0; i < 1000; i++)
		clusterd_service_answer(kept[i], "", 0);
	until(kept_count == 2000);
	for (int i = 1000; i < 2000; i++)
		clusterd_service_answer(kept[i], "", 0);
	until(answered_count == 2001);
}

static void who_called_may_be_gone(void **state)
{
	(void)state;
	keeps = true;
	clusterd_service_call_cancel(call("never sent"));
	call("a");
	until(kept_count == 1);
	clusterd_binding_destroy(binding);
	binding = NULL;
	until(clusterd_service_callers(service) == 0);
	assert_false(clusterd_service_request_is_wanted(kept[0]));
	clusterd_service_answer(kept[0], "", 0);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(requests_are_answered_in_any_order),
		TEST(large_ones_and_empty_ones_come_whole),
		TEST(calls_fail_at_once_when_the_service_is_lost),
		TEST(who_waits_is_answered_when_the_service_comes),
		TEST(a_call_that_is_not_answered_in_time_fails),
		TEST(too_many_calls_are_refused_by_either_side),
		TEST(who_called_may_be_gone),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
