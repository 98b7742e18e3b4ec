#include "daemon/node_internal.h"

#include "workflow/job.h"

/* The time zones of jobs. Their rules are the host's, and are never asked for by what is applied: the leader alone computes when a
 * job begins next, and proposes it. */

int node_zone(const struct node *node, struct slice name, struct timetable_zone *ret_zone, struct error *error)
{
	if (slice_is(name, "UTC")) {
		*ret_zone = timetable_utc;
		return 0;
	}
	if (node->host->zone == NULL)
		return error_set(error, ERR_NOT_FOUND, "there is no time zone but UTC here");
	return node->host->zone(node->context, name, ret_zone, error);
}

int node_check_zones(const struct node *node, const struct registration *registration, struct error *error)
{
	for (uint32_t i = 0; i < registration->count; i++) {
		const struct definition *definition = registration->entries[i].definition;
		struct timetable_zone zone;
		if (definition->kind != DEFINITION_JOB || definition->job->type != JOB_PERIODIC)
			continue;
		int code = node_zone(node, definition->job->timezone, &zone, error);
		if (code != 0) {
			error_prefix(error, "job `%.*s`", SLICE_ARGS(definition->name));
			return ERR_INVALID;
		}
	}
	return 0;
}
