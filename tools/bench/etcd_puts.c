#include "process.h"

#include "base/memory.h"
#include "base/random.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <nghttp2/nghttp2.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

/* etcd-puts: the load of `clusterd-bench --puts` for etcd: connections with one put in flight each (etcdserverpb.KV/Put over HTTP/2), the
 * same keys and values, measured in the same way. */

#define KEY_SIZE 32
#define VALUE_SIZE 128
#define KEYS 100000
#define CONNECTIONS_MAX 1024
#define ADDRESSES_MAX 9
#define LATENCIES_MAX 8000000
/* gRPC's frame of a message, then PutRequest: key (1) and value (2), both shorter than 16384 bytes. */
#define BODY_SIZE (5 + 2 + KEY_SIZE + 3 + VALUE_SIZE)

static const char usage[] = "usage: etcd-puts HOST:PORT,… CONNECTIONS WARM-UP-SECONDS SECONDS PID,…\n"
                            "Prints: puts per second, p50, p99 and longest in ms, µs of processor time for each put of the processes, and "
                            "of this one.\n";

struct load;

struct putter {
	struct load *load;
	int descriptor;
	nghttp2_session *session;
	const char *authority;
	uint8_t body[BODY_SIZE];
	size_t sent; /* of the body */
	double since_us;
	bool accepted; /* grpc-status 0 has come */
};

struct load {
	struct putter putters[CONNECTIONS_MAX];
	char *addresses[ADDRESSES_MAX];
	size_t address_count;
	unsigned connections;
	struct random random;
	bool measuring;
	float *latencies;
	size_t count;
	size_t capacity;
	const char *problem;
};

/* --- a put --------------------------------------------------------------------------------------------------------- */

static void fill_body(struct putter *putter)
{
	char key[KEY_SIZE + 1];
	uint8_t *body = putter->body;
	struct random spread = {random_below(&putter->load->random, KEYS)};
	uint64_t first = random_next(&spread);
	uint32_t length = htonl(BODY_SIZE - 5);
	snprintf(key, sizeof key, "%016" PRIx64 "%016" PRIx64, first, random_next(&spread));
	body[0] = 0;
	memcpy(body + 1, &length, 4);
	body[5] = 1 << 3 | 2;
	body[6] = KEY_SIZE;
	memcpy(body + 7, key, KEY_SIZE);
	body += 7 + KEY_SIZE;
	body[0] = 2 << 3 | 2;
	body[1] = (uint8_t)(VALUE_SIZE & 0x7f) | 0x80;
	body[2] = VALUE_SIZE >> 7;
	memset(body + 3, 'v', VALUE_SIZE);
}

static ssize_t read_body(nghttp2_session *session, int32_t stream, uint8_t *out, size_t room, uint32_t *flags,
                         nghttp2_data_source *source, void *context)
{
	struct putter *putter = source->ptr;
	size_t rest = BODY_SIZE - putter->sent;
	size_t size = rest < room ? rest : room;
	(void)session;
	(void)stream;
	(void)context;
	memcpy(out, putter->body + putter->sent, size);
	putter->sent += size;
	if (putter->sent == BODY_SIZE)
		*flags |= NGHTTP2_DATA_FLAG_EOF;
	return (ssize_t)size;
}

#define HEADER(name, value)                                                                                            \
	{                                                                                                              \
		(uint8_t *)(uintptr_t)(name), (uint8_t *)(uintptr_t)(value), strlen(name), strlen(value),              \
			NGHTTP2_NV_FLAG_NO_COPY_NAME | NGHTTP2_NV_FLAG_NO_COPY_VALUE                                   \
	}

static void put(struct putter *putter)
{
	const nghttp2_nv headers[] = {
		HEADER(":method", "POST"),
		HEADER(":scheme", "http"),
		HEADER(":path", "/etcdserverpb.KV/Put"),
		HEADER(":authority", putter->authority),
		HEADER("content-type", "application/grpc"),
		HEADER("te", "trailers"),
	};
	nghttp2_data_provider body = {{.ptr = putter}, read_body};
	fill_body(putter);
	putter->sent = 0;
	putter->accepted = false;
	putter->since_us = clock_us();
	if (nghttp2_submit_request(putter->session, NULL, headers, sizeof headers / sizeof headers[0], &body, NULL) < 0)
		putter->load->problem = "a request cannot be made";
}

static int take_header(nghttp2_session *session, const nghttp2_frame *frame, const uint8_t *name, size_t name_size,
                       const uint8_t *value, size_t value_size, uint8_t flags, void *context)
{
	struct putter *putter = context;
	(void)session;
	(void)frame;
	(void)flags;
	if (name_size == 11 && memcmp(name, "grpc-status", 11) == 0)
		putter->accepted = value_size == 1 && value[0] == '0';
	return 0;
}

static int stream_is_closed(nghttp2_session *session, int32_t stream, uint32_t code, void *context)
{
	struct putter *putter = context;
	struct load *load = putter->load;
	(void)session;
	(void)stream;
	if (code != 0 || !putter->accepted) {
		load->problem = "a put was refused";
		return 0;
	}
	if (load->measuring && load->count < LATENCIES_MAX) {
		mem_grow(load->latencies, load->capacity, load->count + 1);
		load->latencies[load->count++] = (float)(clock_us() - putter->since_us);
	}
	put(putter);
	return 0;
}

/* --- connections --------------------------------------------------------------------------------------------------- */

static bool connect_to(struct putter *putter, const char *address)
{
	char host[64];
	int one = 1;
	const char *colon = strrchr(address, ':');
	struct sockaddr_in to = {.sin_family = AF_INET};
	if (colon == NULL || (size_t)(colon - address) >= sizeof host)
		return false;
	memcpy(host, address, (size_t)(colon - address));
	host[colon - address] = '\0';
	to.sin_port = htons((uint16_t)atoi(colon + 1));
	putter->descriptor = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (putter->descriptor < 0 || inet_pton(AF_INET, host, &to.sin_addr) != 1 ||
	    connect(putter->descriptor, (const struct sockaddr *)&to, sizeof to) != 0)
		return false;
	setsockopt(putter->descriptor, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
	return fcntl(putter->descriptor, F_SETFL, O_NONBLOCK) == 0;
}

static bool open_putter(struct putter *putter, const char *address, const nghttp2_session_callbacks *callbacks)
{
	putter->authority = address;
	if (!connect_to(putter, address) || nghttp2_session_client_new(&putter->session, callbacks, putter) != 0)
		return false;
	nghttp2_submit_settings(putter->session, NGHTTP2_FLAG_NONE, NULL, 0);
	put(putter);
	return true;
}

/* What is sent is small, and the socket's buffer takes it. */
static void flush(struct putter *putter)
{
	const uint8_t *data;
	ssize_t size;
	while ((size = nghttp2_session_mem_send(putter->session, &data)) > 0) {
		if (send(putter->descriptor, data, (size_t)size, MSG_NOSIGNAL) != size)
			putter->load->problem = "a connection does not take what is sent";
	}
}

static void take_input(struct putter *putter)
{
	uint8_t input[16384];
	ssize_t size = recv(putter->descriptor, input, sizeof input, 0);
	if (size < 0 && errno == EAGAIN)
		return;
	if (size <= 0 || nghttp2_session_mem_recv(putter->session, input, (size_t)size) < 0)
		putter->load->problem = "a connection was lost";
	flush(putter);
}

static bool open_all(struct load *load, int poll)
{
	nghttp2_session_callbacks *callbacks;
	bool open = nghttp2_session_callbacks_new(&callbacks) == 0;
	nghttp2_session_callbacks_set_on_header_callback(callbacks, take_header);
	nghttp2_session_callbacks_set_on_stream_close_callback(callbacks, stream_is_closed);
	for (unsigned i = 0; i < load->connections && open; i++) {
		struct putter *putter = &load->putters[i];
		struct epoll_event event = {.events = EPOLLIN, .data.ptr = putter};
		putter->load = load;
		open = open_putter(putter, load->addresses[i % load->address_count], callbacks) &&
		       epoll_ctl(poll, EPOLL_CTL_ADD, putter->descriptor, &event) == 0;
		if (open)
			flush(putter);
	}
	nghttp2_session_callbacks_del(callbacks);
	return open;
}

static void run_for(struct load *load, int poll, double seconds)
{
	struct epoll_event events[64];
	double until = clock_us() + seconds * 1e6;
	while (load->problem == NULL && clock_us() < until) {
		int count = epoll_wait(poll, events, 64, 10);
		for (int i = 0; i < count; i++)
			take_input(events[i].data.ptr);
	}
}

/* --- the figures --------------------------------------------------------------------------------------------------- */

static int compare(const void *left, const void *right)
{
	float a = *(const float *)left;
	float b = *(const float *)right;
	return (a > b) - (a < b);
}

static double cpu_of(const char *pids)
{
	double sum = 0;
	for (const char *at = pids; at != NULL; at = strchr(at, ',')) {
		at += *at == ',';
		sum += process_cpu_us((pid_t)atoi(at));
	}
	return sum;
}

static double percentile(const struct load *load, double share)
{
	size_t at = (size_t)(share * (double)load->count);
	return (double)load->latencies[at < load->count ? at : load->count - 1] / 1e3;
}

static int measure(struct load *load, double warm_up, double seconds, const char *pids)
{
	int poll = epoll_create1(EPOLL_CLOEXEC);
	if (poll < 0 || !open_all(load, poll)) {
		fprintf(stderr, "etcd-puts: cannot connect: %s\n", strerror(errno));
		return 1;
	}
	run_for(load, poll, warm_up);
	double cpu = cpu_of(pids);
	double own = process_cpu_us(getpid());
	double begun = clock_us();
	load->measuring = true;
	run_for(load, poll, seconds);
	seconds = (clock_us() - begun) / 1e6;
	cpu = cpu_of(pids) - cpu;
	own = process_cpu_us(getpid()) - own;
	if (load->problem != NULL || load->count == 0) {
		fprintf(stderr, "etcd-puts: %s\n", load->problem != NULL ? load->problem : "no put was answered");
		return 1;
	}
	qsort(load->latencies, load->count, sizeof *load->latencies, compare);
	double count = (double)load->count;
	printf("%.0f %.2f %.2f %.1f %.1f %.1f\n", count / seconds, percentile(load, 0.5), percentile(load, 0.99),
	       percentile(load, 1), cpu / count, own / count);
	return 0;
}

int main(int count, char **words)
{
	static struct load load;
	char *rest = count == 6 ? words[1] : NULL;
	char *address;
	while ((address = strsep(&rest, ",")) != NULL && load.address_count < ADDRESSES_MAX)
		load.addresses[load.address_count++] = address;
	load.connections = count == 6 ? (unsigned)atoi(words[2]) : 0;
	if (load.address_count == 0 || load.connections == 0 || load.connections > CONNECTIONS_MAX) {
		fputs(usage, stderr);
		return 2;
	}
	load.random = (struct random){(uint64_t)getpid() << 32 | (uint64_t)clock_us()};
	int code = measure(&load, atof(words[3]), atof(words[4]), words[5]);
	for (unsigned i = 0; i < load.connections; i++)
		nghttp2_session_del(load.putters[i].session);
	mem_free(load.latencies);
	return code;
}
