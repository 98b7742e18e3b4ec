/* Seeded random numbers (splitmix64, Steele, Lea, Flood 2014): the same seed, the same sequence. */
#ifndef CLUSTERD_BASE_RANDOM_H
#define CLUSTERD_BASE_RANDOM_H

#include <stdint.h>

struct random {
	uint64_t state;
};

static inline uint64_t random_next(struct random *random)
{
	uint64_t z = random->state += 0x9E3779B97F4A7C15u;
	z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
	z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
	return z ^ (z >> 31);
}

/* Evenly in 0 … bound − 1; bound > 0. */
static inline uint64_t random_below(struct random *random, uint64_t bound)
{
	__extension__ typedef unsigned __int128 wide;
	return (uint64_t)(((wide)random_next(random) * bound) >> 64);
}

#endif
