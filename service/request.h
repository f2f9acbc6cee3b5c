/* request.h: one request while it is executed: its params to read, its result to pack.
 *
 * The vta_arg_ functions read params[index] and say what is wrong with it; the vta_result_
 * functions pack values. A handler packs exactly one value and returns 0, or returns an error's
 * code, whereupon everything that it packed is dropped.
 */
#ifndef VTA_SERVICE_REQUEST_H
#define VTA_SERVICE_REQUEST_H

#include "methods.h"
#include "state.h"

#include "proto/rpc.h"

struct vta_request {
    struct vta_service *service;
    const struct vta_method *method;
    const msgpack_object *params; /* method->min_params … max_params of them */
    uint32_t count;
    msgpack_packer *packer;
    struct vta_reply *reply;
    struct vta_error *error; /* never NULL */
    bool named; /* the error's message opens with what it is about; it needs no method's name */
};

int vta_arg_uint(const struct vta_request *request, uint32_t index, uint64_t max, uint64_t *value);
int vta_arg_bool(const struct vta_request *request, uint32_t index, bool *value);
int vta_arg_bytes(const struct vta_request *request, uint32_t index, const uint8_t **bytes,
                  size_t *nbytes);
int vta_arg_handle(const struct vta_request *request, uint32_t index, vta_handle *handle);

/* The DRAM that a buffer's handle is of, or NULL with the reason. A board that has never been used
 * has no buffers, and asking for one is no use of it. */
struct vta_dram *vta_request_dram(const struct vta_request *request, vta_handle handle);

/* Whether a text is UTF-8 without control characters. */
bool vta_is_printable(const char *text);

#define VTA_NAME_MAX 255
/* A text of 1…VTA_NAME_MAX bytes; name holds one more. */
int vta_arg_text(const struct vta_request *request, uint32_t index, char *name);
/* The same, and fit to name a module: UTF-8 without `/` and control characters, not . or .. */
int vta_arg_module_name(const struct vta_request *request, uint32_t index, char *name);

/* A map of options at params[index], which may be missing. Each option's type follows from which
 * of its pointers is set; unknown keys are refused with a suggestion. */
struct vta_option {
    const char *name;
    bool *flag;
    uint32_t *number;
};
int vta_arg_options(const struct vta_request *request, uint32_t index,
                    const struct vta_option *options, uint32_t count);

void vta_result_nil(struct vta_request *request);
void vta_result_map(struct vta_request *request, uint32_t pairs); /* pairs of key, value follow */
void vta_result_key(struct vta_request *request, const char *key);
void vta_result_text(struct vta_request *request, const char *key, const char *value);
void vta_result_uint(struct vta_request *request, const char *key, uint64_t value);
void vta_result_bool(struct vta_request *request, const char *key, bool value);
/* The configuration as a map of vta_config.json's keys. */
void vta_result_hardware(struct vta_request *request, const char *key, const struct vta_hw *hw);
/* The whole result: bytes that stay where they are until the next call. */
void vta_result_bulk(struct vta_request *request, const uint8_t *bytes, uint64_t nbytes);

/* Copies bytes into text[size] for a message: what is not printable UTF-8 becomes '?', what does
 * not fit is cut. */
void vta_printable(char *text, size_t size, const char *bytes, size_t nbytes);

#endif
