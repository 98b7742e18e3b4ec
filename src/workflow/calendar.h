/* Days and dates (proleptic Gregorian). Days count from 1970-01-01, which is 0. */
#ifndef CLUSTERD_WORKFLOW_CALENDAR_H
#define CLUSTERD_WORKFLOW_CALENDAR_H

#include <stdint.h>

struct date {
	int64_t year;
	uint32_t month;   /* 1 to 12 */
	uint32_t day;     /* 1 to 31 */
	uint32_t weekday; /* 0: Sunday */
};

struct date calendar_date(int64_t day);
/* Of a date; a month and a day that there are. */
int64_t calendar_day(int64_t year, uint32_t month, uint32_t day);

static inline int64_t calendar_floor(int64_t value, int64_t by)
{
	return value / by - (value % by < 0);
}

#endif
