/* The rule of a zone for times to come, as POSIX writes TZ: "CET-1CEST,M3.5.0,M10.5.0/3". Private to zone.c. */
#ifndef CLUSTERD_WORKFLOW_ZONE_RULE_H
#define CLUSTERD_WORKFLOW_ZONE_RULE_H

#include "base/slice.h"

#include <stdbool.h>

#include <stdint.h>

struct rule_date {
	enum { RULE_JULIAN, RULE_DAY, RULE_MONTH } kind; /* Jn: 1 to 365, no 29th of February; n: 0 to 365; Mm.w.d */
	uint32_t month;
	uint32_t week;
	uint32_t day;
	int32_t time; /* seconds from midnight on, of the wall before */
};

struct zone_rule {
	int32_t standard; /* seconds ahead of UTC */
	int32_t summer;
	bool has_summer;
	struct rule_date begin; /* of summer */
	struct rule_date end;
};

/* False: not such a text. */
bool zone_rule_parse(struct slice text, struct zone_rule *ret_rule);
int32_t zone_rule_offset(const struct zone_rule *rule, int64_t utc);

#endif
