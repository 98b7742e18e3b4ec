/* A worker whose calls of Same1 are answered, in the order in which they came, for each line of stdin. It says what happens on stdout.
 * library_away ADDRESSES */
#include <clusterd.h>

#include <err.h>
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define CALLS_MAX 100

static struct clusterd_call *calls[CALLS_MAX];
static int begun;
static int answered;

static void called(void *context, struct clusterd_call *call)
{
	(void)context;
	if (begun == CALLS_MAX)
		errx(1, "too many calls");
	calls[begun++] = call;
	printf("begun %" PRIu64 " attempt %" PRIu64 "\n", clusterd_call_instance(call), clusterd_call_attempt(call));
	fflush(stdout);
}

static void told(void *context, const struct clusterd_error *error)
{
	(void)context;
	puts(error == NULL ? "serving" : "lost");
	fflush(stdout);
}

int main(int argc, char **argv)
{
	struct clusterd_client_options options = CLUSTERD_CLIENT_OPTIONS;
	struct clusterd_worker_options offering = CLUSTERD_WORKER_OPTIONS;
	struct clusterd_offer offer = {"Same1", NULL};
	struct clusterd_client *client;
	struct clusterd_worker *worker;
	struct clusterd_error error;
	char bytes[100];
	if (argc != 2)
		errx(2, "usage: library_away ADDRESSES");
	options.addresses = argv[1];
	options.token = getenv("CLUSTERD_TOKEN");
	offering.offers = &offer;
	offering.offer_count = 1;
	offering.credit = 4;
	offering.called = called;
	offering.told = told;
	if (clusterd_client_create(&options, &client, &error) != 0 ||
	    clusterd_worker_create(client, &offering, &worker, &error) != 0)
		errx(1, "%s", error.text);
	struct pollfd polled[2] = {{clusterd_client_descriptor(client), POLLIN, 0}, {STDIN_FILENO, POLLIN, 0}};
	while (polled[1].fd >= 0) {
		poll(polled, 2, clusterd_client_timeout_ms(client));
		clusterd_client_dispatch(client);
		ssize_t got = polled[1].revents != 0 ? read(STDIN_FILENO, bytes, sizeof bytes) : 1;
		if (got <= 0)
			polled[1].fd = -1;
		for (ssize_t i = 0; polled[1].revents != 0 && i < got; i++) {
			if (bytes[i] == '\n' && answered < begun)
				clusterd_call_complete(calls[answered++], "42", 2);
		}
	}
	if (clusterd_worker_drain(worker, 60000, &error) != 0)
		errx(1, "%s", error.text);
	printf("all %d taken\n", answered);
	clusterd_worker_destroy(worker);
	clusterd_client_destroy(client);
	return 0;
}
