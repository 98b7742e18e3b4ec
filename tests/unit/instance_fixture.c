#include "instance_fixture.h"

#include "base/memory.h"

#include <assert.h>

void fixture_finish(struct fixture *fixture)
{
	instance_destroy(fixture->instance);
	program_set_destroy(fixture->set);
	buffer_finish(&fixture->text);
	*fixture = (struct fixture){0};
}

void fixture_start(struct fixture *fixture, const char *source, const char *workflow, const char *args)
{
	instance_destroy(fixture->instance);
	fixture->instance = NULL;
	if (source != NULL) {
		program_set_destroy(fixture->set);
		fixture->set = program_set_parse(source);
	}
	struct text *text = text_create(slice_of(args));
	int code = instance_create(program_set_find(fixture->set, workflow), text, &fixture->limits, &fixture->instance,
	                           &fixture->step);
	assert(code == 0);
	text_release(text);
}

int fixture_post(struct fixture *fixture, uint32_t ref, const char *json)
{
	struct text *text = text_create(slice_of(json));
	int code = instance_post(fixture->instance, ref, text);
	text_release(text);
	return code;
}

void fixture_reduce(struct fixture *fixture)
{
	instance_reduce(fixture->instance, &fixture->step);
}

void fixture_return(struct fixture *fixture, uint32_t ref, const char *json)
{
	int code = fixture_post(fixture, ref, json);
	assert(code == 0);
	fixture_reduce(fixture);
}

const char *fixture_calls(struct fixture *fixture)
{
	buffer_clear(&fixture->text);
	for (uint32_t i = 0; i < fixture->step.call_count; i++) {
		const struct instance_call *call = &fixture->step.calls[i];
		if (i != 0)
			buffer_append_string(&fixture->text, ", ");
		buffer_format(&fixture->text, "%u ", call->ref);
		if (call->kind == INSTANCE_CALL_PROCESS)
			buffer_append_slice(&fixture->text, call->process->name);
		else if (call->kind == INSTANCE_CALL_SIGNAL)
			buffer_format(&fixture->text, "signal(%.*s)", SLICE_ARGS(call->signal));
		else
			buffer_append_string(&fixture->text, "sleep");
		buffer_append_char(&fixture->text, ' ');
		buffer_append_slice(&fixture->text, text_slice(call->args));
	}
	return buffer_string(&fixture->text);
}

const char *fixture_print(struct fixture *fixture)
{
	buffer_clear(&fixture->text);
	instance_print(fixture->instance, &fixture->text);
	return buffer_string(&fixture->text);
}

const char *fixture_blocked(struct fixture *fixture)
{
	buffer_clear(&fixture->text);
	instance_blocked(fixture->instance, &fixture->text);
	return buffer_string(&fixture->text);
}

const char *fixture_result(struct fixture *fixture)
{
	buffer_clear(&fixture->text);
	if (fixture->step.state == INSTANCE_COMPLETED) {
		struct text *result = instance_result(fixture->instance);
		buffer_append_slice(&fixture->text, text_slice(result));
		text_release(result);
	}
	return buffer_string(&fixture->text);
}

const char *fixture_run(struct fixture *fixture, const char *source, const char *workflow, const char *args)
{
	fixture_start(fixture, source, workflow, args);
	assert(fixture->step.state == INSTANCE_COMPLETED && fixture->step.call_count == 0);
	return fixture_result(fixture);
}
