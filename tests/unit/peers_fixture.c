#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "peers_fixture.h"

#include "base/log.h"
#include "base/memory.h"
#include "net/stream.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct loop *fixture_loop;
char fixture_directory[128];
static struct loop_timer *deadline;
static struct loop_timer *pause_timer;
static condition *awaited;
static const void *awaited_context;

static void stop(void *context)
{
	(void)context;
	loop_stop(fixture_loop);
}

static void too_late(void *context)
{
	(void)context;
	fail_msg("the deadline passed");
}

static void turn_end(void *context)
{
	(void)context;
	if (awaited != NULL && awaited(awaited_context))
		loop_stop(fixture_loop);
}

int fixture_setup(void **state)
{
	(void)state;
	log_set_level(LOG_ERROR);
	snprintf(fixture_directory, sizeof fixture_directory, "/tmp/clusterd-peers.XXXXXX");
	if (mkdtemp(fixture_directory) == NULL || loop_create(&fixture_loop) != 0)
		return -1;
	deadline = loop_timer_create(fixture_loop, too_late, NULL);
	pause_timer = loop_timer_create(fixture_loop, stop, NULL);
	loop_at_turn_end(fixture_loop, turn_end, NULL);
	return 0;
}

int fixture_teardown(void **state)
{
	(void)state;
	loop_timer_destroy(deadline);
	loop_timer_destroy(pause_timer);
	loop_destroy(fixture_loop); /* asserts that nothing is left: after a failed test, that is its message */
	return rmdir(fixture_directory);
}

void run_until(condition *is_true, const void *context)
{
	awaited = is_true;
	awaited_context = context;
	loop_timer_set(deadline, loop_now(fixture_loop) + 20000);
	if (!is_true(context))
		loop_run(fixture_loop);
	loop_timer_set(deadline, MSEC_NEVER);
	awaited = NULL;
}

void run_for(msec duration)
{
	loop_timer_set(pause_timer, loop_now(fixture_loop) + duration);
	loop_run(fixture_loop);
}

/* --- handler */

static void up(void *context, uint64_t member)
{
	struct instance *instance = context;
	(void)member;
	instance->ups++;
}

static void down(void *context, uint64_t member)
{
	struct instance *instance = context;
	(void)member;
	instance->downs++;
}

static void message(void *context, uint64_t member, int frame_type, uint32_t stream, const ProtobufCMessage *packed,
                    struct slice payload)
{
	struct instance *instance = context;
	(void)packed;
	assert_true(instance->heard_count < HEARD_MAX);
	instance->heard[instance->heard_count++] = (struct heard){member, frame_type, stream, payload.size};
}

static void exchange(void *context, const char *from, struct slice bytes, struct buffer *reply)
{
	struct instance *instance = context;
	size_t used = strlen(instance->exchanged);
	(void)from;
	snprintf(instance->exchanged + used, sizeof instance->exchanged - used, "%.*s;", SLICE_ARGS(bytes));
	if (instance->reply != NULL)
		buffer_append_string(reply, instance->reply);
}

static void exchange_failed(void *context, const char *address)
{
	struct instance *instance = context;
	size_t used = strlen(instance->failed);
	snprintf(instance->failed + used, sizeof instance->failed - used, "%s;", address);
}

static const struct peers_handler handler = {up, down, message, exchange, exchange_failed};

/* --- instances */

void instance_init(struct instance *instance, uint64_t id)
{
	memset(instance, 0, sizeof *instance);
	instance->options = (struct peers_options){
		.id = id, .generation = 1, .cluster_id = "c1", .name = "node", .address = "", .seed = id};
}

void instance_start(struct instance *instance, uint16_t port)
{
	static unsigned number;
	struct error error = {0};
	char listen[64];
	snprintf(listen, sizeof listen, "127.0.0.1:%u", port);
	snprintf(instance->socket, sizeof instance->socket, "%s/%u", fixture_directory, number++);
	struct service_options options = {.listen = listen,
	                                  .socket_path = instance->socket,
	                                  .cluster_id = instance->options.cluster_id,
	                                  .node_name = instance->options.name,
	                                  .token = "",
	                                  .connections_max = 100};
	if (service_create(fixture_loop, &options, &instance->service, &error) != 0)
		fail_msg("%s", error.text);
	snprintf(instance->address, sizeof instance->address, "127.0.0.1:%u", service_port(instance->service));
	instance->options.address = instance->address;
	instance->resolver = resolver_create(fixture_loop);
	instance->peers = peers_create(fixture_loop, &instance->options, instance->resolver, &handler, instance);
	service_set_peers(instance->service, instance->peers);
}

void instance_stop(struct instance *instance)
{
	service_set_peers(instance->service, NULL);
	peers_destroy(instance->peers);
	service_destroy(instance->service);
	resolver_destroy(instance->resolver);
	instance->peers = NULL;
	instance->service = NULL;
}

void instance_send(struct instance *from, const struct instance *to, int type, uint32_t stream, const char *payload)
{
	struct slice part = slice_of(payload);
	peers_send(from->peers, to->options.id, type, stream, NULL, &part, 1);
}
