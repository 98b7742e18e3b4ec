#include "bench.h"

int bench_starts(struct bench *bench, struct error *error)
{
	(void)bench;
	(void)error;
	return 0;
}
int bench_idle(struct bench *bench, struct error *error)
{
	(void)bench;
	(void)error;
	return 0;
}
void bench_targets(struct bench *bench)
{
	(void)bench;
}
