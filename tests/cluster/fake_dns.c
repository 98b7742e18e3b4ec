/* fake_dns ADDRESS FILE: a name server on port 53 of ADDRESS (IPv4), for tests. FILE has lines "NAME ADDRESS…" and is read anew for each
 * question; "NAME fail" has the server say that it fails, a name that is not there is said not to exist. Prints "ready" once it listens. */
#include <event2/dns.h>
#include <event2/dns_struct.h>
#include <event2/event.h>

#include <arpa/inet.h>
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>

#define LINE_SIZE 4096
#define ADDRESSES_MAX 16

static void must(bool fine, const char *what)
{
	if (fine)
		return;
	fprintf(stderr, "fake_dns: %s: %s\n", what, strerror(errno));
	exit(1);
}

/* The words behind the name in its line. false: there is none. */
static bool find(const char *path, const char *name, char ret_words[LINE_SIZE])
{
	char line[LINE_SIZE];
	bool found = false;
	FILE *file = fopen(path, "re");
	must(file != NULL, path);
	while (!found && fgets(line, sizeof line, file) != NULL) {
		size_t size = strcspn(line, " \n");
		found = size == strlen(name) && strncasecmp(line, name, size) == 0;
		if (found)
			strcpy(ret_words, line + size);
	}
	fclose(file);
	return found;
}

/* An error, or the addresses are added. */
static int answer(struct evdns_server_request *request, const struct evdns_server_question *question, const char *path)
{
	char words[LINE_SIZE];
	struct in_addr addresses[ADDRESSES_MAX];
	int count = 0;
	if (!find(path, question->name, words))
		return DNS_ERR_NOTEXIST;
	for (char *word = strtok(words, " \n"); word != NULL && count < ADDRESSES_MAX; word = strtok(NULL, " \n")) {
		if (strcmp(word, "fail") == 0)
			return DNS_ERR_SERVERFAILED;
		must(inet_pton(AF_INET, word, &addresses[count++]) == 1, word);
	}
	for (int i = 0; question->type == EVDNS_TYPE_A && i < count; i++) /* all at once would be one record */
		evdns_server_request_add_a_reply(request, question->name, 1, &addresses[i], 1);
	return 0;
}

static void asked(struct evdns_server_request *request, void *context)
{
	int code = request->nquestions == 1 ? answer(request, request->questions[0], context) : DNS_ERR_NOTIMPL;
	evdns_server_request_respond(request, code);
}

int main(int argc, char **argv)
{
	struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(53)};
	if (argc != 3)
		return 2;
	must(inet_pton(AF_INET, argv[1], &address.sin_addr) == 1, argv[1]);
	int descriptor = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	must(descriptor >= 0 && bind(descriptor, (struct sockaddr *)&address, sizeof address) == 0, "listen");
	struct event_base *base = event_base_new();
	must(base != NULL && evdns_add_server_port_with_base(base, descriptor, 0, asked, argv[2]) != NULL, "serve");
	puts("ready");
	fflush(stdout);
	event_base_dispatch(base);
	return 1;
}
