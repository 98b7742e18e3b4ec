/* Serves the process Double(n: Number) -> Number until SIGTERM or SIGINT. worker ADDRESSES */
#include <clusterd.h>

#include <err.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static volatile sig_atomic_t stopped;

static void stop(int number)
{
	(void)number;
	stopped = 1;
}

/* It could as well keep the call, and answer later. */
static void called(void *context, struct clusterd_call *call)
{
	char output[40];
	const char *argument = strstr(clusterd_call_arguments(call, NULL), "\"n\":");
	(void)context;
	if (argument == NULL) {
		clusterd_call_fail(call, "there is no number n", true);
		return;
	}
	int size = snprintf(output, sizeof output, "%.17g", 2 * strtod(argument + 4, NULL));
	clusterd_call_complete(call, output, (size_t)size);
}

static void told(void *context, const struct clusterd_error *error)
{
	(void)context;
	fprintf(stderr, "%s\n", error == NULL ? "serving" : error->text);
}

int main(int argc, char **argv)
{
	struct clusterd_client_options options = CLUSTERD_CLIENT_OPTIONS;
	struct clusterd_worker_options offer = CLUSTERD_WORKER_OPTIONS;
	struct clusterd_offer offers[] = {{"Double", NULL}};
	struct sigaction action = {.sa_handler = stop};
	struct clusterd_client *client;
	struct clusterd_worker *worker;
	struct clusterd_error error;
	if (argc != 2)
		errx(2, "usage: worker ADDRESSES");
	sigaction(SIGTERM, &action, NULL);
	sigaction(SIGINT, &action, NULL);
	options.addresses = argv[1];
	options.token = getenv("CLUSTERD_TOKEN");
	offer.offers = offers;
	offer.offer_count = 1;
	offer.credit = 8;
	offer.called = called;
	offer.told = told;
	if (clusterd_client_create(&options, &client, &error) != 0 ||
	    clusterd_worker_create(client, &offer, &worker, &error) != 0)
		errx(1, "%s", error.text);
	while (!stopped) /* a signal between this look and the wait is seen within a second */
		clusterd_client_poll(client, 1000);
	if (clusterd_worker_drain(worker, 5000, &error) != 0)
		warnx("%s", error.text);
	clusterd_worker_destroy(worker);
	clusterd_client_destroy(client);
	return 0;
}
