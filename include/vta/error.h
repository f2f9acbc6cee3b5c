/* vta/error.h: the error codes of the whole project and the struct that carries the reason.
 *
 * A function that can fail returns 0 or a negative VTA_E… code and, where its caller gave a
 * struct vta_error, fills it. The same code, name and words reach a remote client unchanged.
 */
#ifndef VTA_ERROR_H
#define VTA_ERROR_H

#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#if defined(__GNUC__)
#define VTA_API              __attribute__((visibility("default")))
#define VTA_PRINTF(fmt, arg) __attribute__((format(printf, fmt, arg)))
#else
#define VTA_API
#define VTA_PRINTF(fmt, arg)
#endif

/* X(symbol, value, name on the wire, one line of meaning). Values and names never change. */
#define VTA_ERRORS(X)                                                                              \
    X(VTA_EINVAL, -1, "invalid-argument", "an argument is not acceptable")                         \
    X(VTA_ENOMEM, -2, "out-of-memory", "the host has no memory left")                              \
    X(VTA_EIO, -3, "io", "reading or writing a file or socket failed")                             \
    X(VTA_ESIZE, -4, "size-mismatch", "a size does not match what it describes")                   \
    X(VTA_ERANGE, -5, "out-of-range", "an offset or index lies outside its object")                \
    X(VTA_ELIMIT, -6, "limit", "a configured limit would be passed")                               \
    X(VTA_ENOTFOUND, -7, "not-found", "nothing has this name")                                     \
    X(VTA_EEXIST, -8, "exists", "the name is taken")                                               \
    X(VTA_EHANDLE, -9, "bad-handle", "a handle is stale, forged, or of another kind")              \
    X(VTA_ECONFIG, -10, "bad-configuration", "a configuration is not valid")                       \
    X(VTA_EHARDWARE, -11, "hardware-mismatch", "hardware configurations differ")                   \
    X(VTA_EFORMAT, -12, "bad-format", "bytes are not in the format they should have")              \
    X(VTA_EVERSION, -13, "version", "a format or protocol version is not supported")               \
    X(VTA_EDIGEST, -14, "bad-digest", "a digest does not match its bytes")                         \
    X(VTA_EOPCODE, -15, "refused-opcode", "refused: unknown opcode or memory type")                \
    X(VTA_ESRAM, -16, "refused-sram", "refused: an index lies outside an SRAM")                    \
    X(VTA_EDRAM, -17, "refused-dram", "refused: an access lies outside its buffer in DRAM")        \
    X(VTA_EUOP, -18, "refused-uop", "refused: a micro-op is used that no instruction has loaded")  \
    X(VTA_EDEADLOCK, -19, "refused-deadlock",                                                      \
      "refused: a unit waits for a token that never comes")                                        \
    X(VTA_EFINISH, -20, "refused-finish", "refused: FINISH is missing, early, or misses a store")  \
    X(VTA_EWORK, -21, "refused-work", "refused: the program's work passes the limit")              \
    X(VTA_ECANCELLED, -22, "cancelled", "the run was cancelled")                                   \
    X(VTA_EDEADLINE, -23, "deadline", "the run passed its deadline")                               \
    X(VTA_ESTATE, -24, "wrong-state", "not possible in the present state")                         \
    X(VTA_EUNSUPPORTED, -25, "unsupported", "not supported by this build, device or server")       \
    X(VTA_EPROTO, -26, "protocol", "a message is not what the protocol allows")                    \
    X(VTA_EMETHOD, -27, "unknown-method", "the server has no such method")                         \
    X(VTA_ETIMEOUT, -28, "timeout", "the peer did not answer in time")                             \
    X(VTA_ECLOSED, -29, "closed", "the connection is closed")                                      \
    X(VTA_EINTERNAL, -30, "internal", "a defect in vtad itself; please report it")                 \
    X(VTA_EHAZARD, -31, "refused-hazard", "refused: a board may compute something else")           \
    X(VTA_EREFUSED, -32, "refused-code", "refused: machine code did what its memory does not allow")

enum vta_error_code {
#define VTA_ERROR_ENUM(symbol, value, name, text) symbol = value,
    VTA_ERRORS(VTA_ERROR_ENUM)
#undef VTA_ERROR_ENUM
};

#define VTA_ERROR_TEXT 1024

/* The reason of a failure. Plain data: copy it freely, nothing to release. */
struct vta_error {
    int code;                     /* 0 or a VTA_E… code */
    int64_t insn;                 /* index of the instruction it is about, or -1 */
    bool has_limit;               /* limit and value are meaningful */
    int64_t limit, value;         /* the limit that applies and the value that passed it */
    char message[VTA_ERROR_TEXT]; /* UTF-8, no newline at the end; may have several lines */
};

/* Fills *error (which may be NULL) and returns code, so that `return vta_error_set(…)` reads. */
VTA_API int vta_error_set(struct vta_error *error, int code, const char *format, ...)
    VTA_PRINTF(3, 4);

/* The same for a limit: "message" should name the thing, the limit and the value. */
VTA_API int vta_error_limit(struct vta_error *error, int code, int64_t limit, int64_t value,
                            const char *format, ...) VTA_PRINTF(5, 6);

/* Puts "prefix: " before the message of an error that is passed on. */
VTA_API void vta_error_prefix(struct vta_error *error, const char *format, ...) VTA_PRINTF(2, 3);

/* The stable name of a code ("refused-sram"), or "unknown". Never NULL. */
VTA_API const char *vta_error_name(int code);

/* One line that explains a code. Never NULL. */
VTA_API const char *vta_error_text(int code);

/* The code with this stable name, or VTA_EINTERNAL. */
VTA_API int vta_error_from_name(const char *name);

#ifdef __cplusplus
}
#endif

#endif
