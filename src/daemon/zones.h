/* The time zones of this machine, by the names that its zone database has for them ($TZDIR, else /usr/share/zoneinfo). */
#ifndef CLUSTERD_DAEMON_ZONES_H
#define CLUSTERD_DAEMON_ZONES_H

#include "base/error.h"
#include "workflow/timetable.h"

struct zones;

struct zones *zones_create(const char *directory); /* NULL: that of the machine */
void zones_destroy(struct zones *zones);
/* Reads a zone's file the first time; what it gives is good as long as `zones`. ERR_NOT_FOUND: there is none of that name; others:
 * it cannot be read, or is damaged. */
int zones_find(struct zones *zones, struct slice name, struct timetable_zone *ret_zone, struct error *error);

#endif
