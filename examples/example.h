/* example.h: what the examples have in common: where they run, how they fail, how they end. */
#ifndef VTA_EXAMPLES_EXAMPLE_H
#define VTA_EXAMPLES_EXAMPLE_H

#include <vta/client.h>

struct example {
    struct vta_hw hw;
    struct vta_session *session;
    struct vta_error error; /* where every call puts its reason */
};

/* Reads "[--local] [--config vta_config.json]"; connects to $VTA_RPC_HOST:$VTA_RPC_PORT (default
 * 127.0.0.1:9091), or opens a board in the process; makes the board the configured one. */
void example_open(struct example *example, int argc, char **argv);
void example_close(struct example *example);

/* Ends the program with the reason where rc is not 0, or pointer is NULL. */
void example_check(const struct example *example, const char *what, int rc);
void example_check_pointer(const struct example *example, const char *what, const void *pointer);

/* Saves a kernel as a module file, uploads it, and loads it. The kernel is taken over. */
struct vta_module *example_send(struct example *example, struct vta_kernel *kernel,
                                const char *file_name);

/* Calls a function of the module once, with counters cleared before, and prints them. */
void example_call(struct example *example, struct vta_module *module, const char *name,
                  struct vta_ndarray *const *arrays, size_t count);

/* Random numbers from lo to hi. */
void example_random_int8(int8_t *numbers, size_t count, int lo, int hi);
void example_random_int32(int32_t *numbers, size_t count, int lo, int hi);

#endif
