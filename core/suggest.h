/* suggest.h: the nearest known name, for "unknown key 'LOG_BACH': did you mean 'LOG_BATCH'?". */
#ifndef VTA_CORE_SUGGEST_H
#define VTA_CORE_SUGGEST_H

#include <stddef.h>

/* The candidate with the smallest edit distance to `name`, letter case aside, or NULL where none
 * is near (more than a third of the letters differ). */
const char *vta_suggest(const char *name, const char *const *candidates, size_t count);

#endif
