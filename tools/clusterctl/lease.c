#include "command.h"

#include "lang/parser.h"

#include <inttypes.h>

/* Leases by hand. */

int run_lease_grant(struct context *context, const struct arguments *arguments)
{
	msec ttl = 0;
	uint64_t lease = 0;
	struct clusterd_error error;
	const char *owner = arguments->flags[1] != NULL ? arguments->flags[1] : "";
	if (arguments->flags[0] == NULL || parser_duration(slice_of(arguments->flags[0]), &ttl) != 0) {
		fprintf(stderr, "clusterctl: --ttl is needed: a duration such as 10s\n");
		return EXIT_USAGE;
	}
	int code = need_client(context);
	if (code != 0)
		return code;
	if (clusterd_lease_grant(client_library(context->client), (uint64_t)ttl, owner, &lease, timeout_of(context), &error) != 0)
		return report_failure(context, &error);
	if (context->form == OUTPUT_TABLE)
		printf("%" PRIu64 "\n", lease);
	else
		printf("{\"id\":%" PRIu64 ",\"ttl_ms\":%lld}\n", lease, (long long)ttl);
	return EXIT_DONE;
}

static bool keep(struct context *context, uint64_t lease, msec *ret_ttl, int *ret_code)
{
	Clusterd__Wire__Request request = CLUSTERD__WIRE__REQUEST__INIT;
	Clusterd__Wire__KeepLease body = CLUSTERD__WIRE__KEEP_LEASE__INIT;
	struct reply reply;
	body.lease = lease;
	request.body_case = CLUSTERD__WIRE__REQUEST__BODY_KEEP_LEASE;
	request.keep_lease = &body;
	if (client_ask(context->client, &request, SLICE(""), &reply, &context->error) != 0) {
		*ret_code = report(context);
		return false;
	}
	*ret_ttl = (msec)clusterd_reply_ttl_ms(reply.held);
	reply_finish(&reply);
	return true;
}

int run_lease_keep_alive(struct context *context, const struct arguments *arguments)
{
	uint64_t lease;
	msec ttl;
	if (!parse_number(arguments->values[0], "a lease", &lease))
		return EXIT_USAGE;
	int code = need_client(context);
	if (code != 0)
		return code;
	for (;;) {
		if (!keep(context, lease, &ttl, &code))
			return code;
		if (arguments->flags[0] != NULL)
			return EXIT_DONE;
		client_idle(context->client, client_clock(context->client) + ttl / 3);
	}
}

int run_lease_revoke(struct context *context, const struct arguments *arguments)
{
	uint64_t lease;
	struct clusterd_error error;
	if (!parse_number(arguments->values[0], "a lease", &lease))
		return EXIT_USAGE;
	int code = need_client(context);
	if (code != 0)
		return code;
	if (clusterd_lease_revoke(client_library(context->client), lease, timeout_of(context), &error) != 0)
		return report_failure(context, &error);
	return EXIT_DONE;
}

int run_lease_list(struct context *context, const struct arguments *arguments)
{
	(void)arguments;
	return print_query(context,
	                   "SELECT id, ttl_ms, owner, granted_ms, state, "
	                   "(SELECT count(*) FROM lease_key WHERE lease = lease.id) AS keys FROM lease ORDER BY id",
	                   NULL, 0);
}
