/* config.h: what the administrator can set: vtad.json, overridden by flags.
 *
 * One table of keys (config_keys.c) makes the parser of the file, the flags, --help,
 * --check-config and the reload. A key `max_sessions` is the flag `--max-sessions`.
 */
#ifndef VTA_SERVER_CONFIG_H
#define VTA_SERVER_CONFIG_H

#include <stddef.h>
#include <stdio.h>

#include <vta/hw.h>

#include "service/service.h"

struct config_list {
    char **items; /* owned */
    size_t count;
};

/* Numbers are uint64_t, whatever their range, so that one piece of code sets all of them. Strings
 * are owned. */
struct config {
    struct config_list listen;
    uint64_t log_level; /* enum log_level */
    uint64_t log;       /* enum log_target */
    char *hardware;     /* path of a vta_config.json, or JSON text ('{' first); NULL: the default */
    struct vta_hw hw;   /* what it says; filled by config_check */
    char *profile;      /* whose time boards predict: "auto", "none", or a profile */
    enum vta_board_timing timing;             /* what it says; filled by config_check, */
    struct vta_timing_profile timing_profile; /* with …_PROFILE this too */
    uint64_t clock;                           /* enum config_clock: of time evaluators */
    uint64_t kernels;                         /* index in config_kernels; 0: the best */
    uint64_t dram_bytes, max_work;
    uint64_t hazards;      /* enum vta_hazard_policy */
    uint64_t strict_board; /* 0 or 1 */
    uint64_t max_sessions, max_modules, max_upload_bytes, max_buffers, max_functions;
    uint64_t max_read_bytes, max_evaluations;
    uint64_t max_message_bytes, max_queued_requests, max_queued_bytes, max_write_queue_bytes;
    uint64_t idle_timeout_s, handshake_timeout_ms, run_deadline_ms, load_deadline_ms, grace_ms;
    uint64_t busy_poll_us;
    uint64_t threads;
    char *store; /* NULL: none */
    uint64_t max_store_modules, max_store_bytes;

    /* TVM sessions and their worker processes. */
    uint64_t tvm;      /* enum tvm_mode */
    char *tvm_key;     /* NULL: the empty one */
    char *tvm_worker;  /* path of vtad-worker; NULL: the one of this build */
    uint64_t tvm_box;  /* enum tvm_box */
    char *tvm_user;    /* whom workers become where vtad is root */
    char *tvm_scratch; /* NULL: $TMPDIR or /tmp */
    uint64_t max_tvm_sessions, tvm_memory_bytes, tvm_cpu_s, tvm_threads;
    uint64_t max_tvm_upload_bytes, max_tvm_files, max_tvm_cpu_bytes, max_tvm_handles;
    uint64_t tvm_call_deadline_ms;

    /* A tracker that boards are offered at, and the tracker that vtad is. */
    char *tracker, *tracker_key, *tracker_address; /* NULL: none */
    uint64_t tracker_boards, tracker_retry_ms, tracker_poll_ms;
    char *serve_tracker, *tracker_stop_key; /* NULL: none */
    uint64_t max_tracker_connections, max_tracker_boards, max_tracker_requests;
};

/* In the order of the keys' words. */
enum config_clock {
    CLOCK_HOST,
    CLOCK_BOARD
};
enum tvm_mode {
    TVM_ON,
    TVM_OFF
};
enum tvm_box {
    TVM_BOX_REQUIRE, /* without a complete box there are no TVM sessions */
    TVM_BOX_WARN
};

/* The words of the key kernels: "auto", then names of kernel sets (core/kernels.h). */
extern const char *const config_kernels[];

enum config_type {
    CONFIG_COUNT,    /* a whole number */
    CONFIG_BYTES,    /* a whole number, or text with KiB, MiB or GiB */
    CONFIG_WORD,     /* one of key->words; the member holds its index */
    CONFIG_PATH,     /* a string; "" is none */
    CONFIG_TEXT,     /* the same, which names no file */
    CONFIG_LISTEN,   /* an array of addresses; a flag adds one */
    CONFIG_HARDWARE, /* a path, or an object of vta_config.json's keys */
    CONFIG_PROFILE   /* "auto", "none", or a timing profile's name or path */
};

enum config_reload {
    RELOAD_NOW,      /* applies to everything at once */
    RELOAD_SESSIONS, /* applies to sessions that start later */
    RELOAD_RESTART   /* needs a restart */
};

struct config_key {
    const char *name;
    enum config_type type;
    size_t offset; /* in struct config */
    uint64_t min, max;
    const char *fallback; /* the default, as a flag would give it; NULL: none */
    enum config_reload reload;
    const char *help;
    const char *const *words; /* CONFIG_WORD: NULL-terminated */
};

const struct config_key *config_keys(size_t *count);
const struct config_key *config_find(const char *name, size_t length); /* or NULL */

/* A flag on the command line: key and value. */
struct config_flag {
    const struct config_key *key;
    const char *value; /* belongs to argv */
};

/* Where a configuration comes from: the defaults, then a file, then flags. */
struct config_source {
    const char *path;   /* of vtad.json */
    bool path_required; /* false: a file that does not exist is as an empty one */
    const struct config_flag *flags;
    size_t flag_count;
};

/* Fills *config, which config_clear releases, also after a failure. The message of an error names
 * the file or flag, the key, the limit and the value. */
int config_load(struct config *config, const struct config_source *source, struct vta_error *error);
void config_clear(struct config *config);

/* The steps of config_load, for tests. */
int config_defaults(struct config *config, struct vta_error *error);
int config_read_json(struct config *config, const char *text, size_t length,
                     struct vta_error *error);
int config_set(struct config *config, const struct config_key *key, const char *text,
               struct vta_error *error);
int config_check(struct config *config, struct vta_error *error); /* keys against each other */
int config_check_tracker(const struct config *config, struct vta_error *error); /* part of that */

/* Prints what is effective as a vtad.json. */
void config_print(const struct config *config, FILE *file);

/* Whether the two agree in a key. */
bool config_same(const struct config *a, const struct config *b, const struct config_key *key);

/* Takes into *config what of *fresh can be applied while running; calls changed() for each key
 * that differs. *fresh keeps the rest, to be cleared. */
void config_reload(struct config *config, struct config *fresh,
                   void (*changed)(const struct config_key *key));

/* What sessions are made from. The strings belong to the configuration. */
void config_service_options(const struct config *config, struct vta_service_options *options);

#endif
