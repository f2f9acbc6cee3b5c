/* kernels.c: which kernel set serves a board, and what the sets share. */
#include "kernels.h"

#include <stdlib.h>
#include <string.h>

#include "suggest.h"

extern const struct vta_kernels vta_kernels_portable;
#ifdef VTA_HAVE_X86
extern const struct vta_kernels vta_kernels_vnni, vta_kernels_avx2;
#endif
#ifdef VTA_HAVE_NEON
extern const struct vta_kernels vta_kernels_neon;
#endif

/* Best first; portable serves everything and is last. */
static const struct vta_kernels *const sets[] = {
#ifdef VTA_HAVE_X86
    &vta_kernels_vnni,
    &vta_kernels_avx2,
#endif
#ifdef VTA_HAVE_NEON
    &vta_kernels_neon,
#endif
    &vta_kernels_portable,
};

#define SET_COUNT (sizeof(sets) / sizeof(sets[0]))

static const struct vta_kernels *forced;

const struct vta_kernels *const *vta_kernels_all(size_t *count)
{
    *count = SET_COUNT;
    return sets;
}

static const struct vta_kernels *find(const char *name)
{
    for (size_t i = 0; i < SET_COUNT; i++)
        if (strcmp(sets[i]->name, name) == 0)
            return sets[i];
    return NULL;
}

/* Every name that some build knows, so that configurations mean the same everywhere. */
static const char *const known[] = { "vnni", "avx2", "neon", "portable" };
#define KNOWN_COUNT (sizeof(known) / sizeof(known[0]))

int vta_kernels_check(const char *name, struct vta_error *error)
{
    bool is_known = false;
    const struct vta_kernels *set = find(name);
    if (set != NULL && set->usable())
        return 0;
    for (size_t i = 0; i < KNOWN_COUNT; i++)
        is_known = is_known || strcmp(known[i], name) == 0;
    if (is_known)
        return vta_error_set(error, VTA_EUNSUPPORTED,
                             "this processor lacks what the kernel set '%s' needs", name);
    const char *near = vta_suggest(name, known, KNOWN_COUNT);
    return vta_error_set(error, VTA_EINVAL, "no kernel set is called '%s'%s%s%s", name,
                         near != NULL ? "; did you mean '" : "", near != NULL ? near : "",
                         near != NULL ? "'?" : "");
}

int vta_kernels_force(const char *name, struct vta_error *error)
{
    int rc = name != NULL ? vta_kernels_check(name, error) : 0;
    if (rc == 0)
        forced = name != NULL ? find(name) : NULL;
    return rc;
}

const struct vta_kernels *vta_kernels_choose(const struct vta_hw *hw)
{
    const struct vta_kernels *named = forced;
    const char *name = getenv("VTA_KERNELS");
    if (named == NULL && name != NULL && name[0] != '\0') {
        named = find(name);
        named = named != NULL ? named : &vta_kernels_portable; /* not a set of this build */
    }
    for (size_t i = 0; i < SET_COUNT; i++) {
        if (named != NULL && sets[i] != named && sets[i] != &vta_kernels_portable)
            continue;
        if (sets[i]->usable() && sets[i]->supports(hw))
            return sets[i];
    }
    return &vta_kernels_portable;
}

void vta_unpack_one(int8_t *to, const uint8_t *from, size_t index, uint32_t bits)
{
    uint32_t per_byte = 8 / bits;
    uint32_t value = (uint32_t)from[index / per_byte] >> (index % per_byte * bits);
    uint32_t sign = UINT32_C(1) << (bits - 1);
    value &= (sign << 1) - 1;
    *to = (int8_t)((int32_t)(value ^ sign) - (int32_t)sign);
}

void vta_unpack_int8(int8_t *to, const uint8_t *from, size_t count, uint32_t bits)
{
    if (bits == 8) {
        memcpy(to, from, count);
        return;
    }
    for (size_t i = 0; i < count; i++)
        vta_unpack_one(to + i, from, i, bits);
}
