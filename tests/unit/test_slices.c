#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "discovery/slices.h"

#include <stdio.h>

static struct places places;
static struct error error;

static const char two_slices[] =
	"{\"kind\":\"EndpointSliceList\",\"apiVersion\":\"discovery.k8s.io/v1\",\"metadata\":{\"resourceVersion\":\"7\"},\"items\":["
	"{\"addressType\":\"IPv4\",\"ports\":[{\"name\":\"gossip\",\"protocol\":\"UDP\",\"port\":9999},"
	"{\"name\":\"clusterd\",\"protocol\":\"TCP\",\"port\":9189}],\"endpoints\":["
	"{\"addresses\":[\"10.1.0.1\"],\"conditions\":{\"ready\":true},\"targetRef\":{\"kind\":\"Pod\",\"uid\":\"u-1\"}},"
	"{\"addresses\":[\"10.1.0.2\"],\"conditions\":{\"ready\":false},\"targetRef\":{\"kind\":\"Pod\",\"uid\":\"u-2\"}},"
	"{\"addresses\":[\"10.1.0.3\",\"10.1.0.4\"],\"conditions\":{}},{\"addresses\":[\"10.1.0.5\"]}]},"
	"{\"addressType\":\"FQDN\",\"ports\":[],\"endpoints\":[{\"addresses\":[\"a.example\"]}]},"
	"{\"addressType\":\"IPv6\",\"ports\":null,\"endpoints\":[{\"addresses\":[\"fd00::1\"],\"conditions\":{\"ready\":null}}]},"
	"{\"addressType\":\"IPv4\",\"endpoints\":null}]}";

static void assert_places(const char *expected)
{
	char text[2048] = "";
	for (size_t i = 0; i < places.count; i++) {
		const struct place *place = &places.places[i];
		snprintf(text + strlen(text), sizeof text - strlen(text), "%s%s%s%s%s", i > 0 ? " " : "", place->secure ? "https " : "",
		         place->address, place->id[0] != '\0' ? "=" : "", place->id);
	}
	assert_string_equal(text, expected);
}

static int read_slices(const char *json, const char *port)
{
	return slices_read(slice_of(json), port, &places, &error);
}

static int read_endpoints(const char *json, const char *port)
{
	return endpoints_read(slice_of(json), port, &places, &error);
}

static void what_is_not_ready_is_left_out(void **state)
{
	(void)state;
	assert_int_equal(read_slices(two_slices, ""), 0);
	assert_places("10.1.0.1:9189=u-1 10.1.0.3:9189 10.1.0.5:9189 [fd00::1]:9189");
	assert_int_equal(read_endpoints("{\"kind\":\"Endpoints\",\"subsets\":[{"
	                                "\"addresses\":[{\"ip\":\"10.1.0.1\",\"targetRef\":{\"uid\":\"x\"}}],"
	                                "\"notReadyAddresses\":[{\"ip\":\"10.1.0.2\"}],\"ports\":[{\"port\":7}]}]}", ""), 0);
	assert_places("10.1.0.1:7=x");
}

static void a_port_that_is_asked_for_is_taken(void **state)
{
	(void)state;
	assert_int_equal(read_slices(two_slices, "4711"), 0);
	assert_places("10.1.0.1:4711=u-1 10.1.0.3:4711 10.1.0.5:4711 [fd00::1]:4711");
	assert_int_equal(read_slices(two_slices, "gossip"), ERR_NOT_FOUND); /* UDP */
	assert_non_null(strstr(error.text, "no TCP port is called gossip"));
}

static void assert_port(const char *ports, const char *expected)
{
	char json[512];
	snprintf(json, sizeof json, "{\"kind\":\"Endpoints\",\"subsets\":[{\"addresses\":[{\"ip\":\"10.1.0.1\"}],\"ports\":%s}]}", ports);
	assert_int_equal(read_endpoints(json, ""), 0);
	assert_places(expected);
	snprintf(json, sizeof json, "{\"items\":[{\"endpoints\":[{\"addresses\":[\"10.1.0.1\"]}],\"ports\":%s}]}", ports);
	assert_int_equal(read_slices(json, ""), 0);
	assert_places(expected);
}

static void ports_are_chosen_by_what_they_speak(void **state)
{
	(void)state;
	assert_port("[]", "10.1.0.1:9189");
	assert_port("[{\"port\":443}]", "https 10.1.0.1:443");
	assert_port("[{\"port\":443,\"appProtocol\":\"http\"}]", "10.1.0.1:443");
	assert_port("[{\"port\":8443,\"appProtocol\":\"https\"}]", "https 10.1.0.1:8443");
	assert_port("[{\"port\":1},{\"port\":2}]", "10.1.0.1:1");
	assert_port("[{\"port\":1},{\"port\":80},{\"port\":443}]", "https 10.1.0.1:443");
	assert_port("[{\"port\":1},{\"port\":80},{\"port\":3}]", "10.1.0.1:80");
	assert_port("[{\"port\":1},{\"port\":81,\"name\":\"http\"},{\"port\":9,\"name\":\"https\"}]", "https 10.1.0.1:9");
	assert_port("[{\"port\":443},{\"port\":5,\"name\":\"clusterd\"}]", "10.1.0.1:5");
	assert_port("[{\"port\":443,\"protocol\":\"UDP\"},{\"port\":6,\"protocol\":\"TCP\"}]", "10.1.0.1:6");
	assert_port("[{\"port\":0},{\"port\":65536},{\"port\":1.5},{\"port\":\"1\"},7,{}]", "10.1.0.1:9189");
}

static void the_same_address_with_another_uid_is_another_place(void **state)
{
	(void)state;
	static const char format[] = "{\"items\":[{\"endpoints\":[{\"addresses\":[\"10.1.0.1\"],\"targetRef\":{\"uid\":\"%s\"}}]}]}";
	char json[200];
	snprintf(json, sizeof json, format, "one");
	assert_int_equal(read_slices(json, ""), 0);
	struct places before = places;
	snprintf(json, sizeof json, format, "two");
	assert_int_equal(read_slices(json, ""), 0);
	assert_false(places_equal(&before, &places));
	assert_false(places_have(&before, &places.places[0]));
}

static void nothing_behind_a_service_is_an_answer(void **state)
{
	(void)state;
	assert_int_equal(read_slices("{\"items\":[]}", ""), 0);
	assert_int_equal(places.count, 0);
	assert_int_equal(read_endpoints("{\"kind\":\"Endpoints\"}", ""), 0);
	assert_int_equal(places.count, 0);
	assert_int_equal(read_endpoints("{\"kind\":\"Endpoints\",\"subsets\":[{\"notReadyAddresses\":[{\"ip\":\"1.2.3.4\"}]}]}", "x"), 0);
	assert_int_equal(places.count, 0);
}

static void assert_refused(const char *json)
{
	places.count = 4711;
	if (read_slices(json, "") != ERR_INVALID || read_endpoints(json, "") != ERR_INVALID)
		fail_msg("taken: %s", json);
	assert_int_equal(places.count, 4711); /* untouched */
}

static void what_is_no_list_is_refused(void **state)
{
	(void)state;
	static const char *const bad[] = {
		"", "{", "[]", "7", "null", "{}", "{\"items\":{}}", "{\"items\":[7]}", "<html>", "{\"items\":[{\"endpoints\":[7]}]}",
		"{\"items\":[{\"endpoints\":[{}]}]}", "{\"items\":[{\"endpoints\":[{\"addresses\":[7]}]}]}",
		"{\"items\":[{\"endpoints\":[{\"addresses\":[\"x\"]}]}]}", "{\"items\":[{\"endpoints\":[{\"addresses\":[\"\"]}]}]}",
		"{\"items\":[{\"endpoints\":[{\"addresses\":[\"1.2.3.4:5\"]}]}]}", "{\"items\":[],\"items\":[]}",
		"{\"kind\":\"Endpoints\",\"subsets\":[7]}", "{\"kind\":\"Endpoints\",\"subsets\":[{\"addresses\":[{}]}]}",
		"{\"kind\":\"Endpoints\",\"subsets\":[{\"addresses\":[7]}]}",
		"{\"kind\":\"Endpoints\",\"subsets\":[{\"addresses\":[{\"ip\":7}]}]}",
		"{\"kind\":\"Endpoints\",\"subsets\":[{\"addresses\":[{\"ip\":\"fe80::\\u0041%lo x\"}]}]}", "{\"kind\":\"Status\"}",
	};
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
		assert_refused(bad[i]);
	assert_int_equal(slices_read((struct slice){two_slices, sizeof two_slices - 3}, "", &places, NULL), ERR_INVALID);
}

static void more_addresses_than_can_be_used_are_counted(void **state)
{
	(void)state;
	struct buffer json = BUFFER_EMPTY;
	buffer_append_string(&json, "{\"items\":[{\"endpoints\":[");
	for (unsigned i = 0; i < 1000; i++)
		buffer_format(&json, "%s{\"addresses\":[\"10.0.%u.%u\"]}", i > 0 ? "," : "", i / 250, i % 250 + 1);
	buffer_append_string(&json, "]}]}");
	assert_int_equal(slices_read(buffer_slice(&json), "", &places, &error), 0);
	assert_int_equal(places.count, PLACES_MAX);
	assert_int_equal(places.left_out, 1000 - PLACES_MAX);
	buffer_finish(&json);
}

static void the_message_of_a_refusal_is_found(void **state)
{
	(void)state;
	struct buffer out = BUFFER_EMPTY;
	slices_message(SLICE("{\"kind\":\"Status\",\"message\":\"no \\\"x\\\"\",\"code\":403}"), &out);
	assert_string_equal(buffer_string(&out), "no \"x\"");
	buffer_clear(&out);
	slices_message(SLICE("<html>"), &out);
	slices_message(SLICE("{\"message\":7}"), &out);
	assert_int_equal(out.size, 0);
	buffer_finish(&out);
}

#define TEST(name) cmocka_unit_test(name)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(what_is_not_ready_is_left_out),
		TEST(a_port_that_is_asked_for_is_taken),
		TEST(ports_are_chosen_by_what_they_speak),
		TEST(the_same_address_with_another_uid_is_another_place),
		TEST(nothing_behind_a_service_is_an_answer),
		TEST(what_is_no_list_is_refused),
		TEST(more_addresses_than_can_be_used_are_counted),
		TEST(the_message_of_a_refusal_is_found),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
