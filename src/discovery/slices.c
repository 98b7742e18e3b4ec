#include "discovery/slices.h"

#include "base/json.h"

#include <stdio.h>
#include <stdlib.h>

/* --- JSON ---------------------------------------------------------------------------------------------------------- */

static bool member(struct slice object, const char *name, enum json_kind kind, struct slice *ret_value)
{
	return json_member(object, slice_of(name), ret_value) && json_kind(*ret_value) == kind;
}

static bool text_is(struct slice object, const char *name, const char *expected)
{
	struct slice value;
	return member(object, name, JSON_STRING, &value) &&
	       json_key_equal((struct slice){value.data + 1, value.size - 2}, slice_of(expected));
}

static void text_of(struct slice object, const char *name, struct buffer *out)
{
	struct slice value;
	buffer_clear(out);
	if (member(object, name, JSON_STRING, &value))
		json_unquote(out, value);
}

static bool object_begins(struct slice json, struct error *error)
{
	int code = json_check(json, error);
	if (code != 0)
		error_prefix(error, "the answer is not JSON");
	else if (json_kind(json_trim(json)) != JSON_OBJECT)
		error_set(error, ERR_INVALID, "the answer is no object");
	else
		return true;
	return false;
}

/* --- ports --------------------------------------------------------------------------------------------------------- */

struct port {
	uint16_t number; /* 0: none */
	int rank;
	bool secure;
};

enum { RANK_NONE, RANK_FIRST, RANK_HTTP, RANK_HTTPS, RANK_OWN };

static bool speaks(struct slice entry, long long number, const char *protocol, long long usual)
{
	struct slice said;
	if (member(entry, "appProtocol", JSON_STRING, &said))
		return text_is(entry, "appProtocol", protocol);
	return text_is(entry, "name", protocol) || number == usual;
}

static void look_at_port(struct slice entry, const char *wanted, bool by_number, struct port *best)
{
	struct slice value;
	long long number;
	if (json_kind(entry) != JSON_OBJECT || !member(entry, "port", JSON_NUMBER, &value) ||
	    json_integer(value, 1, UINT16_MAX, &number) != 0)
		return;
	if (member(entry, "protocol", JSON_STRING, &value) && !text_is(entry, "protocol", "TCP"))
		return;
	bool secure = speaks(entry, number, "https", 443);
	int rank = text_is(entry, "name", "clusterd") ? RANK_OWN : secure ? RANK_HTTPS : RANK_FIRST;
	if (rank == RANK_FIRST && speaks(entry, number, "http", 80))
		rank = RANK_HTTP;
	if (by_number ? number != strtoll(wanted, NULL, 10) : wanted[0] != '\0' && !text_is(entry, "name", wanted))
		return;
	if (rank > best->rank)
		*best = (struct port){(uint16_t)number, rank, secure};
}

/* `owner`: what has the list. */
static int choose_port(struct slice owner, const char *wanted, struct port *ret_port, struct error *error)
{
	struct port port = {0};
	struct json_iterator iterator;
	struct slice list;
	struct slice key;
	struct slice entry;
	bool by_number = wanted[0] != '\0' && wanted[strspn(wanted, "0123456789")] == '\0';
	if (member(owner, "ports", JSON_ARRAY, &list)) {
		json_iterate(&iterator, list);
		while (json_next(&iterator, &key, &entry))
			look_at_port(entry, wanted, by_number, &port);
	}
	if (port.number == 0 && wanted[0] != '\0' && !by_number)
		return error_set(error, ERR_NOT_FOUND, "no TCP port is called %s", wanted);
	if (port.number == 0)
		port.number = by_number ? (uint16_t)strtoul(wanted, NULL, 10) : SLICES_PORT;
	*ret_port = port;
	return 0;
}

/* --- addresses ----------------------------------------------------------------------------------------------------- */

/* `owner`: what may have a targetRef. */
static int add(struct places *places, struct slice number, struct slice owner, const struct port *port, struct error *error)
{
	char text[ADDRESS_TEXT_SIZE];
	struct address address;
	struct slice target;
	struct buffer plain = BUFFER_EMPTY;
	int code = 0;
	json_unquote(&plain, number);
	const char *ip = buffer_string(&plain);
	int length = snprintf(text, sizeof text, strchr(ip, ':') != NULL ? "[%s]:%u" : "%s:%u", ip, port->number);
	if ((size_t)length >= sizeof text || plain.size != strlen(ip) || !address_parse(text, &address))
		code = error_set(error, ERR_INVALID, "the answer has \"%.60s\" for an address", ip);
	if (code == 0 && member(owner, "targetRef", JSON_OBJECT, &target))
		text_of(target, "uid", &plain);
	else
		buffer_clear(&plain);
	if (code == 0)
		places_add(places, &address, buffer_slice(&plain), port->secure);
	buffer_finish(&plain);
	return code;
}

/* Ready unless it is said not to be (the documents of EndpointConditions have it so). All addresses of one endpoint are the same to
 * whoever wants to get there: the first one is taken. */
static int read_endpoint(struct slice endpoint, const struct port *port, struct places *places, struct error *error)
{
	struct json_iterator iterator;
	struct slice value;
	struct slice key;
	struct slice first;
	if (json_kind(endpoint) != JSON_OBJECT)
		return error_set(error, ERR_INVALID, "an endpoint is no object");
	if (member(endpoint, "conditions", JSON_OBJECT, &value) && member(value, "ready", JSON_FALSE, &first))
		return 0;
	if (!member(endpoint, "addresses", JSON_ARRAY, &value))
		return error_set(error, ERR_INVALID, "an endpoint has no addresses");
	json_iterate(&iterator, value);
	if (!json_next(&iterator, &key, &first))
		return 0;
	if (json_kind(first) != JSON_STRING)
		return error_set(error, ERR_INVALID, "an address is no text");
	return add(places, first, endpoint, port, error);
}

static int read_slice(struct slice slice, const char *port, struct places *places, struct error *error)
{
	struct json_iterator iterator;
	struct slice endpoints;
	struct slice key;
	struct slice endpoint;
	struct port chosen;
	if (json_kind(slice) != JSON_OBJECT)
		return error_set(error, ERR_INVALID, "a slice is no object");
	if (text_is(slice, "addressType", "FQDN") || !member(slice, "endpoints", JSON_ARRAY, &endpoints) || json_count(endpoints) == 0)
		return 0;
	int code = choose_port(slice, port, &chosen, error);
	json_iterate(&iterator, endpoints);
	while (code == 0 && json_next(&iterator, &key, &endpoint))
		code = read_endpoint(endpoint, &chosen, places, error);
	return code;
}

static int read_subset(struct slice subset, const char *port, struct places *places, struct error *error)
{
	struct json_iterator iterator;
	struct slice addresses;
	struct slice key;
	struct slice address;
	struct slice number;
	struct port chosen;
	if (json_kind(subset) != JSON_OBJECT)
		return error_set(error, ERR_INVALID, "a subset is no object");
	if (!member(subset, "addresses", JSON_ARRAY, &addresses) || json_count(addresses) == 0)
		return 0;
	int code = choose_port(subset, port, &chosen, error);
	json_iterate(&iterator, addresses);
	while (code == 0 && json_next(&iterator, &key, &address))
		code = json_kind(address) == JSON_OBJECT && member(address, "ip", JSON_STRING, &number)
		               ? add(places, number, address, &chosen, error)
		               : error_set(error, ERR_INVALID, "an address has no ip");
	return code;
}

typedef int read_part(struct slice part, const char *port, struct places *places, struct error *error);

static int read_list(struct slice list, read_part *read, const char *port, struct places *ret_places, struct error *error)
{
	struct json_iterator iterator;
	struct places places = {0};
	struct slice key;
	struct slice part;
	int code = 0;
	json_iterate(&iterator, list);
	while (code == 0 && json_next(&iterator, &key, &part))
		code = read(part, port, &places, error);
	if (code == 0)
		*ret_places = places;
	return code;
}

int slices_read(struct slice json, const char *port, struct places *ret_places, struct error *error)
{
	struct error why = {0};
	struct slice items;
	int code;
	if (!object_begins(json, &why))
		code = why.code;
	else if (!member(json_trim(json), "items", JSON_ARRAY, &items))
		code = error_set(&why, ERR_INVALID, "the answer has no items: it is no list of EndpointSlices");
	else
		code = read_list(items, read_slice, port, ret_places, &why);
	if (code != 0 && error != NULL)
		*error = why;
	return code;
}

int endpoints_read(struct slice json, const char *port, struct places *ret_places, struct error *error)
{
	struct error why = {0};
	struct slice subsets;
	int code = 0;
	if (!object_begins(json, &why))
		code = why.code;
	else if (!text_is(json_trim(json), "kind", "Endpoints"))
		code = error_set(&why, ERR_INVALID, "the answer is not of the kind Endpoints");
	else if (member(json_trim(json), "subsets", JSON_ARRAY, &subsets))
		code = read_list(subsets, read_subset, port, ret_places, &why);
	else
		*ret_places = (struct places){0}; /* a service with nothing behind it has none */
	if (code != 0 && error != NULL)
		*error = why;
	return code;
}

void slices_message(struct slice json, struct buffer *out)
{
	struct slice message;
	if (json_check(json, NULL) == 0 && json_kind(json_trim(json)) == JSON_OBJECT &&
	    member(json_trim(json), "message", JSON_STRING, &message))
		json_unquote(out, message);
}
