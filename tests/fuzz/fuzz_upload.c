/* fuzz_upload.c: what a worker reads of an upload before it is loaded: its kind, an archive's
 * members.
 */
#include <stdlib.h>
#include <string.h>

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

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    read_upload(data, size);
    return 0;
}
