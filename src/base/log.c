#include "base/log.h"

#include "base/error.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

static const char *const level_names[] = {"debug", "info", "warning", "error"};

static void sink_stderr(enum log_level level, const char *module, const char *text)
{
	struct timespec now;
	struct tm parts;
	char stamp[32];
	clock_gettime(CLOCK_REALTIME, &now);
	gmtime_r(&now.tv_sec, &parts);
	strftime(stamp, sizeof stamp, "%Y-%m-%dT%H:%M:%S", &parts);
	fprintf(stderr, "%s.%03ldZ %s %s: %s\n", stamp, now.tv_nsec / 1000000, level_names[level], module, text);
}

static log_sink *current_sink = sink_stderr;
static enum log_level lowest_level = LOG_INFO;

void log_set_sink(log_sink *sink)
{
	current_sink = sink != NULL ? sink : sink_stderr;
}

void log_set_level(enum log_level lowest)
{
	lowest_level = lowest;
}

int log_level_parse(const char *word, enum log_level *ret_level)
{
	for (int i = 0; i < 4; i++) {
		if (strcmp(word, level_names[i]) == 0) {
			*ret_level = (enum log_level)i;
			return 0;
		}
	}
	return ERR_INVALID;
}

void log_write(enum log_level level, const char *module, const char *format, ...)
{
	char text[1024];
	va_list args;
	if (level < lowest_level)
		return;
	va_start(args, format);
	vsnprintf(text, sizeof text, format, args);
	va_end(args);
	current_sink(level, module, text);
}
