/* config_keys.c: the table of keys. vtad.json(5) documents each in the same order.
 */
#include "config.h"

#include <string.h>

#include "tracker_client.h"

#define MIB (UINT64_C(1) << 20)
#define GIB (UINT64_C(1) << 30)

/* In the order of enum log_level and enum log_target. */
static const char *const level_words[] = { "error", "warning", "notice", "info", "debug", NULL };
static const char *const tvm_words[] = { "on", "off", NULL };
static const char *const box_words[] = { "require", "warn", NULL };
static const char *const target_words[] = { "auto", "stderr", "journal", NULL };

static const char *const clock_words[] = { "host", "board", NULL };

const char *const config_kernels[] = { "auto", "vnni", "avx2", "neon", "portable", NULL };

/* In the order of enum vta_hazard_policy. */
static const char *const hazard_words[] = { "off", "warn", "fail", NULL };
static const char *const off_on_words[] = { "off", "on", NULL };

#define KEY(member) #member, .offset = offsetof(struct config, member)

static const struct config_key keys[] = {
    { KEY(listen), .type = CONFIG_LISTEN, .fallback = "127.0.0.1:9091", .reload = RELOAD_RESTART,
      .help =
          "addresses to listen on: HOST:PORT, [IPV6]:PORT, unix:PATH; port 0 takes a free one" },
    { KEY(log_level), .type = CONFIG_WORD, .words = level_words, .fallback = "info",
      .reload = RELOAD_NOW, .help = "what is logged" },
    { KEY(log), .type = CONFIG_WORD, .words = target_words, .fallback = "auto",
      .reload = RELOAD_RESTART, .help = "where it is logged" },
    { KEY(hardware), .type = CONFIG_HARDWARE, .reload = RELOAD_SESSIONS,
      .help = "the boards' hardware: path of a vta_config.json, or its object" },
    { KEY(profile), .type = CONFIG_PROFILE, .fallback = "auto", .reload = RELOAD_SESSIONS,
      .help = "whose time boards predict: auto (the measured profile for their hardware), none, a "
              "profile's name, or a file" },
    { KEY(clock), .type = CONFIG_WORD, .words = clock_words, .fallback = "host",
      .reload = RELOAD_SESSIONS, .help = "whose seconds a time evaluator answers in" },
    { KEY(kernels), .type = CONFIG_WORD, .words = config_kernels, .fallback = "auto",
      .reload = RELOAD_RESTART,
      .help = "the instruction set that computes; auto: the best of this processor" },
    { KEY(dram_bytes), .type = CONFIG_BYTES, .min = 4096, .max = 4 * GIB, .fallback = "512MiB",
      .reload = RELOAD_SESSIONS, .help = "DRAM of each board" },
    { KEY(max_work), .type = CONFIG_COUNT, .min = 0, .max = UINT64_C(1) << 53,
      .fallback = "1000000000000", .reload = RELOAD_SESSIONS,
      .help = "GEMM and ALU steps and micro-op loads of one run; 0: no limit" },
    { KEY(hazards), .type = CONFIG_WORD, .words = hazard_words, .fallback = "warn",
      .reload = RELOAD_SESSIONS,
      .help = "programs that race on a board: not looked for, told, or refused" },
    { KEY(strict_board), .type = CONFIG_WORD, .words = off_on_words, .fallback = "off",
      .reload = RELOAD_SESSIONS, .help = "whether what a board lacks is a hazard, too" },
    { KEY(max_sessions), .type = CONFIG_COUNT, .min = 1, .max = 65536, .fallback = "256",
      .reload = RELOAD_NOW, .help = "connections at once" },
    { KEY(max_modules), .type = CONFIG_COUNT, .min = 1, .max = 65536, .fallback = "256",
      .reload = RELOAD_SESSIONS, .help = "modules that a session holds, and loads" },
    { KEY(max_upload_bytes), .type = CONFIG_BYTES, .min = 1024, .max = 64 * GIB,
      .fallback = "256MiB", .reload = RELOAD_SESSIONS,
      .help = "bytes of all modules that a session holds" },
    { KEY(max_buffers), .type = CONFIG_COUNT, .min = 1, .max = 1 << 20, .fallback = "4096",
      .reload = RELOAD_SESSIONS, .help = "buffers of a session" },
    { KEY(max_functions), .type = CONFIG_COUNT, .min = 1, .max = 1 << 20, .fallback = "4096",
      .reload = RELOAD_SESSIONS, .help = "function handles of a session" },
    { KEY(max_read_bytes), .type = CONFIG_BYTES, .min = 1024, .max = 4 * GIB - 1,
      .fallback = "8MiB", .reload = RELOAD_SESSIONS,
      .help = "bytes of one buffer.read or module.download" },
    { KEY(max_evaluations), .type = CONFIG_COUNT, .min = 1, .max = UINT32_MAX,
      .fallback = "10000000", .reload = RELOAD_SESSIONS, .help = "runs of one time_evaluator" },
    { KEY(max_message_bytes), .type = CONFIG_BYTES, .min = 4096, .max = GIB, .fallback = "8MiB",
      .reload = RELOAD_SESSIONS, .help = "bytes of one message from a client" },
    { KEY(max_queued_requests), .type = CONFIG_COUNT, .min = 1, .max = 1 << 20, .fallback = "1024",
      .reload = RELOAD_SESSIONS,
      .help = "requests that wait in a session before it is no longer read from" },
    { KEY(max_queued_bytes), .type = CONFIG_BYTES, .min = 4096, .max = 4 * GIB, .fallback = "16MiB",
      .reload = RELOAD_SESSIONS, .help = "bytes of those requests" },
    { KEY(max_write_queue_bytes), .type = CONFIG_BYTES, .min = 4096, .max = GIB, .fallback = "1MiB",
      .reload = RELOAD_SESSIONS,
      .help = "unsent bytes of replies before a session is no longer read from" },
    { KEY(idle_timeout_s), .type = CONFIG_COUNT, .min = 0, .max = 31536000, .fallback = "0",
      .reload = RELOAD_NOW,
      .help = "seconds without a request after which a session ends; 0: never" },
    { KEY(handshake_timeout_ms), .type = CONFIG_COUNT, .min = 1, .max = 3600000,
      .fallback = "10000", .reload = RELOAD_SESSIONS,
      .help = "time for a connection's first bytes" },
    { KEY(run_deadline_ms), .type = CONFIG_COUNT, .min = 0, .max = UINT32_MAX, .fallback = "60000",
      .reload = RELOAD_SESSIONS, .help = "longest run; 0: no limit" },
    { KEY(load_deadline_ms), .type = CONFIG_COUNT, .min = 0, .max = UINT32_MAX, .fallback = "60000",
      .reload = RELOAD_SESSIONS, .help = "longest load of a module; 0: no limit" },
    { KEY(grace_ms), .type = CONFIG_COUNT, .min = 0, .max = 3600000, .fallback = "10000",
      .reload = RELOAD_NOW, .help = "time for runs to finish when the daemon is told to stop" },
    { KEY(busy_poll_us), .type = CONFIG_COUNT, .min = 0, .max = 1000, .fallback = "50",
      .reload = RELOAD_NOW,
      .help = "microseconds after an answer in which a session's thread does not sleep" },
    { KEY(threads), .type = CONFIG_COUNT, .min = 0, .max = 1024, .fallback = "0",
      .reload = RELOAD_RESTART, .help = "runs at once; 0: one per processor" },
    { KEY(store), .type = CONFIG_PATH, .reload = RELOAD_RESTART,
      .help = "directory in which named modules outlive sessions; none by default" },
    { KEY(max_store_modules), .type = CONFIG_COUNT, .min = 1, .max = 1 << 20, .fallback = "1024",
      .reload = RELOAD_SESSIONS, .help = "modules in the store" },
    { KEY(max_store_bytes), .type = CONFIG_BYTES, .min = 1024, .max = 1024 * GIB,
      .fallback = "1GiB", .reload = RELOAD_SESSIONS, .help = "bytes of all modules in the store" },
    { KEY(tvm), .type = CONFIG_WORD, .words = tvm_words, .fallback = "on",
      .reload = RELOAD_SESSIONS, .help = "whether TVM clients are served" },
    { KEY(tvm_key), .type = CONFIG_TEXT, .reload = RELOAD_SESSIONS,
      .help = "the key that TVM clients must ask for; the empty one by default" },
    { KEY(max_tvm_sessions), .type = CONFIG_COUNT, .min = 1, .max = 4096, .fallback = "64",
      .reload = RELOAD_NOW, .help = "TVM sessions at once, each a process" },
    { KEY(tvm_worker), .type = CONFIG_PATH, .reload = RELOAD_RESTART,
      .help = "the program vtad-worker; that of this build by default" },
    { KEY(tvm_box), .type = CONFIG_WORD, .words = box_words, .fallback = "require",
      .reload = RELOAD_SESSIONS,
      .help = "what to do where the kernel lacks a part of the workers' box: refuse TVM sessions, "
              "or warn" },
    { KEY(tvm_user), .type = CONFIG_TEXT, .fallback = "nobody", .reload = RELOAD_RESTART,
      .help = "the user whom workers become where vtad is started as root" },
    { KEY(tvm_scratch), .type = CONFIG_PATH, .reload = RELOAD_RESTART,
      .help = "directory in which workers' folders are made; $TMPDIR or /tmp by default" },
    { KEY(tvm_memory_bytes), .type = CONFIG_BYTES, .min = 0, .max = 1024 * GIB, .fallback = "0",
      .reload = RELOAD_SESSIONS,
      .help = "address space of a worker; 0: dram_bytes, max_tvm_cpu_bytes and 4 GiB" },
    { KEY(tvm_cpu_s), .type = CONFIG_COUNT, .min = 0, .max = 31536000, .fallback = "86400",
      .reload = RELOAD_SESSIONS, .help = "processor seconds of a TVM session; 0: no limit" },
    { KEY(tvm_threads), .type = CONFIG_COUNT, .min = 0, .max = 1024, .fallback = "0",
      .reload = RELOAD_SESSIONS,
      .help = "threads of a module's parallel loops; 0: one per processor" },
    { KEY(tvm_call_deadline_ms), .type = CONFIG_COUNT, .min = 0, .max = UINT32_MAX,
      .fallback = "600000", .reload = RELOAD_NOW,
      .help = "longest request of a TVM session, after which its worker is killed; 0: no limit" },
    { KEY(max_tvm_upload_bytes), .type = CONFIG_BYTES, .min = 1024, .max = 64 * GIB,
      .fallback = "256MiB", .reload = RELOAD_SESSIONS,
      .help = "bytes of all files that a TVM client uploads" },
    { KEY(max_tvm_files), .type = CONFIG_COUNT, .min = 1, .max = 65536, .fallback = "256",
      .reload = RELOAD_SESSIONS, .help = "files that a TVM client uploads" },
    { KEY(max_tvm_cpu_bytes), .type = CONFIG_BYTES, .min = 4096, .max = 4 * GIB - 4096,
      .fallback = "1GiB", .reload = RELOAD_SESSIONS,
      .help = "bytes of a TVM session's tensors and workspaces on the cpu" },
    { KEY(max_tvm_handles), .type = CONFIG_COUNT, .min = 1, .max = 1 << 20, .fallback = "65536",
      .reload = RELOAD_SESSIONS, .help = "functions, modules and tensors, each, of a TVM session" },
    { KEY(tracker), .type = CONFIG_TEXT, .reload = RELOAD_NOW,
      .help = "HOST:PORT of a TVM tracker at which boards are offered; none by default" },
    { KEY(tracker_key), .type = CONFIG_TEXT, .reload = RELOAD_NOW,
      .help = "the key under which they are offered" },
    { KEY(tracker_boards), .type = CONFIG_COUNT, .min = 1, .max = TRACKER_OFFERS_MAX,
      .fallback = "1", .reload = RELOAD_NOW, .help = "how many boards are offered" },
    { KEY(tracker_address), .type = CONFIG_TEXT, .reload = RELOAD_NOW,
      .help = "the host that clients are sent to; by default what the tracker sees" },
    { KEY(tracker_retry_ms), .type = CONFIG_COUNT, .min = 1, .max = 3600000, .fallback = "5000",
      .reload = RELOAD_NOW, .help = "pause before a tracker that went away is tried again" },
    { KEY(tracker_poll_ms), .type = CONFIG_COUNT, .min = 1, .max = 3600000, .fallback = "2000",
      .reload = RELOAD_NOW,
      .help = "how often the tracker is asked which boards it has handed out; one whose client has "
              "not come by its fourth such answer is offered anew" },
    { KEY(serve_tracker), .type = CONFIG_TEXT, .reload = RELOAD_RESTART,
      .help = "HOST:PORT at which vtad is a TVM tracker itself; none by default" },
    { KEY(tracker_stop_key), .type = CONFIG_TEXT, .reload = RELOAD_NOW,
      .help = "the key with which a client of that tracker may stop vtad; none by default" },
    { KEY(max_tracker_connections), .type = CONFIG_COUNT, .min = 1, .max = 65536,
      .fallback = "1024", .reload = RELOAD_NOW, .help = "connections to the tracker at once" },
    { KEY(max_tracker_boards), .type = CONFIG_COUNT, .min = 1, .max = 65536, .fallback = "1024",
      .reload = RELOAD_NOW, .help = "free boards that the tracker knows" },
    { KEY(max_tracker_requests), .type = CONFIG_COUNT, .min = 1, .max = 65536, .fallback = "1024",
      .reload = RELOAD_NOW, .help = "requests for a board that wait at the tracker" },
};

const struct config_key *config_keys(size_t *count)
{
    *count = sizeof keys / sizeof keys[0];
    return keys;
}

const struct config_key *config_find(const char *name, size_t length)
{
    for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++)
        if (strlen(keys[i].name) == length && memcmp(keys[i].name, name, length) == 0)
            return &keys[i];
    return NULL;
}

void config_service_options(const struct config *config, struct vta_service_options *options)
{
    vta_service_options_default(options);
    options->board.hw = config->hw;
    options->board.dram_bytes = config->dram_bytes;
    options->board.max_work = config->max_work;
    options->board.hazards.policy = (enum vta_hazard_policy)config->hazards;
    options->board.hazards.strict_board = config->strict_board != 0;
    options->board.timing = config->timing;
    options->board.profile = &config->timing_profile;
    options->board_clock = config->clock == CLOCK_BOARD;
    options->max_modules = (uint32_t)config->max_modules;
    options->max_upload_bytes = config->max_upload_bytes;
    options->max_buffers = (uint32_t)config->max_buffers;
    options->max_functions = (uint32_t)config->max_functions;
    options->max_read_bytes = config->max_read_bytes;
    options->run_deadline_ms = (uint32_t)config->run_deadline_ms;
    options->load_deadline_ms = (uint32_t)config->load_deadline_ms;
    options->max_evaluations = (uint32_t)config->max_evaluations;
    options->store = config->store;
    options->max_store_modules = (uint32_t)config->max_store_modules;
    options->max_store_bytes = config->max_store_bytes;
    options->wire.message_bytes = config->max_message_bytes;
    options->wire.blob_bytes = config->max_message_bytes;
    if (options->wire.text_bytes < config->max_message_bytes) /* old libraries send bytes as str */
        options->wire.text_bytes = config->max_message_bytes;
    options->wire.total_items = options->wire.items; /* no method takes more values than that */
    options->build = "vtad " VTAD_VERSION;
}
