/* What Kubernetes answers: slices, endpoints, refusals. */
#include "discovery/slices.h"

#include <assert.h>
#include <stdint.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(const struct places *places)
{
	struct address address;
	assert(places->count <= PLACES_MAX);
	for (size_t i = 0; i < places->count; i++) {
		assert(address_parse(places->places[i].address, &address));
		assert(address_port(&address) != 0);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char *const ports[] = {"", "9189", "clusterd"};
	struct slice json = {(const char *)data, size};
	struct buffer message = BUFFER_EMPTY;
	for (size_t i = 0; i < sizeof ports / sizeof ports[0]; i++) {
		struct places places = {0};
		struct error error = {0};
		if (slices_read(json, ports[i], &places, &error) != 0)
			assert(places.count == 0 && error.code != 0);
		check(&places);
		error.code = 0;
		places.count = 0;
		if (endpoints_read(json, ports[i], &places, &error) != 0)
			assert(places.count == 0 && error.code != 0);
		check(&places);
	}
	slices_message(json, &message);
	buffer_finish(&message);
	return 0;
}
