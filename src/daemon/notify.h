/* Tells a service manager how it goes (sd_notify(3): NOTIFY_SOCKET). */
#ifndef CLUSTERD_DAEMON_NOTIFY_H
#define CLUSTERD_DAEMON_NOTIFY_H

/* "READY=1", "STOPPING=1". Nothing happens when nobody asked to be told. */
void notify_service_manager(const char *state);

#endif
