/* main.c: vtad's command line and the order in which things start.
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "config.h"
#include "core/kernels.h"
#include "core/suggest.h"
#include "log.h"
#include "notify.h"
#include "server.h"

#ifndef VTAD_CONFIG
#define VTAD_CONFIG "/etc/vtad.json"
#endif

#define FLAGS_MAX 256
#define KEYS_MAX  128

struct command_line {
    struct config_source source;
    struct config_flag flags[FLAGS_MAX];
    bool help, version, check;
};

/* ---- Help ---------------------------------------------------------------------------------- */

static const char *value_name(enum config_type type)
{
    switch (type) {
    case CONFIG_COUNT:
        return "N";
    case CONFIG_BYTES:
        return "BYTES";
    case CONFIG_WORD:
        return "WORD";
    case CONFIG_PATH:
        return "PATH";
    case CONFIG_TEXT:
        return "TEXT";
    case CONFIG_LISTEN:
        return "ADDRESS";
    case CONFIG_HARDWARE:
        return "FILE";
    case CONFIG_PROFILE:
        return "NAME";
    }
    return "VALUE";
}

static void flag_name(const struct config_key *key, char *name, size_t size)
{
    snprintf(name, size, "%s", key->name);
    for (char *at = name; *at != '\0'; at++)
        if (*at == '_')
            *at = '-';
}

static void print_help(void)
{
    size_t count;
    const struct config_key *keys = config_keys(&count);
    printf(
        "vtad: a VTA board that is a program\n\n"
        "Usage: vtad [FLAG…]\n\n"
        "  --config FILE\n        configuration file (default: " VTAD_CONFIG ", where it exists)\n"
        "  --check-config\n        print the effective configuration and exit: 0 if it is valid\n"
        "  --help, --version\n\n"
        "Each key of the configuration file is a flag, too, and overrides the file:\n\n");
    for (size_t i = 0; i < count; i++) {
        char name[64];
        flag_name(&keys[i], name, sizeof name);
        printf("  --%s %s\n        %s", name, value_name(keys[i].type), keys[i].help);
        for (size_t w = 0; keys[i].words != NULL && keys[i].words[w] != NULL; w++)
            printf("%s%s", w == 0 ? ": " : ", ", keys[i].words[w]);
        if (keys[i].fallback != NULL)
            printf(" (default %s)", keys[i].fallback);
        printf("%s\n", keys[i].type == CONFIG_LISTEN ? "; may be repeated" : "");
    }
    printf("\nvtad(8) and vtad.json(5) say more.\n");
}

/* ---- Flags --------------------------------------------------------------------------------- */

static int unknown_flag(const char *name, size_t length, struct vta_error *error)
{
    static const char *const others[] = { "config", "check-config", "help", "version" };
    static char flags[KEYS_MAX][64];
    const char *names[KEYS_MAX + 4];
    char text[128];
    size_t count, n = 0;
    const struct config_key *keys = config_keys(&count);
    for (size_t i = 0; i < count && i < KEYS_MAX; i++) {
        flag_name(&keys[i], flags[i], sizeof flags[i]);
        names[n++] = flags[i];
    }
    for (size_t i = 0; i < 4; i++)
        names[n++] = others[i];
    snprintf(text, sizeof text, "%.*s", (int)length, name);
    const char *near = vta_suggest(text, names, n);
    return vta_error_set(error, VTA_EINVAL, "unknown flag '--%s'%s%s%s", text,
                         near != NULL ? ": did you mean '--" : "", near != NULL ? near : "",
                         near != NULL ? "'?" : "");
}

static const struct config_key *find_key(const char *name, size_t length)
{
    char key[64];
    if (length >= sizeof key)
        return NULL;
    for (size_t i = 0; i < length; i++) {
        if (name[i] == '_')
            return NULL;
        key[i] = name[i] == '-' ? '_' : name[i];
    }
    return config_find(key, length);
}

static bool is(const char *name, size_t length, const char *what)
{
    return strlen(what) == length && memcmp(name, what, length) == 0;
}

/* A flag that takes no value. */
static bool *find_switch(struct command_line *line, const char *name, size_t length)
{
    return is(name, length, "help")           ? &line->help
           : is(name, length, "version")      ? &line->version
           : is(name, length, "check-config") ? &line->check
                                              : NULL;
}

static int add_value(struct command_line *line, const char *name, size_t length, const char *value,
                     struct vta_error *error)
{
    const struct config_key *key = find_key(name, length);
    if (key == NULL) {
        line->source.path = value;
        line->source.path_required = true;
        return 0;
    }
    if (line->source.flag_count == FLAGS_MAX)
        return vta_error_limit(error, VTA_ELIMIT, FLAGS_MAX, FLAGS_MAX + 1,
                               "more than %d flags; use a configuration file", FLAGS_MAX);
    line->flags[line->source.flag_count++] = (struct config_flag){ .key = key, .value = value };
    return 0;
}

static int parse(struct command_line *line, int argc, char **argv, struct vta_error *error)
{
    *line = (struct command_line){ .source = { .path = VTAD_CONFIG, .flags = line->flags } };
    for (int i = 1; i < argc; i++) {
        if (strncmp(argv[i], "--", 2) != 0)
            return vta_error_set(error, VTA_EINVAL, "unexpected argument '%s'", argv[i]);
        const char *name = argv[i] + 2;
        const char *equals = strchr(name, '=');
        size_t length = equals != NULL ? (size_t)(equals - name) : strlen(name);

        bool *on = find_switch(line, name, length);
        if (on != NULL && equals == NULL) {
            *on = true;
            continue;
        }
        if (on != NULL)
            return vta_error_set(error, VTA_EINVAL, "--%.*s takes no value", (int)length, name);
        if (!is(name, length, "config") && find_key(name, length) == NULL)
            return unknown_flag(name, length, error);
        if (equals == NULL && i + 1 == argc)
            return vta_error_set(error, VTA_EINVAL, "--%.*s needs a value", (int)length, name);
        int rc = add_value(line, name, length, equals != NULL ? equals + 1 : argv[++i], error);
        if (rc != 0)
            return rc;
    }
    return 0;
}

/* ---- Starting ------------------------------------------------------------------------------ */

/* libuv reads the size of its pool from the environment, once, when the pool is first used. */
static void size_thread_pool(uint64_t threads)
{
    char text[24];
    long processors = sysconf(_SC_NPROCESSORS_ONLN);
    if (threads == 0)
        threads = processors > 0 ? (uint64_t)processors : 1;
    snprintf(text, sizeof text, "%llu", (unsigned long long)threads);
    setenv("UV_THREADPOOL_SIZE", text, 1);
}

static int serve(struct config *config, const struct config_source *source, struct vta_error *error)
{
    static struct server server;
    log_set_level((enum log_level)config->log_level);
    int rc = log_open((enum log_target)config->log, error);
    if (rc != 0)
        return rc;
    if (config->kernels != 0 &&
        (rc = vta_kernels_force(config_kernels[config->kernels], error)) != 0)
        return rc;
    signal(SIGPIPE, SIG_IGN);
    size_thread_pool(config->threads);

    rc = server_start(&server, config, source, error);
    if (rc != 0)
        return rc;
    notify_ready();
    uv_run(&server.loop, UV_RUN_DEFAULT);
    log_notice("stopped");
    server_clear(&server);
    return 0;
}

int main(int argc, char **argv)
{
    static struct command_line line;
    struct config config = { 0 };
    struct vta_error error = { .insn = -1 };
    int rc = parse(&line, argc, argv, &error);
    if (rc != 0) {
        fprintf(stderr, "vtad: %s\nTry 'vtad --help'.\n", error.message);
        return 2;
    }
    if (line.help) {
        print_help();
        return 0;
    }
    if (line.version) {
        printf("vtad " VTAD_VERSION "\n");
        return 0;
    }

    rc = config_load(&config, &line.source, &error);
    if (rc == 0 && line.check)
        config_print(&config, stdout);
    else if (rc == 0)
        rc = serve(&config, &line.source, &error);
    config_clear(&config);
    uv_library_shutdown();
    if (rc != 0)
        fprintf(stderr, "vtad: %s\n", error.message);
    return rc != 0;
}
