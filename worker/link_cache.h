/* link_cache.h: linked libraries kept by content. An entry's name is the digest of everything that
 * went into it; an entry that does not match its own digest, or belongs to somebody else, is
 * removed and never served. Several processes may use a folder at once.
 */
#ifndef VTA_WORKER_LINK_CACHE_H
#define VTA_WORKER_LINK_CACHE_H

#include <stdbool.h>
#include <stdint.h>

#include <vta/error.h>

#define LINK_DIGEST_BYTES 32

/* An open descriptor of a file with the library at its begin and *nbytes of it; -1: there is none.
 * folder: an open descriptor. */
int link_cache_find(int folder, const uint8_t key[LINK_DIGEST_BYTES], uint64_t *nbytes);

/* Keeps the library in `file` under the key, then removes the longest unused entries until all
 * together have at most max_bytes. What goes wrong keeps nothing, and hurts nobody. */
void link_cache_keep(int folder, const uint8_t key[LINK_DIGEST_BYTES], int file, uint64_t nbytes,
                     uint64_t max_bytes);

/* Whether a folder can be trusted: this user's alone to write to. VTA_EIO, VTA_ECONFIG. */
int link_cache_check(const char *path, struct vta_error *error);

#endif
