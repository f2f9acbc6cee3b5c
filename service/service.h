/* service.h: everything that one client may ask for, and the board it asks it of.
 *
 * A service turns a method's name and params into a reply. It has no socket, no event loop and no
 * thread: the daemon feeds it from connections, the client library's local session calls it
 * directly, and both get the same answers. docs/PROTOCOL.md lists the methods.
 *
 * One call at a time per service, from any thread; vta_service_stop may come from another thread
 * meanwhile. Services share nothing but an optional store directory.
 */
#ifndef VTA_SERVICE_SERVICE_H
#define VTA_SERVICE_SERVICE_H

#include <msgpack.h>

#include "core/board.h"
#include "proto/scan.h"

#include <vta/module.h>

struct vta_service;

struct vta_service_options {
    struct vta_board_options board;
    struct vta_module_limits module; /* per module file */
    uint32_t max_modules;            /* module files held or loaded, each */
    uint64_t max_upload_bytes;       /* all module bytes a session holds, uploads in progress too */
    uint32_t max_buffers;
    uint32_t max_functions;
    uint64_t max_read_bytes;     /* one buffer.read or module.download */
    uint32_t run_deadline_ms;    /* longest run; 0: none. The caller arms the timer. */
    uint32_t max_evaluations;    /* time_evaluator: number × repeat at most */
    const char *store;           /* directory for named modules, or NULL; not copied */
    struct vta_wire_limits wire; /* what hello reports */
    const char *build;           /* server's name and version, for hello; not copied */
};

void vta_service_options_default(struct vta_service_options *options);

struct vta_service *vta_service_new(const struct vta_service_options *options,
                                    struct vta_error *error);
void vta_service_free(struct vta_service *service); /* NULL is allowed; not during a call */

/* How a method wants to be called. */
enum vta_method_class {
    VTA_METHOD_UNKNOWN,
    VTA_METHOD_QUICK, /* microseconds, or one memcpy of what was received: fine on an event loop */
    VTA_METHOD_SLOW,  /* parses, verifies, runs, or touches disk: another thread */
    VTA_METHOD_URGENT /* answered at once, before queued ones; vta_service_urgent (ping, cancel) */
};
enum vta_method_class vta_service_class(const char *method, size_t length);

/* A reply: a whole response message, whose last `bulk_bytes` bytes are not in `head` but at
 * `bulk`: memory of the session that stays as it is until the next call on it. */
struct vta_reply {
    msgpack_sbuffer head;
    const uint8_t *bulk;
    size_t bulk_bytes;
    bool failed; /* the response is an error */
};
void vta_reply_init(struct vta_reply *reply);
void vta_reply_clear(struct vta_reply *reply);

/* Executes one QUICK, SLOW or unknown method and packs the response (an error response too).
 * params is an array. control.stop of the session is reset at the start of each run. */
void vta_service_call(struct vta_service *service, uint32_t msgid, const char *method,
                      size_t method_length, const msgpack_object *params, struct vta_reply *reply);

/* Executes an URGENT method, from the thread that owns the connection, also while
 * vta_service_call is at work in another. */
void vta_service_urgent(struct vta_service *service, uint32_t msgid, const char *method,
                        size_t method_length, const msgpack_object *params,
                        struct vta_reply *reply);

/* Makes a run in progress end soon with this code (VTA_ECANCELLED or VTA_EDEADLINE). Any thread.
 * Without a run in progress it does nothing. Returns whether there was one. */
bool vta_service_stop(struct vta_service *service, int code);

/* The deadline that applies to a request, in ms, or 0: what params ask for, at most the session's
 * own. For the caller's timer. */
uint32_t vta_service_deadline(const struct vta_service *service, const char *method,
                              size_t method_length, const msgpack_object *params);

struct vta_service_stats {
    uint64_t runs;
    uint64_t calls, failures;
};
void vta_service_stats(const struct vta_service *service, struct vta_service_stats *stats);

#endif
