/* module.h: loaded modules: machine code that a client uploaded, found by symbol name; and what
 * they import.
 *
 * The session loads through struct module_loader, and a module finds its functions through its
 * ops, so that tests and fuzz targets can put others in their place that map nothing. Machine code
 * is module_code_loader's.
 */
#ifndef VTA_WORKER_MODULE_H
#define VTA_WORKER_MODULE_H

#include "function.h"

struct module;

struct module_ops {
    /* The module's own function of this name, or NULL: none (no error). A reference is the
     * caller's; a function holds its module. */
    struct function *(*find)(struct module *module, const char *name);
    void (*free)(struct module *module); /* at the last release; its imports go after it */
};

/* The head of every kind of module; made with one reference. */
struct module {
    const struct module_ops *ops;
    struct worker *worker;
    unsigned references;
    struct module **imports; /* a reference each; owned */
    uint32_t import_count;
};

struct module *module_hold(struct module *module);
void module_release(struct module *module); /* NULL is allowed; unmapped at the last release */

/* The module's own function or, with imports, one of what it imported, depth first.
 * NULL: none (no error). "__tvm_main__" names the default kernel. A reference is the caller's; a
 * function holds its module. */
struct function *module_find(struct module *module, const char *name, bool imports);

/* VTA_EINVAL where it would import itself, directly or not; VTA_ELIMIT beyond 256. */
int module_import(struct module *module, struct module *imported, struct vta_error *error);

struct module_loader {
    /* path: a file in the scratch folder, checked by files.c; .o, .tar (also gzip) and .so, told by
     * content. Fails as upload_read and cpu_ops.load do. */
    int (*load)(struct worker *worker, const char *path, struct module **module,
                struct vta_error *error);
};

/* The real one: upload.h, image.h, cpu.h. */
extern const struct module_loader module_code_loader;

#endif
