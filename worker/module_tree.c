/* module_tree.c: the serialised tree of modules in a compiled library.
 *
 * u64 count, then as often: a kind (u64 length, bytes) and what belongs to it. "_lib" is the
 * library itself and has nothing more; "_import_tree" has two arrays (u64 length, u64 each): where
 * each module's children begin, and the children. Module 0 is the root. Without a tree, as in old
 * libraries, the library imports all others. A kind that is not known here is in a form that only
 * its own loader knows, so that nothing behind it can be read.
 */
#include "module_tree.h"

#include <inttypes.h>
#include <stdlib.h>

#include "graph_factory.h"
#include "graph_params.h"

#define KIND_TEXT 64

struct array {
    const uint8_t *values; /* u64 each, not aligned */
    uint64_t count;
};

static bool read_array(struct blob *blob, struct array *array)
{
    return blob_u64(blob, &array->count) &&
           blob_span(blob, array->count, sizeof(uint64_t), &array->values);
}

static uint64_t value_at(const struct array *array, uint64_t index)
{
    uint64_t value;
    memcpy(&value, array->values + index * sizeof value, sizeof value);
    return value;
}

static int damaged(const char *name, const char *what, struct vta_error *error)
{
    return vta_error_set(error, VTA_EFORMAT, "%s: __tvm_dev_mblob: %s", name, what);
}

/* ---- Modules ------------------------------------------------------------------------------- */

/* One kind and its name; the name is cut to what a message needs. */
static bool read_kind(struct blob *blob, char kind[KIND_TEXT])
{
    struct blob_text text;
    if (!blob_text(blob, &text))
        return false;
    const size_t kept = text.length < KIND_TEXT - 1 ? (size_t)text.length : KIND_TEXT - 1;
    memcpy(kind, text.text, kept);
    kind[kept] = '\0';
    return true;
}

static int skip_factory(struct blob *blob, struct vta_error *error)
{
    struct graph_image image;
    int rc = graph_image_take(blob, &image, error);
    if (rc == 0)
        graph_params_clear(&image.params);
    return rc;
}

/* Names and tensors, then functions of other code generators and the names that each wants. For
 * VTA's kernels, which have their constants with them, all of these are empty. */
static int skip_constants(struct blob *blob, struct vta_error *error)
{
    struct graph_params constants, functions = { 0 };
    uint64_t count;
    int rc = graph_params_take_names(blob, &constants, error);
    if (rc == 0 && (!blob_u64(blob, &count) || count != constants.count))
        rc = vta_error_set(error, VTA_EFORMAT, "constants: not as many tensors as names");
    if (rc == 0)
        rc = graph_params_take_tensors(blob, &constants, error);
    if (rc == 0)
        rc = graph_params_take_names(blob, &functions, error);
    if (rc == 0 && functions.count > 0)
        rc = vta_error_set(error, VTA_EUNSUPPORTED,
                           "it brings constants for %.*s, which another code generator made",
                           blob_text_width(&functions.items[0].name), functions.items[0].name.text);
    if (rc == 0 && (!blob_u64(blob, &count) || count != 0))
        rc = vta_error_set(error, VTA_EFORMAT, "constants: wanted by nobody");
    graph_params_clear(&constants);
    graph_params_clear(&functions);
    return rc;
}

static int read_module(struct module_tree *tree, const char *kind, struct blob *blob,
                       const char *name, struct vta_error *error)
{
    if (tree->count == MODULE_TREE_NODES)
        return vta_error_limit(error, VTA_ELIMIT, MODULE_TREE_NODES, MODULE_TREE_NODES + 1,
                               "%s: more than %u modules in it", name, MODULE_TREE_NODES);
    struct module_tree_node *node = &tree->nodes[tree->count++];
    *node = (struct module_tree_node){ .kind = MODULE_TREE_LIBRARY, .section = *blob };
    if (strcmp(kind, "_lib") == 0)
        return 0;
    int rc;
    if (strcmp(kind, "GraphExecutorFactory") == 0 || strcmp(kind, "GraphRuntimeFactory") == 0) {
        node->kind = MODULE_TREE_FACTORY;
        rc = skip_factory(blob, error);
    } else if (strcmp(kind, "const_loader") == 0 || strcmp(kind, "metadata") == 0) {
        node->kind = MODULE_TREE_CONSTANTS;
        rc = skip_constants(blob, error);
    } else {
        return vta_error_set(error, VTA_EUNSUPPORTED,
                             "%s: it imports a module of kind '%s', which only TVM's own runtime "
                             "can load",
                             name, kind);
    }
    node->section.left -= blob->left;
    if (rc != 0)
        vta_error_prefix(error, "%s: __tvm_dev_mblob", name);
    return rc;
}

/* ---- The tree ------------------------------------------------------------------------------ */

/* Rows of children of every module. */
static int take_rows(struct module_tree *tree, const struct array *rows,
                     const struct array *children, const char *name, struct vta_error *error)
{
    if (rows->count != (uint64_t)tree->count + 1)
        return damaged(name, "the tree has another number of modules than the library", error);
    if (children->count > MODULE_TREE_CHILDREN)
        return damaged(name, "the tree has too many imports", error);
    for (uint32_t i = 0; i < tree->count; i++) {
        const uint64_t begin = value_at(rows, i), end = value_at(rows, (uint64_t)i + 1);
        if (begin > end || end > children->count)
            return damaged(name, "a row of the tree lies outside it", error);
        tree->nodes[i].first_child = (uint32_t)begin;
        tree->nodes[i].child_count = (uint32_t)(end - begin);
    }
    for (uint32_t i = 0; i < children->count; i++) {
        const uint64_t child = value_at(children, i);
        if (child >= tree->count)
            return damaged(name, "a child that is not there", error);
        tree->children[i] = (uint32_t)child;
    }
    tree->root = 0;
    return 0;
}

/* The library, which is added if it is not there yet, imports all others. */
static int import_all(struct module_tree *tree, const char *name, struct vta_error *error)
{
    uint32_t root = 0;
    while (root < tree->count && tree->nodes[root].kind != MODULE_TREE_LIBRARY)
        root++;
    if (root == tree->count) {
        struct blob none = { 0 };
        int rc = read_module(tree, "_lib", &none, name, error);
        if (rc != 0)
            return rc;
    }
    struct module_tree_node *library = &tree->nodes[root];
    for (uint32_t i = 0; i < tree->count; i++)
        if (i != root)
            tree->children[library->child_count++] = i;
    tree->root = root;
    return 0;
}

static int check_libraries(const struct module_tree *tree, const char *name,
                           struct vta_error *error)
{
    uint32_t libraries = 0;
    for (uint32_t i = 0; i < tree->count; i++)
        libraries += tree->nodes[i].kind == MODULE_TREE_LIBRARY;
    return libraries == 1 ? 0 : damaged(name, "the library is not in its tree once", error);
}

int module_tree_read(struct module_tree *tree, const uint8_t *bytes, uint64_t nbytes,
                     const char *name, struct vta_error *error)
{
    struct blob blob = { bytes, nbytes };
    struct array rows = { 0 }, children = { 0 };
    uint64_t count;
    int rc = 0;
    tree->count = 0;
    if (!blob_u64(&blob, &count))
        return damaged(name, "it ends before its number of modules", error);
    for (uint64_t i = 0; i < count && rc == 0; i++) {
        char kind[KIND_TEXT];
        if (!read_kind(&blob, kind))
            return damaged(name, "it ends inside the kind of a module", error);
        if (strcmp(kind, "_import_tree") != 0)
            rc = read_module(tree, kind, &blob, name, error);
        else if (!read_array(&blob, &rows) || !read_array(&blob, &children))
            return damaged(name, "it ends inside its tree", error);
    }
    if (rc == 0)
        rc = rows.count > 0 ? take_rows(tree, &rows, &children, name, error)
                            : import_all(tree, name, error);
    return rc == 0 ? check_libraries(tree, name, error) : rc;
}

/* ---- As modules ---------------------------------------------------------------------------- */

/* What has nothing of its own answers for what it imports; not for another of its kind, so that
 * the ways through a tree are not counted out here. */
static struct function *constants_find(struct module *module, const char *name)
{
    struct function *found = NULL;
    for (uint32_t i = 0; found == NULL && i < module->import_count; i++)
        if (module->imports[i]->ops != module->ops)
            found = module->imports[i]->ops->find(module->imports[i], name);
    return found;
}

static void constants_free(struct module *module)
{
    free(module);
}

static const struct module_ops constants_ops = { .find = constants_find, .free = constants_free };

static struct module *make_module(const struct module_tree_node *node, struct module *library,
                                  struct vta_error *error)
{
    if (node->kind == MODULE_TREE_LIBRARY)
        return module_hold(library);
    if (node->kind == MODULE_TREE_FACTORY)
        return graph_factory_new(library->worker, &node->section, error);
    struct module *module = malloc(sizeof *module);
    if (module == NULL)
        vta_error_set(error, VTA_ENOMEM, "no memory for a module");
    else
        *module =
            (struct module){ .ops = &constants_ops, .worker = library->worker, .references = 1 };
    return module;
}

int module_tree_modules(const struct module_tree *tree, struct module *library,
                        struct module **root, struct vta_error *error)
{
    struct module *modules[MODULE_TREE_NODES] = { NULL };
    int rc = 0;
    for (uint32_t i = 0; i < tree->count && rc == 0; i++) {
        modules[i] = make_module(&tree->nodes[i], library, error);
        rc = modules[i] == NULL ? error->code : 0;
    }
    for (uint32_t i = 0; i < tree->count && rc == 0; i++) {
        const struct module_tree_node *node = &tree->nodes[i];
        for (uint32_t c = 0; c < node->child_count && rc == 0; c++)
            rc = module_import(modules[i], modules[tree->children[node->first_child + c]], error);
    }
    if (rc == 0)
        *root = module_hold(modules[tree->root]);
    for (uint32_t i = 0; i < tree->count; i++)
        module_release(modules[i]);
    return rc;
}
