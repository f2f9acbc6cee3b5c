/* workspace.c: temporary memory of kernels (workspace.h).
 *
 * Kernels free in the reverse order, and ask for the same few sizes: so both lists are looked
 * through from their ends, and a free block serves a request that it fits without waste.
 */
#include "workspace.h"

#include <inttypes.h>
#include <pthread.h>
#include <stdlib.h>

#define PAGE      4096u
#define FREE_MOST 64u /* blocks that wait in the pool */

struct block {
    void *data;      /* owned */
    uint64_t nbytes; /* whole pages */
};

struct blocks {
    struct block *all;
    uint32_t count, capacity;
};

static struct {
    pthread_mutex_t lock;
    struct blocks used, free;
    struct blocks device; /* in use on ext_dev; their bytes are not known here */
} pool = { .lock = PTHREAD_MUTEX_INITIALIZER };

static bool add(struct blocks *blocks, struct block block)
{
    if (blocks->count == blocks->capacity) {
        uint32_t capacity = blocks->capacity == 0 ? 16 : blocks->capacity * 2;
        struct block *all = realloc(blocks->all, capacity * sizeof *all);
        if (all == NULL)
            return false;
        blocks->all = all;
        blocks->capacity = capacity;
    }
    blocks->all[blocks->count++] = block;
    return true;
}

static struct block take(struct blocks *blocks, uint32_t index)
{
    struct block block = blocks->all[index];
    for (uint32_t i = index + 1; i < blocks->count; i++)
        blocks->all[i - 1] = blocks->all[i];
    blocks->count--;
    return block;
}

static void give_back(struct worker *worker, struct block block)
{
    worker_release(worker, block.data, NULL);
}

static void drop_free(struct worker *worker)
{
    while (pool.free.count > 0)
        give_back(worker, take(&pool.free, pool.free.count - 1));
}

/* ---- The processor's ----------------------------------------------------------------------- */

/* A free block of this size, up to twice as large. */
static bool reuse(uint64_t nbytes, struct block *block)
{
    for (uint32_t i = pool.free.count; i-- > 0;) {
        if (pool.free.all[i].nbytes >= nbytes && pool.free.all[i].nbytes / 2 <= nbytes) {
            *block = take(&pool.free, i);
            return true;
        }
    }
    return false;
}

static int make(struct worker *worker, uint64_t nbytes, struct block *block,
                struct vta_error *error)
{
    void *data = worker_alloc(worker, nbytes, error);
    if (data == NULL && pool.free.count > 0) {
        drop_free(worker);
        data = worker_alloc(worker, nbytes, error);
    }
    *block = (struct block){ .data = data, .nbytes = nbytes };
    return data != NULL ? 0 : error->code;
}

static void *cpu_alloc(struct worker *worker, uint64_t nbytes, struct vta_error *error)
{
    struct block block;
    if (nbytes > UINT64_MAX - PAGE) {
        vta_error_set(error, VTA_ELIMIT, "a workspace of %" PRIu64 " bytes", nbytes);
        return NULL;
    }
    nbytes = (nbytes / PAGE + (nbytes % PAGE != 0 || nbytes == 0)) * PAGE;
    if (!reuse(nbytes, &block) && make(worker, nbytes, &block, error) != 0)
        return NULL;
    if (add(&pool.used, block))
        return block.data;
    give_back(worker, block);
    vta_error_set(error, VTA_ENOMEM, "no memory for a workspace");
    return NULL;
}

static int cpu_free(struct worker *worker, void *workspace, struct vta_error *error)
{
    for (uint32_t i = pool.used.count; i-- > 0;) {
        if (pool.used.all[i].data != workspace)
            continue;
        struct block block = take(&pool.used, i);
        if (pool.free.count == FREE_MOST)
            give_back(worker, take(&pool.free, 0));
        if (!add(&pool.free, block))
            give_back(worker, block);
        return 0;
    }
    return vta_error_set(error, VTA_EHANDLE, "a workspace is freed that was never allocated");
}

static int device_free(struct worker *worker, void *workspace, struct vta_error *error)
{
    for (uint32_t i = pool.device.count; i-- > 0;) {
        if (pool.device.all[i].data == workspace) {
            take(&pool.device, i);
            break;
        }
    }
    return vta_runtime_release(worker->runtime, workspace, error);
}

/* ---- Both ---------------------------------------------------------------------------------- */

static int refuse_device(int device_type, struct vta_error *error)
{
    return vta_error_set(error, VTA_EINVAL,
                         "a workspace on device type %d, there are %d (cpu) and %d (ext_dev)",
                         device_type, TVM_CPU, TVM_EXT_DEV);
}

void *workspace_alloc(struct worker *worker, int device_type, uint64_t nbytes,
                      struct vta_error *error)
{
    void *workspace = NULL;
    pthread_mutex_lock(&pool.lock);
    if (device_type == TVM_CPU) {
        workspace = cpu_alloc(worker, nbytes, error);
    } else if (device_type == TVM_EXT_DEV) {
        struct vta_runtime *runtime = worker_runtime(worker, error);
        if (runtime != NULL)
            workspace = vta_runtime_alloc(runtime, nbytes == 0 ? 1 : nbytes, error);
        if (workspace != NULL && !add(&pool.device, (struct block){ .data = workspace })) {
            vta_runtime_release(runtime, workspace, NULL);
            workspace = NULL;
            vta_error_set(error, VTA_ENOMEM, "no memory for a workspace");
        }
    } else {
        refuse_device(device_type, error);
    }
    pthread_mutex_unlock(&pool.lock);
    return workspace;
}

int workspace_free(struct worker *worker, int device_type, void *workspace, struct vta_error *error)
{
    int rc;
    pthread_mutex_lock(&pool.lock);
    if (device_type == TVM_CPU)
        rc = cpu_free(worker, workspace, error);
    else if (device_type == TVM_EXT_DEV && worker->runtime != NULL)
        rc = device_free(worker, workspace, error);
    else
        rc = refuse_device(device_type, error);
    pthread_mutex_unlock(&pool.lock);
    return rc;
}

struct workspace_mark workspace_mark(void)
{
    pthread_mutex_lock(&pool.lock);
    const struct workspace_mark mark = { pool.used.count, pool.device.count };
    pthread_mutex_unlock(&pool.lock);
    return mark;
}

void workspace_free_since(struct worker *worker, struct workspace_mark mark)
{
    pthread_mutex_lock(&pool.lock);
    while (pool.used.count > mark.cpu)
        give_back(worker, take(&pool.used, pool.used.count - 1));
    while (pool.device.count > mark.device)
        device_free(worker, pool.device.all[pool.device.count - 1].data, NULL);
    pthread_mutex_unlock(&pool.lock);
}

static void clear(struct worker *worker, struct blocks *blocks)
{
    while (blocks->count > 0)
        give_back(worker, take(blocks, blocks->count - 1));
    free(blocks->all);
    *blocks = (struct blocks){ 0 };
}

void workspace_clear(struct worker *worker)
{
    pthread_mutex_lock(&pool.lock);
    clear(worker, &pool.used);
    clear(worker, &pool.free);
    free(pool.device.all); /* the runtime has the buffers */
    pool.device = (struct blocks){ 0 };
    pthread_mutex_unlock(&pool.lock);
}
