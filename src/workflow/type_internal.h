/* What type.c, type_equal.c and type_accept.c share. */
#ifndef CLUSTERD_WORKFLOW_TYPE_INTERNAL_H
#define CLUSTERD_WORKFLOW_TYPE_INTERNAL_H

#include "workflow/type.h"

/* As type_print, but after `size` bytes it ends with "…". */
void type_print_cut(const struct type *type, size_t size, struct buffer *out);
/* The members of a record or choice, ordered by name; released with mem_free. */
const struct type_member **type_sorted_members(const struct type *type);

#endif
