/* One of several copies of a program leads, and acts. leader ADDRESSES NAME ROUNDS: leads for so many rounds, then lets others.
 *
 * Each action says with its fencing token that it is the leader's: what it acts on refuses lower tokens than it has seen. Here that is a
 * key, "NAME/acts", with the token of who wrote it last. */
#include <clusterd.h>

#include <err.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static int act(struct clusterd_client *client, const char *name, uint64_t token, int round,
               struct clusterd_error *error)
{
	char key[300];
	char value[80];
	char *last = NULL;
	uint64_t version = CLUSTERD_IF_ABSENT;
	snprintf(key, sizeof key, "%s/acts", name);
	int code = clusterd_key_get(client, key, &last, NULL, &version, 30000, error);
	if (code != 0 && code != CLUSTERD_ERR_NOT_FOUND)
		return code;
	if (code == 0 && strtoull(last, NULL, 10) > token) {
		clusterd_free(last);
		error->code = CLUSTERD_ERR_CONFLICT;
		snprintf(error->text, sizeof error->text, "another one has led since token %" PRIu64, token);
		return error->code;
	}
	clusterd_free(last);
	int size = snprintf(value, sizeof value, "%" PRIu64 " round %d of process %ld", token, round, (long)getpid());
	return clusterd_key_put(client, key, value, (size_t)size, 0, version, NULL, 30000, error);
}

int main(int argc, char **argv)
{
	struct clusterd_client_options options = CLUSTERD_CLIENT_OPTIONS;
	struct clusterd_contender_options campaign = CLUSTERD_CONTENDER_OPTIONS;
	struct clusterd_client *client;
	struct clusterd_error error;
	uint64_t token;
	if (argc != 4)
		errx(2, "usage: leader ADDRESSES NAME ROUNDS");
	options.addresses = argv[1];
	options.token = getenv("CLUSTERD_TOKEN");
	if (clusterd_client_create(&options, &client, &error) != 0)
		errx(1, "%s", error.text);
	campaign.name = argv[2];
	campaign.value = "an example";
	campaign.value_size = 10;
	struct clusterd_contender *contender = clusterd_campaign_create(client, &campaign);
	if (clusterd_contender_wait(contender, &token, CLUSTERD_NO_TIMEOUT, &error) != 0)
		errx(1, "%s", error.text);
	printf("leads %" PRIu64 "\n", token);
	fflush(stdout);
	for (int round = 1; round <= atoi(argv[3]); round++) {
		if (act(client, argv[2], token, round, &error) != 0 ||
		    clusterd_contender_hold(contender, 100, &error) != 0)
			errx(1, "%s", error.text);
		printf("round %d\n", round);
		fflush(stdout);
	}
	clusterd_contender_leave(contender, 5000, &error);
	clusterd_contender_destroy(contender);
	clusterd_client_destroy(client);
	return 0;
}
