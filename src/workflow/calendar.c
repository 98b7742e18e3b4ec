#include "workflow/calendar.h"

/* Years begin in March here, so that the day that some years have more is their last one; 400 years are 146097 days, and the 1st of
 * March of the year 0 is day −719468. */

struct date calendar_date(int64_t day)
{
	int64_t since = day + 719468;
	int64_t era = calendar_floor(since, 146097);
	int64_t of_era = since - era * 146097;
	int64_t year = (of_era - of_era / 1460 + of_era / 36524 - of_era / 146096) / 365;
	int64_t of_year = of_era - (365 * year + year / 4 - year / 100);
	int64_t month = (5 * of_year + 2) / 153;
	return (struct date){
		.year = era * 400 + year + (month >= 10),
		.month = (uint32_t)(month < 10 ? month + 3 : month - 9),
		.day = (uint32_t)(of_year - (153 * month + 2) / 5 + 1),
		.weekday = (uint32_t)(day + 4 - 7 * calendar_floor(day + 4, 7)),
	};
}

int64_t calendar_day(int64_t year, uint32_t month, uint32_t day)
{
	int64_t marched = year - (month <= 2);
	int64_t era = calendar_floor(marched, 400);
	int64_t of_era = marched - era * 400;
	int64_t of_year = (153 * (int64_t)(month > 2 ? month - 3 : month + 9) + 2) / 5 + (int64_t)day - 1;
	return era * 146097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719468;
}
