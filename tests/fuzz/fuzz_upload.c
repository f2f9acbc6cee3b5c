/* fuzz_upload.c: what a worker reads of uploaded machine code before it is mapped: ELF headers and
 * symbols; and of a mapped one, the tree of what it imports. The first byte says which.
 */
#include <stdlib.h>
#include <string.h>

#include "worker/elf_file.h"
#include "worker/module_tree.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool holds)
{
    if (!holds)
        abort();
}

/* Every symbol lies whole inside the file. */
struct file {
    const char *begin, *end;
};

static bool take(void *context, const char *symbol)
{
    const struct file *file = context;
    must(symbol >= file->begin && symbol + strlen(symbol) < file->end);
    return true;
}

static void read_elf(const uint8_t *bytes, size_t size)
{
    struct file file = { (const char *)bytes, (const char *)bytes + size };
    struct vta_error error = { 0 };
    enum elf_kind kind = ELF_OBJECT;
    int rc = elf_check(bytes, size, "f", &kind, &error);
    must(rc == 0 || (rc == error.code && error.message[0] != '\0' && kind == ELF_NONE));
    if (kind == ELF_LIBRARY)
        elf_undefined(bytes, size, take, &file);
}

static void read_tree(const uint8_t *bytes, size_t size)
{
    struct vta_error error = { 0 };
    struct module_tree tree;
    int rc = module_tree_read(&tree, bytes, size, "f", &error);
    must(rc == 0 || rc == VTA_EFORMAT || rc == VTA_EUNSUPPORTED);
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
    (data[0] == 'e' ? read_elf : read_tree)(bytes, size - 1);
    free(bytes);
    return 0;
}
