/* Where messages for the operator go: one sink for the process, stderr until another is set. One line each:
 * "2026-01-02T03:04:05.678Z warning store: text". Only daemon and tools log; cores return what is to be said. */
#ifndef CLUSTERD_BASE_LOG_H
#define CLUSTERD_BASE_LOG_H

enum log_level { LOG_DEBUG, LOG_INFO, LOG_WARNING, LOG_ERROR };

typedef void log_sink(enum log_level level, const char *module, const char *text);

void log_set_sink(log_sink *sink);          /* NULL: stderr again */
void log_set_level(enum log_level lowest);  /* LOG_INFO at first */
int log_level_parse(const char *word, enum log_level *ret_level); /* 0 or ERR_INVALID */
void log_write(enum log_level level, const char *module, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

#endif
