/* fuzz_params.c: any bytes as a network's parameters, and as what a library brings: the tree of its
 * modules, a graph with parameters among them. The first byte says which. What is read lies inside
 * the bytes.
 */
#include <stdlib.h>
#include <string.h>

#include "worker/graph_params.h"
#include "worker/module_tree.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool holds)
{
    if (!holds)
        abort();
}

static volatile uint8_t sink;

/* All of it is there. */
static void touch(const void *bytes, uint64_t nbytes)
{
    for (uint64_t i = 0; i < nbytes; i++)
        sink = ((const uint8_t *)bytes)[i];
}

static void must_say(int rc, const struct vta_error *error)
{
    must(rc == error->code && error->message[0] != '\0');
}

static void read_params(const uint8_t *bytes, size_t size)
{
    struct vta_error error = { 0 };
    struct graph_params params, names;
    int rc = graph_params_read(bytes, size, &params, &error);
    if (rc != 0) {
        must_say(rc, &error);
        must(params.items == NULL && params.count == 0);
    }
    for (uint32_t i = 0; i < params.count; i++) {
        touch(params.items[i].name.text, params.items[i].name.length);
        touch(params.items[i].shape, 8 * (uint64_t)params.items[i].ndim);
        touch(params.items[i].data, params.items[i].nbytes);
    }
    const uint32_t count = params.count;
    graph_params_clear(&params);
    if (graph_params_read_names(bytes, size, &names, NULL) == 0) {
        must(rc != 0 || names.count == count);
        graph_params_clear(&names);
    } else {
        must(rc != 0);
    }
}

static void read_tree(const uint8_t *bytes, size_t size)
{
    struct vta_error error = { 0 };
    struct module_tree tree;
    int rc = module_tree_read(&tree, bytes, size, "f", &error);
    if (rc != 0) {
        must_say(rc, &error);
        return;
    }
    must(tree.count <= MODULE_TREE_NODES && tree.root < tree.count);
    for (uint32_t i = 0; i < tree.count; i++) {
        const struct module_tree_node *node = &tree.nodes[i];
        must(node->first_child + node->child_count <= MODULE_TREE_CHILDREN);
        for (uint32_t c = 0; c < node->child_count; c++)
            must(tree.children[node->first_child + c] < tree.count);
        if (node->kind != MODULE_TREE_FACTORY)
            continue;
        struct graph_image image;
        struct blob section = node->section;
        must(graph_image_take(&section, &image, &error) == 0 && section.left == 0);
        touch(image.json.text, image.json.length);
        touch(image.name.text, image.name.length);
        graph_params_clear(&image.params);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0)
        return 0;
    /* A copy of its own, so that a step past the end is seen, and alignment is that of a file. */
    uint8_t *bytes = malloc(size - 1 + (size == 1));
    if (bytes == NULL)
        return 0;
    memcpy(bytes, data + 1, size - 1);
    (data[0] == 'p' ? read_params : read_tree)(bytes, size - 1);
    free(bytes);
    return 0;
}
