/* fake_api DIRECTORY HOST: see fake_api.h. The authorities are in DIRECTORY/ca.crt. Prints its port once it listens. */
#include "fake_api.h"

#include <stdio.h>

int main(int argc, char **argv)
{
	char authorities[4096];
	if (argc != 3)
		return 2;
	snprintf(authorities, sizeof authorities, "%s/ca.crt", argv[1]);
	struct fake_api *api = fake_api_create(argv[1], argv[2], authorities);
	printf("%u\n", fake_api_port(api));
	fflush(stdout);
	fake_api_serve(api);
	return 1;
}
