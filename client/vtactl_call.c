/* vtactl_call.c: see vtactl_call.h.
 */
#include "vtactl_call.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static int no_memory(struct vta_error *error)
{
    return vta_error_set(error, VTA_ENOMEM, "no memory for the parameters");
}

/* ---- Opening ------------------------------------------------------------------------------- */

static int make_operand(struct operand *operand, const struct vta_param *param,
                        struct vta_error *error)
{
    uint64_t nbytes;
    int rc = vta_tensor_nbytes(&param->type, &nbytes, error);

    if (rc != 0) {
        vta_error_prefix(error, "%s", param->name);
        return rc;
    }
    operand->param = param;
    operand->nbytes = (size_t)nbytes;
    operand->before = calloc(1, (size_t)nbytes + 1);
    if (operand->before == NULL)
        return no_memory(error);
    if ((param->access & VTA_ACCESS_WRITE) == 0)
        return 0;
    operand->after = calloc(1, (size_t)nbytes + 1);
    return operand->after != NULL ? 0 : no_memory(error);
}

/* From a module that the session has. */
static int open_loaded(struct call *call, struct vta_session *session, const char *name,
                       const char *function, struct vta_error *error)
{
    struct vta_error reason;

    call->session = session;
    call->module = vta_load_module(session, name, &reason);
    if (call->module != NULL)
        call->function = vta_module_function(call->module, function, &reason);
    if (call->function == NULL) {
        *error = reason;
        return reason.code;
    }
    call->count = vta_function_param_count(call->function);
    call->operands = calloc(call->count + 1, sizeof *call->operands);
    call->arrays = calloc(call->count + 1, sizeof *call->arrays);
    if (call->operands == NULL || call->arrays == NULL)
        return no_memory(error);
    for (size_t i = 0; i < call->count; i++) {
        int rc = make_operand(&call->operands[i], vta_function_param(call->function, i), error);
        if (rc != 0)
            return rc;
    }
    return 0;
}

int call_open(struct call *call, struct vta_session *session, const char *module,
              const char *function, struct vta_error *error)
{
    memset(call, 0, sizeof *call);
    if (is_file(module)) {
        int rc = vta_upload(session, module, NULL, error);
        if (rc != 0)
            return rc;
        return open_loaded(call, session, base_name(module), function, error);
    }
    int rc = open_loaded(call, session, module, function, error);
    if (call->module == NULL && rc == VTA_ENOTFOUND)
        vta_error_set(error, rc, "%s: neither a file here nor a module that the session sees%s",
                      module, access(module, F_OK) == 0 ? "; it is no regular file" : "");
    return rc;
}

int call_open_copy(struct call *call, struct vta_session *session, const struct call *from,
                   const char *module, struct vta_error *error)
{
    const char *name = base_name(module);
    void *bytes;
    size_t nbytes;

    memset(call, 0, sizeof *call);
    int rc = vta_download(from->session, name, &bytes, &nbytes, error);
    if (rc != 0)
        return rc;
    rc = vta_upload_bytes(session, name, bytes, nbytes, error);
    free(bytes);
    if (rc == 0)
        rc = open_loaded(call, session, name, vta_function_name(from->function), error);
    for (size_t i = 0; rc == 0 && i < call->count; i++)
        memcpy(call->operands[i].before, from->operands[i].before, call->operands[i].nbytes);
    return rc;
}

void call_close(struct call *call)
{
    for (size_t i = 0; i < call->count; i++) {
        if (call->arrays != NULL)
            vta_ndarray_free(call->arrays[i]);
        if (call->operands != NULL) {
            free(call->operands[i].before);
            free(call->operands[i].after);
        }
    }
    free(call->operands);
    free(call->arrays);
    vta_function_free(call->function);
    vta_module_free(call->module);
    memset(call, 0, sizeof *call);
}

/* ---- Bytes --------------------------------------------------------------------------------- */

/* The parameter that "PARAM=FILE" names, or NULL where the text before '=' names none. */
static struct operand *named_operand(const struct call *call, const char *text)
{
    const char *equals = strchr(text, '=');

    for (size_t i = 0; equals != NULL && i < call->count; i++) {
        const char *name = call->operands[i].param->name;
        if (strlen(name) == (size_t)(equals - text) && strncmp(name, text, strlen(name)) == 0)
            return &call->operands[i];
    }
    return NULL;
}

/* "PARAM=FILE" that is none; what: "--out ", or nothing. */
static int no_operand(const struct call *call, const char *what, const char *text,
                      struct vta_error *error)
{
    char names[256] = "";
    size_t used = 0;

    for (size_t i = 0; i < call->count && used < sizeof names; i++)
        used += (size_t)snprintf(names + used, sizeof names - used, "%s%s", i == 0 ? "" : ", ",
                                 call->operands[i].param->name);
    return vta_error_set(error, VTA_EINVAL, "%s%s: expected PARAM=FILE with a parameter of %s: %s",
                         what, text, vta_function_name(call->function), names);
}

/* SplitMix64's constants: every seed gives bytes of its own. */
static void fill_random(uint8_t *bytes, size_t nbytes, uint64_t *state)
{
    for (size_t i = 0; i < nbytes; i++) {
        uint64_t mixed = *state += 0x9e3779b97f4a7c15u;
        mixed = (mixed ^ mixed >> 30) * 0xbf58476d1ce4e5b9u;
        mixed = (mixed ^ mixed >> 27) * 0x94d049bb133111ebu;
        bytes[i] = (uint8_t)(mixed >> 56);
    }
}

static bool is_read(const struct operand *operand)
{
    return (operand->param->access & VTA_ACCESS_READ) != 0;
}

/* The next parameter that is read and has no file yet, or NULL. */
static struct operand *next_operand(const struct call *call, const bool *given)
{
    for (size_t i = 0; i < call->count; i++)
        if (is_read(&call->operands[i]) && !given[i])
            return &call->operands[i];
    return NULL;
}

static int read_inputs(struct call *call, const struct arguments *arguments, bool *given,
                       struct vta_error *error)
{
    for (size_t i = 2; i < arguments->operand_count; i++) { /* after MODULE and FUNCTION */
        const char *text = arguments->operands[i];
        struct operand *operand = named_operand(call, text);
        const char *path = operand != NULL ? strchr(text, '=') + 1 : text;
        if (operand == NULL && strchr(text, '=') != NULL && !is_file(text))
            return no_operand(call, "", text, error);
        if (operand != NULL && given[operand - call->operands])
            return vta_error_set(error, VTA_EINVAL, "%s: %s has a file already", text,
                                 operand->param->name);
        if (operand == NULL)
            operand = next_operand(call, given);
        if (operand == NULL)
            return vta_error_set(error, VTA_EINVAL, "%s: every input of %s has a file already",
                                 path, vta_function_name(call->function));
        int rc = read_exactly(path, operand->before, operand->nbytes, error);
        if (rc != 0) {
            vta_error_prefix(error, "%s", operand->param->name);
            return rc;
        }
        given[operand - call->operands] = true;
    }
    return 0;
}

int call_inputs(struct call *call, const struct arguments *arguments, bool zeros,
                struct vta_error *error)
{
    bool *given = calloc(call->count + 1, sizeof *given);
    uint64_t state = arguments->seed;

    if (given == NULL)
        return no_memory(error);
    int rc = read_inputs(call, arguments, given, error);
    for (size_t i = 0; rc == 0 && i < call->count; i++) {
        struct operand *operand = &call->operands[i];
        if (given[i] || !is_read(operand))
            continue;
        if (arguments->random)
            fill_random(operand->before, operand->nbytes, &state);
        else if (!zeros)
            rc = vta_error_set(error, VTA_EINVAL, "%s: no input for %s: give %s=FILE, or --random",
                               vta_function_name(call->function), operand->param->name,
                               operand->param->name);
    }
    free(given);
    return rc;
}

int call_outputs(struct call *call, const struct arguments *arguments, struct vta_error *error)
{
    for (size_t i = 0; i < arguments->outs.count; i++) {
        struct operand *operand = named_operand(call, arguments->outs.texts[i]);
        if (operand == NULL)
            return no_operand(call, "--out ", arguments->outs.texts[i], error);
        const char *path = strchr(arguments->outs.texts[i], '=') + 1;
        if (*path == '\0')
            return vta_error_set(error, VTA_EINVAL, "--out %s: there is no file after the '='",
                                 arguments->outs.texts[i]);
        if (operand->out != NULL)
            return vta_error_set(error, VTA_EINVAL, "--out %s: %s goes to %s already",
                                 arguments->outs.texts[i], operand->param->name, operand->out);
        if (operand->after == NULL)
            return vta_error_set(error, VTA_EINVAL, "--out %s: %s does not write %s",
                                 arguments->outs.texts[i], vta_function_name(call->function),
                                 operand->param->name);
        operand->out = path;
    }
    return 0;
}

int call_load(struct call *call, struct vta_error *error)
{
    struct vta_device device = vta_ext_dev(call->session, 0);

    for (size_t i = 0; i < call->count; i++) {
        struct operand *operand = &call->operands[i];
        call->arrays[i] = vta_ndarray_from(device, &operand->param->type, operand->before, error);
        if (call->arrays[i] == NULL) {
            vta_error_prefix(error, "%s", operand->param->name);
            return error->code;
        }
    }
    return 0;
}

int call_fetch(struct call *call, struct vta_error *error)
{
    for (size_t i = 0; i < call->count; i++) {
        struct operand *operand = &call->operands[i];
        if (operand->after == NULL)
            continue;
        int rc = vta_ndarray_copy_to(call->arrays[i], operand->after, operand->nbytes, error);
        if (rc != 0) {
            vta_error_prefix(error, "%s", operand->param->name);
            return rc;
        }
    }
    return 0;
}
