#include "daemon/placing.h"

#include "base/memory.h"
#include "daemon/allocations.h"
#include "daemon/node_internal.h"
#include "wire/frame.h"

/* Tasks of jobs on this node: what the leader wants goes to the host, what the host reports goes to the leader. The host keeps them, and
 * reports an end again to whoever asks until it was taken; so what is lost on the way, or between leaders, costs nothing: a new leader, or
 * a new connection, names all that should be here, and hears of each. */

#define REPORTS_AT_ONCE 500 /* in one frame */
#define OUTPUTS_AT_ONCE (4u << 20) /* bytes; no more reports once they have so many */

struct task_report {
	uint64_t id;
	enum task_state state;
	bool checked, healthy;
	int exit_code, exit_signal;
	struct text *text; /* NULL: none */
	enum task_outcome outcome;
	struct text *output; /* NULL: none */
};

static void report_add(struct node *node, const struct task_report *report)
{
	mem_grow(node->tasks.reports, node->tasks.capacity, node->tasks.count + 1);
	node->tasks.reports[node->tasks.count++] = *report;
}

static void report_finish(struct task_report *report)
{
	text_release(report->text);
	text_release(report->output);
}

static void reports_clear(struct node *node)
{
	for (size_t i = 0; i < node->tasks.count; i++)
		report_finish(&node->tasks.reports[i]);
	node->tasks.count = 0;
}

void tasks_finish(struct node *node)
{
	reports_clear(node);
	mem_free(node->tasks.reports);
}

static enum task_state state_of(const struct allocation_report *report)
{
	switch (report->state) {
	case ALLOCATION_STARTING:
		return TASK_STARTING;
	case ALLOCATION_RUNNING:
		return TASK_RUNNING;
	case ALLOCATION_STOPPING:
		return TASK_STOPPING;
	default:
		return report->lost ? TASK_LOST : TASK_ENDED;
	}
}

void node_task_report(struct node *node, const struct allocation_report *report)
{
	if (node->failed || node->tasks.leader == 0)
		return; /* it is asked for when there is a leader */
	report_add(node, &(struct task_report){
				 .id = report->id,
				 .state = state_of(report),
				 .checked = report->checked,
				 .healthy = report->healthy,
				 .exit_code = report->exit_code,
				 .exit_signal = report->exit_signal,
				 .text = report->text.size != 0 ? text_create(report->text) : NULL,
				 .outcome = report->outcome,
				 .output = report->outcome != TASK_OUTCOME_NONE ? text_create(report->output) : NULL,
			 });
}

/* --- from the leader ------------------------------------------------------------------------------------------------ */

void tasks_take(struct node *node, uint64_t member, const Clusterd__Wire__Tasks *message)
{
	struct arena arena = {0};
	if (message->term < node->tasks.term)
		return; /* of a leader that was */
	node->tasks.term = message->term;
	node->tasks.leader = member;
	if (message->whole)
		node->host->tasks_keep_only(node->context, message->known, message->n_known);
	for (size_t i = 0; i < message->n_orders; i++) {
		struct allocation_order order;
		if (task_order_unpack(message->orders[i], &arena, &order) == 0)
			node->host->task_start(node->context, &order);
		else
			node->counts.messages_refused++;
		arena_reset(&arena);
	}
	for (size_t i = 0; i < message->n_stop; i++)
		node->host->task_stop(node->context, message->stop[i]);
	for (size_t i = 0; i < message->n_taken; i++)
		node->host->task_taken(node->context, message->taken[i]);
	arena_finish(&arena);
}

/* --- to the leader -------------------------------------------------------------------------------------------------- */

static Clusterd__Wire__TaskReport *pack(const struct task_report *report, struct arena *arena)
{
	Clusterd__Wire__TaskReport *packed = arena_alloc(arena, sizeof *packed);
	clusterd__wire__task_report__init(packed);
	packed->id = report->id;
	packed->state = (uint32_t)report->state;
	packed->checked = report->checked;
	packed->healthy = report->healthy;
	packed->exit_code = report->exit_code;
	packed->exit_signal = (uint32_t)report->exit_signal;
	if (report->text != NULL) {
		packed->text.data = (uint8_t *)report->text->data;
		packed->text.len = report->text->size;
	}
	packed->output = (uint32_t)report->outcome;
	packed->output_size = report->output != NULL ? report->output->size : 0;
	return packed;
}

void tasks_turn(struct node *node)
{
	struct arena arena = {0};
	struct buffer outputs = BUFFER_EMPTY;
	for (size_t i = 0; i < node->tasks.count;) {
		Clusterd__Wire__TaskReports message = CLUSTERD__WIRE__TASK_REPORTS__INIT;
		message.term = node->tasks.term;
		message.reports = arena_alloc(&arena, REPORTS_AT_ONCE * sizeof *message.reports);
		buffer_clear(&outputs);
		for (; i < node->tasks.count && message.n_reports < REPORTS_AT_ONCE && outputs.size < OUTPUTS_AT_ONCE; i++) {
			const struct task_report *report = &node->tasks.reports[i];
			message.reports[message.n_reports++] = pack(report, &arena);
			if (report->output != NULL)
				buffer_append_slice(&outputs, text_slice(report->output));
		}
		const struct slice payload = buffer_slice(&outputs);
		if (node->tasks.leader == node->id)
			placing_reports(node, node->id, &message, payload);
		else
			node->host->peer_send(node->context, node->tasks.leader, FRAME_TASK_REPORTS, 0, &message.base,
			                      &payload, 1);
		arena_reset(&arena);
	}
	reports_clear(node);
	buffer_finish(&outputs);
	arena_finish(&arena);
}
