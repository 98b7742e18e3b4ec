/* A service that says what it is told, until SIGTERM or SIGINT; or, with a TEXT, one that asks it. echo ADDRESSES NAME [TEXT] */
#include <clusterd_streams.h>

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

/* It could as well keep the request, and answer later. */
static void called(void *context, struct clusterd_service_request *request)
{
	size_t size;
	const char *data = clusterd_service_request_data(request, &size);
	(void)context;
	clusterd_service_answer(request, data, size);
}

static void told(void *context, const struct clusterd_error *error)
{
	(void)context;
	fprintf(stderr, "%s\n", error == NULL ? "serving" : error->text);
}

static void serve(struct clusterd_client *client, const char *name)
{
	struct clusterd_service_options options = CLUSTERD_SERVICE_OPTIONS;
	struct clusterd_service *service;
	struct clusterd_error error;
	options.topic = name;
	options.called = called;
	options.told = told;
	if (clusterd_service_announce(client, &options, &service, &error) != 0)
		errx(1, "%s", error.text);
	while (!stopped) /* a signal between this look and the wait is seen within a second */
		clusterd_client_poll(client, 1000);
	clusterd_service_destroy(service);
}

static void ask(struct clusterd_client *client, const char *name, const char *text)
{
	struct clusterd_binding_options options = CLUSTERD_BINDING_OPTIONS;
	struct clusterd_binding *binding;
	struct clusterd_error error;
	char *answer;
	options.topic = name;
	options.wait = true;
	if (clusterd_service_bind(client, &options, &binding, &error) != 0 ||
	    clusterd_service_call(binding, text, strlen(text), &answer, NULL, 30000, &error) != 0)
		errx(1, "%s", error.text);
	puts(answer);
	clusterd_free(answer);
	clusterd_binding_destroy(binding);
}

int main(int argc, char **argv)
{
	struct clusterd_client_options options = CLUSTERD_CLIENT_OPTIONS;
	struct sigaction action = {.sa_handler = stop};
	struct clusterd_client *client;
	struct clusterd_error error;
	if (argc != 3 && argc != 4)
		errx(2, "usage: echo ADDRESSES NAME [TEXT]");
	sigaction(SIGTERM, &action, NULL);
	sigaction(SIGINT, &action, NULL);
	options.addresses = argv[1];
	options.token = getenv("CLUSTERD_TOKEN");
	if (clusterd_client_create(&options, &client, &error) != 0)
		errx(1, "%s", error.text);
	if (argc == 3)
		serve(client, argv[2]);
	else
		ask(client, argv[2], argv[3]);
	clusterd_client_destroy(client);
	return 0;
}
