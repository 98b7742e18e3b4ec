/* Registers arbitrary text twice: whatever passes the checker must compile to a program that is linear
 * (program_verify asserts it), prints, and is the same the second time; a job is whole, and its schedule comes. */
#include "workflow/job.h"
#include "workflow/registry.h"
#include "workflow/timetable.h"

#include <assert.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void look_at_job(const struct definition *definition)
{
	const struct job_settings *job = definition->job;
	assert(job->exec_count > 0 && job->count > 0 && job->count <= JOB_COUNT_MAX && job->port_count <= JOB_PORTS_MAX);
	assert(job->priority >= 1 && job->priority <= JOB_PRIORITY_MAX && job->backoff <= job->backoff_max);
	for (uint32_t i = 0; i < job->exec_count; i++)
		assert(job->exec[i].param < (int)definition->param_count);
	assert(job->check.kind == JOB_CHECK_NONE || job->check.kind == JOB_CHECK_EXEC || job->check.port < job->port_count);
	if (job->type == JOB_PERIODIC) {
		struct timetable schedule;
		struct timetable_fault fault;
		struct buffer args = BUFFER_EMPTY;
		assert(timetable_parse(job->schedule, &schedule, &fault));
		assert(timetable_next(&schedule, &timetable_utc, 0) != MSEC_NEVER);
		assert(definition_accept_args(definition, SLICE("{}"), &args, NULL) == 0);
		buffer_finish(&args);
	}
}

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
		for (uint32_t i = 0; i < registration.count; i++) {
			const struct definition *definition = registration.entries[i].definition;
			if (definition->program != NULL)
				program_print(definition->program, &out);
			if (definition->kind == DEFINITION_JOB)
				look_at_job(definition);
		}
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
