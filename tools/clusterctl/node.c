#include "command.h"

#include "base/json.h"
#include "base/memory.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

int run_status(struct context *context, const struct arguments *arguments)
{
	Clusterd__Wire__Request request = CLUSTERD__WIRE__REQUEST__INIT;
	Clusterd__Wire__Status body = CLUSTERD__WIRE__STATUS__INIT;
	struct reply reply;
	struct slice state = SLICE("");
	int code;
	if (arguments->flags[0] != NULL && context->client == NULL) {
		/* The node may only just be starting: its socket is not there yet. */
		msec waited = 0;
		struct client_options options = client_options_of(context);
		while (client_open(&options, &context->client, &context->error) != 0) {
			if (waited >= context->timeout || context->error.code == ERR_DENIED)
				return report(context);
			usleep(20000);
			waited += 20;
		}
	}
	code = need_client(context);
	if (code != 0)
		return code;
	body.wait_ready = arguments->flags[0] != NULL;
	request.body_case = CLUSTERD__WIRE__REQUEST__BODY_STATUS;
	request.status = &body;
	if (client_ask(context->client, &request, SLICE(""), &reply, &context->error) != 0)
		return report(context);
	output_object(context->form, reply.payload, stdout);
	json_member(reply.payload, SLICE("state"), &state);
	code = slice_is(state, "\"inactive\"") ? EXIT_TIME : EXIT_DONE;
	reply_finish(&reply);
	return code;
}

int run_member_list(struct context *context, const struct arguments *arguments)
{
	Clusterd__Wire__Request request = CLUSTERD__WIRE__REQUEST__INIT;
	Clusterd__Wire__Members body = CLUSTERD__WIRE__MEMBERS__INIT;
	struct reply reply;
	(void)arguments;
	int code = need_client(context);
	if (code != 0)
		return code;
	request.body_case = CLUSTERD__WIRE__REQUEST__BODY_MEMBERS;
	request.members = &body;
	if (client_ask(context->client, &request, SLICE(""), &reply, &context->error) != 0)
		return report(context);
	output_objects(context->form, reply.payload, stdout);
	reply_finish(&reply);
	return EXIT_DONE;
}

int run_member_leave(struct context *context, const struct arguments *arguments)
{
	Clusterd__Wire__Request request = CLUSTERD__WIRE__REQUEST__INIT;
	Clusterd__Wire__Leave body = CLUSTERD__WIRE__LEAVE__INIT;
	(void)arguments;
	request.body_case = CLUSTERD__WIRE__REQUEST__BODY_LEAVE;
	request.leave = &body;
	return ask_simple(context, &request, SLICE(""));
}

int run_member_remove(struct context *context, const struct arguments *arguments)
{
	Clusterd__Wire__Request request = CLUSTERD__WIRE__REQUEST__INIT;
	Clusterd__Wire__Remove body = CLUSTERD__WIRE__REMOVE__INIT;
	body.member = (char *)(uintptr_t)arguments->values[0];
	request.body_case = CLUSTERD__WIRE__REQUEST__BODY_REMOVE;
	request.remove = &body;
	return ask_simple(context, &request, SLICE(""));
}

int run_member_promote(struct context *context, const struct arguments *arguments)
{
	Clusterd__Wire__Request request = CLUSTERD__WIRE__REQUEST__INIT;
	Clusterd__Wire__Promote body = CLUSTERD__WIRE__PROMOTE__INIT;
	body.member = (char *)(uintptr_t)arguments->values[0];
	request.body_case = CLUSTERD__WIRE__REQUEST__BODY_PROMOTE;
	request.promote = &body;
	return ask_simple(context, &request, SLICE(""));
}

int run_leader_transfer(struct context *context, const struct arguments *arguments)
{
	Clusterd__Wire__Request request = CLUSTERD__WIRE__REQUEST__INIT;
	Clusterd__Wire__Transfer body = CLUSTERD__WIRE__TRANSFER__INIT;
	if (arguments->value_count > 0)
		body.member = (char *)(uintptr_t)arguments->values[0];
	request.body_case = CLUSTERD__WIRE__REQUEST__BODY_TRANSFER;
	request.transfer = &body;
	return ask_simple(context, &request, SLICE(""));
}

int run_sql(struct context *context, const struct arguments *arguments)
{
	Clusterd__Wire__Request request = CLUSTERD__WIRE__REQUEST__INIT;
	Clusterd__Wire__Query body = CLUSTERD__WIRE__QUERY__INIT;
	struct reply reply;
	long long limit = 0;
	if (arguments->flags[0] != NULL && json_integer(slice_of(arguments->flags[0]), 1, 10000000, &limit) != 0) {
		fprintf(stderr, "clusterctl: --limit is a number from 1 to 10000000\n");
		return EXIT_USAGE;
	}
	int code = need_client(context);
	if (code != 0)
		return code;
	body.sql = (char *)(uintptr_t)arguments->values[0];
	body.row_limit = (uint32_t)limit;
	body.time_limit_ms = context->timeout > UINT32_MAX ? UINT32_MAX : (uint32_t)context->timeout;
	request.body_case = CLUSTERD__WIRE__REQUEST__BODY_QUERY;
	request.query = &body;
	client_set_timeout(context->client, context->timeout + 1000);
	if (client_ask(context->client, &request, SLICE(""), &reply, &context->error) != 0)
		return report(context);
	output_rows(context->form, &reply, stdout);
	reply_finish(&reply);
	return EXIT_DONE;
}

int run_setting_list(struct context *context, const struct arguments *arguments)
{
	(void)arguments;
	return print_query(context, "SELECT name, value FROM setting ORDER BY name", NULL, 0);
}

int run_setting_set(struct context *context, const struct arguments *arguments)
{
	Clusterd__Wire__Request request = CLUSTERD__WIRE__REQUEST__INIT;
	Clusterd__Wire__SetSetting body = CLUSTERD__WIRE__SET_SETTING__INIT;
	body.name = (char *)(uintptr_t)arguments->values[0];
	body.value = (char *)(uintptr_t)arguments->values[1];
	request.body_case = CLUSTERD__WIRE__REQUEST__BODY_SET_SETTING;
	request.set_setting = &body;
	return ask_simple(context, &request, SLICE(""));
}

static int receive_file(struct context *context, FILE *file, const char *path, unsigned long long *ret_size)
{
	Clusterd__Wire__Request request = CLUSTERD__WIRE__REQUEST__INIT;
	Clusterd__Wire__SaveSnapshot body = CLUSTERD__WIRE__SAVE_SNAPSHOT__INIT;
	struct reply reply;
	request.body_case = CLUSTERD__WIRE__REQUEST__BODY_SAVE_SNAPSHOT;
	request.save_snapshot = &body;
	int code = client_ask(context->client, &request, SLICE(""), &reply, &context->error);
	while (code == 0) {
		bool more = reply.response->more;
		size_t written = reply.payload.size != 0 ? fwrite(reply.payload.data, 1, reply.payload.size, file) : 0;
		*ret_size += written;
		if (written != reply.payload.size)
			code = error_set(&context->error, ERR_IO, "cannot write %s: %s", path, strerror(errno));
		reply_finish(&reply);
		if (!more || code != 0)
			break;
		code = client_next(context->client, &reply, &context->error);
	}
	return code;
}

int run_snapshot_save(struct context *context, const struct arguments *arguments)
{
	const char *path = arguments->values[0];
	unsigned long long size = 0;
	int code = need_client(context);
	if (code != 0)
		return code;
	char *temporary = mem_format("%s.part", path);
	int descriptor = open(temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600); /* all that the cluster knows */
	FILE *file = descriptor >= 0 ? fdopen(descriptor, "w") : NULL;
	if (file == NULL) {
		code = error_set(&context->error, ERR_IO, "cannot write %s: %s", temporary, strerror(errno));
	} else {
		code = receive_file(context, file, temporary, &size);
		if (code == 0 && (fflush(file) != 0 || fsync(fileno(file)) != 0))
			code = error_set(&context->error, ERR_IO, "cannot write %s: %s", temporary, strerror(errno));
		fclose(file);
		if (code == 0 && rename(temporary, path) != 0)
			code = error_set(&context->error, ERR_IO, "cannot rename %s to %s: %s", temporary, path, strerror(errno));
		if (code != 0)
			unlink(temporary);
	}
	mem_free(temporary);
	if (code != 0)
		return report(context);
	fprintf(stderr, "saved %llu bytes to %s\n", size, path);
	return EXIT_DONE;
}
