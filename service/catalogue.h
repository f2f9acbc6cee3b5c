/* catalogue.h: modules by name as a client sees them: the session's own first, then the store's.
 * Private to service/.
 */
#ifndef VTA_SERVICE_CATALOGUE_H
#define VTA_SERVICE_CATALOGUE_H

#include "request.h"
#include "store.h"

/* The store as the session's options describe it. Only where options.store is set. */
struct vta_store vta_catalogue_store(const struct vta_service *service);

/* A module's bytes, [offset, offset + *nbytes) (or all after offset for UINT64_MAX), at most max.
 * They belong to the session (shelf or scratch) and stay until the next call. */
int vta_catalogue_bytes(struct vta_request *request, const char *name, uint64_t offset,
                        uint64_t max, const uint8_t **bytes, uint64_t *nbytes);

/* What module.stat says. */
struct vta_catalogue_entry {
    uint64_t nbytes;
    uint8_t digest[VTA_DIGEST_BYTES];
    bool stored; /* the store has a module of this name */
};
int vta_catalogue_stat(struct vta_request *request, const char *name,
                       struct vta_catalogue_entry *entry);

void vta_catalogue_pack(struct vta_request *request, const char *name,
                        const struct vta_catalogue_entry *entry, bool with_stored);

#endif
