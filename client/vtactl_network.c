/* vtactl_network.c: tvm-run: a folder of what TVM saved becomes a network at a server, which runs.
 */
#include "vtactl.h"

#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "core/text_file.h"

#define HW_TEXT_MAX 65536

/* ---- The folder ---------------------------------------------------------------------------- */

struct paths {
    char library[PATH_MAX], graph[PATH_MAX], params[PATH_MAX];
};

static int path_of(char path[PATH_MAX], const char *folder, const char *name,
                   struct vta_error *error)
{
    const int length = snprintf(path, PATH_MAX, "%s/%s", folder, name);
    if (length < PATH_MAX)
        return 0;
    return vta_error_limit(error, VTA_ELIMIT, PATH_MAX - 1, length,
                           "a path of %d bytes, at most %d", length, PATH_MAX - 1);
}

/* The file that an option names, or the usual one if it is there; else an empty path. */
static int find_file(char path[PATH_MAX], const char *folder, const char *named, const char *usual,
                     struct vta_error *error)
{
    int rc = path_of(path, folder, named != NULL ? named : usual, error);
    if (rc == 0 && named == NULL && !is_file(path))
        *path = '\0';
    return rc;
}

static bool is_library(const char *name)
{
    static const char *const ends[] = { ".tar", ".tar.gz", ".tgz", ".o", ".so" };
    const size_t length = strlen(name);
    for (size_t i = 0; i < sizeof ends / sizeof ends[0]; i++)
        if (length > strlen(ends[i]) && strcmp(name + length - strlen(ends[i]), ends[i]) == 0)
            return true;
    return false;
}

/* The only library of a folder. */
static int only_library(char path[PATH_MAX], const char *folder, struct vta_error *error)
{
    char names[256] = "", only[NAME_MAX + 1] = "";
    size_t count = 0, used = 0;
    DIR *dir = opendir(folder);
    if (dir == NULL)
        return vta_error_set(error, errno == ENOENT ? VTA_ENOTFOUND : VTA_EIO, "%s: %s", folder,
                             strerror(errno));
    for (const struct dirent *entry; (entry = readdir(dir)) != NULL;) {
        if (!is_library(entry->d_name))
            continue;
        snprintf(only, sizeof only, "%s", entry->d_name);
        if (used < sizeof names)
            used += (size_t)snprintf(names + used, sizeof names - used, "%s%s",
                                     count == 0 ? "" : ", ", entry->d_name);
        count++;
    }
    closedir(dir);
    if (count == 1)
        return path_of(path, folder, only, error);
    if (count == 0)
        return vta_error_set(error, VTA_ENOTFOUND, "%s: no library (.tar, .o, .so) is there",
                             folder);
    return vta_error_set(error, VTA_EINVAL, "%s: %zu libraries are there, --library says which: %s",
                         folder, count, names);
}

static int find_paths(struct paths *paths, const struct arguments *arguments,
                      struct vta_error *error)
{
    const char *folder = arguments->operands[0];
    struct utsname host;
    struct stat status;
    char usual[sizeof host.machine + 16];
    if (stat(folder, &status) != 0)
        return vta_error_set(error, errno == ENOENT ? VTA_ENOTFOUND : VTA_EIO, "%s: %s", folder,
                             strerror(errno));
    if (!S_ISDIR(status.st_mode))
        return vta_error_set(error, VTA_EINVAL, "%s: not a folder", folder);
    uname(&host);
    snprintf(usual, sizeof usual, "graphlib-%s.tar", host.machine);
    int rc = find_file(paths->library, folder, arguments->library, usual, error);
    if (rc == 0 && *paths->library == '\0')
        rc = only_library(paths->library, folder, error);
    if (rc == 0)
        rc = find_file(paths->graph, folder, arguments->graph, "graph.json", error);
    if (rc == 0)
        rc = find_file(paths->params, folder, arguments->params, "params.bin", error);
    return rc;
}

/* ---- Inputs -------------------------------------------------------------------------------- */

static const struct vta_network_tensor *named_input(const struct vta_network *network,
                                                    const char *name, size_t length)
{
    const struct vta_network_tensor *input;
    for (size_t i = 0; (input = vta_network_input(network, i)) != NULL; i++)
        if (strlen(input->name) == length && memcmp(input->name, name, length) == 0)
            return input;
    return NULL;
}

/* What an input without a name goes to: the only one that is no parameter. NULL: there are several,
 * or none. */
static const struct vta_network_tensor *only_input(const struct vta_network *network)
{
    const struct vta_network_tensor *input, *found = NULL;
    for (size_t i = 0; (input = vta_network_input(network, i)) != NULL; i++) {
        if (!input->parameter && found != NULL)
            return NULL;
        if (!input->parameter)
            found = input;
    }
    return found;
}

/* "[NAME=]FILE". */
static int set_input(struct vta_network *network, const char *text, struct vta_error *error)
{
    const char *equals = strchr(text, '='), *path = text;
    const struct vta_network_tensor *input = NULL;
    void *bytes;
    if (equals != NULL)
        input = named_input(network, text, (size_t)(equals - text));
    if (input != NULL)
        path = equals + 1;
    else if (equals != NULL && !is_file(text)) /* says which names there are */
        return vta_error_set(error, VTA_ENOTFOUND, "--input %s: the network has no input '%.*s'",
                             text, (int)(equals - text), text);
    else
        input = only_input(network);
    if (input == NULL) /* says which there are */
        return vta_network_set_input(network, NULL, "", 0, error);
    int rc = read_array(path, &input->type, input->nbytes, &bytes, error);
    if (rc == 0)
        rc = vta_network_set_input(network, input->name, bytes, (size_t)input->nbytes, error);
    else
        vta_error_prefix(error, "%s", input->name);
    free(bytes);
    return rc;
}

/* An input that has neither a file nor a place among the parameters would be zeros. */
static int set_inputs(struct vta_network *network, const struct texts *inputs,
                      struct vta_error *error)
{
    const struct vta_network_tensor *only = only_input(network);
    int rc = 0;
    if (inputs->count == 0 && only != NULL)
        return vta_error_set(error, VTA_EINVAL, "no input for '%s': give --input FILE", only->name);
    for (size_t i = 0; i < inputs->count && rc == 0; i++)
        rc = set_input(network, inputs->texts[i], error);
    return rc;
}

/* ---- Outputs ------------------------------------------------------------------------------- */

/* The path that output `index` is written to: the file given, or OUTPUT_n.npy in a folder.
 * malloc'ed. */
static char *output_path(const char *output, size_t index)
{
    struct stat status;
    char *path;
    if (stat(output, &status) != 0 || !S_ISDIR(status.st_mode))
        return strdup(output);
    return asprintf(&path, "%s/output%zu.npy", output, index) >= 0 ? path : NULL;
}

static int fetch_output(struct vta_network *network, struct network_result *result, size_t index,
                        const char *output, struct vta_error *error)
{
    const struct vta_network_tensor *tensor = vta_network_output(network, index);
    result->outputs[index] = malloc((size_t)tensor->nbytes + 1);
    if (result->outputs[index] == NULL)
        return vta_error_set(error, VTA_ENOMEM, "no memory for output %zu", index);
    int rc = vta_network_get_output(network, index, result->outputs[index], (size_t)tensor->nbytes,
                                    error);
    if (rc != 0 || output == NULL)
        return rc;
    result->files[index] = output_path(output, index);
    if (result->files[index] == NULL)
        return vta_error_set(error, VTA_ENOMEM, "no memory for a path");
    return write_array(result->files[index], &tensor->type, result->outputs[index], tensor->nbytes,
                       error);
}

static size_t output_count(const struct vta_network *network)
{
    size_t count = 0;
    while (vta_network_output(network, count) != NULL)
        count++;
    return count;
}

static int fetch_outputs(struct vta_network *network, struct network_result *result,
                         const char *output, struct vta_error *error)
{
    const size_t count = output_count(network);
    struct stat status;
    int rc = 0;
    if (output != NULL && count > 1 && (stat(output, &status) != 0 || !S_ISDIR(status.st_mode)))
        return vta_error_set(error, VTA_EINVAL,
                             "--output %s: the network has %zu outputs, so that it must be a "
                             "folder that is there",
                             output, count);
    result->outputs = calloc(count + 1, sizeof *result->outputs);
    result->files = calloc(count + 1, sizeof *result->files);
    if (result->outputs == NULL || result->files == NULL)
        return vta_error_set(error, VTA_ENOMEM, "no memory for %zu outputs", count);
    for (size_t i = 0; i < count && rc == 0; i++)
        rc = fetch_output(network, result, i, output, error);
    return rc;
}

/* ---- The command --------------------------------------------------------------------------- */

static int run_network(struct tool *tool, struct vta_network *network,
                       struct network_result *result, struct vta_network_node **nodes)
{
    const struct arguments *arguments = &tool->arguments;
    struct vta_error *error = &tool->error;
    const bool shown = isatty(STDERR_FILENO) && !arguments->json;
    int rc = set_inputs(network, &arguments->inputs, error);
    result->runs = arguments->runs != 0 ? arguments->runs : 1;
    result->run_ns = calloc(result->runs, sizeof *result->run_ns);
    if (rc == 0 && result->run_ns == NULL)
        rc = vta_error_set(error, VTA_ENOMEM, "no memory for %zu runs", result->runs);
    for (size_t i = 0; i < result->runs && rc == 0; i++) {
        if (shown)
            fprintf(stderr, "\rrun %zu of %zu", i + 1, result->runs);
        rc = vta_network_run(network, &result->run_ns[i], error);
    }
    if (shown)
        fputs("\r\033[K", stderr);
    if (rc == 0)
        rc = fetch_outputs(network, result, arguments->output, error);
    if (rc == 0 && arguments->layers)
        rc = vta_network_profile(network, nodes, &result->node_count, error);
    result->nodes = *nodes;
    return rc;
}

/* Opens it with what the folder has. */
static struct vta_network *open_folder(struct tool *tool, const struct paths *paths,
                                       const char *hw_text)
{
    const struct arguments *arguments = &tool->arguments;
    const struct vta_network_options options = {
        .host = arguments->host,
        .port = arguments->port,
        .timeout_ms = arguments->timeout_ms,
        .key = arguments->key,
        .library = paths->library,
        .graph = *paths->graph != '\0' ? paths->graph : NULL,
        .params = *paths->params != '\0' ? paths->params : NULL,
        .hw = hw_text,
        .bitstream = arguments->bitstream != NULL ? base_name(arguments->bitstream) : NULL,
        .profile = arguments->layers,
        .progress = isatty(STDERR_FILENO) && !arguments->json ? print_progress : NULL,
    };
    return vta_network_open(&options, &tool->error);
}

static void free_result(struct network_result *result, struct vta_network *network)
{
    for (size_t i = 0; network != NULL && i < output_count(network); i++) {
        if (result->outputs != NULL)
            free(result->outputs[i]);
        if (result->files != NULL)
            free((char *)result->files[i]);
    }
    free(result->outputs);
    free(result->files);
    free(result->run_ns);
}

int command_tvm_run(struct tool *tool)
{
    const struct arguments *arguments = &tool->arguments;
    static struct paths paths;
    struct network_result result = { .folder = arguments->operands[0], .library = paths.library };
    struct vta_network_node *nodes = NULL;
    char *hw_text = NULL;
    size_t length;
    if (arguments->local) {
        fputs("vtactl: tvm-run needs a daemon: it does not take --local\n", stderr);
        return EXIT_USAGE;
    }
    int rc = find_paths(&paths, arguments, &tool->error);
    if (rc == 0 && arguments->hw != NULL)
        rc = vta_text_read(arguments->hw, HW_TEXT_MAX, &hw_text, &length, &tool->error);
    struct vta_network *network = rc == 0 ? open_folder(tool, &paths, hw_text) : NULL;
    free(hw_text);
    if (network == NULL)
        return EXIT_FAILED;
    result.network = network;
    rc = run_network(tool, network, &result, &nodes);
    if (rc == 0 && arguments->json)
        network_as_json(&result, tool->json);
    else if (rc == 0)
        print_network(&result);
    free_result(&result, network);
    free(nodes);
    vta_network_close(network);
    return rc == 0 ? 0 : EXIT_FAILED;
}
