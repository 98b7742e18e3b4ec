/* When a periodic job begins: the five fields of cron(5), and when they come next.
 *
 * Minute, hour, day of the month, month, day of the week: each is all (a star), a number, a range, or a list of those, with a
 * step behind a slash; months and days of the week also by the first three letters of their English names; Sunday is 0 and 7.
 * @hourly, @daily (@midnight), @weekly, @monthly, @yearly (@annually) stand for all five. As with cron, a time comes on days
 * that fit either field of days when neither begins with a star, else on those that fit both.
 *
 * Times are of a clock on the wall ("wall": seconds since 1970 as if its zone were UTC). Where that clock is put forward,
 * what falls into the gap comes once, right after it; where it is put back, what would come twice comes the first time.
 * A schedule that names every hour goes with the hours that there are instead: nothing is made up for after a gap, and a
 * repeated hour is an hour like any other. */
#ifndef CLUSTERD_WORKFLOW_TIMETABLE_H
#define CLUSTERD_WORKFLOW_TIMETABLE_H

#include "base/slice.h"
#include "base/time.h"

struct timetable {
	uint64_t minutes; /* bit m: minute m */
	uint32_t hours;
	uint32_t days;     /* bits 1 to 31 */
	uint32_t months;   /* bits 1 to 12 */
	uint32_t weekdays; /* bits 0 (Sunday) to 6 */
	bool either_day;   /* one of days and weekdays is enough */
};

/* What is wrong with a text, and which of its bytes. */
struct timetable_fault {
	char text[160];
	size_t offset;
	size_t size;
};

/* False: it is no schedule, or it never comes. */
bool timetable_parse(struct slice text, struct timetable *ret_timetable, struct timetable_fault *ret_fault);

/* The offsets of a zone: what its clocks are ahead of UTC at a time, both in seconds. A function of the time alone, less than
 * a day either way, that changes at most once within any two days. */
struct timetable_zone {
	int32_t (*offset)(void *context, int64_t utc);
	void *context;
};

extern const struct timetable_zone timetable_utc;

/* The first time after `after` (both ms since 1970, UTC). MSEC_NEVER: none within a century. */
msec timetable_next(const struct timetable *timetable, const struct timetable_zone *zone, msec after);
/* Whether the minute that begins at `wall` is one of them. */
bool timetable_fits(const struct timetable *timetable, int64_t wall);

#endif
