/* A time zone: what the clocks of a place are ahead of UTC, from a file of the zone database (TZif, RFC 8536). Which file, and
 * reading it, is the host's: pure code is given its bytes. */
#ifndef CLUSTERD_WORKFLOW_ZONE_H
#define CLUSTERD_WORKFLOW_ZONE_H

#include "base/error.h"
#include "workflow/timetable.h"

#define ZONE_SIZE_MAX 65536u /* bytes of a file */

struct zone;

/* ERR_INVALID: not such a file, or of its first version, or with leap seconds; ERR_LIMIT: larger than ZONE_SIZE_MAX. */
int zone_parse(struct slice file, struct zone **ret_zone, struct error *error);
void zone_destroy(struct zone *zone);
/* Seconds ahead of UTC at a time (seconds since 1970, UTC). */
int32_t zone_offset(const struct zone *zone, int64_t utc);
/* For timetable_next; good as long as the zone. */
struct timetable_zone zone_offsets(struct zone *zone);

#endif
