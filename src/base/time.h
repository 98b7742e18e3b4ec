/* Time is an argument: only `daemon/host` and the tools read a clock. */
#ifndef CLUSTERD_BASE_TIME_H
#define CLUSTERD_BASE_TIME_H

#include <stdint.h>

typedef int64_t msec; /* milliseconds: since 1970 (stamps, *_ms columns), or on a monotonic clock (deadlines) */

#define MSEC_NEVER INT64_MAX

static inline msec msec_earlier(msec left, msec right)
{
	return left < right ? left : right;
}

#endif
