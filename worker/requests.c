/* requests.c: what a client asks for, by the code of its packet: InitServer, CallFunc, and the
 * system calls, whose arguments are described by a letter each.
 */
#include "requests.h"

#include <inttypes.h>
#include <string.h>

#include "deadline.h"

typedef int (*serve_fn)(struct session *session, const struct tvm_item *args, struct answer *answer,
                        struct vta_error *error);

/* A request; a system call with the letters of its arguments:
 *   s string  S string or null  i int  h handle or null  d device  t tensor  y dtype */
struct request {
    const char *name;
    const char *letters;
    serve_fn serve;
};

static int return_null(struct answer *answer)
{
    answer->items[0] = (struct tvm_item){ .code = TVM_NULL };
    answer->count = 1;
    return 0;
}

static int return_handle(struct answer *answer, uint64_t handle)
{
    answer->items[0] = (struct tvm_item){ .code = TVM_OPAQUE, .handle = handle };
    answer->count = 1;
    return 0;
}

/* ---- InitServer, CallFunc ------------------------------------------------------------------ */

#define PROTOCOL_VERSION "0.8.0"

/* No arguments, or a session constructor: only the local session exists here. */
static int check_constructor(const struct tvm_item *items, uint32_t count, struct vta_error *error)
{
    if (count == 0)
        return 0;
    if (items[0].code != TVM_STRING)
        return vta_error_set(error, VTA_EINVAL,
                             "the name of a session constructor is a string, not %s",
                             tvm_code_name(items[0].code));
    if (strcmp(items[0].bytes.data, "rpc.LocalSession") != 0)
        return vta_error_set(error, VTA_EUNSUPPORTED,
                             "there is no session constructor %s, only "
                             "rpc.LocalSession",
                             items[0].bytes.data);
    if (count > 1)
        return vta_error_set(error, VTA_EINVAL, "rpc.LocalSession takes no arguments, got %" PRIu32,
                             count - 1);
    return 0;
}

static int init_server(struct session *session, struct tvm_reader *body, struct answer *answer,
                       struct vta_error *error)
{
    char *version;
    size_t length;
    uint32_t count;
    int rc = tvm_read_text(body, &version, &length, "the protocol's version", error);
    if (rc == 0)
        rc = tvm_read_sequence(body, session->items, &count, error);
    if (rc == 0)
        rc = tvm_read_end(body, error);
    if (rc != 0)
        return rc;
    if (session->ready)
        return vta_error_set(error, VTA_ESTATE, "the session has been initialised before");
    if (strcmp(version, PROTOCOL_VERSION) != 0)
        return vta_error_set(error, VTA_EVERSION,
                             "protocol version %.64s; this server speaks " PROTOCOL_VERSION,
                             version);
    rc = check_constructor(session->items, count, error);
    if (rc != 0)
        return rc;
    session->ready = true;
    return return_null(answer);
}

static int call_func(struct session *session, struct tvm_reader *body, struct answer *answer,
                     struct vta_error *error)
{
    struct worker *worker = session->worker;
    struct values *values = &session->values;
    uint64_t handle;
    uint32_t count;
    int rc = tvm_read_u64(body, &handle, "the function's handle", error);
    if (rc == 0)
        rc = tvm_read_sequence(body, session->items, &count, error);
    if (rc == 0)
        rc = tvm_read_end(body, error);
    struct function *function = rc == 0 ? objects_function(&session->objects, handle, error) : NULL;
    if (function == NULL) {
        vta_error_prefix(error, "CallFunc");
        return rc != 0 ? rc : VTA_EHANDLE;
    }
    rc = values_from_items(values, &session->objects, session->items, count, error);
    if (rc != 0) {
        vta_error_prefix(error, "%s", function->name);
        return rc;
    }
    deadline_arm(worker->deadline);
    deadline_arm(worker->call_deadline);
    rc = function_call(function, values->values, values->codes, (int)count, &answer->result, error);
    deadline_disarm(worker->call_deadline);
    deadline_disarm(worker->deadline);
    return rc != 0 ? rc
                   : values_to_items(&session->objects, function->name, &answer->result,
                                     answer->items, &answer->count, error);
}

/* ---- Functions and handles ----------------------------------------------------------------- */

static int get_global_func(struct session *session, const struct tvm_item *args,
                           struct answer *answer, struct vta_error *error)
{
    struct function *function = builtin_find(session->worker, args[0].bytes.data);
    vta_handle handle = 0;
    int rc =
        function == NULL ? 0 : objects_add_function(&session->objects, function, &handle, error);
    return rc != 0 ? rc : return_handle(answer, handle);
}

static int free_handle(struct session *session, const struct tvm_item *args, struct answer *answer,
                       struct vta_error *error)
{
    deadline_arm(session->worker->call_deadline); /* a module that goes may have finalisers */
    int rc = objects_free(&session->objects, args[0].handle, args[1].i, error);
    deadline_disarm(session->worker->call_deadline);
    return rc != 0 ? rc : return_null(answer);
}

/* ---- Devices and memory -------------------------------------------------------------------- */

static int set_device(struct session *session, const struct tvm_item *args, struct answer *answer,
                      struct vta_error *error)
{
    (void)session;
    int rc = objects_device(args[0].device, error);
    return rc != 0 ? rc : return_null(answer);
}

#define ATTRIBUTE_EXISTS 0

/* Every device can be asked whether it exists. Of the other attributes a VTA has none, and of the
 * processor TVM's own server tells none. */
static int get_attr(struct session *session, const struct tvm_item *args, struct answer *answer,
                    struct vta_error *error)
{
    (void)session;
    int rc = objects_device(args[0].device, error);
    if (args[1].i != ATTRIBUTE_EXISTS)
        return rc != 0 ? rc : return_null(answer);
    answer->items[0] = (struct tvm_item){ .code = TVM_INT, .i = rc == 0 };
    answer->count = 1;
    return 0;
}

static int alloc_data(struct session *session, const struct tvm_item *args, struct answer *answer,
                      struct vta_error *error)
{
    vta_handle handle = 0;
    if (args[1].i < 0 || args[2].i < 0)
        return vta_error_set(error, VTA_EINVAL, "%" PRId64 " bytes, aligned to %" PRId64, args[1].i,
                             args[2].i);
    int rc = objects_alloc(&session->objects, args[0].device, (uint64_t)args[1].i,
                           (uint64_t)args[2].i, &handle, error);
    return rc != 0 ? rc : return_handle(answer, handle);
}

static int alloc_data_with_scope(struct session *session, const struct tvm_item *args,
                                 struct answer *answer, struct vta_error *error)
{
    vta_handle handle = 0;
    uint64_t nbytes;
    if (args[1].code == TVM_STRING && args[1].bytes.size > 0 &&
        strcmp(args[1].bytes.data, "global") != 0)
        return vta_error_set(error, VTA_EUNSUPPORTED,
                             "there is no memory scope %s, only global (or null)",
                             args[1].bytes.data);
    int rc = tvm_tensor_nbytes(&args[0].tensor, &nbytes, error);
    if (rc == 0)
        rc = objects_alloc(&session->objects, args[0].tensor.device, nbytes, 0, &handle, error);
    return rc != 0 ? rc : return_handle(answer, handle);
}

static int free_data(struct session *session, const struct tvm_item *args, struct answer *answer,
                     struct vta_error *error)
{
    int rc = objects_free_data(&session->objects, args[0].device, args[1].handle, error);
    return rc != 0 ? rc : return_null(answer);
}

static int check_stream(uint64_t handle, struct vta_error *error)
{
    if (handle == 0)
        return 0;
    return vta_error_set(error, VTA_EHANDLE,
                         "stream handle 0x%" PRIx64 " was never given out; 0 is the only one",
                         handle);
}

static int copy_among(struct session *session, const struct tvm_item *args, struct answer *answer,
                      struct vta_error *error)
{
    int rc = check_stream(args[2].handle, error);
    if (rc == 0)
        rc = copy_among_remote(session, &args[0].tensor, &args[1].tensor, error);
    return rc != 0 ? rc : return_null(answer);
}

/* ---- Streams: there are none; 0 is the one that everything runs in -------------------------- */

static int no_stream(struct session *session, const struct tvm_item *args, struct answer *answer,
                     struct vta_error *error)
{
    (void)session;
    int rc = objects_device(args[0].device, error);
    return rc != 0 ? rc : return_handle(answer, 0);
}

static int use_stream(struct session *session, const struct tvm_item *args, struct answer *answer,
                      struct vta_error *error)
{
    (void)session;
    int rc = check_stream(args[1].handle, error);
    if (rc == 0)
        rc = objects_device(args[0].device, error);
    return rc != 0 ? rc : return_null(answer);
}

/* ---- The table ----------------------------------------------------------------------------- */

static const struct request requests[] = {
    [TVM_PACKET_INIT_SERVER] = { .name = "InitServer" },
    [TVM_PACKET_CALL_FUNC] = { .name = "CallFunc" },
    [TVM_PACKET_COPY_FROM_REMOTE] = { .name = "CopyFromRemote" },
    [TVM_PACKET_COPY_TO_REMOTE] = { .name = "CopyToRemote" },
    [TVM_PACKET_GET_GLOBAL_FUNC] = { "GetGlobalFunc", "s", get_global_func },
    [TVM_PACKET_FREE_HANDLE] = { "FreeHandle", "hi", free_handle },
    [TVM_PACKET_DEV_SET_DEVICE] = { "DevSetDevice", "d", set_device },
    [TVM_PACKET_DEV_GET_ATTR] = { "DevGetAttr", "di", get_attr },
    [TVM_PACKET_DEV_ALLOC_DATA] = { "DevAllocData", "diiy", alloc_data },
    [TVM_PACKET_DEV_FREE_DATA] = { "DevFreeData", "dh", free_data },
    [TVM_PACKET_DEV_STREAM_SYNC] = { "DevStreamSync", "dh", use_stream },
    [TVM_PACKET_COPY_AMONG_REMOTE] = { "CopyAmongRemote", "tth", copy_among },
    [TVM_PACKET_DEV_ALLOC_DATA_WITH_SCOPE] = { "DevAllocDataWithScope", "tS",
                                               alloc_data_with_scope },
    [TVM_PACKET_DEV_CREATE_STREAM] = { "DevCreateStream", "d", no_stream },
    [TVM_PACKET_DEV_FREE_STREAM] = { "DevFreeStream", "dh", use_stream },
    [TVM_PACKET_DEV_SET_STREAM] = { "DevSetStream", "dh", use_stream },
    [TVM_PACKET_DEV_GET_CURRENT_STREAM] = { "DevGetCurrentStream", "d", no_stream },
};

const char *request_name(uint32_t code)
{
    return code < sizeof requests / sizeof requests[0] ? requests[code].name : NULL;
}

int request_allowed(const struct session *session, uint32_t code, struct vta_error *error)
{
    if (code == TVM_PACKET_RETURN || code == TVM_PACKET_EXCEPTION || code == TVM_PACKET_COPY_ACK)
        return vta_error_set(error, VTA_EPROTO,
                             "packet code %" PRIu32 " is an answer's, not a "
                             "request's",
                             code);
    if (request_name(code) == NULL)
        return vta_error_set(error, VTA_EPROTO, "packet code %" PRIu32 " is unknown", code);
    if (!session->ready && code != TVM_PACKET_INIT_SERVER)
        return vta_error_set(error, VTA_ESTATE, "%s before InitServer", request_name(code));
    return 0;
}

static const char *letter_name(char letter)
{
    switch (letter) {
    case 's':
        return "a string";
    case 'S':
        return "a string or null";
    case 'i':
        return "an int";
    case 'h':
        return "an opaque handle";
    case 'd':
        return "a device";
    case 't':
        return "a tensor";
    default:
        return "a dtype";
    }
}

static bool letter_fits(char letter, int32_t code)
{
    switch (letter) {
    case 's':
        return code == TVM_STRING;
    case 'S':
        return code == TVM_STRING || code == TVM_NULL;
    case 'i':
        return code == TVM_INT || code == TVM_UINT || code == TVM_BOOL;
    case 'h':
        return code == TVM_OPAQUE || code == TVM_NULL || code == TVM_MODULE ||
               code == TVM_FUNCTION || code == TVM_OBJECT;
    case 'd':
        return code == TVM_DEVICE;
    case 't':
        return code == TVM_TENSOR;
    case 'y':
        return code == TVM_DTYPE;
    default:
        return true;
    }
}

static int check_letters(const struct request *request, const struct tvm_item *items,
                         uint32_t count, struct vta_error *error)
{
    uint32_t want = (uint32_t)strlen(request->letters);
    if (count != want)
        return vta_error_set(error, VTA_EINVAL, "takes %" PRIu32 " argument%s, got %" PRIu32, want,
                             want == 1 ? "" : "s", count);
    for (uint32_t i = 0; i < count; i++)
        if (!letter_fits(request->letters[i], items[i].code))
            return vta_error_set(error, VTA_EINVAL, "argument %" PRIu32 " is %s, not of type %s",
                                 i + 1, letter_name(request->letters[i]),
                                 tvm_code_name(items[i].code));
    return 0;
}

/* A system call: a sequence in, one value out. */
static int serve_call(struct session *session, const struct request *request,
                      struct tvm_reader *body, struct answer *answer, struct vta_error *error)
{
    uint32_t count;
    int rc = tvm_read_sequence(body, session->items, &count, error);
    if (rc == 0)
        rc = tvm_read_end(body, error);
    if (rc == 0)
        rc = check_letters(request, session->items, count, error);
    return rc != 0 ? rc : request->serve(session, session->items, answer, error);
}

int request_serve(struct session *session, uint32_t code, struct tvm_reader *body,
                  struct answer *answer, struct vta_error *error)
{
    int rc = request_allowed(session, code, error);
    if (rc != 0)
        return rc;
    const struct request *request = &requests[code];
    if (code == TVM_PACKET_CALL_FUNC)
        return call_func(session, body, answer, error); /* its errors name the function */
    rc = code == TVM_PACKET_INIT_SERVER ? init_server(session, body, answer, error)
                                        : serve_call(session, request, body, answer, error);
    if (rc != 0)
        vta_error_prefix(error, "%s", request->name);
    return rc;
}
