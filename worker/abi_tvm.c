/* abi_tvm.c: TVM's backend under the names that machine code calls (abi_calls.h).
 *
 * A function that fails returns -1, or NULL, and sets the calling thread's last error. What these
 * functions are given comes from code that could do anything in this process anyway: they check
 * what a mistake would get wrong, not what malice would.
 */
#include <inttypes.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "abi_calls.h"
#include "abi_state.h"
#include "memory.h"
#include "module_code.h"
#include "parallel.h"
#include "worker.h"
#include "workspace.h"

/* ---- Errors -------------------------------------------------------------------------------- */

static _Thread_local struct {
    bool set;
    char message[VTA_ERROR_TEXT];
} last;

void TVMAPISetLastError(const char *message)
{
    /* The message may be the last error itself. */
    const char *text = message != NULL ? message : "";
    const size_t length = strnlen(text, sizeof last.message - 1);
    memmove(last.message, text, length);
    last.message[length] = '\0';
    last.set = true;
}

const char *TVMGetLastError(void)
{
    return last.message;
}

void abi_forget_error(void)
{
    last.set = false;
    last.message[0] = '\0';
}

int abi_take_error(int status, struct vta_error *error)
{
    if (last.set && last.message[0] != '\0')
        return vta_error_set(error, VTA_EINVAL, "%s", last.message);
    return vta_error_set(error, VTA_EINVAL, "it returned %d and did not say why", status);
}

static int failed(const struct vta_error *error)
{
    TVMAPISetLastError(error->message);
    return -1;
}

static int no_session(void)
{
    TVMAPISetLastError("no session: the backend is called from outside of one");
    return -1;
}

/* ---- Who has a tensor ---------------------------------------------------------------------- */

struct array {
    struct tvm_tensor tensor; /* first: what machine code sees */
    struct memory *memory;    /* a reference */
    bool taken;               /* by who called machine code */
    struct array *next;
    int64_t shape[];
};

static struct {
    pthread_mutex_t lock;
    struct array *first;
} arrays = { .lock = PTHREAD_MUTEX_INITIALIZER };

/* Hands a tensor from machine code to its caller, or back. False where it is not there to hand. */
static bool move_array(const struct tvm_tensor *tensor, bool taken)
{
    pthread_mutex_lock(&arrays.lock);
    struct array *array = arrays.first;
    while (array != NULL && (&array->tensor != tensor || array->taken == taken))
        array = array->next;
    if (array != NULL)
        array->taken = taken;
    pthread_mutex_unlock(&arrays.lock);
    return array != NULL;
}

/* ---- Functions ----------------------------------------------------------------------------- */

/* Text and bytes that a call returned, until the thread's next call that returns some: the caller
 * may hand them to other calls before. */
static _Thread_local struct {
    char *bytes; /* owned */
    struct tvm_bytes view;
} returned;

void abi_forget_returned(void)
{
    free(returned.bytes);
    returned.bytes = NULL;
}

static int hand_out(struct result *result, union tvm_value *value, int *code,
                    struct vta_error *error)
{
    if (result->code == TVM_MODULE || result->code == TVM_FUNCTION) {
        result_clear(result);
        return vta_error_set(error, VTA_EUNSUPPORTED,
                             "machine code cannot take a module or function as a result");
    }
    if (result->code == TVM_NDARRAY)
        move_array(result->value.p, false);
    *code = result->code;
    *value = result->value;
    if (result->code == TVM_STRING || result->code == TVM_BYTES) {
        abi_forget_returned();
        returned.bytes = result->bytes;
        returned.view = (struct tvm_bytes){ .data = result->bytes, .size = result->nbytes };
        value->p = result->code == TVM_STRING ? (void *)result->bytes : (void *)&returned.view;
    }
    return 0;
}

int TVMFuncCall(void *handle, union tvm_value *args, int *codes, int count, union tvm_value *value,
                int *code)
{
    struct function *function = handle;
    struct result result = { .code = TVM_NULL };
    struct vta_error error;
    if (function == NULL) {
        TVMAPISetLastError("TVMFuncCall: there is no function");
        return -1;
    }
    int rc = function->ops->call(function, args, codes, count, &result, &error);
    if (rc == 0)
        rc = hand_out(&result, value, code, &error);
    return rc == 0 ? 0 : failed(&error);
}

int TVMBackendGetFuncFromEnv(void *module_ctx, const char *name, void **function)
{
    struct worker *worker = worker_current();
    struct vta_error error;
    if (worker == NULL)
        return no_session();
    struct function *found = module_code_env(module_ctx, name, &error);
    if (found == NULL)
        return failed(&error);
    *function = found;
    return 0;
}

/* Only system libraries register themselves, and nobody looks for functions there. */
int TVMBackendRegisterSystemLibSymbol(const char *name, void *address)
{
    (void)name;
    (void)address;
    return 0;
}

int TVMBackendRunOnce(void **handle, int (*function)(void *), void *data, int nbytes)
{
    (void)nbytes;
    if (*handle != NULL)
        return 0;
    *handle = handle;
    return function(data);
}

/* ---- Workspaces and parallel launches ------------------------------------------------------ */

void *TVMBackendAllocWorkspace(int device_type, int device_id, uint64_t nbytes, int dtype_code,
                               int dtype_bits)
{
    struct worker *worker = worker_current();
    struct vta_error error;
    (void)device_id;
    (void)dtype_code;
    (void)dtype_bits;
    if (worker == NULL) {
        no_session();
        return NULL;
    }
    void *workspace = workspace_alloc(worker, device_type, nbytes, &error);
    if (workspace == NULL)
        failed(&error);
    return workspace;
}

int TVMBackendFreeWorkspace(int device_type, int device_id, void *workspace)
{
    struct worker *worker = worker_current();
    struct vta_error error;
    (void)device_id;
    if (worker == NULL)
        return no_session();
    int rc = workspace_free(worker, device_type, workspace, &error);
    return rc == 0 ? 0 : failed(&error);
}

int TVMBackendParallelLaunch(tvm_parallel_task task, void *data, int num_task)
{
    const struct worker *worker = worker_current();
    return parallel_launch(task, data, num_task, worker != NULL ? worker->options.threads : 1);
}

int TVMBackendParallelBarrier(int task, struct tvm_parallel_env *env)
{
    (void)task;
    parallel_barrier(env);
    return 0;
}

/* ---- Tensors ------------------------------------------------------------------------------- */

static int array_nbytes(const int64_t *shape, int ndim, int bits, int lanes, uint64_t *nbytes,
                        struct vta_error *error)
{
    uint64_t total;
    if (ndim < 0 || ndim > (int)TVM_NDIM_MAX || bits <= 0 || bits > 128 || lanes <= 0 ||
        lanes > UINT16_MAX)
        return vta_error_set(error, VTA_EINVAL,
                             "TVMArrayAlloc: %d dimensions of %d-bit numbers in %d lanes", ndim,
                             bits, lanes);
    total = ((uint64_t)bits * (uint64_t)lanes + 7) / 8;
    for (int i = 0; i < ndim; i++)
        if (shape[i] < 0 || __builtin_mul_overflow(total, (uint64_t)shape[i], &total))
            return vta_error_set(error, VTA_ESIZE,
                                 "TVMArrayAlloc: extent %d is %" PRId64
                                 ": negative, or too much with those before it",
                                 i, shape[i]);
    *nbytes = total;
    return 0;
}

/* Takes over the reference, also if it fails. `taken`: the array is nobody's but the caller's. */
static struct array *new_array(struct memory *memory, const struct tvm_tensor *like, bool taken,
                               struct vta_error *error)
{
    const size_t shape_bytes = (size_t)like->ndim * sizeof like->shape[0];
    struct array *array = malloc(sizeof *array + shape_bytes);
    if (array == NULL) {
        memory_release(memory);
        vta_error_set(error, VTA_ENOMEM, "no memory for a tensor");
        return NULL;
    }
    array->tensor = *like;
    array->tensor.shape = array->shape;
    array->memory = memory;
    array->taken = taken;
    if (shape_bytes > 0)
        memcpy(array->shape, like->shape, shape_bytes);
    pthread_mutex_lock(&arrays.lock);
    array->next = arrays.first;
    arrays.first = array;
    pthread_mutex_unlock(&arrays.lock);
    return array;
}

int TVMArrayAlloc(const int64_t *shape, int ndim, int dtype_code, int dtype_bits, int dtype_lanes,
                  int device_type, int device_id, struct tvm_tensor **tensor)
{
    struct worker *worker = worker_current();
    struct vta_error error;
    uint64_t nbytes = 0;
    if (worker == NULL)
        return no_session();
    if (array_nbytes(shape, ndim, dtype_bits, dtype_lanes, &nbytes, &error) != 0)
        return failed(&error);
    struct tvm_tensor like = {
        .device = { .type = device_type, .id = device_id },
        .ndim = ndim,
        .dtype = { (uint8_t)dtype_code, (uint8_t)dtype_bits, (uint16_t)dtype_lanes },
        .shape = (int64_t *)shape,
    };
    struct memory *memory = memory_new(worker, like.device, nbytes == 0 ? 1 : nbytes, &error);
    if (memory == NULL) {
        vta_error_prefix(&error, "TVMArrayAlloc");
        return failed(&error);
    }
    like.data = memory->bytes;
    struct array *array = new_array(memory, &like, false, &error);
    if (array == NULL)
        return failed(&error);
    *tensor = &array->tensor;
    return 0;
}

struct tvm_tensor *abi_view(struct memory *memory, const struct tvm_tensor *like,
                            struct vta_error *error)
{
    struct array *array = new_array(memory_hold(memory), like, true, error);
    return array == NULL ? NULL : &array->tensor;
}

int TVMArrayFree(struct tvm_tensor *tensor)
{
    pthread_mutex_lock(&arrays.lock);
    struct array **at = &arrays.first;
    while (*at != NULL && &(*at)->tensor != tensor)
        at = &(*at)->next;
    struct array *array = *at;
    if (array != NULL)
        *at = array->next;
    pthread_mutex_unlock(&arrays.lock);
    if (array == NULL) {
        TVMAPISetLastError("TVMArrayFree: there is no such tensor");
        return -1;
    }
    memory_release(array->memory);
    free(array);
    return 0;
}

bool abi_take_array(const struct tvm_tensor *tensor)
{
    return move_array(tensor, true);
}

void abi_give_array(const struct tvm_tensor *tensor)
{
    move_array(tensor, false);
}

/* ---- The end ------------------------------------------------------------------------------- */

void abi_clear(struct worker *worker)
{
    parallel_stop();
    workspace_clear(worker);
    while (arrays.first != NULL)
        TVMArrayFree(&arrays.first->tensor);
    abi_forget_returned();
}
