/* module_format.h: what the writer, the reader and the checker of module files share. Private to
 * the three; docs/MODULE.md is the description. */
#ifndef VTA_PROTO_MODULE_FORMAT_H
#define VTA_PROTO_MODULE_FORMAT_H

#include <vta/module.h>

#define MODULE_FORMAT_NAME "vta-module"

/* Keys, in the order in which they must come. */
enum {
    MODULE_FORMAT_KEY,
    MODULE_VERSION,
    MODULE_HARDWARE,
    MODULE_FUNCTIONS,
    MODULE_DIGEST,
    MODULE_KEYS
};
enum {
    FUNCTION_NAME,
    FUNCTION_PARAMS,
    FUNCTION_INSNS,
    FUNCTION_UOPS,
    FUNCTION_RELOCS,
    FUNCTION_KEYS
};
enum {
    PARAM_NAME,
    PARAM_DTYPE,
    PARAM_SHAPE,
    PARAM_MEMORY,
    PARAM_ACCESS,
    PARAM_KEYS
};
enum {
    HARDWARE_TARGET,
    HARDWARE_VER,
    HARDWARE_LOG,
    HARDWARE_KEYS = HARDWARE_LOG + VTA_HW_KEY_COUNT
};

extern const char *const vta_module_keys[MODULE_KEYS];
extern const char *const vta_function_keys[FUNCTION_KEYS];
extern const char *const vta_param_keys[PARAM_KEYS];
extern const char *const vta_access_names[4]; /* by enum vta_access; [0] is NULL */

/* The file ends with the entry "digest": the key, the header of a bin 8 of 32 bytes, and these. */
#define DIGEST_ENTRY       "\246digest\304\040"
#define DIGEST_ENTRY_BYTES (sizeof DIGEST_ENTRY - 1)
#define MODULE_TAIL_BYTES  (DIGEST_ENTRY_BYTES + VTA_DIGEST_BYTES)

#define RELOC_BYTES 12u /* insn, param, offset: 32 bits each, little-endian */

/* "1025 functions, the limit is 1024" as VTA_ELIMIT where the limit is passed. */
int vta_module_limit(const char *things, uint64_t value, uint64_t limit, struct vta_error *error);

/* What must hold of an image whoever made it: names, types, relocations, counts within limits.
 * Returns 0, VTA_EFORMAT, VTA_ELIMIT or VTA_ENOMEM. */
int vta_module_check(const struct vta_module_image *image, const struct vta_module_limits *limits,
                     struct vta_error *error);

#endif
