/* One publisher and three subscribers, processes of their own, against a plain copy over TCP to three receivers on the same machine, in
 * turns; and what a publisher holds in memory while one of its subscribers stands still.
 *
 *   clusterd-bench-streams [SECONDS [ROUNDS]]
 *
 * Prints a table. Exit code 1: a target was missed. */
#include <clusterd_streams.h>

#include <arpa/inet.h>
#include <err.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define RECEIVERS 3
#define BATCH (64u << 10)  /* of one write: so much the library sends at once, too */
#define EPOCH (256u << 10) /* bytes of an epoch */
#define READ_SIZE (256u << 10)
#define TARGET 0.5
#define STILL_BYTES (2048ull << 20) /* published while a subscriber stands still */
#define STILL_GROWTH_KIB (16u << 10)

static double now_s(void)
{
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

/* What a receiver says at its end. */
struct told {
	uint64_t messages;
	uint64_t bytes;
};

static pid_t children[RECEIVERS];
static int reports[RECEIVERS];

static void start_child(int number, void (*run)(const void *context, int report), const void *context)
{
	int ends[2];
	if (pipe(ends) != 0)
		err(1, "pipe");
	children[number] = fork();
	if (children[number] < 0)
		err(1, "fork");
	if (children[number] == 0) {
		close(ends[0]);
		run(context, ends[1]);
		_exit(0);
	}
	close(ends[1]);
	reports[number] = ends[0];
}

/* All have got the same. */
static struct told wait_for_children(void)
{
	struct told told = {0};
	struct told last = {0};
	for (int i = 0; i < RECEIVERS; i++) {
		int status;
		if (read(reports[i], &told, sizeof told) != (ssize_t)sizeof told)
			errx(1, "a receiver says nothing");
		close(reports[i]);
		waitpid(children[i], &status, 0);
		if (status != 0 || (i > 0 && (told.messages != last.messages || told.bytes != last.bytes)))
			errx(1, "the receivers did not get the same");
		last = told;
	}
	return told;
}

/* --- a plain copy -------------------------------------------------------------------------------------------------- */

static void receive_plainly(const void *context, int report)
{
	static char buffer[READ_SIZE];
	struct told told = {0};
	int descriptor = socket(AF_INET, SOCK_STREAM, 0);
	ssize_t got;
	if (connect(descriptor, context, sizeof(struct sockaddr_in)) != 0)
		err(1, "connect");
	while ((got = recv(descriptor, buffer, sizeof buffer, 0)) > 0)
		told.bytes += (uint64_t)got;
	if (write(report, &told, sizeof told) < 0)
		err(1, "write");
}

/* Bytes per second for each receiver. */
static double copy_plainly(double seconds)
{
	static char block[BATCH];
	struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t size = sizeof address;
	int sockets[RECEIVERS];
	uint64_t bytes = 0;
	int listener = socket(AF_INET, SOCK_STREAM, 0);
	if (bind(listener, (struct sockaddr *)&address, size) != 0 || listen(listener, RECEIVERS) != 0 ||
	    getsockname(listener, (struct sockaddr *)&address, &size) != 0)
		err(1, "listen");
	for (int i = 0; i < RECEIVERS; i++)
		start_child(i, receive_plainly, &address);
	for (int i = 0; i < RECEIVERS; i++)
		sockets[i] = accept(listener, NULL, NULL);
	double begin = now_s();
	while (now_s() < begin + seconds) {
		for (int i = 0; i < RECEIVERS; i++) {
			for (size_t sent = 0; sent < sizeof block;) {
				ssize_t written = send(sockets[i], block + sent, sizeof block - sent, 0);
				if (written < 0)
					err(1, "send");
				sent += (size_t)written;
			}
		}
		bytes += sizeof block;
	}
	for (int i = 0; i < RECEIVERS; i++)
		close(sockets[i]);
	close(listener);
	struct told told = wait_for_children();
	double took = now_s() - begin;
	if (told.bytes != bytes)
		errx(1, "the plain copy lost something");
	return (double)bytes / took;
}

/* --- a stream ------------------------------------------------------------------------------------------------------ */

static struct clusterd_client *new_client(void)
{
	struct clusterd_client_options options = CLUSTERD_CLIENT_OPTIONS;
	struct clusterd_client *client;
	struct clusterd_error error;
	options.addresses = "127.0.0.1:1"; /* which is not asked */
	if (clusterd_client_create(&options, &client, &error) != 0)
		errx(1, "%s", error.text);
	return client;
}

struct subscriber {
	struct told told;
	bool ended;
};

static void came(void *context, const struct clusterd_message *message)
{
	struct subscriber *subscriber = context;
	subscriber->told.messages++;
	subscriber->told.bytes += message->size;
}

static void heard(void *context, const struct clusterd_subscriber_news *news)
{
	struct subscriber *subscriber = context;
	if (news->event == CLUSTERD_SUBSCRIBER_FRONTIER && news->from == CLUSTERD_TIME_END)
		subscriber->ended = true;
	else if (news->event == CLUSTERD_SUBSCRIBER_LOST)
		subscriber->ended = true;
}

static void subscribe(const void *context, int report)
{
	struct clusterd_subscriber_options options = CLUSTERD_SUBSCRIBER_OPTIONS;
	struct subscriber subscriber = {0};
	struct clusterd_subscriber *made;
	struct clusterd_client *client = new_client();
	struct clusterd_error error;
	options.topic = "bench";
	options.address = context;
	options.came = came;
	options.told = heard;
	options.context = &subscriber;
	if (clusterd_subscriber_create(client, &options, &made, &error) != 0)
		errx(1, "%s", error.text);
	while (!subscriber.ended)
		clusterd_client_poll(client, 1000);
	clusterd_subscriber_destroy(made);
	clusterd_client_destroy(client);
	if (write(report, &subscriber.told, sizeof subscriber.told) < 0)
		err(1, "write");
}

static struct clusterd_publisher *publish(struct clusterd_client *client, int slow)
{
	struct clusterd_publisher_options options = CLUSTERD_PUBLISHER_OPTIONS;
	struct clusterd_publisher_figures figures = CLUSTERD_PUBLISHER_FIGURES;
	struct clusterd_publisher *publisher;
	struct clusterd_error error;
	options.topic = "bench";
	options.unlisted = true;
	options.slow = slow;
	if (clusterd_publisher_create(client, &options, &publisher, &error) != 0)
		errx(1, "%s", error.text);
	for (int i = 0; i < RECEIVERS; i++)
		start_child(i, subscribe, clusterd_publisher_address(publisher));
	while (figures.subscribers < RECEIVERS) {
		clusterd_client_poll(client, 1000);
		clusterd_publisher_figures(publisher, &figures);
	}
	return publisher;
}

static void send_message(struct clusterd_publisher *publisher, uint64_t time, const char *message, size_t size)
{
	struct clusterd_error error;
	int code;
	while ((code = clusterd_publisher_send(publisher, time, message, size, &error)) == CLUSTERD_ERR_BUSY)
		code = clusterd_publisher_wait(publisher, CLUSTERD_NO_TIMEOUT, &error);
	if (code != 0)
		errx(1, "%s", error.text);
}

/* Messages per second for each subscriber. */
static double stream(size_t size, double seconds)
{
	static char message[BATCH];
	struct clusterd_client *client = new_client();
	struct clusterd_publisher *publisher = publish(client, CLUSTERD_SLOW_BLOCK);
	struct clusterd_error error;
	uint64_t messages = 0;
	uint64_t time = 0;
	double begin = now_s();
	while (now_s() < begin + seconds) {
		for (size_t bytes = 0; bytes < EPOCH; bytes += size) {
			send_message(publisher, time, message, size);
			messages++;
		}
		clusterd_publisher_advance(publisher, ++time, NULL);
		clusterd_client_poll(client, 0);
	}
	clusterd_publisher_advance(publisher, CLUSTERD_TIME_END, NULL);
	if (clusterd_publisher_flush(publisher, 60000, &error) != 0)
		errx(1, "%s", error.text);
	struct told told = wait_for_children();
	double took = now_s() - begin;
	if (told.messages != messages || told.bytes != messages * size)
		errx(1, "the stream lost something");
	clusterd_publisher_destroy(publisher);
	clusterd_client_destroy(client);
	return (double)messages / took;
}

/* --- one that stands still ----------------------------------------------------------------------------------------- */

static unsigned long resident_kib(void)
{
	unsigned long pages = 0;
	FILE *file = fopen("/proc/self/statm", "re");
	if (file == NULL || fscanf(file, "%*u %lu", &pages) != 1)
		errx(1, "/proc/self/statm cannot be read");
	fclose(file);
	return pages * (unsigned long)sysconf(_SC_PAGESIZE) / 1024;
}

static bool stand_still(void)
{
	static char message[1024];
	struct clusterd_client *client = new_client();
	struct clusterd_publisher *publisher = publish(client, CLUSTERD_SLOW_DROP);
	struct clusterd_publisher_figures figures = CLUSTERD_PUBLISHER_FIGURES;
	uint64_t time = 0;
	unsigned long before = resident_kib();
	unsigned long most = before;
	kill(children[0], SIGSTOP);
	for (uint64_t bytes = 0; bytes < STILL_BYTES; bytes += EPOCH) {
		for (size_t i = 0; i < EPOCH / sizeof message; i++)
			send_message(publisher, time, message, sizeof message);
		clusterd_publisher_advance(publisher, ++time, NULL);
		clusterd_client_poll(client, 0);
		most = resident_kib() > most ? resident_kib() : most;
	}
	clusterd_publisher_figures(publisher, &figures);
	printf("\nOne of %d stands still while %llu MiB are published (drop): resident %lu KiB before, %lu KiB at "
	       "most; "
	       "the library holds %zu KiB\n",
	       RECEIVERS, STILL_BYTES >> 20, before, most, figures.memory >> 10);
	for (int i = 0; i < RECEIVERS; i++) {
		kill(children[i], SIGKILL);
		waitpid(children[i], NULL, 0);
		close(reports[i]);
	}
	clusterd_publisher_destroy(publisher);
	clusterd_client_destroy(client);
	return most < before + STILL_GROWTH_KIB;
}

int main(int argc, char **argv)
{
	static const size_t sizes[] = {64, 1024, 65536};
	double seconds = argc > 1 ? atof(argv[1]) : 3;
	int rounds = argc > 2 ? atoi(argv[2]) : 3;
	bool met = true;
	if (seconds <= 0 || rounds <= 0)
		errx(2, "usage: clusterd-bench-streams [SECONDS [ROUNDS]]");
	printf("%8s %14s %14s %16s %16s %8s\n", "message", "plain MiB/s", "stream MiB/s", "plain msg/s", "stream msg/s",
	       "ratio");
	for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
		double plain = 0;
		double streamed = 0;
		for (int round = 0; round < rounds; round++) {
			plain += copy_plainly(seconds) / rounds;
			streamed += stream(sizes[i], seconds) * (double)sizes[i] / rounds;
		}
		printf("%8zu %14.0f %14.0f %16.0f %16.0f %8.2f\n", sizes[i], plain / (1 << 20), streamed / (1 << 20),
		       plain / (double)sizes[i], streamed / (double)sizes[i], streamed / plain);
		fflush(stdout);
		met = met && streamed / plain >= TARGET;
	}
	met = stand_still() && met;
	return met ? 0 : 1;
}
