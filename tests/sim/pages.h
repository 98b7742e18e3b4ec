/* The size of the pages of catalogs that this process makes. */
#ifndef CLUSTERD_SIM_PAGES_H
#define CLUSTERD_SIM_PAGES_H

/* From now on; a power of two from 512 on. */
void pages_set_size(unsigned int size);

#endif
