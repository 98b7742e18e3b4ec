#include "base/log.h"
#include "base/memory.h"
#include "daemon/config.h"
#include "daemon/host.h"
#include "net/child.h"

#include <stdio.h>

int main(int argc, char **argv)
{
	struct config config;
	struct error error = {0};
	child_shim_main(argc, argv);
	if (config_read(argc, argv, &config, &error) != 0) {
		fprintf(stderr, "clusterd: %s\n", error.text);
		return 2;
	}
	int status = 0;
	if (config.help) {
		struct buffer text = BUFFER_EMPTY;
		config_help(&text);
		fputs(buffer_string(&text), stdout);
		buffer_finish(&text);
	} else if (config.version) {
		puts("clusterd " CLUSTERD_VERSION);
	} else {
		log_set_level(config.log_level);
		if (host_run(&config, &error) != 0) {
			log_write(LOG_ERROR, "node", "%s", error.text);
			status = 1;
		}
	}
	config_finish(&config);
	return status;
}
