#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/memory.h"
#include "daemon/zones.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

/* A zone without changes, of a rule. */
static void write_zone(const char *path, const char *rule)
{
	static const char header[44] = "TZif2";
	static const char second[44] = {'T', 'Z', 'i', 'f', '2', [39] = 1};
	static const char type[6] = {0, 0, 0x0e, 0x10, 0, 0};
	FILE *file = fopen(path, "we");
	assert_non_null(file);
	fwrite(header, 1, sizeof header, file);
	fwrite(second, 1, sizeof second, file);
	fwrite(type, 1, sizeof type, file);
	fprintf(file, "\n%s\n", rule);
	assert_int_equal(fclose(file), 0);
}

static void zone_is_read_once_by_its_name(void **state)
{
	(void)state;
	char directory[] = "/tmp/zonesXXXXXX";
	assert_non_null(mkdtemp(directory));
	char *below = mem_format("%s/Europe", directory);
	char *path = mem_format("%s/Vienna", below);
	assert_int_equal(mkdir(below, 0700), 0);
	write_zone(path, "CET-1CEST,M3.5.0,M10.5.0/3");
	struct zones *zones = zones_create(directory);
	struct timetable_zone zone;
	struct error error;
	assert_int_equal(zones_find(zones, SLICE("Europe/Vienna"), &zone, &error), 0);
	assert_int_equal(zone.offset(zone.context, 1774746000), 7200);
	unlink(path);
	assert_int_equal(zones_find(zones, SLICE("Europe/Vienna"), &zone, &error), 0);
	assert_int_equal(zone.offset(zone.context, 1774745999), 3600);
	assert_int_equal(zones_find(zones, SLICE("Europe/Graz"), &zone, &error), ERR_NOT_FOUND);
	assert_non_null(strstr(error.text, "does not know the time zone Europe/Graz"));
	assert_int_equal(zones_find(zones, SLICE("../etc/passwd"), &zone, &error), ERR_NOT_FOUND);
	assert_int_equal(zones_find(zones, SLICE("/etc/localtime"), &zone, &error), ERR_NOT_FOUND);
	assert_int_equal(zones_find(zones, SLICE("Europe"), &zone, &error), ERR_INVALID);
	zones_destroy(zones);
	rmdir(below);
	rmdir(directory);
	mem_free(path);
	mem_free(below);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(zone_is_read_once_by_its_name),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
