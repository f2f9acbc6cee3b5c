/* vta/client.h: a remote VTA board (or one in this process) for a C program.
 *
 * Mirrors the remote API of TVM: connect, upload, load a module, get a function, make arrays on
 * ext_dev, call. The same calls work on vta_local_session(), which runs in the process with no
 * daemon; nothing else differs.
 *
 * Calls block. A session and everything that came from it may be used by one thread at a time;
 * different sessions by different threads at once. `error` may be NULL everywhere. Functions that
 * return a pointer return NULL on failure; others return 0 or a negative VTA_E… code. What the
 * daemon says about a failure arrives unchanged in *error.
 *
 * Closing a session invalidates its modules, functions and arrays: they may still be freed, any
 * other use returns VTA_ECLOSED. After VTA_EIO, VTA_ETIMEOUT or VTA_EPROTO a session is broken in
 * the same way.
 */
#ifndef VTA_CLIENT_H
#define VTA_CLIENT_H

#include <stddef.h>
#include <stdint.h>

#include <vta/error.h>
#include <vta/hw.h>
#include <vta/kernel.h>

#ifdef __cplusplus
extern "C" {
#endif

struct vta_session;
struct vta_module;   /* a loaded module */
struct vta_function; /* a kernel of a loaded module */
struct vta_ndarray;  /* a dense tensor in the board's DRAM */

/* ---- Sessions ------------------------------------------------------------------------------ */

#define VTA_DEFAULT_PORT 9091

/* Connects over TCP. host NULL: $VTA_RPC_HOST, or 127.0.0.1; "unix:PATH" is a Unix socket.
 * port 0: $VTA_RPC_PORT, or 9091. Connecting may take 10 s; see vta_connect_timeout. */
VTA_API struct vta_session *vta_connect(const char *host, int port, struct vta_error *error);

/* timeout_ms bounds connecting and each later wait for the peer's bytes, except that runs may take
 * as long as the daemon allows. 0: wait for ever. */
VTA_API struct vta_session *vta_connect_timeout(const char *host, int port, unsigned timeout_ms,
                                                struct vta_error *error);

/* A board in this process. hw NULL: the default configuration. Runs have no deadline
 * (vta_server_info says run_deadline_ms 0): a call computes in the caller's thread and returns when
 * it is done; how long that may take is the caller's to know, from vta_function_counters. */
VTA_API struct vta_session *vta_local_session(const struct vta_hw *hw, struct vta_error *error);

/* Ends the session: the daemon releases board, modules and arrays. NULL is allowed. */
VTA_API void vta_close(struct vta_session *session);

/* Whether it is vta_local_session's. */
VTA_API bool vta_session_is_local(const struct vta_session *session);

struct vta_server_info {
    char server[64]; /* "vtad 0.1.0" */
    char device[32]; /* "sim" */
    uint32_t protocol, module_format;
    struct vta_hw hw; /* what the board is now */
    char bitstream[VTA_BITSTREAM_NAME];
    uint64_t message_bytes, dram_bytes, upload_bytes, read_bytes; /* limits */
    uint32_t modules, buffers, run_deadline_ms;
};
VTA_API int vta_server_info(struct vta_session *session, struct vta_server_info *info,
                            struct vta_error *error);

/* One round trip; nanoseconds in *ns (may be NULL). */
VTA_API int vta_ping(struct vta_session *session, uint64_t *ns, struct vta_error *error);

/* Called with bytes done and total during long transfers; NULL to stop. */
VTA_API void vta_set_progress(struct vta_session *session,
                              void (*progress)(void *context, const char *what, uint64_t done,
                                               uint64_t total),
                              void *context);

/* ---- The board ----------------------------------------------------------------------------- */

/* Selects the hardware configuration that a bitstream's name spells, with or without ".bit";
 * another name ("vta.bit") keeps the one that is set. VTA_ESTATE after first use of the device,
 * unless it is the same. */
VTA_API int vta_program_fpga(struct vta_session *session, const char *bitstream,
                             struct vta_error *error);

/* The same from a configuration. */
VTA_API int vta_reconfig_runtime(struct vta_session *session, const struct vta_hw *hw,
                                 struct vta_error *error);

VTA_API int vta_get_counters(struct vta_session *session, struct vta_counters *counters,
                             struct vta_error *error);
VTA_API int vta_clear_counters(struct vta_session *session, struct vta_error *error);

/* Count without computing. */
VTA_API int vta_skip_execution(struct vta_session *session, bool skip, struct vta_error *error);

/* Whose time is predicted, and whose clock time evaluators answer in. */
struct vta_timing_choice {
    char profile[64]; /* name of the timing profile; empty: none */
    char board[512];  /* what it describes */
    bool measured;    /* it was fitted to times of a real board */
    bool board_clock; /* time evaluators answer in the board's time, not in the host's */
};

/* Chooses for the session, and says what is chosen. profile: "auto" (the measured one for the
 * board's hardware), "none", the name of one that the daemon knows, or the JSON text of one; NULL
 * keeps it. clock: "host", "board", or NULL. choice may be NULL. VTA_ENOTFOUND suggests a name. */
VTA_API int vta_select_timing(struct vta_session *session, const char *profile, const char *clock,
                              struct vta_timing_choice *choice, struct vta_error *error);

/* ---- Modules ------------------------------------------------------------------------------- */

struct vta_module_info {
    char name[256];
    uint64_t bytes;
    char digest[65]; /* SHA-256, hex */
    bool stored;     /* outlives the session */
};

/* Uploads a module file. name NULL: the last component of path. */
VTA_API int vta_upload(struct vta_session *session, const char *path, const char *name,
                       struct vta_error *error);
VTA_API int vta_upload_bytes(struct vta_session *session, const char *name, const void *bytes,
                             size_t nbytes, struct vta_error *error);
/* The bytes of an uploaded module; the caller frees *bytes. */
VTA_API int vta_download(struct vta_session *session, const char *name, void **bytes,
                         size_t *nbytes, struct vta_error *error);
/* What the session sees, by name; the caller frees *list. */
VTA_API int vta_list_modules(struct vta_session *session, struct vta_module_info **list,
                             size_t *count, struct vta_error *error);
VTA_API int vta_remove(struct vta_session *session, const char *name, struct vta_error *error);

/* Loads an uploaded module: configuration compared, programs verified. */
VTA_API struct vta_module *vta_load_module(struct vta_session *session, const char *name,
                                           struct vta_error *error);
/* Unloads it; its functions may be freed, not called. NULL is allowed. */
VTA_API void vta_module_free(struct vta_module *module);

/* Names of its functions: belong to the module. */
VTA_API size_t vta_module_function_count(const struct vta_module *module);
VTA_API const char *vta_module_function_name(const struct vta_module *module, size_t index);

/* What loading found that may go wrong on a board: how much, and what the server listed of it.
 * Each text has several lines, begins with its function's name and belongs to the module; *warning
 * (may be NULL) is false where a server whose policy is to fail would have refused the module.
 * NULL where `index` is beyond the list. */
VTA_API uint64_t vta_module_hazards_found(const struct vta_module *module);
VTA_API const char *vta_module_hazard(const struct vta_module *module, size_t index, bool *warning);

/* ---- Functions ----------------------------------------------------------------------------- */

VTA_API struct vta_function *vta_module_function(struct vta_module *module, const char *name,
                                                 struct vta_error *error);
VTA_API void vta_function_free(struct vta_function *function);

VTA_API const char *vta_function_name(const struct vta_function *function);
VTA_API size_t vta_function_param_count(const struct vta_function *function);
/* Belongs to the function. NULL beyond the last. */
VTA_API const struct vta_param *vta_function_param(const struct vta_function *function,
                                                   size_t index);
/* What one call will add to the counters. */
VTA_API struct vta_counters vta_function_counters(const struct vta_function *function);

struct vta_run_stats {
    struct vta_counters counters; /* of this call alone */
    uint64_t wall_ns;             /* host time inside the device */
    /* What the board would take by the session's timing profile; 0 where there is none. */
    uint64_t board_ns;     /* the call, the board's processor included */
    uint64_t board_cycles; /* of the fabric, from fetch to FINISH */
};

/* Calls the function with one array per parameter, in order. Types and shapes must agree with
 * the parameters' (VTA_ESIZE names the first that does not). stats may be NULL. */
VTA_API int vta_call(struct vta_function *function, struct vta_ndarray *const *arrays, size_t count,
                     struct vta_run_stats *stats, struct vta_error *error);

/* Seconds per call: `repeat` results, each the mean over `number` calls, which is raised until a
 * repeat takes min_repeat_ms. One warm-up call first. results holds `repeat` doubles. By the
 * board's clock (vta_select_timing) there is one call in all, and every result is the predicted
 * time. */
VTA_API int vta_time_evaluator(struct vta_function *function, struct vta_ndarray *const *arrays,
                               size_t count, uint32_t number, uint32_t repeat,
                               uint32_t min_repeat_ms, double *results, struct vta_error *error);

/* ---- Arrays -------------------------------------------------------------------------------- */

/* Where an array lives. TVM's ext_dev is the board (device type 12). */
struct vta_device {
    struct vta_session *session;
    int device_type, device_id;
};
VTA_API struct vta_device vta_ext_dev(struct vta_session *session, int device_id);

/* A zeroed array. */
VTA_API struct vta_ndarray *vta_ndarray_empty(struct vta_device device,
                                              const struct vta_tensor_type *type,
                                              struct vta_error *error);
/* An array with the host's bytes (row-major, vta_tensor_nbytes of them; not kept). */
VTA_API struct vta_ndarray *vta_ndarray_from(struct vta_device device,
                                             const struct vta_tensor_type *type, const void *bytes,
                                             struct vta_error *error);
VTA_API void vta_ndarray_free(struct vta_ndarray *array);

VTA_API const struct vta_tensor_type *vta_ndarray_type(const struct vta_ndarray *array);
VTA_API uint64_t vta_ndarray_nbytes(const struct vta_ndarray *array);

/* Host → board. VTA_ESIZE unless nbytes is the array's size. */
VTA_API int vta_ndarray_copy_from(struct vta_ndarray *array, const void *bytes, size_t nbytes,
                                  struct vta_error *error);
/* Board → host. */
VTA_API int vta_ndarray_copy_to(struct vta_ndarray *array, void *bytes, size_t nbytes,
                                struct vta_error *error);
/* Board → board, within one session; equal sizes. */
VTA_API int vta_ndarray_copy(struct vta_ndarray *to, const struct vta_ndarray *from,
                             struct vta_error *error);

/* ---- Networks ------------------------------------------------------------------------------ */

/* A network that TVM compiled, in a TVM session of its own with a daemon (not in this process:
 * there is no local form). What holds for sessions holds for it: calls block, one thread at a time,
 * and after VTA_EIO, VTA_ETIMEOUT or VTA_EPROTO every call is VTA_ECLOSED. What the daemon says of
 * a call that failed is VTA_EINVAL, as TVM's protocol has words and no codes. Runs, and loading,
 * may take as long as the daemon allows. */
struct vta_network;

struct vta_network_options {
    const char *host; /* as for vta_connect */
    int port;
    unsigned timeout_ms; /* as for vta_connect_timeout; 0: wait for ever */
    const char *key;     /* the server's tvm_key; NULL: none */
    /* Files here. */
    const char *library; /* what export_library made: .tar, .o or .so */
    const char *graph;   /* the graph's JSON; NULL: the library brings graph and parameters */
    const char *params;  /* what save_param_dict made; NULL: none */
    /* What the session's board is; NULL: what the daemon's configuration says. */
    const char *hw;        /* text of a vta_config.json */
    const char *bitstream; /* its name */
    bool profile; /* vta_network_profile will be called: the debug executor makes the network */
    void (*progress)(void *context, const char *what, uint64_t done, uint64_t total); /* or NULL */
    void *progress_context;
};

/* Reads the files, connects, uploads and loads the library, makes the network and loads its
 * parameters. The options are not kept, but for `progress`. VTA_ENOTFOUND, VTA_EIO or VTA_EFORMAT
 * with the name of the file; VTA_EUNSUPPORTED: the server has no TVM sessions, or is something
 * else. */
VTA_API struct vta_network *vta_network_open(const struct vta_network_options *options,
                                             struct vta_error *error);
/* Ends the session. NULL is allowed. */
VTA_API void vta_network_close(struct vta_network *network);

struct vta_network_tensor {
    const char *name; /* of its node */
    struct vta_tensor_type type;
    uint64_t nbytes; /* row-major, every number in whole bytes */
    bool parameter;  /* an input that the file of parameters has */
};

/* What the graph says, by index; belongs to the network. NULL beyond the last. */
VTA_API const struct vta_network_tensor *vta_network_input(const struct vta_network *network,
                                                           size_t index);
VTA_API const struct vta_network_tensor *vta_network_output(const struct vta_network *network,
                                                            size_t index);

/* Host → network; the bytes are not kept. name NULL: the only input that is no parameter.
 * VTA_ENOTFOUND lists the names; VTA_ESIZE unless nbytes is the input's size. */
VTA_API int vta_network_set_input(struct vta_network *network, const char *name, const void *bytes,
                                  size_t nbytes, struct vta_error *error);

/* One run. *ns (may be NULL) is how long the call took, its round trip included. */
VTA_API int vta_network_run(struct vta_network *network, uint64_t *ns, struct vta_error *error);

/* Network → host: what the last run has made of an output. VTA_ERANGE for an index that is none,
 * VTA_ESIZE unless nbytes is the output's size. */
VTA_API int vta_network_get_output(struct vta_network *network, size_t index, void *bytes,
                                   size_t nbytes, struct vta_error *error);

struct vta_network_node {
    char name[128];
    char device[16];   /* "ext_dev0", "cpu0" */
    uint64_t wall_ns;  /* by the clock of the server's time evaluators (the host's by default) */
    uint64_t vta_ns;   /* of these, inside the device */
    uint64_t board_ns; /* what the board would take for vta_ns; 0: nothing, or it is not known */
    bool counted;      /* `counters` are known */
    struct vta_counters counters; /* of the node */
};

/* Three runs: one to warm up, one in which every node is timed, and one, node by node, that counts.
 * The nodes that call a kernel or copy, in order; the caller frees *nodes. VTA_ESTATE if the
 * network was not opened for it. */
VTA_API int vta_network_profile(struct vta_network *network, struct vta_network_node **nodes,
                                size_t *count, struct vta_error *error);

/* ---- Tiling -------------------------------------------------------------------------------- */

/* Row-major [rows][columns] ↔ tiled [rows/tile_rows][columns/tile_columns][tile_rows]
 * [tile_columns]. elem_bytes is 1 or 4 (any whole-byte type). Tiles must divide the matrix:
 * VTA_ESIZE. INP tiles are batch × block, WGT block × block, ACC and OUT batch × block. */
VTA_API int vta_pack_2d(void *tiled, const void *matrix, size_t rows, size_t columns,
                        size_t tile_rows, size_t tile_columns, size_t elem_bytes,
                        struct vta_error *error);
VTA_API int vta_unpack_2d(void *matrix, const void *tiled, size_t rows, size_t columns,
                          size_t tile_rows, size_t tile_columns, size_t elem_bytes,
                          struct vta_error *error);

#ifdef __cplusplus
}
#endif

#endif
