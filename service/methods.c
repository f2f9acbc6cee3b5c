/* methods.c: every method's name, class and number of params. docs/PROTOCOL.md says what they
 * mean; the handlers are in the methods_… files.
 *
 * QUICK is what an event loop may do between two packets. What may touch a disk, hash, parse,
 * verify, run, or move or release more bytes than the request brought is SLOW.
 */
#include "methods.h"

#include <string.h>

static const struct vta_method methods[] = {
    { "hello", VTA_METHOD_QUICK, 0, 1, VTA_BOUND_SIZE, vta_do_hello },
    { "ping", VTA_METHOD_URGENT, 0, 1, VTA_BOUND_SIZE, vta_do_ping },
    { "cancel", VTA_METHOD_URGENT, 0, 0, VTA_BOUND_SIZE, vta_do_cancel },

    { "module.upload", VTA_METHOD_SLOW, 2, 3, VTA_BOUND_SIZE, vta_do_module_upload },
    { "module.upload_begin", VTA_METHOD_SLOW, 2, 3, VTA_BOUND_SIZE, vta_do_module_upload_begin },
    { "module.upload_chunk", VTA_METHOD_SLOW, 3, 3, VTA_BOUND_SIZE, vta_do_module_upload_chunk },
    { "module.upload_end", VTA_METHOD_SLOW, 1, 1, VTA_BOUND_SIZE, vta_do_module_upload_end },
    { "module.upload_abort", VTA_METHOD_SLOW, 1, 1, VTA_BOUND_SIZE, vta_do_module_upload_abort },
    { "module.stat", VTA_METHOD_SLOW, 1, 1, VTA_BOUND_SIZE, vta_do_module_stat },
    { "module.download", VTA_METHOD_SLOW, 1, 3, VTA_BOUND_SIZE, vta_do_module_download },
    { "module.list", VTA_METHOD_SLOW, 0, 0, VTA_BOUND_LOAD, vta_do_module_list },
    { "module.remove", VTA_METHOD_SLOW, 1, 1, VTA_BOUND_SIZE, vta_do_module_remove },
    { "module.load", VTA_METHOD_SLOW, 1, 1, VTA_BOUND_LOAD, vta_do_module_load },
    { "module.unload", VTA_METHOD_SLOW, 1, 1, VTA_BOUND_SIZE, vta_do_module_unload },

    { "function.get", VTA_METHOD_QUICK, 2, 2, VTA_BOUND_SIZE, vta_do_function_get },
    { "run", VTA_METHOD_SLOW, 2, 3, VTA_BOUND_RUN, vta_do_run },
    { "time_evaluator", VTA_METHOD_SLOW, 5, 6, VTA_BOUND_RUN, vta_do_time_evaluator },

    { "buffer.alloc", VTA_METHOD_QUICK, 1, 1, VTA_BOUND_SIZE, vta_do_buffer_alloc },
    { "buffer.free", VTA_METHOD_SLOW, 1, 1, VTA_BOUND_SIZE, vta_do_buffer_free },
    { "buffer.write", VTA_METHOD_QUICK, 3, 3, VTA_BOUND_SIZE, vta_do_buffer_write },
    { "buffer.read", VTA_METHOD_QUICK, 3, 3, VTA_BOUND_SIZE, vta_do_buffer_read },
    { "buffer.copy", VTA_METHOD_SLOW, 5, 5, VTA_BOUND_SIZE, vta_do_buffer_copy },

    { "board.info", VTA_METHOD_QUICK, 0, 0, VTA_BOUND_SIZE, vta_do_board_info },
    { "board.program", VTA_METHOD_QUICK, 1, 1, VTA_BOUND_SIZE, vta_do_board_program },
    { "board.reconfigure", VTA_METHOD_QUICK, 1, 1, VTA_BOUND_SIZE, vta_do_board_reconfigure },
    { "board.skip_execution", VTA_METHOD_QUICK, 1, 1, VTA_BOUND_SIZE, vta_do_board_skip_execution },
    { "board.timing", VTA_METHOD_SLOW, 0, 2, VTA_BOUND_SIZE, vta_do_board_timing },
    { "device.attributes", VTA_METHOD_QUICK, 0, 0, VTA_BOUND_SIZE, vta_do_device_attributes },
    { "counters.get", VTA_METHOD_QUICK, 0, 0, VTA_BOUND_SIZE, vta_do_counters_get },
    { "counters.clear", VTA_METHOD_QUICK, 0, 0, VTA_BOUND_SIZE, vta_do_counters_clear },
};

#define METHOD_COUNT (sizeof methods / sizeof methods[0])

const struct vta_method *vta_methods(size_t *count)
{
    *count = METHOD_COUNT;
    return methods;
}

const struct vta_method *vta_method_find(const char *name, size_t length)
{
    for (size_t i = 0; i < METHOD_COUNT; i++)
        if (strlen(methods[i].name) == length && memcmp(methods[i].name, name, length) == 0)
            return &methods[i];
    return NULL;
}

enum vta_method_class vta_service_class(const char *method, size_t length)
{
    const struct vta_method *found = vta_method_find(method, length);
    return found != NULL ? found->class : VTA_METHOD_UNKNOWN;
}
