/* loaded.h: loaded modules: verified programs, ready to run, and the functions a client got.
 *
 * Independent of the bytes they came from: a module that is replaced or removed while it is loaded
 * stays as it was. Knows no protocol.
 */
#ifndef VTA_SERVICE_LOADED_H
#define VTA_SERVICE_LOADED_H

#include "core/handles.h"
#include "core/hazard.h"
#include "core/program.h"

#include <vta/module.h>

struct vta_loaded;

struct vta_loaded_function {
    const struct vta_loaded *module;
    const struct vta_kernel *kernel; /* name, parameters and counts; its streams are released */
    struct vta_program *program;     /* verified; owned by the module */
    vta_handle handle;               /* 0 until a client asked for it */
};

struct vta_loaded {
    char *name;      /* of the file it came from; owned */
    uint64_t nbytes; /* of that file */
    struct vta_module_image image;
    struct vta_loaded_function *functions; /* image.kernel_count of them; owned */
    vta_handle handle;
};

struct vta_loaded_set {
    struct vta_handles modules;   /* of struct vta_loaded */
    struct vta_handles functions; /* of struct vta_loaded_function; owned by their modules */
    uint64_t bytes, bytes_limit;  /* of the files of all loaded modules */
};

void vta_loaded_init(struct vta_loaded_set *set, uint32_t max_modules, uint32_t max_functions,
                     uint64_t bytes_limit);
void vta_loaded_clear(struct vta_loaded_set *set);

/* What modules are held against. */
struct vta_loading {
    const struct vta_module_limits *limits; /* of a file */
    const struct vta_hw *hw;                /* of the board */
    uint64_t max_work;
    enum vta_hazard_policy hazards;
    bool strict_board;
    struct vta_control *control; /* ends it; one budget for all functions together */
};

/* Decodes a module file, compares its hardware configuration with the board's, verifies every
 * function and, by the policy, looks for hazards: program->hazards then. Functions are verified
 * before any hazard is looked for, so that what the budget no longer allows is the search. The
 * bytes are not kept. Messages open with the module's name and, where it is about one, the
 * function's. */
int vta_loaded_add(struct vta_loaded_set *set, const char *name, const uint8_t *bytes,
                   size_t nbytes, const struct vta_loading *loading, struct vta_loaded **loaded,
                   struct vta_error *error);

/* Its handle, and those of its functions, are stale from then on. */
int vta_loaded_remove(struct vta_loaded_set *set, vta_handle handle, struct vta_error *error);

/* The function of this name, with a handle, which stays the same when asked again. */
int vta_loaded_function(struct vta_loaded_set *set, vta_handle module, const char *name,
                        struct vta_loaded_function **function, struct vta_error *error);

#endif
