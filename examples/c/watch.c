/* A poll loop of its own: lines "KEY VALUE" of stdin are put, and each change below a prefix is printed, whoever made it.
 * watch ADDRESSES PREFIX COUNT: ends after so many changes. */
#include <clusterd.h>

#include <err.h>
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static long left;

static void changed(void *context, const struct clusterd_key *key, const struct clusterd_error *error)
{
	(void)context;
	if (error != NULL)
		errx(1, "%s", error->text);
	if (key->deleted)
		printf("%" PRIu64 " delete %s\n", key->version, key->key);
	else
		printf("%" PRIu64 " put %s %.*s\n", key->version, key->key, (int)key->value_size, key->value);
	fflush(stdout);
	left--;
}

static void put(void *context, struct clusterd_reply *reply, const struct clusterd_error *error)
{
	(void)context;
	(void)reply;
	if (error != NULL)
		warnx("%s", error->text);
}

/* Each line is a request of its own; they are all under way at once. */
static void put_line(struct clusterd_client *client, char *line)
{
	char *blank = strchr(line, ' ');
	if (blank == NULL)
		return;
	*blank = '\0';
	clusterd_key_put_begin(client, line, blank + 1, strlen(blank + 1), 0, CLUSTERD_ALWAYS, 60000, put, NULL);
}

static void read_lines(struct clusterd_client *client, struct pollfd *input)
{
	static char line[4096];
	static size_t size;
	char *end;
	ssize_t got = read(input->fd, line + size, sizeof line - 1 - size);
	if (got <= 0) {
		input->fd = -1;
		return;
	}
	size += (size_t)got;
	line[size] = '\0';
	while ((end = strchr(line, '\n')) != NULL) {
		*end = '\0';
		put_line(client, line);
		size -= (size_t)(end + 1 - line);
		memmove(line, end + 1, size + 1);
	}
}

int main(int argc, char **argv)
{
	struct clusterd_client_options options = CLUSTERD_CLIENT_OPTIONS;
	struct clusterd_watch_options watching = CLUSTERD_WATCH_OPTIONS;
	struct clusterd_client *client;
	struct clusterd_error error;
	if (argc != 4)
		errx(2, "usage: watch ADDRESSES PREFIX COUNT");
	left = strtol(argv[3], NULL, 10);
	options.addresses = argv[1];
	options.token = getenv("CLUSTERD_TOKEN");
	if (clusterd_client_create(&options, &client, &error) != 0)
		errx(1, "%s", error.text);
	watching.key = argv[2];
	watching.prefix = true;
	watching.state = true;
	watching.changed = changed;
	struct clusterd_watch *watch = clusterd_watch_create(client, &watching);
	struct pollfd polled[2] = {{clusterd_client_descriptor(client), POLLIN, 0}, {STDIN_FILENO, POLLIN, 0}};
	while (left > 0) {
		poll(polled, 2, clusterd_client_timeout_ms(client));
		if (polled[1].revents != 0)
			read_lines(client, &polled[1]);
		clusterd_client_dispatch(client);
	}
	clusterd_watch_destroy(watch);
	clusterd_client_destroy(client);
	return 0;
}
