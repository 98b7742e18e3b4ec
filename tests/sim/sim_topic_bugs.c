#include "sim/sim_bugs.h"
#include "sim/sim_topics.h"

#include "coordinator/internal.h"
#include "daemon/node_internal.h"
#include "daemon/request.h"

/* Bugs of sessions and topics, planted like those of sim_bugs.c; and where state machines are followed. */

int __real_machine_apply(struct machine *machine, uint64_t index, uint64_t term, const struct command *command,
                         struct error *error);
int __wrap_machine_apply(struct machine *machine, uint64_t index, uint64_t term, const struct command *command,
                         struct error *error);

int __wrap_machine_apply(struct machine *machine, uint64_t index, uint64_t term, const struct command *command,
                         struct error *error)
{
	int code = __real_machine_apply(machine, index, term, command, error);
	bool may_change = command->kind == COMMAND_PUBLISH || command->kind == COMMAND_UNPUBLISH ||
	                  command->kind == COMMAND_CLOSE_SESSION || command->kind == COMMAND_SWEEP;
	if (code == 0 && may_change)
		topics_applied(machine, index);
	return code;
}

void __real_sessions_granted(struct node *node);
void __wrap_sessions_granted(struct node *node);

void __wrap_sessions_granted(struct node *node)
{
	__real_sessions_granted(node);
	for (struct session_seen *seen = node->sessions; seen != NULL && sim_planted == PLANT_SESSION_CUT_SHORT; seen = seen->hh.next)
		seen->seen -= machine_session_ttl(node->machine, seen->session);
}

int __real_owned_sweep(struct machine *machine);
int __wrap_owned_sweep(struct machine *machine);

int __wrap_owned_sweep(struct machine *machine)
{
	return sim_planted == PLANT_OWNED_KEPT ? 0 : __real_owned_sweep(machine);
}

bool __real_request_shows_secret(const struct request *request);
bool __wrap_request_shows_secret(const struct request *request);

bool __wrap_request_shows_secret(const struct request *request)
{
	return sim_planted == PLANT_SECRET_NOT_ASKED || __real_request_shows_secret(request);
}

int __real_catalog_recent_find(const struct catalog *catalog, uint64_t from, uint64_t *ret_number);
int __wrap_catalog_recent_find(const struct catalog *catalog, uint64_t from, uint64_t *ret_number);

int __wrap_catalog_recent_find(const struct catalog *catalog, uint64_t from, uint64_t *ret_number)
{
	int code = __real_catalog_recent_find(catalog, from, ret_number);
	if (sim_planted == PLANT_WATCH_GAP && code == 0 && *ret_number < catalog_recent_end(catalog))
		++*ret_number;
	return code;
}

void __real_node_request(struct node *node, uint64_t connection, uint32_t stream, const Clusterd__Wire__Request *message,
                         struct slice payload);
void __wrap_node_request(struct node *node, uint64_t connection, uint32_t stream, const Clusterd__Wire__Request *message,
                         struct slice payload);

void __wrap_node_request(struct node *node, uint64_t connection, uint32_t stream, const Clusterd__Wire__Request *message,
                         struct slice payload)
{
	Clusterd__Wire__Request changed = *message;
	if (sim_planted == PLANT_LOOKUP_OLD && message->body_case == CLUSTERD__WIRE__REQUEST__BODY_LOOKUP_TOPIC)
		changed.consistency = CLUSTERD__WIRE__CONSISTENCY__CONSISTENCY_LOCAL;
	__real_node_request(node, connection, stream, &changed, payload);
}
