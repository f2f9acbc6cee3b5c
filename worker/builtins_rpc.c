/* builtins_rpc.c: tvm.rpc.server.…: files and modules of a session. What each does on a board is
 * what TVM's server does there.
 */
#include "builtins.h"

#include <stdlib.h>
#include <string.h>

#include "evaluator.h"
#include "files.h"

/* ---- Files --------------------------------------------------------------------------------- */

static int upload(struct function *function, union tvm_value *args, const int32_t *codes, int count,
                  struct result *result, struct vta_error *error)
{
    (void)result;
    int rc = arguments_count(function, count, 2, 2, error);
    if (rc == 0)
        rc = arguments_code(function, codes, 0, TVM_STRING, error);
    if (rc == 0)
        rc = arguments_code(function, codes, 1, TVM_BYTES, error);
    if (rc != 0)
        return rc;
    const struct tvm_bytes *bytes = args[1].p;
    return files_write(function->worker, args[0].s, bytes->data, bytes->size, error);
}

/* The only argument is a name. */
static int one_name(const struct function *function, const int32_t *codes, int count,
                    struct vta_error *error)
{
    int rc = arguments_count(function, count, 1, 1, error);
    return rc != 0 ? rc : arguments_code(function, codes, 0, TVM_STRING, error);
}

static void result_bytes(struct result *result, char *bytes, size_t nbytes)
{
    *result =
        (struct result){ .code = TVM_BYTES, .value.p = bytes, .bytes = bytes, .nbytes = nbytes };
}

static int download(struct function *function, union tvm_value *args, const int32_t *codes,
                    int count, struct result *result, struct vta_error *error)
{
    char *bytes;
    size_t nbytes;
    int rc = one_name(function, codes, count, error);
    if (rc == 0)
        rc = files_read(function->worker, args[0].s, &bytes, &nbytes, error);
    if (rc == 0)
        result_bytes(result, bytes, nbytes);
    return rc;
}

/* What is not there needs no removing. Tuners rely on it: after each measurement they remove the
 * module by its path on their own host, a library that may never have been linked, and "". */
static int remove_file(struct function *function, union tvm_value *args, const int32_t *codes,
                       int count, struct result *result, struct vta_error *error)
{
    (void)result;
    int rc = one_name(function, codes, count, error);
    if (rc != 0 || args[0].s[0] == '\0' || args[0].s[0] == '/')
        return rc;
    rc = files_remove(function->worker, args[0].s, error);
    return rc == VTA_ENOTFOUND ? 0 : rc;
}

static int workpath(struct function *function, union tvm_value *args, const int32_t *codes,
                    int count, struct result *result, struct vta_error *error)
{
    char *path;
    int rc = one_name(function, codes, count, error);
    if (rc == 0)
        rc = files_path(function->worker, args[0].s, &path, error);
    if (rc != 0)
        return rc;
    rc = result_string(result, path, error);
    free(path);
    return rc;
}

/* ---- Modules ------------------------------------------------------------------------------- */

static int load_module(struct function *function, union tvm_value *args, const int32_t *codes,
                       int count, struct result *result, struct vta_error *error)
{
    struct worker *worker = function->worker;
    struct module *module;
    char *path;
    int rc = one_name(function, codes, count, error);
    if (rc == 0)
        rc = files_existing(worker, args[0].s, &path, error);
    if (rc != 0)
        return rc;
    rc = worker->loader->load(worker, path, &module, error);
    free(path);
    if (rc == 0)
        *result = (struct result){ .code = TVM_MODULE, .value.p = module };
    return rc;
}

/* Tools ask for it after they have uploaded an object file to a board that has a compiler. */
static int download_linked_module(struct function *function, union tvm_value *args,
                                  const int32_t *codes, int count, struct result *result,
                                  struct vta_error *error)
{
    (void)result;
    int rc = one_name(function, codes, count, error);
    return rc != 0 ? rc
                   : vta_error_set(error, VTA_EUNSUPPORTED,
                                   "%s would return the shared library that %s is linked to, but "
                                   "this server links nothing; link it where the client runs, with "
                                   "its compiler (fcompile of export_library)",
                                   function->name, args[0].s);
}

static int module_get_function(struct function *function, union tvm_value *args,
                               const int32_t *codes, int count, struct result *result,
                               struct vta_error *error)
{
    int64_t imports = 0;
    int rc = arguments_count(function, count, 2, 3, error);
    if (rc == 0)
        rc = arguments_code(function, codes, 0, TVM_MODULE, error);
    if (rc == 0)
        rc = arguments_code(function, codes, 1, TVM_STRING, error);
    if (rc == 0 && count == 3)
        rc = arguments_int(function, args, codes, 2, 0, 1, &imports, error);
    if (rc != 0)
        return rc;
    struct function *found = module_find(args[0].p, args[1].s, imports != 0);
    if (found != NULL)
        *result = (struct result){ .code = TVM_FUNCTION, .value.p = found };
    return 0;
}

static int import_module(struct function *function, union tvm_value *args, const int32_t *codes,
                         int count, struct result *result, struct vta_error *error)
{
    (void)result;
    int rc = arguments_count(function, count, 2, 2, error);
    if (rc == 0)
        rc = arguments_code(function, codes, 0, TVM_MODULE, error);
    if (rc == 0)
        rc = arguments_code(function, codes, 1, TVM_MODULE, error);
    return rc != 0 ? rc : module_import(args[0].p, args[1].p, error);
}

/* tvm.rpc.server.GetCRTMaxPacketSize must not be here: without it, packets have no limit. */
const struct builtin builtins_rpc[] = {
    { "tvm.rpc.server.upload", { upload, NULL } }, /* first: builtin_is_upload */
    { "tvm.rpc.server.download", { download, NULL } },
    { "tvm.rpc.server.remove", { remove_file, NULL } },
    { "tvm.rpc.server.workpath", { workpath, NULL } },
    { "tvm.rpc.server.load_module", { load_module, NULL } },
    { "tvm.rpc.server.download_linked_module", { download_linked_module, NULL } },
    { "tvm.rpc.server.ModuleGetFunction", { module_get_function, NULL } },
    { "tvm.rpc.server.ImportModule", { import_module, NULL } },
    { "runtime.RPCTimeEvaluator", { evaluator_make, NULL } },
    { NULL, { NULL, NULL } },
};
