/* Other nodes that behave badly: mischief HOST:PORT peer WHAT [SECRET [NODE [CLUSTER]]]. */
#ifndef CLUSTERD_TESTS_MISCHIEF_PEER_H
#define CLUSTERD_TESTS_MISCHIEF_PEER_H

/* WHAT: hello (greets, says what came of it), garbage, oversize, request, message (a frame after a good greeting), datagrams (of every
 * bad kind), silent (1,000 connections until stdin ends). SECRET: "" none. Prints what the node answered. An exit code. */
int mischief_peer(const char *address, const char *what, int argc, char **argv);

#endif
