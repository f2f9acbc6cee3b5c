/* harness.c: requests and module files for tests of the service; see harness.h. */
#include "harness.h"
#include "check.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "core/isa.h"

void small_options(struct vta_service_options *options)
{
    vta_service_options_default(options);
    options->board.dram_bytes = 1u << 20;
    options->max_modules = 4;
    options->max_upload_bytes = 64u << 10;
    options->max_buffers = 8;
    options->max_functions = 4;
    options->max_read_bytes = 8192;
    options->run_deadline_ms = 0;
    options->max_evaluations = 1000;
    options->build = "test 1.0";
}

struct vta_service *open_service(const struct vta_service_options *options)
{
    struct vta_error error = { 0 };
    struct vta_service *service = vta_service_new(options, &error);
    cr_assert_not_null(service, "%s", error.message);
    return service;
}

/* ---- Requests ------------------------------------------------------------------------------ */

static void pack_bytes(msgpack_packer *packer, const void *bytes, size_t nbytes)
{
    msgpack_pack_bin(packer, nbytes);
    msgpack_pack_bin_body(packer, bytes, nbytes);
}

static void pack_handles(msgpack_packer *packer, const vta_handle *handles, size_t count)
{
    msgpack_pack_array(packer, count);
    for (size_t i = 0; i < count; i++)
        msgpack_pack_uint64(packer, handles[i]);
}

static void pack_one(msgpack_packer *packer, char letter, va_list *values)
{
    const void *pointer;
    switch (letter) {
    case 's':
        vta_pack_str(packer, va_arg(*values, const char *));
        break;
    case 'u':
        msgpack_pack_uint64(packer, va_arg(*values, uint64_t));
        break;
    case 'i':
        msgpack_pack_int64(packer, va_arg(*values, int64_t));
        break;
    case 'f':
        msgpack_pack_double(packer, va_arg(*values, double));
        break;
    case 't':
        msgpack_pack_true(packer);
        break;
    case 'F':
        msgpack_pack_false(packer);
        break;
    case 'n':
        msgpack_pack_nil(packer);
        break;
    case 'b':
        pointer = va_arg(*values, const void *);
        pack_bytes(packer, pointer, va_arg(*values, size_t));
        break;
    case 'h':
        pointer = va_arg(*values, const void *);
        pack_handles(packer, pointer, va_arg(*values, size_t));
        break;
    case 'O':
        msgpack_pack_map(packer, 1);
        vta_pack_str(packer, va_arg(*values, const char *));
        msgpack_pack_uint64(packer, va_arg(*values, uint64_t));
        break;
    case 'B':
        msgpack_pack_map(packer, 1);
        vta_pack_str(packer, va_arg(*values, const char *));
        if (va_arg(*values, int))
            msgpack_pack_true(packer);
        else
            msgpack_pack_false(packer);
        break;
    case 'm':
        pointer = va_arg(*values, const void *);
        msgpack_sbuffer_write(packer->data, pointer, va_arg(*values, size_t));
        break;
    default:
        cr_assert_fail("harness: no param letter '%c'", letter);
    }
}

static void pack_all(msgpack_sbuffer *buffer, const char *params, va_list *values)
{
    msgpack_packer packer;
    msgpack_sbuffer_init(buffer);
    msgpack_packer_init(&packer, buffer, msgpack_sbuffer_write);
    msgpack_pack_array(&packer, strlen(params));
    for (; *params != '\0'; params++)
        pack_one(&packer, *params, values);
}

/* What answers and params point into, reused in turn. */
static _Thread_local struct kept {
    struct answer answer;
    msgpack_unpacked params;
    msgpack_sbuffer request;
    uint8_t *bytes;
    msgpack_zone zone;
    struct vta_rpc_message message;
    bool used;
} kept[ANSWERS];
static _Thread_local unsigned next_kept;

static void release(struct kept *k)
{
    if (!k->used)
        return;
    msgpack_unpacked_destroy(&k->params);
    msgpack_sbuffer_destroy(&k->request);
    msgpack_zone_destroy(&k->zone);
    free(k->bytes);
    memset(k, 0, sizeof *k);
}

void release_answers(void)
{
    for (unsigned i = 0; i < ANSWERS; i++)
        release(&kept[i]);
}

static struct kept *keep(const char *params, va_list *values)
{
    struct kept *k = &kept[next_kept++ % ANSWERS];
    release(k);
    k->used = true;
    msgpack_unpacked_init(&k->params);
    msgpack_zone_init(&k->zone, 1024);
    pack_all(&k->request, params, values);
    size_t offset = 0;
    cr_assert_eq(msgpack_unpack_next(&k->params, k->request.data, k->request.size, &offset),
                 MSGPACK_UNPACK_SUCCESS);
    return k;
}

#define MSGID 77u

/* Joins head and bulk, as they go over a wire, and reads them as a client does. */
static struct answer *decode(struct kept *k, const struct vta_reply *reply)
{
    struct vta_error error = { 0 };
    struct vta_wire_limits limits;
    struct vta_scan scan;
    size_t nbytes = reply->head.size + reply->bulk_bytes, taken;
    k->bytes = malloc(nbytes);
    cr_assert_not_null(k->bytes);
    memcpy(k->bytes, reply->head.data, reply->head.size);
    if (reply->bulk_bytes > 0)
        memcpy(k->bytes + reply->head.size, reply->bulk, reply->bulk_bytes);

    vta_wire_limits_default(&limits);
    limits.message_bytes = limits.blob_bytes = UINT32_MAX;
    vta_scan_init(&scan, &limits);
    cr_assert_eq(vta_scan_feed(&scan, k->bytes, nbytes, &taken, &error), 1, "%s", error.message);
    cr_assert_eq(taken, nbytes, "the response has bytes beyond its end");
    cr_assert_eq(vta_rpc_decode(&k->message, k->bytes, nbytes, &k->zone, &error), 0, "%s",
                 error.message);
    cr_assert_eq(k->message.type, VTA_RPC_RESPONSE);
    cr_assert_eq(k->message.msgid, MSGID);
    k->answer.result = &k->message.result;
    k->answer.head_bytes = reply->head.size;
    k->answer.bulk_bytes = reply->bulk_bytes;
    vta_rpc_unpack_error(&k->message.error, &k->answer.error);
    cr_assert_eq(reply->failed, k->answer.error.code != 0);
    if (reply->failed) {
        cr_assert_eq(k->message.result.type, MSGPACK_OBJECT_NIL);
        cr_assert_eq(reply->bulk_bytes, 0);
        cr_assert_lt(reply->head.size, 2048, "an error response is small");
    }
    return &k->answer;
}

struct answer *ask(struct vta_service *service, const char *method, const char *params, ...)
{
    struct vta_reply reply;
    va_list values;
    va_start(values, params);
    struct kept *k = keep(params, &values);
    va_end(values);
    vta_reply_init(&reply);
    vta_service_call(service, MSGID, method, strlen(method), &k->params.data, &reply);
    struct answer *answer = decode(k, &reply);
    vta_reply_clear(&reply);
    return answer;
}

struct answer *ask_urgent(struct vta_service *service, const char *method, const char *params, ...)
{
    struct vta_reply reply;
    va_list values;
    va_start(values, params);
    struct kept *k = keep(params, &values);
    va_end(values);
    vta_reply_init(&reply);
    vta_service_urgent(service, MSGID, method, strlen(method), &k->params.data, &reply);
    struct answer *answer = decode(k, &reply);
    vta_reply_clear(&reply);
    return answer;
}

/* ---- Results ------------------------------------------------------------------------------- */

uint64_t as_uint(const msgpack_object *object)
{
    cr_assert_eq(object->type, MSGPACK_OBJECT_POSITIVE_INTEGER, "not a number");
    return object->via.u64;
}

const msgpack_object *at(const msgpack_object *map, const char *key)
{
    const msgpack_object *value = vta_map_get(map, key);
    cr_assert_not_null(value, "no key '%s'", key);
    return value;
}

uint64_t uint_at(const msgpack_object *map, const char *key)
{
    return as_uint(at(map, key));
}

bool is_text(const msgpack_object *object, const char *text)
{
    return object->type == MSGPACK_OBJECT_STR && object->via.str.size == strlen(text) &&
           memcmp(object->via.str.ptr, text, object->via.str.size) == 0;
}

struct answer *assert_ok(struct answer *answer, const char *file, int line)
{
    cr_assert_eq(answer->error.code, 0, "%s:%d: %s", file, line, answer->error.message);
    return answer;
}

void assert_fails(struct answer *answer, int code, const char *text, const char *file, int line)
{
    cr_assert_eq(answer->error.code, code, "%s:%d: expected %s, got %s: %s", file, line,
                 vta_error_name(code), vta_error_name(answer->error.code), answer->error.message);
    cr_assert_not_null(strstr(answer->error.message, text), "%s:%d: no \"%s\" in \"%s\"", file,
                       line, text, answer->error.message);
}

/* ---- Modules ------------------------------------------------------------------------------- */

/* A kernel under construction. */
struct draft {
    const struct vta_hw *hw;
    struct vta_layout layout;
    struct vta_kernel kernel;
};

static void draft_insn(struct draft *draft, struct vta_insn insn)
{
    struct vta_kernel *kernel = &draft->kernel;
    struct vta_error error = { 0 };
    kernel->insns = realloc(kernel->insns, (kernel->insn_count + 1) * (size_t)VTA_INSN_BYTES);
    int rc = vta_insn_encode(&insn, &draft->layout,
                             kernel->insns + kernel->insn_count * (size_t)VTA_INSN_BYTES, &error);
    cr_assert_eq(rc, 0, "%s", error.message);
    kernel->insn_count++;
}

/* The next instruction's DRAM base. */
static void draft_reloc(struct draft *draft, uint32_t param, uint32_t offset)
{
    struct vta_kernel *kernel = &draft->kernel;
    kernel->relocs = realloc(kernel->relocs, (kernel->reloc_count + 1) * sizeof *kernel->relocs);
    kernel->relocs[kernel->reloc_count++] =
        (struct vta_reloc){ .insn = kernel->insn_count, .param = param, .offset = offset };
}

static void draft_param(struct draft *draft, const char *name, uint8_t bits, enum vta_memory memory,
                        enum vta_access access)
{
    struct vta_kernel *kernel = &draft->kernel;
    kernel->params = realloc(kernel->params, (kernel->param_count + 1) * sizeof *kernel->params);
    kernel->params[kernel->param_count++] = (struct vta_param){
        .name = strdup(name),
        .type = { .dtype = { VTA_DTYPE_INT, bits },
                  .ndim = 2,
                  .shape = { ADD_ROWS, (uint64_t)draft->hw->batch * draft->hw->block } },
        .memory = memory,
        .access = access
    };
}

static void draft_uops(struct draft *draft, uint32_t count)
{
    struct vta_kernel *kernel = &draft->kernel;
    struct vta_uop zero = { 0 };
    kernel->uops = calloc(count, sizeof *kernel->uops);
    kernel->uop_count = count;
    cr_assert_eq(vta_uop_encode(&zero, &draft->layout, &kernel->uops[0], NULL), 0);
    draft_reloc(draft, VTA_PARAM_UOPS, 0);
    draft_insn(draft,
               (struct vta_insn){
                   .opcode = VTA_OP_LOAD,
                   .mem = { .memory = VTA_MEM_UOP, .y_size = 1, .x_size = 1, .x_stride = 1 } });
}

static void draft_finish(struct draft *draft, bool pop_next)
{
    draft_insn(draft, (struct vta_insn){ .opcode = VTA_OP_FINISH, .pop_next = pop_next });
}

static void draft_add(struct draft *draft, uint32_t load_offset)
{
    draft_param(draft, "data", 32, VTA_MEM_ACC, VTA_ACCESS_READ);
    draft_param(draft, "res", 8, VTA_MEM_OUT, VTA_ACCESS_WRITE);
    draft_uops(draft, 1);
    draft_reloc(draft, 0, load_offset);
    draft_insn(draft, (struct vta_insn){ .opcode = VTA_OP_LOAD,
                                         .mem = { .memory = VTA_MEM_ACC,
                                                  .y_size = 1,
                                                  .x_size = ADD_ROWS,
                                                  .x_stride = ADD_ROWS } });
    draft_insn(draft, (struct vta_insn){ .opcode = VTA_OP_ALU,
                                         .push_next = 1,
                                         .nest = { .uop_end = 1,
                                                   .iter_out = 1,
                                                   .iter_in = ADD_ROWS,
                                                   .dst_factor_in = 1,
                                                   .src_factor_in = 1,
                                                   .alu_opcode = 2,
                                                   .use_imm = 1,
                                                   .imm = 1 } });
    draft_reloc(draft, 1, 0);
    draft_insn(draft, (struct vta_insn){ .opcode = VTA_OP_STORE,
                                         .pop_prev = 1,
                                         .push_prev = 1,
                                         .mem = { .memory = VTA_MEM_OUT,
                                                  .y_size = 1,
                                                  .x_size = ADD_ROWS,
                                                  .x_stride = ADD_ROWS } });
    draft_finish(draft, true);
}

static void draft_gemms(struct draft *draft, uint32_t count, uint32_t extent, bool pop)
{
    draft_uops(draft, 1);
    for (uint32_t i = 0; i < count; i++)
        draft_insn(draft, (struct vta_insn){
                              .opcode = VTA_OP_GEMM,
                              .pop_prev = pop,
                              .nest = { .uop_end = 1, .iter_out = extent, .iter_in = extent } });
    draft_finish(draft, false);
}

static void draft_kind(struct draft *draft, enum kernel_kind kind)
{
    switch (kind) {
    case KERNEL_ADD:
        draft_add(draft, 0);
        return;
    case KERNEL_OUTSIDE:
        draft_add(draft, 1);
        return;
    case KERNEL_RACING:
        draft_add(draft, 0);
        draft->kernel.insns[2 * VTA_INSN_BYTES] ^= 1 << 6; /* push_next of the ALU */
        draft->kernel.insns[3 * VTA_INSN_BYTES] ^= 1 << 3; /* pop_prev of the store */
        return;
    case KERNEL_SLOW:
        draft_gemms(draft, 64, 16383, false);
        return;
    case KERNEL_TINY:
        draft_gemms(draft, 1, 1, false);
        return;
    case KERNEL_DEADLOCK:
        draft_gemms(draft, 1, 1, true);
        return;
    }
}

static uint8_t *encode_image(struct vta_module_image *image, size_t *nbytes)
{
    struct vta_error error = { 0 };
    uint8_t *bytes;
    cr_assert_eq(vta_module_encode(image, &bytes, nbytes, &error), 0, "%s", error.message);
    vta_module_image_clear(image);
    return bytes;
}

static void image_add(struct vta_module_image *image, struct draft *draft)
{
    struct vta_error error = { 0 };
    cr_assert_eq(vta_module_image_add(image, &draft->kernel, &error), 0, "%s", error.message);
}

uint8_t *make_module(const struct vta_hw *hw, size_t *nbytes, const enum kernel_kind *kinds,
                     const char *const *names, size_t count)
{
    struct vta_module_image image = { .hw = *hw };
    for (size_t i = 0; i < count; i++) {
        struct draft draft = { .hw = hw, .kernel = { .name = strdup(names[i]) } };
        cr_assert_eq(vta_layout_make(&draft.layout, hw, NULL), 0);
        draft_kind(&draft, kinds[i]);
        image_add(&image, &draft);
    }
    return encode_image(&image, nbytes);
}

uint8_t *make_simple(size_t *nbytes, enum kernel_kind kind, const char *name)
{
    struct vta_hw hw;
    vta_hw_default(&hw);
    return make_module(&hw, nbytes, &kind, &name, 1);
}

uint8_t *make_big(size_t *nbytes, size_t about, uint32_t salt)
{
    struct vta_module_image image = { .kernel_count = 0 };
    struct draft draft = { .hw = &image.hw, .kernel = { .name = strdup("big") } };
    vta_hw_default(&image.hw);
    cr_assert_eq(vta_layout_make(&draft.layout, &image.hw, NULL), 0);
    uint32_t count = (uint32_t)(about / sizeof(uint32_t)) + 1;
    draft_uops(&draft, count);
    for (uint32_t i = 1; i < count; i++)
        draft.kernel.uops[i] = (i * 2654435761u + salt) & 0x7ff;
    draft_finish(&draft, false);
    image_add(&image, &draft);
    return encode_image(&image, nbytes);
}

vta_handle get_function(struct vta_service *service, enum kernel_kind kind, const char *module,
                        const char *name)
{
    size_t nbytes;
    uint8_t *bytes = make_simple(&nbytes, kind, name);
    cr_ok(ask(service, "module.upload", "sb", module, bytes, nbytes));
    free(bytes);
    uint64_t loaded = uint_at(cr_ok(ask(service, "module.load", "s", module))->result, "module");
    return uint_at(cr_ok(ask(service, "function.get", "us", loaded, name))->result, "function");
}
