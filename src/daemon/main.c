#include "base/log.h"
#include "base/memory.h"
#include "daemon/config.h"
#include "daemon/host.h"
#include "daemon/salvage.h"
#include "net/child.h"
#include "net/supervisor.h"

#include <inttypes.h>
#include <stdio.h>

static int failed(const struct error *error)
{
	log_write(LOG_ERROR, "node", "%s", error->text);
	return 1;
}

static int run(struct config *config)
{
	struct error error = {0};
	return host_run(config, &error) != 0 ? failed(&error) : 0;
}

static int write_salvage(const struct config *config)
{
	struct error error = {0};
	struct salvaged salvaged;
	if (salvage(config->data_dir, config->salvage, &salvaged, &error) != 0)
		return failed(&error);
	printf("entry %" PRIu64 " of term %" PRIu64 " is the last one in %s\n", salvaged.index, salvaged.term, config->salvage);
	return 0;
}

int main(int argc, char **argv)
{
	struct config config;
	struct error error = {0};
	child_shim_main(argc, argv);
	supervisor_main(argc, argv);
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
		status = config.salvage != NULL ? write_salvage(&config) : run(&config);
	}
	config_finish(&config);
	return status;
}
