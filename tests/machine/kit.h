/* kit.h: a worker that loads machine code in this process, and tensors to call it with.
 */
#ifndef VTA_TESTS_MACHINE_KIT_H
#define VTA_TESTS_MACHINE_KIT_H

#include "worker/worker.h"

struct kit {
    struct worker worker;
    struct vta_error error;
    char scratch[64];
    char *log; /* lines that were logged, with newlines; kit_close frees it */
    size_t log_used, log_room;
};

/* threads: of parallel launches. Asserts that it opens. */
void kit_open(struct kit *kit, uint32_t threads);
/* Asserts that nothing is left in the scratch folder but what was uploaded, and no memory. */
void kit_close(struct kit *kit);

/* Writes bytes as a file of the scratch folder; its path, which the caller frees. */
char *kit_upload(struct kit *kit, const char *name, const void *bytes, size_t nbytes);
/* The same with the bytes of a file. */
char *kit_upload_file(struct kit *kit, const char *name, const char *path);
/* A whole file, which the caller frees; asserts that it is there. */
char *kit_read(const char *path, size_t *nbytes);

/* The path of a file that the build made (imitation.o, imitation.so, …), in a static buffer. */
const char *kit_built(const char *name);

/* Uploads and loads; the code, with kit->error. The file is removed again. */
int kit_load(struct kit *kit, const char *name, const void *bytes, size_t nbytes,
             struct module **module);
/* A file that must load. */
struct module *kit_module(struct kit *kit, const char *path);
/* A function that must be there. */
struct function *kit_function(struct module *module, const char *name);

/* Tensors of up to 4 dimensions, compact. */
struct kit_tensor {
    struct tvm_tensor tensor;
    int64_t shape[8];
};
/* int8 and int32 on the processor (the caller's memory) … */
struct kit_tensor kit_tensor(void *data, int bits, int ndim, const int64_t *shape);
/* … and on the device, zeroed; data is freed with the kit's runtime. */
struct kit_tensor kit_device_tensor(struct kit *kit, int bits, int ndim, const int64_t *shape);

/* Calls with one int, and expects an int. */
int64_t kit_int(struct kit *kit, struct module *module, const char *name, int64_t argument);
/* Calls with one int; the code, with kit->error. The result is cleared. */
int kit_fails(struct kit *kit, struct module *module, const char *name, int64_t argument);

/* Calls with tensors; the code, with kit->error. */
int kit_call(struct kit *kit, struct function *function, struct kit_tensor *const *tensors,
             int count, struct result *result);

#endif
