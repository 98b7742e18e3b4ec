/* Registers a file, starts one of its workflows, waits for its end, prints the result.
 * workflow ADDRESSES FILE WORKFLOW ARGUMENTS KEY: with the same key it is started once, however often this program runs. */
#include <clusterd.h>

#include <err.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

int main(int argc, char **argv)
{
	struct clusterd_client_options options = CLUSTERD_CLIENT_OPTIONS;
	struct clusterd_client *client;
	struct clusterd_error error;
	static char text[65536];
	char *result;
	uint64_t instance;
	if (argc != 6)
		errx(2, "usage: workflow ADDRESSES FILE WORKFLOW ARGUMENTS KEY");
	FILE *file = fopen(argv[2], "re");
	if (file == NULL)
		err(1, "%s", argv[2]);
	struct clusterd_source source = {argv[2], text, fread(text, 1, sizeof text, file)};
	fclose(file);
	options.addresses = argv[1];
	options.token = getenv("CLUSTERD_TOKEN");
	if (clusterd_client_create(&options, &client, &error) != 0)
		errx(1, "%s", error.text);
	if (clusterd_register(client, &source, 1, NULL, 30000, &error) != 0 ||
	    clusterd_workflow_start(client, argv[3], argv[4], argv[5], &instance, 30000, &error) != 0)
		errx(1, "%s", error.text);
	fprintf(stderr, "workflow %" PRIu64 "\n", instance);
	if (clusterd_workflow_wait(client, instance, &result, CLUSTERD_NO_TIMEOUT, &error) != 0)
		errx(1, "%s", error.text);
	puts(result);
	clusterd_free(result);
	clusterd_client_destroy(client);
	return 0;
}
