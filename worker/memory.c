/* memory.c: memory of a device, with references. */
#include "memory.h"

#include <inttypes.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/mman.h>

#include "worker.h"

#define HUGE_BYTES (UINT64_C(4) << 20)

/* Guards the list and the references: machine code frees tensors on any of its threads. */
static struct {
    pthread_mutex_t lock;
    struct memory *first;
} all = { .lock = PTHREAD_MUTEX_INITIALIZER };

/* Memory that will be filled by a copy is faulted in by 2 MiB rather than by page, where it is
 * large enough: a first copy is then as fast as the next. Only advice. */
static void prefer_huge_pages(void *bytes, uint64_t nbytes)
{
    if (nbytes >= HUGE_BYTES)
        (void)madvise(bytes, nbytes, MADV_HUGEPAGE);
}

static void *take(struct worker *worker, struct tvm_device device, uint64_t nbytes,
                  struct vta_error *error)
{
    if (device.type == TVM_CPU)
        return worker_alloc(worker, nbytes, error);
    if (device.type != TVM_EXT_DEV) {
        vta_error_set(error, VTA_EINVAL, "device type %" PRId32 " has no memory", device.type);
        return NULL;
    }
    struct vta_runtime *runtime = worker_runtime(worker, error);
    return runtime == NULL ? NULL : vta_runtime_alloc(runtime, nbytes, error);
}

struct memory *memory_new(struct worker *worker, struct tvm_device device, uint64_t nbytes,
                          struct vta_error *error)
{
    struct memory *memory = malloc(sizeof *memory);
    if (memory == NULL) {
        vta_error_set(error, VTA_ENOMEM, "no memory for an allocation");
        return NULL;
    }
    *memory =
        (struct memory){ .worker = worker, .device = device, .nbytes = nbytes, .references = 1 };
    if (nbytes > 0) {
        memory->bytes = take(worker, device, nbytes, error);
        if (memory->bytes == NULL) {
            free(memory);
            return NULL;
        }
        prefer_huge_pages(memory->bytes, nbytes);
    }
    pthread_mutex_lock(&all.lock);
    memory->next = all.first;
    if (memory->next != NULL)
        memory->next->link = &memory->next;
    memory->link = &all.first;
    all.first = memory;
    pthread_mutex_unlock(&all.lock);
    return memory;
}

struct memory *memory_hold(struct memory *memory)
{
    pthread_mutex_lock(&all.lock);
    memory->references++;
    pthread_mutex_unlock(&all.lock);
    return memory;
}

void memory_release(struct memory *memory)
{
    if (memory == NULL)
        return;
    pthread_mutex_lock(&all.lock);
    const bool last = --memory->references == 0;
    if (last) {
        *memory->link = memory->next;
        if (memory->next != NULL)
            memory->next->link = memory->link;
    }
    pthread_mutex_unlock(&all.lock);
    if (!last)
        return;
    if (memory->bytes != NULL && memory->device.type == TVM_CPU)
        worker_release(memory->worker, memory->bytes, NULL);
    else if (memory->bytes != NULL)
        vta_runtime_release(memory->worker->runtime, memory->bytes, NULL);
    free(memory);
}

struct memory *memory_find(const struct worker *worker, const void *pointer)
{
    pthread_mutex_lock(&all.lock);
    struct memory *memory = all.first;
    while (memory != NULL &&
           (memory->worker != worker || (uintptr_t)pointer < (uintptr_t)memory->bytes ||
            (uintptr_t)pointer - (uintptr_t)memory->bytes >= memory->nbytes))
        memory = memory->next;
    pthread_mutex_unlock(&all.lock);
    return memory;
}
