/* Mistakes planted into the program itself, not into its host; sim_bugs.c. */
#ifndef CLUSTERD_SIM_SIM_BUGS_H
#define CLUSTERD_SIM_SIM_BUGS_H

#include "sim/simulation.h"

struct sim;

extern enum sim_plant sim_planted;
extern struct sim *sim_running; /* of this process */ /* in this process */

#endif
