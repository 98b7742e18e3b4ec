/* The tables, as numbered migrations. */
#ifndef CLUSTERD_CATALOG_SCHEMA_H
#define CLUSTERD_CATALOG_SCHEMA_H

/* "clst" in the file's header: what file(1) and catalog_open know a catalog by. */
#define SCHEMA_APPLICATION_ID 0x636C7374

/* SQL that takes a catalog from schema `version` − 1 to `version`; 1 … CATALOG_SCHEMA_VERSION. */
const char *schema_migration(int version);

#endif
