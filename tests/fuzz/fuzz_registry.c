/* Registers arbitrary text twice: whatever passes the checker must compile to a program that is linear
 * (program_verify asserts it), prints, and is the same the second time. */
#include "workflow/registry.h"

#include <assert.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int register_once(struct registry *registry, struct slice text, uint32_t *ret_new)
{
	const struct source_file file = {SLICE("fuzz.flow"), text};
	const struct attachment attachment = {SLICE("split.sh"), SLICE("00112233445566778899aabbccddeeff")};
	struct registration registration;
	struct buffer out = BUFFER_EMPTY;
	struct error error;
	int code = registry_register(registry, &file, 1, &attachment, 1, false, &registration, &out, &error);
	if (code == 0) {
		*ret_new = registration.new_count;
		for (uint32_t i = 0; i < registration.count; i++)
			if (registration.entries[i].definition->program != NULL)
				program_print(registration.entries[i].definition->program, &out);
		registration_finish(&registration);
	} else {
		/* What is refused is explained. */
		assert(out.size > 0 || code == ERR_LIMIT);
	}
	buffer_finish(&out);
	return code;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct slice text = {(const char *)data, size};
	struct registry *registry;
	uint32_t new_count = 0;
	registry_create(&registry);
	if (register_once(registry, text, &new_count) == 0) {
		assert(register_once(registry, text, &new_count) == 0);
		assert(new_count == 0);
	}
	registry_destroy(registry);
	return 0;
}
