/* module_code.h: modules of machine code, for this processor or an emulated one.
 */
#ifndef VTA_WORKER_MODULE_CODE_H
#define VTA_WORKER_MODULE_CODE_H

#include "module.h"

/* What machine code of `module` (its __tvm_module_ctx; NULL: none) finds under a name: the module's
 * own function, one of its imports, or the server's. It lives as long as the module. NULL with
 * *error (VTA_ENOTFOUND). Any thread. */
struct function *module_code_env(struct module *module, const char *name, struct vta_error *error);

#endif
