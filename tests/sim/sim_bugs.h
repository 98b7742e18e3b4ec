/* Mistakes planted into the program itself, not into its host; sim_bugs.c. */
#ifndef CLUSTERD_SIM_SIM_BUGS_H
#define CLUSTERD_SIM_SIM_BUGS_H

#include "sim/simulation.h"

extern enum sim_plant sim_planted; /* in this process */

#endif
