#include "command.h"
#include "keys.h"

#include "base/memory.h"
#include "lang/parser.h"

#include <inttypes.h>

/* Leases by hand. */

int run_lease_grant(struct context *context, const struct arguments *arguments)
{
	msec ttl = 0;
	uint64_t lease = 0;
	const char *owner = arguments->flags[1] != NULL ? arguments->flags[1] : "";
	if (arguments->flags[0] == NULL || parser_duration(slice_of(arguments->flags[0]), &ttl) != 0) {
		fprintf(stderr, "clusterctl: --ttl is needed: a duration such as 10s\n");
		return EXIT_USAGE;
	}
	int code = need_client(context, CLUSTERD__WIRE__ROLE__ROLE_CLIENT);
	if (code != 0)
		return code;
	if (lease_grant(context->client, ttl, owner, &lease, &context->error) != 0)
		return report(context);
	if (context->form == OUTPUT_TABLE)
		printf("%" PRIu64 "\n", lease);
	else
		printf("{\"id\":%" PRIu64 ",\"ttl_ms\":%lld}\n", lease, (long long)ttl);
	return EXIT_DONE;
}

static bool lease_ttl(struct context *context, uint64_t lease, msec *ret_ttl, int *ret_code)
{
	if (lease_keep(context->client, lease, ret_ttl, &context->error) == 0)
		return true;
	*ret_code = report(context);
	return false;
}

int run_lease_keep_alive(struct context *context, const struct arguments *arguments)
{
	uint64_t lease;
	msec ttl;
	if (!parse_number(arguments->values[0], "a lease", &lease))
		return EXIT_USAGE;
	int code = need_client(context, CLUSTERD__WIRE__ROLE__ROLE_CLIENT);
	if (code != 0)
		return code;
	for (;;) {
		if (!lease_ttl(context, lease, &ttl, &code))
			return code;
		if (arguments->flags[0] != NULL)
			return EXIT_DONE;
		client_idle(context->client, client_now(context->client) + ttl / 3);
	}
}

int run_lease_revoke(struct context *context, const struct arguments *arguments)
{
	uint64_t lease;
	if (!parse_number(arguments->values[0], "a lease", &lease))
		return EXIT_USAGE;
	int code = need_client(context, CLUSTERD__WIRE__ROLE__ROLE_CLIENT);
	if (code != 0)
		return code;
	if (lease_revoke(context->client, lease, &context->error) != 0)
		return report(context);
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
