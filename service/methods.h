/* methods.h: the table of methods. Private to service/ and its tests. */
#ifndef VTA_SERVICE_METHODS_H
#define VTA_SERVICE_METHODS_H

#include "service.h"

struct vta_request;

/* What bounds a method while it works. */
enum vta_method_bound {
    VTA_BOUND_SIZE, /* nothing; the bytes that it is about. It cannot be stopped */
    VTA_BOUND_LOAD, /* load_deadline_ms */
    VTA_BOUND_RUN   /* run_deadline_ms, or what deadline_ms in its last parameter asks for */
};

struct vta_method {
    const char *name;
    enum vta_method_class class;
    uint8_t min_params, max_params;
    enum vta_method_bound bound;
    int (*handler)(struct vta_request *request);
};

/* The whole table. */
const struct vta_method *vta_methods(size_t *count);

/* The method with this name, or NULL. */
const struct vta_method *vta_method_find(const char *name, size_t length);

/* The handlers, by file. */
int vta_do_hello(struct vta_request *request); /* methods_session.c */
int vta_do_ping(struct vta_request *request);
int vta_do_cancel(struct vta_request *request);

int vta_do_module_upload(struct vta_request *request); /* methods_upload.c */
int vta_do_module_upload_begin(struct vta_request *request);
int vta_do_module_upload_chunk(struct vta_request *request);
int vta_do_module_upload_end(struct vta_request *request);
int vta_do_module_upload_abort(struct vta_request *request);

int vta_do_module_stat(struct vta_request *request); /* methods_module.c */
int vta_do_module_download(struct vta_request *request);
int vta_do_module_list(struct vta_request *request);
int vta_do_module_remove(struct vta_request *request);
int vta_do_module_load(struct vta_request *request);
int vta_do_module_unload(struct vta_request *request);

int vta_do_function_get(struct vta_request *request); /* methods_function.c */
int vta_do_run(struct vta_request *request);          /* methods_run.c */
int vta_do_time_evaluator(struct vta_request *request);
int vta_do_board_timing(struct vta_request *request);

int vta_do_buffer_alloc(struct vta_request *request); /* methods_buffer.c */
int vta_do_buffer_free(struct vta_request *request);
int vta_do_buffer_write(struct vta_request *request);
int vta_do_buffer_read(struct vta_request *request);
int vta_do_buffer_copy(struct vta_request *request);

int vta_do_board_info(struct vta_request *request); /* methods_board.c */
int vta_do_board_program(struct vta_request *request);
int vta_do_board_reconfigure(struct vta_request *request);
int vta_do_board_skip_execution(struct vta_request *request);
int vta_do_device_attributes(struct vta_request *request);
int vta_do_counters_get(struct vta_request *request);
int vta_do_counters_clear(struct vta_request *request);

#endif
