/* module_dso.h: modules of machine code: shared libraries, mapped into this process.
 */
#ifndef VTA_WORKER_MODULE_DSO_H
#define VTA_WORKER_MODULE_DSO_H

#include "module.h"

/* What machine code of `module` (its __tvm_module_ctx; NULL: none) finds under a name: the module's
 * own function, one of its imports, or the server's. It lives as long as the module. NULL with
 * *error (VTA_ENOTFOUND). Any thread. */
struct function *module_dso_env(struct module *module, const char *name, struct vta_error *error);

/* Checks the tree of imported modules in a library's __tvm_dev_mblob: only the library itself may
 * be in it. VTA_EFORMAT, or VTA_EUNSUPPORTED naming a kind that only TVM's own runtime loads. */
int module_dso_check_tree(const uint8_t *bytes, uint64_t nbytes, const char *name,
                          struct vta_error *error);

#endif
