/* vtactl.h: what vtactl's commands share: the command line, how they print, how they fail.
 *
 * A command returns 0; EXIT_FAILED with the reason in tool->error; or EXIT_USAGE, the reason
 * printed. It prints for a person, unless --json was given: then it fills tool->json, which is
 * printed once at the end.
 */
#ifndef VTA_VTACTL_H
#define VTA_VTACTL_H

#include <cjson/cJSON.h>
#include <stdio.h>

#include <vta/client.h>

#define EXIT_FAILED 1
#define EXIT_USAGE  2

#define OUTS_MAX 64

struct texts {
    const char *texts[OUTS_MAX];
    size_t count;
};

struct arguments {
    /* Where. */
    const char *host, *hw, *bitstream; /* the last two: which hardware the board is to have */
    int port;                          /* 0: the environment's */
    unsigned timeout_ms;
    bool local, json, help, version;
    /* run and bench. */
    bool random, check, stats;
    uint64_t seed;
    const char *profile, *clock, *trace;
    uint32_t number, repeat, min_repeat_ms; /* repeat 0: the command's default */
    struct texts outs;                      /* PARAM=FILE */
    /* tvm-run. */
    const char *library, *graph, *params, *key, *output;
    struct texts inputs; /* [NAME=]FILE */
    uint32_t runs;       /* 0: 1 */
    bool layers;         /* --profile */
    /* counters, ping. */
    bool clear;
    uint32_t count;
    /* What is not an option: the command's operands. */
    const char **operands;
    size_t operand_count;
};

struct tool {
    struct arguments arguments;
    struct vta_session *session;
    struct vta_error error;
    cJSON *json; /* the result, where --json was given; owned */
};

struct command {
    const char *name;
    const char *operands; /* for its help: "MODULE FUNCTION [[PARAM=]FILE...]" */
    const char *summary;
    size_t least, most; /* operands */
    int (*run)(struct tool *tool);
    bool own_session; /* it opens one, not of the native protocol */
};

/* vtactl_board.c */
int command_info(struct tool *tool);
int command_ping(struct tool *tool);
int command_counters(struct tool *tool);
/* vtactl_modules.c */
int command_upload(struct tool *tool);
int command_download(struct tool *tool);
int command_ls(struct tool *tool);
int command_rm(struct tool *tool);
/* vtactl_timing.c: applies --profile and --clock to the session. 0 or EXIT_FAILED. */
int choose_timing(struct tool *tool, struct vta_timing_choice *choice);
/* Whether --profile names a file here; NULL does not. */
bool is_profile_path(const char *name);
/* vtactl_run.c */
int command_run(struct tool *tool);
int command_bench(struct tool *tool);

/* vtactl_network.c */
int command_tvm_run(struct tool *tool);

/* ---- Command line (vtactl_arguments.c) ----------------------------------------------------- */

/* Takes argv apart; the first operand is the command's name, which goes to *command. commands ends
 * with a NULL name. Returns 0 or EXIT_USAGE, the reason printed. */
int parse_arguments(struct arguments *arguments, char **argv, const struct command *commands,
                    const struct command **command);
/* The options that a command takes (NULL: those of every command), one per line, below a heading;
 * nothing where it takes none. */
void print_options(FILE *file, const struct command *command);

/* ---- Printing (vtactl_print.c) ------------------------------------------------------------- */

void print_counters(const struct vta_counters *counters); /* as VTA's tutorial does */
void print_seconds(double seconds);                       /* "1.234 ms" */
void json_u64(cJSON *object, const char *name, uint64_t value);
cJSON *json_counters(const struct vta_counters *counters);
cJSON *json_error(const struct vta_error *error);
/* What loading a module found, on stderr or in tool->json. Nothing where it found nothing. */
void print_hazards(struct tool *tool, const struct vta_module *module, const char *name);
/* A vta_set_progress callback for a terminal. */
void print_progress(void *context, const char *what, uint64_t done, uint64_t total);

/* ---- Files (vtactl_files.c) ---------------------------------------------------------------- */

bool is_file(const char *path);
/* The bytes of a file that must have exactly nbytes of them. */
int read_exactly(const char *path, void *bytes, uint64_t nbytes, struct vta_error *error);
int write_file(const char *path, const void *bytes, size_t nbytes, struct vta_error *error);
const char *base_name(const char *path);

/* vtactl_npy.c: arrays in files: NumPy's if the name ends in .npy, else the bytes alone, row-major.
 * What is read must have the type and shape; *bytes is the caller's to free. */
int read_array(const char *path, const struct vta_tensor_type *type, uint64_t nbytes, void **bytes,
               struct vta_error *error);
int write_array(const char *path, const struct vta_tensor_type *type, const void *bytes,
                uint64_t nbytes, struct vta_error *error);

/* ---- Networks (vtactl_network_print.c) ----------------------------------------------------- */

/* What tvm-run found out. */
struct network_result {
    const struct vta_network *network;
    const char *folder, *library;
    uint64_t *run_ns;
    size_t runs;
    void **outputs;     /* bytes of each */
    const char **files; /* where they were written, or NULL */
    const struct vta_network_node *nodes;
    size_t node_count; /* 0 without --profile */
};
void print_network(const struct network_result *result);
void network_as_json(const struct network_result *result, cJSON *json);

#endif
