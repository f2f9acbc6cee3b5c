/* module_tree.h: the modules that a compiled library brings in its __tvm_dev_mblob, and which
 * imports which.
 *
 * Reading is pure; module_tree_modules makes the modules.
 */
#ifndef VTA_WORKER_MODULE_TREE_H
#define VTA_WORKER_MODULE_TREE_H

#include "blob.h"
#include "module.h"

#define MODULE_TREE_NODES    64u
#define MODULE_TREE_CHILDREN 256u

enum module_tree_kind {
    MODULE_TREE_LIBRARY,  /* "_lib": the library itself */
    MODULE_TREE_FACTORY,  /* "GraphExecutorFactory": a graph and its parameters */
    MODULE_TREE_CONSTANTS /* "const_loader": has nothing of its own for kernels of VTA */
};

struct module_tree_node {
    enum module_tree_kind kind;
    struct blob section; /* what belongs to it, inside the bytes that were read */
    uint32_t first_child, child_count;
};

struct module_tree {
    struct module_tree_node nodes[MODULE_TREE_NODES]; /* exactly one is the library */
    uint32_t count;
    uint32_t children[MODULE_TREE_CHILDREN]; /* nodes */
    uint32_t root;
};

/* name: the library's, for messages. VTA_EFORMAT, VTA_ELIMIT, or VTA_EUNSUPPORTED naming a kind of
 * module that only TVM's own runtime loads. */
int module_tree_read(struct module_tree *tree, const uint8_t *bytes, uint64_t nbytes,
                     const char *name, struct vta_error *error);

/* The root, with one reference; the others are its imports, or gone. library: the module of the
 * library itself, of which no reference is taken over. Fails as module_import does. */
int module_tree_modules(const struct module_tree *tree, struct module *library,
                        struct module **root, struct vta_error *error);

#endif
