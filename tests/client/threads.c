/* threads.c: many sessions at once, each in a thread of its own, local ones and, with a daemon's
 * path as the argument, remote ones. Meant for ThreadSanitizer (-Db_sanitize=thread), so without
 * Criterion; what it checks holds everywhere. Public headers only.
 */
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <vta/build.h>
#include <vta/client.h>
#include <vta/module.h>

#define THREADS 6
#define CALLS   10
#define NUMBERS 64 /* of one array */

static uint8_t *module_bytes;
static size_t module_nbytes;
static int port; /* of the daemon; 0: none */

static void must(int ok, const char *what, const struct vta_error *error)
{
    if (ok)
        return;
    fprintf(stderr, "threads: %s: %s\n", what, error->message);
    exit(1);
}

static const struct vta_tensor_type int32_type = { { VTA_DTYPE_INT, 32 }, 1, { NUMBERS } };
static const struct vta_tensor_type int8_type = { { VTA_DTYPE_INT, 8 }, 1, { NUMBERS } };

/* out = low bytes of in + 3. */
static void make_module(void)
{
    struct vta_module_image image = { 0 };
    struct vta_kernel kernel = { 0 };
    struct vta_error error;
    const uint32_t tiles = NUMBERS / 16;

    vta_hw_default(&image.hw);
    struct vta_build *build = vta_build_new(&image.hw, "add3");
    int in = vta_build_param(build, "in", &int32_type, VTA_MEM_ACC, VTA_ACCESS_READ);
    int out = vta_build_param(build, "out", &int8_type, VTA_MEM_OUT, VTA_ACCESS_WRITE);
    struct vta_uop_loop loop = { .extent = tiles, .dst = 1, .src = 1 };
    struct vta_uop_index uop = { 0 };
    struct vta_uop_kernel nest = { &loop, 1, &uop, 1 };
    vta_build_load(build, in, 0, 1, tiles, tiles, NULL, 0, VTA_MEM_ACC);
    vta_build_alu_imm(build, &nest, VTA_ALU_ADD, 3);
    vta_build_push(build, VTA_UNIT_COMPUTE, VTA_UNIT_STORE);
    vta_build_pop(build, VTA_UNIT_COMPUTE, VTA_UNIT_STORE);
    vta_build_store(build, 0, out, 0, 1, tiles, tiles);
    must(vta_build_finish(build, &kernel, &error) == 0, "building", &error);
    must(vta_module_image_add(&image, &kernel, &error) == 0, "adding", &error);
    must(vta_module_encode(&image, &module_bytes, &module_nbytes, &error) == 0, "encoding", &error);
    vta_module_image_clear(&image);
}

/* Everything from upload to the numbers, on a session of this thread's own. */
static void use(struct vta_session *session, int salt)
{
    struct vta_error error;
    int32_t in[NUMBERS];
    int8_t out[NUMBERS];

    must(vta_upload_bytes(session, "m.vta", module_bytes, module_nbytes, &error) == 0, "upload",
         &error);
    struct vta_module *module = vta_load_module(session, "m.vta", &error);
    must(module != NULL, "load", &error);
    struct vta_function *function = vta_module_function(module, "add3", &error);
    must(function != NULL, "function", &error);
    for (int i = 0; i < NUMBERS; i++)
        in[i] = i * salt;
    struct vta_device device = vta_ext_dev(session, 0);
    struct vta_ndarray *arrays[2] = { vta_ndarray_from(device, &int32_type, in, &error), NULL };
    must(arrays[0] != NULL, "array", &error);
    arrays[1] = vta_ndarray_empty(device, &int8_type, &error);
    must(arrays[1] != NULL, "array", &error);
    for (int call = 0; call < CALLS; call++) {
        must(vta_call(function, arrays, 2, NULL, &error) == 0, "call", &error);
        must(vta_ndarray_copy_to(arrays[1], out, sizeof out, &error) == 0, "read", &error);
        for (int i = 0; i < NUMBERS; i++)
            if (out[i] != (int8_t)(in[i] + 3)) {
                fprintf(stderr, "threads: number %d is %d\n", i, out[i]);
                exit(1);
            }
    }
    vta_ndarray_free(arrays[0]);
    vta_ndarray_free(arrays[1]);
    vta_function_free(function);
    vta_module_free(module);
    vta_close(session);
}

static void *work(void *context)
{
    int salt = *(int *)context;
    struct vta_error error;

    struct vta_session *session = vta_local_session(NULL, &error);
    must(session != NULL, "local session", &error);
    use(session, salt);
    if (port == 0)
        return NULL;
    session = vta_connect("127.0.0.1", port, &error);
    must(session != NULL, "connect", &error);
    use(session, salt);
    return NULL;
}

/* Returns its process, once it has said where it listens. */
static pid_t start_daemon(const char *path)
{
    static char text[65536];
    size_t used = 0;
    const char *line = NULL;
    int ends[2];

    if (pipe2(ends, O_CLOEXEC) != 0)
        exit(1);
    pid_t pid = fork();
    if (pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        dup2(ends[1], STDERR_FILENO);
        execl(path, path, "--listen", "127.0.0.1:0", "--log-level", "notice", (char *)NULL);
        _exit(127);
    }
    close(ends[1]);
    while (line == NULL || strchr(line, '\n') == NULL) {
        ssize_t got = read(ends[0], text + used, sizeof text - 1 - used);
        if (got <= 0) {
            fprintf(stderr, "threads: the daemon did not start: %s\n", text);
            exit(1);
        }
        used += (size_t)got;
        text[used] = '\0';
        line = strstr(text, "listening on 127.0.0.1:");
    }
    port = atoi(line + strlen("listening on 127.0.0.1:"));
    return pid;
}

int main(int argc, char **argv)
{
    pthread_t threads[THREADS];
    int salts[THREADS], status = 0;
    pid_t daemon = argc > 1 ? start_daemon(argv[1]) : 0;

    make_module();
    for (int i = 0; i < THREADS; i++) {
        salts[i] = i + 1;
        if (pthread_create(&threads[i], NULL, work, &salts[i]) != 0)
            return 1;
    }
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    free(module_bytes);
    if (daemon == 0)
        return 0;
    kill(daemon, SIGTERM);
    waitpid(daemon, &status, 0);
    if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
        fprintf(stderr, "threads: the daemon ended with status 0x%x\n", status);
    return status != 0;
}
