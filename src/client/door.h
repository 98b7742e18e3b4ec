/* Where others connect to for one topic: a listening socket, and strangers until they have greeted. Whoever they are, they take little:
 * a few at a time, some kilobytes each, for some seconds. */
#ifndef CLUSTERD_CLIENT_DOOR_H
#define CLUSTERD_CLIENT_DOOR_H

#include "client/channel.h"
#include "client/greeting.h"

#define DOOR_STRANGERS_MAX 64 /* at once; of more, the one that is there longest has to go */
#define DOOR_GREETING_MS 5000
#define DOOR_LISTEN_DEFAULT "127.0.0.1:0"
#define DOOR_ADDRESS_MAX 300

struct door;

/* One has greeted: its channel is the handler's, and so is what it has sent already (`rest`, empty it with buffer_finish). `error`: what
 * keeps it out; 0 lets it in. */
typedef int door_guest(void *context, const struct greeting *greeting, struct channel *take_channel, struct buffer *take_rest,
                       struct error *error);

struct door_options {
	const char *topic;
	Clusterd__Stream__Kind kind;
	const char *schema;
	const char *listen;    /* HOST:PORT; NULL: DOOR_LISTEN_DEFAULT */
	const char *advertise; /* HOST or HOST:PORT, as others reach it; NULL: as it listens */
	const char *token;     /* "": none */
	uint64_t life;         /* 0: drawn */
	door_guest *guest;
	void *context;
};

/* ERR_DENIED: it is to listen to others than this machine, without a token; ERR_IO, ERR_INVALID, ERR_LIMIT. */
int door_open(struct link_base *base, const struct door_options *options, struct door **ret_door, struct error *error);
void door_close(struct door *door);                  /* NULL is fine */
const char *door_address(const struct door *door);   /* as others reach it */
uint64_t door_life(const struct door *door);
/* HOST:PORT of a door that listens at `port`. ERR_INVALID. */
int door_advertised(const char *advertise, uint16_t port, struct buffer *ret_address, struct error *error);
/* The secret of a client's token; NULL: it has none. ERR_LIMIT. */
int door_secret(const char *token, struct secret **ret_secret, struct error *error);

#endif
