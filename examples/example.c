/* example.c: see example.h. */
#include "example.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <vta/module.h>

void example_check(const struct example *example, const char *what, int rc)
{
    if (rc == 0)
        return;
    fprintf(stderr, "%s: %s\n", what, example->error.message);
    exit(EXIT_FAILURE);
}

void example_check_pointer(const struct example *example, const char *what, const void *pointer)
{
    example_check(example, what, pointer == NULL ? VTA_EINVAL : 0);
}

void example_open(struct example *example, int argc, char **argv)
{
    bool local = false;
    memset(example, 0, sizeof(*example));
    vta_hw_default(&example->hw);
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--local") == 0) {
            local = true;
        } else if (strcmp(argv[i], "--config") == 0 && i + 1 < argc) {
            const char *path = argv[++i];
            example_check(example, path, vta_hw_from_file(&example->hw, path, &example->error));
        } else {
            fprintf(stderr, "usage: %s [--local] [--config vta_config.json]\n", argv[0]);
            exit(2);
        }
    }
    if (example->hw.inp_bits != 8 || example->hw.wgt_bits != 8) {
        fprintf(stderr, "this example computes with int8, the configuration has other widths\n");
        exit(2);
    }
    example->session = local ? vta_local_session(&example->hw, &example->error)
                             : vta_connect(NULL, 0, &example->error);
    example_check_pointer(example, "connect", example->session);
    example_check(example, "reconfigure",
                  vta_reconfig_runtime(example->session, &example->hw, &example->error));
}

void example_close(struct example *example)
{
    vta_close(example->session);
}

struct vta_module *example_send(struct example *example, struct vta_kernel *kernel,
                                const char *file_name)
{
    struct vta_error *error = &example->error;
    struct vta_module_image image = { .hw = example->hw };
    char folder[] = "/tmp/vta-example-XXXXXX", path[sizeof folder + 64];
    example_check(example, "module", vta_module_image_add(&image, kernel, error));
    if (mkdtemp(folder) == NULL) {
        perror(folder);
        exit(EXIT_FAILURE);
    }
    snprintf(path, sizeof path, "%s/%s", folder, file_name);
    example_check(example, "save", vta_module_save(&image, path, error));
    int rc = vta_upload(example->session, path, NULL, error);
    unlink(path);
    rmdir(folder);
    example_check(example, "upload", rc);
    vta_module_image_clear(&image);

    struct vta_module *module = vta_load_module(example->session, file_name, error);
    example_check_pointer(example, "load", module);
    return module;
}

static void print_counters(const struct vta_counters *counters)
{
    printf("\nExecution statistics:\n");
#define PRINT(name) printf("\t%-16s: %16" PRIu64 "\n", #name, counters->name);
    VTA_COUNTERS(PRINT)
#undef PRINT
}

void example_call(struct example *example, struct vta_module *module, const char *name,
                  struct vta_ndarray *const *arrays, size_t count)
{
    struct vta_error *error = &example->error;
    struct vta_counters counters;
    struct vta_function *function = vta_module_function(module, name, error);
    example_check_pointer(example, name, function);
    example_check(example, "clear counters", vta_clear_counters(example->session, error));
    example_check(example, name, vta_call(function, arrays, count, NULL, error));
    example_check(example, "counters", vta_get_counters(example->session, &counters, error));
    print_counters(&counters);
    vta_function_free(function);
}

void example_random_int8(int8_t *numbers, size_t count, int lo, int hi)
{
    for (size_t i = 0; i < count; i++)
        numbers[i] = (int8_t)(lo + rand() % (hi - lo + 1));
}

void example_random_int32(int32_t *numbers, size_t count, int lo, int hi)
{
    for (size_t i = 0; i < count; i++)
        numbers[i] = lo + rand() % (hi - lo + 1);
}
