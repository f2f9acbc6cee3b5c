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
    struct vta_board_options board;  /* its profile is copied */
    struct vta_module_limits module; /* per module file */
    uint32_t max_modules;            /* module files held, loaded, or being uploaded, each */
    uint64_t max_upload_bytes;       /* all module bytes a session holds, uploads in progress too;
                                        and, counted apart, the files of its loaded modules */
    uint32_t max_buffers;
    uint32_t max_functions;
    uint64_t max_read_bytes;     /* one buffer.read or module.download */
    uint32_t run_deadline_ms;    /* longest run; 0: none */
    uint32_t load_deadline_ms;   /* longest module.load or module.list; 0: none */
    bool board_clock;            /* time evaluators answer in the board's time, until a client
                                    chooses */
    uint32_t max_evaluations;    /* runs that one time_evaluator may make, raised ones included */
    const char *store;           /* directory for named modules, or NULL; not copied */
    uint32_t max_store_modules;  /* files in it */
    uint64_t max_store_bytes;    /* bytes of all of them */
    struct vta_wire_limits wire; /* what hello reports */
    const char *build;           /* server's name and version, for hello; not copied */
    struct vta_hw_warnings
        warnings; /* of configurations that the client sends, from inside
                     vta_service_call of board.reconfigure; line NULL: nobody hears */
};

/* 256 modules, 256 MiB of them, 4096 buffers and functions, reads of 4 MiB, runs and
 * loads of 60 s, 10 million evaluations, no store (else 1024 modules of 1 GiB together). */
void vta_service_options_default(struct vta_service_options *options);

/* Makes a store directory ready, once, before the first service uses it: checks that files can be
 * written there and removes what an interrupted upload left behind (not what another process is
 * still writing). VTA_EIO says what is wrong with it. */
int vta_service_store_prepare(const char *path, struct vta_error *error);

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
 * `bulk`: memory of the session that stays as it is until the next call on it (urgent ones aside).
 * head.size is 0 only where the host had no memory even for an error response. */
struct vta_reply {
    msgpack_sbuffer head;
    const uint8_t *bulk;
    size_t bulk_bytes;
    bool failed; /* the response is an error */
};
void vta_reply_init(struct vta_reply *reply);
void vta_reply_clear(struct vta_reply *reply);

/* Executes one method, of any class or unknown, and packs the response (an error response too).
 * params is an array. What the reply held before is dropped. */
void vta_service_call(struct vta_service *service, uint32_t msgid, const char *method,
                      size_t method_length, const msgpack_object *params, struct vta_reply *reply);

/* Executes an URGENT method, from the thread that owns the connection, also while
 * vta_service_call is at work in another. */
void vta_service_urgent(struct vta_service *service, uint32_t msgid, const char *method,
                        size_t method_length, const msgpack_object *params,
                        struct vta_reply *reply);

/* Announces that a SLOW method will be called, so that it can be stopped while it waits for a
 * thread; vta_service_call takes the announcement up. From the thread that owns the connection. */
void vta_service_announce(struct vta_service *service);

/* The announced call will not be made after all. Returns the code that it was stopped with, or 0.
 */
int vta_service_withdraw(struct vta_service *service);

/* Makes the call in progress end soon with this code (VTA_ECANCELLED or VTA_EDEADLINE). Any thread.
 * Returns true if there is one: then that very call fails with the code, whatever else becomes of
 * it, and no later one does. A call is in progress from its announcement (or, without one, from
 * when vta_service_call has started) until it is sure to succeed or to fail; one that cannot be
 * stopped (methods.h), until it starts. A second stop of the same call returns false. */
bool vta_service_stop(struct vta_service *service, int code);

/* Whether the call in progress was stopped. Any thread. */
bool vta_service_stopped(const struct vta_service *service);

/* Sums since vta_service_new; from any thread. */
struct vta_service_stats {
    uint64_t runs; /* of programs, those of time_evaluator too */
    uint64_t calls, failures;
};
void vta_service_stats(const struct vta_service *service, struct vta_service_stats *stats);

#endif
