#include "wire/command_topics.h"

#include "base/utf8.h"

#include <assert.h>

static ProtobufCBinaryData to_bytes(struct slice slice)
{
	return (ProtobufCBinaryData){slice.size, (uint8_t *)(uintptr_t)slice.data};
}

static struct slice to_slice(ProtobufCBinaryData data)
{
	return data.len != 0 ? (struct slice){(const char *)data.data, data.len} : SLICE("");
}

/* --- encoding ------------------------------------------------------------------------------------------------------ */

static Clusterd__Log__Publish *encode_publish(const struct command *command, struct arena *arena)
{
	Clusterd__Log__Publish *publish = arena_alloc(arena, sizeof *publish);
	clusterd__log__publish__init(publish);
	publish->topic = to_bytes(command->publish.topic);
	publish->kind = (uint32_t)command->publish.kind;
	publish->schema = to_bytes(command->publish.schema);
	publish->partitions = command->publish.partitions;
	publish->part = command->publish.part;
	publish->address = to_bytes(command->publish.address);
	publish->allocation = command->publish.allocation;
	return publish;
}

static Clusterd__Log__Subscribe *encode_subscribe(const struct command *command, struct arena *arena)
{
	Clusterd__Log__Subscribe *subscribe = arena_alloc(arena, sizeof *subscribe);
	clusterd__log__subscribe__init(subscribe);
	subscribe->topic = to_bytes(command->subscribe.topic);
	subscribe->all = command->subscribe.all;
	subscribe->part = command->subscribe.part;
	subscribe->kind = (uint32_t)command->subscribe.kind;
	subscribe->schema = to_bytes(command->subscribe.schema);
	return subscribe;
}

void command_topics_encode(const struct command *command, struct arena *arena, Clusterd__Log__Entry *entry)
{
	switch (command->kind) {
	case COMMAND_PUBLISH:
		entry->publish = encode_publish(command, arena);
		break;
	case COMMAND_UNPUBLISH:
		clusterd__log__unpublish__init(entry->unpublish = arena_alloc(arena, sizeof *entry->unpublish));
		entry->unpublish->publication = command->unpublish.publication;
		break;
	case COMMAND_SUBSCRIBE:
		entry->subscribe = encode_subscribe(command, arena);
		break;
	case COMMAND_UNSUBSCRIBE:
		clusterd__log__unsubscribe__init(entry->unsubscribe = arena_alloc(arena, sizeof *entry->unsubscribe));
		entry->unsubscribe->subscription = command->unsubscribe.subscription;
		break;
	case COMMAND_SWEEP:
		clusterd__log__sweep__init(entry->sweep = arena_alloc(arena, sizeof *entry->sweep));
		break;
	default:
		assert(false);
	}
}

/* --- decoding ------------------------------------------------------------------------------------------------------ */

static bool is_text(struct slice text, size_t size_max)
{
	return text.size <= size_max && utf8_is_text(text);
}

static int decode_publish(const Clusterd__Log__Publish *publish, struct command *command, struct error *error)
{
	command->kind = COMMAND_PUBLISH;
	command->publish.topic = to_slice(publish->topic);
	command->publish.kind = (enum topic_kind)publish->kind;
	command->publish.schema = to_slice(publish->schema);
	command->publish.partitions = publish->partitions;
	command->publish.part = publish->part;
	command->publish.address = to_slice(publish->address);
	command->publish.allocation = publish->allocation;
	if (publish->kind == TOPIC_ANY || publish->kind >= TOPIC_KIND_END)
		return error_set(error, ERR_VERSION, "a log entry publishes a topic of the unknown kind %u", publish->kind);
	bool parts_fit = publish->partitions == 0 ? publish->part == 0
	                                          : publish->partitions <= TOPIC_PARTS_MAX && publish->part < publish->partitions;
	if (publish->topic.len == 0 || !is_text(command->publish.topic, TOPIC_NAME_MAX) || !parts_fit ||
	    !is_text(command->publish.schema, TOPIC_SCHEMA_MAX) || !is_text(command->publish.address, TOPIC_ADDRESS_MAX))
		return error_set(error, ERR_CORRUPT, "a log entry publishes a topic that cannot be");
	return 0;
}

static int decode_subscribe(const Clusterd__Log__Subscribe *subscribe, struct command *command, struct error *error)
{
	command->kind = COMMAND_SUBSCRIBE;
	command->subscribe.topic = to_slice(subscribe->topic);
	command->subscribe.all = subscribe->all != 0;
	command->subscribe.part = subscribe->part;
	command->subscribe.kind = (enum topic_kind)subscribe->kind;
	command->subscribe.schema = to_slice(subscribe->schema);
	if (subscribe->kind >= TOPIC_KIND_END)
		return error_set(error, ERR_VERSION, "a log entry subscribes to a topic of the unknown kind %u", subscribe->kind);
	if (!is_text(command->subscribe.topic, TOPIC_NAME_MAX) || !is_text(command->subscribe.schema, TOPIC_SCHEMA_MAX))
		return error_set(error, ERR_CORRUPT, "a log entry subscribes to a topic that cannot be");
	return 0;
}

bool command_topics_has(const Clusterd__Log__Entry *entry)
{
	return entry->command_case >= CLUSTERD__LOG__ENTRY__COMMAND_PUBLISH &&
	       entry->command_case <= CLUSTERD__LOG__ENTRY__COMMAND_SWEEP;
}

int command_topics_decode(const Clusterd__Log__Entry *entry, struct command *command, struct error *error)
{
	switch (entry->command_case) {
	case CLUSTERD__LOG__ENTRY__COMMAND_PUBLISH:
		return decode_publish(entry->publish, command, error);
	case CLUSTERD__LOG__ENTRY__COMMAND_UNPUBLISH:
		command->kind = COMMAND_UNPUBLISH;
		command->unpublish.publication = entry->unpublish->publication;
		return 0;
	case CLUSTERD__LOG__ENTRY__COMMAND_SUBSCRIBE:
		return decode_subscribe(entry->subscribe, command, error);
	case CLUSTERD__LOG__ENTRY__COMMAND_UNSUBSCRIBE:
		command->kind = COMMAND_UNSUBSCRIBE;
		command->unsubscribe.subscription = entry->unsubscribe->subscription;
		return 0;
	default:
		command->kind = COMMAND_SWEEP;
		return 0;
	}
}
