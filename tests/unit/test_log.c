#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/error.h"
#include "base/log.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static struct {
	int count;
	enum log_level level;
	char module[32];
	char text[2048];
} heard;

static void listen_to(enum log_level level, const char *module, const char *text)
{
	heard.count++;
	heard.level = level;
	snprintf(heard.module, sizeof heard.module, "%s", module);
	snprintf(heard.text, sizeof heard.text, "%s", text);
}

static int fresh(void **state)
{
	(void)state;
	memset(&heard, 0, sizeof heard);
	log_set_sink(listen_to);
	log_set_level(LOG_INFO);
	return 0;
}

static void sink_hears_level_module_and_text(void **state)
{
	(void)state;
	log_write(LOG_WARNING, "store", "%d of %s", 3, "four");
	assert_int_equal(heard.count, 1);
	assert_int_equal(heard.level, LOG_WARNING);
	assert_string_equal(heard.module, "store");
	assert_string_equal(heard.text, "3 of four");
}

static void what_is_below_the_level_is_not_heard(void **state)
{
	(void)state;
	log_write(LOG_DEBUG, "store", "unheard");
	assert_int_equal(heard.count, 0);
	log_set_level(LOG_DEBUG);
	log_write(LOG_DEBUG, "store", "heard");
	assert_int_equal(heard.count, 1);
	log_set_level(LOG_ERROR);
	log_write(LOG_WARNING, "store", "unheard");
	assert_int_equal(heard.count, 1);
	log_write(LOG_ERROR, "store", "heard");
	assert_int_equal(heard.count, 2);
}

static void long_text_is_cut(void **state)
{
	(void)state;
	log_write(LOG_ERROR, "store", "%05000d", 1);
	assert_int_equal(heard.count, 1);
	assert_in_range(strlen(heard.text), 512, 2000);
}

static void levels_have_words(void **state)
{
	(void)state;
	static const char *const words[] = {"debug", "info", "warning", "error"};
	for (int i = 0; i < 4; i++) {
		enum log_level level = LOG_INFO;
		assert_int_equal(log_level_parse(words[i], &level), 0);
		assert_int_equal(level, i);
	}
}

static void unknown_word_is_refused_and_changes_nothing(void **state)
{
	(void)state;
	static const char *const words[] = {"", "Info", "warn", "errors", "0"};
	for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
		enum log_level level = LOG_ERROR;
		assert_int_equal(log_level_parse(words[i], &level), ERR_INVALID);
		assert_int_equal(level, LOG_ERROR);
	}
}

/* What goes to stderr while `write` runs. */
static void captured(void (*write)(void), char *ret_text, size_t size)
{
	FILE *file = tmpfile();
	assert_non_null(file);
	fflush(stderr);
	int saved = dup(STDERR_FILENO);
	assert_true(saved >= 0);
	assert_true(dup2(fileno(file), STDERR_FILENO) >= 0);
	write();
	fflush(stderr);
	assert_true(dup2(saved, STDERR_FILENO) >= 0);
	close(saved);
	rewind(file);
	size_t length = fread(ret_text, 1, size - 1, file);
	ret_text[length] = '\0';
	fclose(file);
}

static void one_line(void)
{
	log_write(LOG_WARNING, "store", "cut off");
}

static void without_a_sink_a_stamped_line_goes_to_stderr(void **state)
{
	(void)state;
	char text[256];
	static const char form[] = "dddd-dd-ddTdd:dd:dd.dddZ ";
	log_set_sink(NULL);
	captured(one_line, text, sizeof text);
	assert_true(strlen(text) > sizeof form);
	for (size_t i = 0; i < sizeof form - 1; i++) {
		if (form[i] == 'd')
			assert_true(isdigit((unsigned char)text[i]));
		else
			assert_int_equal(text[i], form[i]);
	}
	assert_string_equal(text + sizeof form - 1, "warning store: cut off\n");
	assert_int_equal(heard.count, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(sink_hears_level_module_and_text, fresh),
		cmocka_unit_test_setup(what_is_below_the_level_is_not_heard, fresh),
		cmocka_unit_test_setup(long_text_is_cut, fresh),
		cmocka_unit_test_setup(levels_have_words, fresh),
		cmocka_unit_test_setup(unknown_word_is_refused_and_changes_nothing, fresh),
		cmocka_unit_test_setup(without_a_sink_a_stamped_line_goes_to_stderr, fresh),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
