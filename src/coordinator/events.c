#include "coordinator/internal.h"

#include "base/memory.h"

#include <assert.h>
#include <stdarg.h>

int history(struct machine *machine, uint64_t instance, const char *kind, uint32_t ref, struct slice detail)
{
	machine->history_seq++;
	struct effect *last = machine->effect_count > 0 ? &machine->effects[machine->effect_count - 1] : NULL;
	if (last == NULL || last->kind != EFFECT_GROWN || last->instance != instance)
		last = effect_add(machine, EFFECT_GROWN, instance);
	last->seq = machine->history_seq;
	return catalog_history_append(machine->catalog, machine->history_seq, instance, machine->now, slice_of(kind), ref,
	                              detail);
}

int history_format(struct machine *machine, uint64_t instance, const char *kind, uint32_t ref, const char *format, ...)
{
	va_list args;
	buffer_clear(&machine->detail);
	va_start(args, format);
	buffer_formatv(&machine->detail, format, args);
	va_end(args);
	return history(machine, instance, kind, ref, buffer_slice(&machine->detail));
}

struct effect *effect_add(struct machine *machine, enum effect_kind kind, uint64_t instance)
{
	mem_grow(machine->effects, machine->effect_capacity, machine->effect_count + 1);
	struct effect *effect = &machine->effects[machine->effect_count++];
	*effect = (struct effect){.kind = kind, .instance = instance};
	return effect;
}

void effects_release(struct machine *machine)
{
	for (size_t i = 0; i < machine->effect_count; i++) {
		struct effect *effect = &machine->effects[i];
		text_release(effect->answer.text);
		text_release(effect->result);
		text_release(effect->error);
		text_release(effect->key);
	}
	machine->effect_count = 0;
}

const struct effect *machine_effects(const struct machine *machine, size_t *ret_count)
{
	assert(!machine->within);
	*ret_count = machine->effect_count;
	return machine->effects;
}

void machine_effects_done(struct machine *machine)
{
	effects_release(machine);
}
