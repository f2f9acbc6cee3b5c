/* guest_tvm.c: TVM's backend and VTA's runtime for emulated code, as far as a call is more than its
 * arguments: functions that call the code back, and those that hand out what it keeps pointers to.
 *
 * A function handle is a number (guest.h). A tensor of TVMArrayAlloc has a DLTensor of the code's
 * beside ours. Tasks of a parallel launch would share one processor: a launch has one.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "imports.h"
#include "worker/abi_calls.h"
#include "worker/abi_state.h"
#include "worker/module_code.h"
#include "worker/worker.h"

/* Fails as TVM's functions do: −1 and the thread's last error. */
static void refuse(union import_value *results, const char *message)
{
    TVMAPISetLastError(message);
    results[0].l = -1;
}

/* ---- The last error -------------------------------------------------------------------------- */

IMPORT_HANDLER(guest_set_last_error)
{
    const char *text = guest_text(guest, args[0].w);
    (void)results;
    if (text != NULL)
        TVMAPISetLastError(text);
    else
        guest_fail(guest, VTA_EREFUSED, "%s: no text of its memory is at 0x%" PRIx64,
                   guest->calling, args[0].w);
}

IMPORT_HANDLER(guest_get_last_error)
{
    struct vta_error error;
    (void)args;
    if (guest->text == NULL)
        guest->text = worker_alloc(guest->cpu.worker, VTA_ERROR_TEXT, &error);
    if (guest->text == NULL) {
        guest_fail(guest, error.code, "%s", error.message);
        return;
    }
    strncpy((char *)guest->text, TVMGetLastError(), VTA_ERROR_TEXT - 1);
    results[0].w = guest_address(guest, guest->text);
}

/* ---- Tensors --------------------------------------------------------------------------------- */

/* Beside ours; 0: no memory, and the last error is set. */
static uint64_t mirror(struct guest *guest, const struct tvm_tensor *tensor)
{
    struct vta_error error;
    struct guest_array *arrays = realloc(guest->arrays, (guest->array_count + 1) * sizeof *arrays);
    if (arrays != NULL)
        guest->arrays = arrays;
    uint8_t *bytes =
        worker_alloc(guest->cpu.worker, guest_tensor_bytes(guest, tensor->ndim), &error);
    if (bytes == NULL || arrays == NULL) {
        TVMAPISetLastError(bytes == NULL ? error.message : "no memory for a tensor");
        if (bytes != NULL)
            worker_release(guest->cpu.worker, bytes, NULL);
        return 0;
    }
    const uint64_t address = guest_address(guest, bytes);
    guest_put_tensor(guest, tensor, bytes, address);
    arrays[guest->array_count++] =
        (struct guest_array){ .tensor = (struct tvm_tensor *)tensor, .address = address };
    return address;
}

struct tvm_tensor *guest_take_array(struct guest *guest, uint64_t address)
{
    for (uint32_t i = 0; i < guest->array_count; i++) {
        struct tvm_tensor *tensor = guest->arrays[i].tensor;
        if (guest->arrays[i].address != address)
            continue;
        worker_release(guest->cpu.worker, guest_memory(guest, address, 1, 0), NULL);
        guest->arrays[i] = guest->arrays[--guest->array_count];
        return tensor;
    }
    return NULL;
}

/* ---- Functions ------------------------------------------------------------------------------- */

/* Its handle: the number that it has, or a new one. 0: no memory. */
static uint32_t number_of(struct guest *guest, const struct guest_code *code,
                          struct function *function)
{
    for (uint32_t i = 0; i < guest->function_count; i++)
        if (guest->functions[i].code == code && guest->functions[i].function == function)
            return i + 1;
    struct guest_function *functions =
        realloc(guest->functions, (guest->function_count + 1) * sizeof *functions);
    if (functions == NULL)
        return 0;
    guest->functions = functions;
    functions[guest->function_count] =
        (struct guest_function){ .code = code, .function = function };
    return ++guest->function_count;
}

IMPORT_HANDLER(guest_get_func_from_env)
{
    const struct guest_code *code = guest->codes;
    const char *name = guest_text(guest, args[1].w);
    struct vta_error error;
    while (code != NULL && code->code.context != args[0].w)
        code = code->next;
    if (code == NULL || name == NULL) {
        refuse(results, "TVMBackendGetFuncFromEnv: no module of this processor, or no name");
        return;
    }
    struct function *function = module_code_env(code->code.module, name, &error);
    const uint32_t number = function != NULL ? number_of(guest, code, function) : 0;
    if (number == 0)
        refuse(results, function == NULL ? error.message : "no memory for a function");
    else
        guest_write_word(guest, args[2].w, number);
}

/* Text or bytes in the code's memory until the next; bytes have a struct in front. 0: the call
 * fails. */
static uint64_t keep_bytes(struct guest *guest, const struct result *result)
{
    const uint64_t head = 2 * (uint64_t)guest->pointer_bytes;
    struct vta_error error;
    if (guest->returned != NULL)
        worker_release(guest->cpu.worker, guest->returned, NULL);
    guest->returned = worker_alloc(guest->cpu.worker, head + result->nbytes + 1, &error);
    if (guest->returned == NULL) {
        guest_fail(guest, error.code, "%s", error.message);
        return 0;
    }
    const uint64_t at = guest_address(guest, guest->returned), data = at + head;
    memcpy(guest->returned, &data, guest->pointer_bytes);
    memcpy(guest->returned + guest->pointer_bytes, &result->nbytes, guest->pointer_bytes);
    memcpy(guest->returned + head, result->bytes, result->nbytes);
    return result->code == TVM_BYTES ? at : data;
}

/* The result of a function for the code that called it. */
static bool hand_out(struct guest *guest, struct result *result, const union import_value *args)
{
    uint64_t value = (uint64_t)result->value.i;
    const int32_t code = result->code;
    if (result->bytes != NULL)
        value = keep_bytes(guest, result);
    if (code == TVM_NDARRAY) {
        value = mirror(guest, result->value.p);
        if (value == 0)
            return false;
        abi_give_array(result->value.p);
        result->code = TVM_NULL;
    }
    if (guest_write(guest, args[4].w, &value, sizeof value))
        guest_write(guest, args[5].w, &code, sizeof code);
    return true;
}

IMPORT_HANDLER(guest_func_call)
{
    const uint64_t number = args[0].w;
    struct guest_values values;
    struct result result = { .code = TVM_NULL };
    struct vta_error error;
    if (number == 0 || number > guest->function_count ||
        guest->functions[number - 1].code == NULL) {
        refuse(results, "TVMFuncCall: there is no such function");
        return;
    }
    struct function *function = guest->functions[number - 1].function;
    if (guest_read_values(guest, &values, args[1].w, args[2].w, args[3].i)) {
        if (function->ops->call(function, values.values, values.codes, values.count, &result,
                                &error) != 0)
            refuse(results, error.message);
        else if (result.code == TVM_MODULE || result.code == TVM_FUNCTION)
            refuse(results, "machine code cannot take a module or function as a result");
        else if (!hand_out(guest, &result, args))
            results[0].l = -1;
        result_clear(&result);
    }
    guest_values_free(&values);
}

/* ---- Calls back ------------------------------------------------------------------------------ */

IMPORT_HANDLER(guest_parallel_launch)
{
    const uint64_t before = guest->sp;
    const int32_t tasks = 1;
    uint64_t call[3] = { 0, 0, args[1].w };
    uint8_t *env = guest_push(guest, 16, &call[1]);
    int32_t status = 0;
    if (env == NULL)
        return;
    memset(env, 0, 16);
    memcpy(env + guest->pointer_bytes, &tasks, sizeof tasks);
    guest_run(guest, args[0].w, call, 3, &status);
    guest->sp = before;
    results[0].l = status;
}

IMPORT_HANDLER(guest_run_once)
{
    uint64_t done;
    int32_t status = 0;
    if (!guest_read_word(guest, args[0].w, &done) || done != 0 ||
        !guest_write_word(guest, args[0].w, args[0].w))
        return;
    guest_run(guest, args[1].w, &args[2].w, 1, &status);
    results[0].l = status;
}

/* What a micro-op kernel is recorded from: the runtime hands back nothing but the signature. */
static struct recording {
    struct guest *guest;
    uint64_t function, signature;
} recording;

static int record(void *signature)
{
    int32_t status = -1;
    (void)signature;
    guest_run(recording.guest, recording.function, &recording.signature, 1, &status);
    return recording.guest->error.code != 0 ? -1 : status;
}

static void push_kernel(struct guest *guest, const union import_value *args,
                        union import_value *results,
                        int (*push)(void **, int (*)(void *), void *, int))
{
    const struct recording outer = recording;
    uint64_t site;
    void *signature = NULL;
    if (!guest_read_word(guest, args[0].w, &site))
        return;
    if (args[3].i > 0) {
        signature = guest_memory(guest, args[2].w, (uint64_t)args[3].i, IMAGE_READ);
        if (signature == NULL) {
            guest_fail(guest, VTA_EREFUSED, "%s: its signature at 0x%" PRIx64 " is not its memory",
                       guest->calling, args[2].w);
            return;
        }
    }
    void *place = (void *)(uintptr_t)site;
    recording = (struct recording){ guest, args[1].w, args[2].w };
    results[0].l = push(&place, record, signature, args[3].i);
    recording = outer;
    if ((uintptr_t)place != site)
        guest_write_word(guest, args[0].w, (uintptr_t)place);
}

IMPORT_HANDLER(guest_push_gemm)
{
    push_kernel(guest, args, results, VTAPushGEMMOp);
}

IMPORT_HANDLER(guest_push_alu)
{
    push_kernel(guest, args, results, VTAPushALUOp);
}

/* ---- Memory ---------------------------------------------------------------------------------- */

IMPORT_HANDLER(guest_buffer_copy)
{
    const uint64_t from = args[0].w + args[1].w, to = args[2].w + args[3].w, nbytes = args[4].w;
    const uint8_t *source = guest_memory(guest, from, nbytes, IMAGE_READ);
    uint8_t *target = guest_memory(guest, to, nbytes, IMAGE_WRITE);
    (void)results;
    if (nbytes == 0)
        return;
    if (source == NULL || target == NULL)
        guest_fail(guest, VTA_EREFUSED,
                   "VTABufferCopy: %" PRIu64 " bytes from 0x%" PRIx64 " to 0x%" PRIx64
                   " are not all its memory",
                   nbytes, from, to);
    else
        VTABufferCopy(source, 0, target, 0, nbytes, args[5].i);
}

IMPORT_HANDLER(guest_array_alloc)
{
    struct tvm_tensor *tensor = NULL;
    const int32_t ndim = args[1].i;
    int64_t shape[TVM_NDIM_MAX];
    const uint8_t *from = NULL;
    if (ndim > 0 && ndim <= (int32_t)TVM_NDIM_MAX)
        from = guest_memory(guest, args[0].w, 8 * (uint64_t)ndim, IMAGE_READ);
    if (from == NULL && ndim != 0) {
        refuse(results, "TVMArrayAlloc: too many dimensions, or a shape that is not its memory");
        return;
    }
    if (from != NULL)
        memcpy(shape, from, 8 * (size_t)ndim);
    results[0].l =
        TVMArrayAlloc(shape, ndim, args[2].i, args[3].i, args[4].i, args[5].i, args[6].i, &tensor);
    if (results[0].l != 0 || !guest_map_dram(guest))
        return;
    const uint64_t address = mirror(guest, tensor);
    if (address != 0 && guest_write_word(guest, args[7].w, address))
        return;
    guest_take_array(guest, address);
    TVMArrayFree(tensor);
    results[0].l = -1;
}

IMPORT_HANDLER(guest_array_free)
{
    struct tvm_tensor *tensor = guest_take_array(guest, args[0].w);
    if (tensor == NULL)
        refuse(results, "TVMArrayFree: there is no such tensor");
    else
        results[0].l = TVMArrayFree(tensor);
}
