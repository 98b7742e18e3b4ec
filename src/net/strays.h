/* What a supervisor that was killed has left behind. */
#ifndef CLUSTERD_NET_STRAYS_H
#define CLUSTERD_NET_STRAYS_H

/* Ends what runs in the control group of an allocation's directory, and whatever of this user has HOME=`directory`/work in its environment;
 * looks through all processes, so it is for a thread. */
void strays_end(const char *directory);

#endif
