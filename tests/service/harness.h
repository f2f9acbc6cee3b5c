/* harness.h: asks a service as a client would, byte for byte, and makes module files to ask about.
 */
#ifndef VTA_TESTS_SERVICE_HARNESS_H
#define VTA_TESTS_SERVICE_HARNESS_H

#include "proto/rpc.h"
#include "service/service.h"

/* A service with small limits where that makes tests short; change *options before open_service. */
void small_options(struct vta_service_options *options);
struct vta_service *open_service(const struct vta_service_options *options);

/* An answer, decoded. It lasts until the next one but ANSWERS on this thread. */
#define ANSWERS 8
struct answer {
    const msgpack_object *result; /* nil on failure */
    struct vta_error error;       /* code 0 on success */
    size_t head_bytes, bulk_bytes;
};

/* Asks. params is a word of letters, one per param, and their values follow:
 *   s text · u uint64_t · i int64_t · f double · t true · F false · n nil
 *   b bytes (const void *, size_t) · h handles (const vta_handle *, size_t)
 *   O options of one number (const char *key, uint64_t) · B of one bool (const char *key, int)
 *   m a whole packed value (const void *, size_t)
 * Every answer is scanned and decoded as a client does. */
struct answer *ask(struct vta_service *service, const char *method, const char *params, ...);
/* The same through vta_service_urgent. */
struct answer *ask_urgent(struct vta_service *service, const char *method, const char *params, ...);

/* Of results. These fail the test where the shape is wrong. */
uint64_t as_uint(const msgpack_object *object);
const msgpack_object *at(const msgpack_object *map, const char *key);
uint64_t uint_at(const msgpack_object *map, const char *key);
bool is_text(const msgpack_object *object, const char *text);
void release_answers(void);

/* Asserts on an answer: that it is a result; that it is this error, and that its message holds the
 * text. */
#define cr_ok(answer)            assert_ok((answer), __FILE__, __LINE__)
#define cr_fails(a, code_, text) assert_fails((a), (code_), (text), __FILE__, __LINE__)
struct answer *assert_ok(struct answer *answer, const char *file, int line);
void assert_fails(struct answer *answer, int code, const char *text, const char *file, int line);

/* ---- Modules ------------------------------------------------------------------------------- */

enum kernel_kind {
    KERNEL_ADD,      /* res[i] = data[i] + 1: data int32 (n, block), res int8 (n, block) */
    KERNEL_SLOW,     /* no parameters; GEMMs over the same tiles for very long */
    KERNEL_TINY,     /* no parameters; next to no work */
    KERNEL_DEADLOCK, /* a pop that no push meets */
    KERNEL_OUTSIDE,  /* loads beyond its parameter */
    KERNEL_RACING    /* KERNEL_ADD whose store does not wait for its result */
};
#define ADD_ROWS 4

/* A module file for this hardware with one kernel per name; the caller frees it. */
uint8_t *make_module(const struct vta_hw *hw, size_t *nbytes, const enum kernel_kind *kinds,
                     const char *const *names, size_t count);
/* For the default hardware, with one kernel. */
uint8_t *make_simple(size_t *nbytes, enum kernel_kind kind, const char *name);
/* A valid module file of about this many bytes, filled differently for each salt. */
uint8_t *make_big(size_t *nbytes, size_t about, uint32_t salt);

/* Uploads, loads and gets a function; the handle. */
vta_handle get_function(struct vta_service *service, enum kernel_kind kind, const char *module,
                        const char *name);

#endif
