#include "discovery/places.h"

#include <stdio.h>

bool places_have(const struct places *places, const struct place *place)
{
	for (size_t i = 0; i < places->count; i++)
		if (strcmp(places->places[i].address, place->address) == 0 && strcmp(places->places[i].id, place->id) == 0)
			return true;
	return false;
}

static void add(struct places *places, const struct place *place)
{
	for (size_t i = 0; i < places->count; i++)
		if (strcmp(places->places[i].address, place->address) == 0)
			return;
	if (places->count == PLACES_MAX)
		places->left_out++;
	else
		places->places[places->count++] = *place;
}

void places_add(struct places *places, const struct address *address, struct slice id, bool secure)
{
	struct place place = {.secure = secure};
	address_format(address, place.address);
	snprintf(place.id, sizeof place.id, "%.*s", SLICE_ARGS(id));
	add(places, &place);
}

void places_add_all(struct places *places, const struct places *more)
{
	for (size_t i = 0; i < more->count; i++)
		add(places, &more->places[i]);
	places->left_out += more->left_out;
}

bool places_equal(const struct places *left, const struct places *right)
{
	if (left->count != right->count)
		return false;
	for (size_t i = 0; i < left->count; i++)
		if (!places_have(right, &left->places[i]))
			return false;
	return true;
}
