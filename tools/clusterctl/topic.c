#include "command.h"

#include "base/json.h"

#include <inttypes.h>
#include <stdio.h>

/* Topics: listed, looked up. */

int run_topic_list(struct context *context, const struct arguments *arguments)
{
	(void)arguments;
	return print_query(context,
	                   "SELECT id, name, kind, schema, partitions,"
	                   " (SELECT count(*) FROM publication WHERE topic = topic.id) AS publications,"
	                   " (SELECT count(*) FROM subscription WHERE topic = topic.id) AS subscriptions"
	                   " FROM topic ORDER BY name",
	                   NULL, 0);
}

static const char *kind_name(Clusterd__Wire__TopicKind kind)
{
	static const char *const names[] = {"", "stream", "collection", "service", "keeper"};
	return (int)kind > 0 && (int)kind < 5 ? names[kind] : "unknown";
}

static void print_publication(const Clusterd__Wire__Publication *publication, struct buffer *out)
{
	buffer_format(out, "\"part\":%u,\"address\":", publication->part);
	json_quote(out, slice_of(publication->address));
	buffer_format(out, ",\"publication\":%" PRIu64 ",\"session\":%" PRIu64, publication->id, publication->session);
	if (publication->job != 0)
		buffer_format(out, ",\"job\":%" PRIu64 ",\"allocation\":%" PRIu64, publication->job, publication->allocation);
}

/* As one object; or a row for each publication, with what they have in common. */
static void print_topic(const Clusterd__Wire__TopicState *topic, bool rows, struct buffer *out)
{
	struct buffer head = BUFFER_EMPTY;
	buffer_append_string(&head, "\"topic\":");
	json_quote(&head, slice_of(topic->name));
	buffer_format(&head, ",\"kind\":\"%s\",\"schema\":", kind_name(topic->kind));
	json_quote(&head, slice_of(topic->schema));
	if (!rows)
		buffer_format(out, "{\"id\":%" PRIu64 ",%.*s,\"partitions\":%u,\"version\":%" PRIu64 ",\"publications\":", topic->id,
		              SLICE_ARGS(buffer_slice(&head)), topic->partitions, topic->version);
	buffer_append_char(out, '[');
	for (size_t i = 0; i < topic->n_publications; i++) {
		buffer_append_string(out, i > 0 ? ",{" : "{");
		if (rows)
			buffer_format(out, "%.*s,", SLICE_ARGS(buffer_slice(&head)));
		print_publication(topic->publications[i], out);
		buffer_append_char(out, '}');
	}
	buffer_append_string(out, rows ? "]" : "]}");
	buffer_finish(&head);
}

int run_topic_lookup(struct context *context, const struct arguments *arguments)
{
	Clusterd__Wire__Request request = CLUSTERD__WIRE__REQUEST__INIT;
	Clusterd__Wire__LookupTopic body = CLUSTERD__WIRE__LOOKUP_TOPIC__INIT;
	struct reply reply;
	struct buffer text = BUFFER_EMPTY;
	int code = need_client(context);
	if (code != 0)
		return code;
	body.topic = (char *)(uintptr_t)arguments->values[0];
	body.wait = arguments->flags[0] != NULL;
	request.body_case = CLUSTERD__WIRE__REQUEST__BODY_LOOKUP_TOPIC;
	request.lookup_topic = &body;
	if (client_ask(context->client, &request, SLICE(""), &reply, &context->error) != 0)
		return report(context);
	if (reply.response->body_case == CLUSTERD__WIRE__RESPONSE__BODY_TOPIC) {
		print_topic(reply.response->topic, context->form == OUTPUT_TABLE, &text);
		if (context->form == OUTPUT_TABLE)
			output_objects(context->form, buffer_slice(&text), stdout);
		else
			output_object(context->form, buffer_slice(&text), stdout);
	}
	buffer_finish(&text);
	reply_finish(&reply);
	return EXIT_DONE;
}
