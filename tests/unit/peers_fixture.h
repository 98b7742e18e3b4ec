/* Nodes without anything but their door and their peers, on one loop, for the tests of peers.c. */
#ifndef CLUSTERD_TESTS_PEERS_FIXTURE_H
#define CLUSTERD_TESTS_PEERS_FIXTURE_H

#include "daemon/peers.h"
#include "daemon/service.h"

#define HEARD_MAX 4096

struct heard {
	uint64_t member;
	int type;
	uint32_t stream;
	size_t size;
};

struct instance {
	struct peers_options options;
	struct service *service;
	struct resolver *resolver;
	struct peers *peers;
	char address[64];
	char socket[256];
	/* What its handler heard. */
	int ups;
	int downs;
	struct heard heard[HEARD_MAX];
	size_t heard_count;
	char exchanged[256];   /* the pieces, one after another, each with a ";" */
	const char *reply;     /* to every piece; NULL: nothing */
	char failed[256];      /* addresses of exchanges that failed, each with a ";" */
};

extern struct loop *fixture_loop;
extern char fixture_directory[128];

int fixture_setup(void **state);
int fixture_teardown(void **state);

/* Sets what must be; change it before instance_start. */
void instance_init(struct instance *instance, uint64_t id);
void instance_start(struct instance *instance, uint16_t port); /* 0: any */
void instance_stop(struct instance *instance);
void instance_send(struct instance *from, const struct instance *to, int type, uint32_t stream, const char *payload);

/* Runs the loop until it is true at the end of a turn, or fails the test after 20 s. */
typedef bool condition(const void *context);
void run_until(condition *is_true, const void *context);
void run_for(msec duration); /* to see that something does not happen */

#endif
