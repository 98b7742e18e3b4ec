/* A bijection of 64 bits whose every output bit hangs on every input bit (splitmix64's, Steele, Lea, Flood 2014). */
#ifndef CLUSTERD_MEMBERSHIP_MIX_H
#define CLUSTERD_MEMBERSHIP_MIX_H

#include <stdint.h>

static inline uint64_t mix(uint64_t value)
{
	value += 0x9E3779B97F4A7C15u;
	value = (value ^ (value >> 30)) * 0xBF58476D1CE4E5B9u;
	value = (value ^ (value >> 27)) * 0x94D049BB133111EBu;
	return value ^ (value >> 31);
}

#endif
