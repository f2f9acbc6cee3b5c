/* service.c: a service's life, dispatch of one request, and what other threads may do meanwhile.
 * The methods themselves are in the methods_… files.
 */
#include "request.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "core/suggest.h"

void vta_service_options_default(struct vta_service_options *options)
{
    memset(options, 0, sizeof *options);
    vta_board_options_default(&options->board);
    vta_module_limits_default(&options->module);
    vta_wire_limits_default(&options->wire);
    options->max_modules = 256;
    options->max_upload_bytes = 256u << 20;
    options->max_buffers = 4096;
    options->max_functions = 4096;
    options->max_read_bytes = 4u << 20;
    options->run_deadline_ms = 60000;
    options->load_deadline_ms = 60000;
    options->max_evaluations = 10000000;
    options->max_store_modules = 1024;
    options->max_store_bytes = 1u << 30;
    options->build = "vta " VTAD_VERSION;
}

/* ---- Life ---------------------------------------------------------------------------------- */

struct vta_service *vta_service_new(const struct vta_service_options *options,
                                    struct vta_error *error)
{
    struct vta_service *service = calloc(1, sizeof *service);
    if (service == NULL) {
        vta_error_set(error, VTA_ENOMEM, "no memory for a session");
        return NULL;
    }
    service->options = *options;
    atomic_init(&service->control.stop, VTA_CALL_NONE);
    vta_shelf_init(&service->shelf, options->max_modules, options->max_upload_bytes);
    vta_loaded_init(&service->loaded, options->max_modules, options->max_functions,
                    options->max_upload_bytes);
    if (vta_board_open(&service->board, &options->board, error) != 0) {
        vta_service_free(service);
        return NULL;
    }
    service->options.board.profile = NULL; /* the board has its copy */
    service->board_clock = options->board_clock;
    return service;
}

void vta_service_free(struct vta_service *service)
{
    if (service == NULL)
        return;
    vta_board_close(service->board);
    vta_loaded_clear(&service->loaded);
    vta_shelf_clear(&service->shelf);
    free(service->scratch);
    free(service);
}

void vta_reply_init(struct vta_reply *reply)
{
    memset(reply, 0, sizeof *reply);
    msgpack_sbuffer_init(&reply->head);
}

void vta_reply_clear(struct vta_reply *reply)
{
    msgpack_sbuffer_destroy(&reply->head);
    vta_reply_init(reply);
}

/* ---- Dispatch ------------------------------------------------------------------------------ */

/* Where a packer writes; remembers a write that found no memory. */
struct sink {
    msgpack_sbuffer *buffer;
    bool failed;
};

static int sink_write(void *context, const char *bytes, size_t nbytes)
{
    struct sink *sink = context;
    if (!sink->failed && msgpack_sbuffer_write(sink->buffer, bytes, nbytes) != 0)
        sink->failed = true;
    return sink->failed ? -1 : 0;
}

#define METHOD_TEXT 64 /* of a method's name in a message */

static int unknown_method(const char *name, size_t length, struct vta_error *error)
{
    size_t count;
    const struct vta_method *methods = vta_methods(&count);
    const char *names[64];
    char text[METHOD_TEXT];
    if (count > 64)
        count = 64;
    for (size_t i = 0; i < count; i++)
        names[i] = methods[i].name;
    vta_printable(text, sizeof text, name, length);
    const char *near = vta_suggest(text, names, count);
    return vta_error_set(error, VTA_EMETHOD, "unknown method '%s'%s%s%s", text,
                         near != NULL ? ": did you mean '" : "", near != NULL ? near : "",
                         near != NULL ? "'?" : "");
}

static int check_count(const struct vta_request *request)
{
    const struct vta_method *method = request->method;
    if (request->count >= method->min_params && request->count <= method->max_params)
        return 0;
    if (method->min_params == method->max_params)
        return vta_error_set(request->error, VTA_EINVAL, "takes %u params, got %" PRIu32,
                             method->min_params, request->count);
    return vta_error_set(request->error, VTA_EINVAL, "takes %u to %u params, got %" PRIu32,
                         method->min_params, method->max_params, request->count);
}

static int execute(struct vta_request *request, const char *name, size_t length)
{
    if (request->method == NULL)
        return unknown_method(name, length, request->error);
    int rc = check_count(request);
    if (rc == 0)
        rc = request->method->handler(request);
    if (rc != 0 && !request->named)
        vta_error_prefix(request->error, "%s", request->method->name);
    return rc;
}

/* Steps of looking for hazards and the like that one call may make: some ten seconds. */
#define CALL_STEPS (UINT64_C(1) << 31)

/* The call is in progress now, if it was not before. Returns 0, or the code that it was stopped
 * with while it waited. */
static int call_begin(struct vta_service *service, enum vta_method_bound bound)
{
    const bool loads = bound == VTA_BOUND_LOAD, runs = bound == VTA_BOUND_RUN;
    int stop = VTA_CALL_NONE;
    vta_control_begin(&service->control,
                      loads  ? service->options.load_deadline_ms
                      : runs ? service->options.run_deadline_ms
                             : 0,
                      loads ? CALL_STEPS : 0);
    if (!loads && !runs)
        return vta_call_end(service);
    if (atomic_compare_exchange_strong(&service->control.stop, &stop, 0))
        return 0;
    return stop;
}

int vta_call_end(struct vta_service *service)
{
    int stop = atomic_exchange(&service->control.stop, VTA_CALL_NONE);
    return stop == VTA_CALL_NONE ? 0 : stop;
}

/* Executes a call that may be stopped: what was stopped fails, whatever else came of it. */
static int execute_stoppable(struct vta_request *request, const char *name, size_t length)
{
    struct vta_service *service = request->service;
    int stop = call_begin(service, request->method->bound);
    if (stop == 0) {
        int rc = execute(request, name, length);
        stop = vta_call_end(service);
        if (stop == 0 || stop == rc)
            return rc;
    }
    vta_call_end(service);
    return vta_control_error(&service->control, stop, request->error, "%s", request->method->name);
}

static void dispatch(struct vta_service *service, uint32_t msgid, const struct vta_method *method,
                     const char *name, size_t length, const msgpack_object *params,
                     struct vta_reply *reply)
{
    struct sink sink = { .buffer = &reply->head };
    struct vta_error error = { .insn = -1 };
    msgpack_packer packer;
    struct vta_request request = { .service = service,
                                   .method = method,
                                   .params = params->via.array.ptr,
                                   .count = params->via.array.size,
                                   .packer = &packer,
                                   .reply = reply,
                                   .error = &error };

    msgpack_sbuffer_clear(&reply->head);
    reply->bulk = NULL;
    reply->bulk_bytes = 0;
    msgpack_packer_init(&packer, &sink, sink_write);
    vta_rpc_pack_result(&packer, msgid);
    const bool stoppable = method != NULL && method->class != VTA_METHOD_URGENT;
    int rc =
        stoppable ? execute_stoppable(&request, name, length) : execute(&request, name, length);
    if (rc == 0 && sink.failed)
        rc = vta_error_set(&error, VTA_ENOMEM, "%s: no memory for the response", method->name);

    reply->failed = rc != 0;
    if (rc != 0) {
        reply->bulk = NULL;
        reply->bulk_bytes = 0;
        msgpack_sbuffer_clear(&reply->head);
        sink.failed = false;
        vta_rpc_pack_error(&packer, msgid, &error);
        if (sink.failed)
            msgpack_sbuffer_clear(&reply->head);
        atomic_fetch_add(&service->failures, 1);
    }
    atomic_fetch_add(&service->calls, 1);
}

void vta_service_call(struct vta_service *service, uint32_t msgid, const char *method,
                      size_t method_length, const msgpack_object *params, struct vta_reply *reply)
{
    free(service->scratch);
    service->scratch = NULL;
    dispatch(service, msgid, vta_method_find(method, method_length), method, method_length, params,
             reply);
}

void vta_service_urgent(struct vta_service *service, uint32_t msgid, const char *method,
                        size_t method_length, const msgpack_object *params, struct vta_reply *reply)
{
    const struct vta_method *found = vta_method_find(method, method_length);
    if (found != NULL && found->class != VTA_METHOD_URGENT)
        found = NULL; /* its handler would not be safe here */
    dispatch(service, msgid, found, method, method_length, params, reply);
}

/* ---- From other threads -------------------------------------------------------------------- */

void vta_service_announce(struct vta_service *service)
{
    atomic_store(&service->control.stop, 0);
}

int vta_service_withdraw(struct vta_service *service)
{
    return vta_call_end(service);
}

bool vta_service_stop(struct vta_service *service, int code)
{
    int in_progress = 0;
    return atomic_compare_exchange_strong(&service->control.stop, &in_progress, code);
}

bool vta_service_stopped(const struct vta_service *service)
{
    return atomic_load(&service->control.stop) < 0;
}

void vta_service_stats(const struct vta_service *service, struct vta_service_stats *stats)
{
    stats->runs = atomic_load(&service->runs);
    stats->calls = atomic_load(&service->calls);
    stats->failures = atomic_load(&service->failures);
}
