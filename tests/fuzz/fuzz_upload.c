/* fuzz_upload.c: what a worker reads of an upload before it is loaded: its kind, an archive's
 * members; and of loaded code, the tree of what it imports. The first byte says which.
 */
#include <stdlib.h>
#include <string.h>

#include "worker/module_tree.h"
#include "worker/upload.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool holds)
{
    if (!holds)
        abort();
}

/* As one upload: an archive is unpacked. What is in the files is for fuzz_object and fuzz_library.
 */
static void read_upload(const uint8_t *bytes, size_t size)
{
    struct vta_error error = { 0 };
    struct upload upload;
    uint8_t *copy = malloc(size + 1);
    if (copy == NULL)
        return;
    memcpy(copy, bytes, size);
    int rc = upload_take(&upload, "f", copy, size, 1u << 20, &error);
    must(rc == 0 ? upload.count > 0 : rc == error.code && error.message[0] != '\0');
    if (rc == 0)
        upload_clear(&upload);
}

static void read_tree(const uint8_t *bytes, size_t size)
{
    struct vta_error error = { 0 };
    struct module_tree tree;
    int rc = module_tree_read(&tree, bytes, size, "f", &error);
    must(rc == 0 || rc == VTA_EFORMAT || rc == VTA_EUNSUPPORTED || rc == VTA_ELIMIT);
    must(rc == error.code);
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
    (data[0] == 'e' ? read_upload : read_tree)(bytes, size - 1);
    free(bytes);
    return 0;
}
