#include "coordinator/scheduler_parts.h"

#include "base/memory.h"

#include <assert.h>
#include <stdio.h>

/* --- classes -------------------------------------------------------------------------------------------------------- */

static bool node_has_tag(const struct node *node, struct slice tag)
{
	for (size_t i = 0; i < node->tag_count; i++) {
		if (slice_equal(node->tags[i], tag))
			return true;
	}
	return false;
}

bool node_is_named(const struct node *node, struct slice name)
{
	char id[24];
	int size = snprintf(id, sizeof id, "%llu", (unsigned long long)node->id);
	return slice_equal(node->name, name) || (node->host.size > 0 && slice_equal(node->host, name)) ||
	       slice_equal((struct slice){id, (size_t)size}, name);
}

enum mismatch class_match(const struct class *class, const struct node *node, struct slice *ret_tag)
{
	if (class->datacenter.size > 0 && !slice_equal(class->datacenter, node->datacenter))
		return OTHER_DATACENTER;
	uint32_t name = 0;
	while (name < class->node_count && !node_is_named(node, class->nodes[name]))
		name++;
	if (class->node_count > 0 && name == class->node_count)
		return NOT_LISTED;
	for (uint32_t i = 0; i < class->on_count; i++) {
		if (node_has_tag(node, class->on[i].text) == class->on[i].without) {
			*ret_tag = class->on[i].text;
			return class->on[i].without ? HAS_TAG : LACKS_TAG;
		}
	}
	return MATCHES;
}

static void class_look(struct class *class, uint32_t slot, const struct node *node)
{
	uint64_t bit = UINT64_C(1) << (slot % BLOCK);
	struct slice tag;
	if (node != NULL && node->known && class_match(class, node, &tag) == MATCHES)
		class->bits[slot / BLOCK] |= bit;
	else
		class->bits[slot / BLOCK] &= ~bit;
}

void classes_node_changed(struct scheduler *scheduler, uint32_t slot)
{
	for (struct class *class = scheduler->classes; class != NULL; class = class->hh.next)
		class_look(class, slot, scheduler->nodes[slot]);
}

void classes_grow(struct scheduler *scheduler, uint32_t from, uint32_t to)
{
	for (struct class *class = scheduler->classes; class != NULL; class = class->hh.next) {
		class->bits = mem_resize(class->bits, to / BLOCK * sizeof *class->bits);
		memset(class->bits + from / BLOCK, 0, (to - from) / BLOCK * sizeof *class->bits);
	}
}

static void key_add(struct buffer *key, struct slice slice)
{
	buffer_append_u64(key, slice.size);
	buffer_append_slice(key, slice);
}

/* All that makes a node suit, so that two that say the same are one. */
static void class_key(const struct job_settings *settings, struct buffer *out)
{
	key_add(out, settings->datacenter);
	buffer_append_u32(out, settings->on_count);
	for (uint32_t i = 0; i < settings->on_count; i++) {
		buffer_append_char(out, settings->on[i].without ? '!' : '=');
		key_add(out, settings->on[i].text);
	}
	for (uint32_t i = 0; i < settings->node_count; i++)
		key_add(out, settings->nodes[i]);
}

static struct slice copy(struct slice slice)
{
	return (struct slice){mem_copy(slice.data, slice.size), slice.size};
}

static struct class *class_hold(struct scheduler *scheduler, const struct job_settings *settings)
{
	struct buffer key = BUFFER_EMPTY;
	struct class *class;
	class_key(settings, &key);
	HASH_FIND(hh, scheduler->classes, key.data, key.size, class);
	if (class == NULL) {
		class = mem_zero(sizeof *class);
		class->key = copy(buffer_slice(&key));
		class->number = ++scheduler->class_number;
		class->datacenter = copy(settings->datacenter);
		class->on_count = settings->on_count;
		class->on = mem_array(settings->on_count, sizeof *class->on);
		for (uint32_t i = 0; i < settings->on_count; i++)
			class->on[i] = (struct job_tag){copy(settings->on[i].text), settings->on[i].without};
		class->node_count = settings->node_count;
		class->nodes = mem_array(settings->node_count, sizeof *class->nodes);
		for (uint32_t i = 0; i < settings->node_count; i++)
			class->nodes[i] = copy(settings->nodes[i]);
		class->bits = mem_array(scheduler->slot_capacity / BLOCK, sizeof *class->bits);
		for (uint32_t slot = 0; slot < scheduler->slot_count; slot++)
			class_look(class, slot, scheduler->nodes[slot]);
		HASH_ADD_KEYPTR(hh, scheduler->classes, class->key.data, class->key.size, class);
	}
	class->references++;
	buffer_finish(&key);
	return class;
}

static void let_go(struct slice slice)
{
	mem_free((char *)(uintptr_t)slice.data);
}

static void class_release(struct scheduler *scheduler, struct class *class)
{
	if (--class->references > 0)
		return;
	HASH_DELETE(hh, scheduler->classes, class);
	for (uint32_t i = 0; i < class->on_count; i++)
		let_go(class->on[i].text);
	for (uint32_t i = 0; i < class->node_count; i++)
		let_go(class->nodes[i]);
	let_go(class->datacenter);
	let_go(class->key);
	mem_free(class->on);
	mem_free(class->nodes);
	mem_free(class->bits);
	mem_free(class);
}

/* --- shapes --------------------------------------------------------------------------------------------------------- */

static void request_make(struct request *request, const struct job_settings *settings)
{
	assert(settings->port_count <= JOB_PORTS_MAX);
	request->cpu = settings->cpu;
	request->memory = settings->memory < (uint64_t)MEMORY_MOST ? (int64_t)settings->memory : MEMORY_MOST;
	request->port_count = settings->port_count;
	for (uint32_t i = 0; i < settings->port_count; i++) {
		request->ports[i] = settings->ports[i].number;
		request->free_ports += settings->ports[i].number == 0;
	}
}

struct shape *shape_hold(struct scheduler *scheduler, const struct job_settings *settings)
{
	bool own = settings->type == JOB_SYSTEM || settings->group || settings->placement == JOB_RANDOM ||
	           settings->placement == JOB_PINNED;
	struct shape_key key;
	struct shape *shape = NULL;
	memset(&key, 0, sizeof key);
	struct class *class = class_hold(scheduler, settings);
	key.class = class->number;
	request_make(&key.request, settings);
	if (!own)
		HASH_FIND(hh, scheduler->shapes, &key, sizeof key, shape);
	if (shape != NULL) {
		class_release(scheduler, class);
		shape->references++;
		return shape;
	}
	shape = mem_zero(sizeof *shape);
	memcpy(&shape->key, &key, sizeof key);
	shape->references = 1;
	shape->own = own;
	shape->class = class;
	shape->queue_index = shape->blocked_index = HEAP_OUT;
	shape_init_heap(shape);
	if (!own)
		HASH_ADD(hh, scheduler->shapes, key, sizeof shape->key, shape);
	return shape;
}

void shape_release(struct scheduler *scheduler, struct shape *shape)
{
	if (--shape->references > 0)
		return;
	assert(shape->queue_index == HEAP_OUT && shape->blocked_index == HEAP_OUT && shape->jobs.size == 0);
	if (!shape->own)
		HASH_DELETE(hh, scheduler->shapes, shape);
	class_release(scheduler, shape->class);
	heap_finish(&shape->jobs);
	mem_free(shape);
}
