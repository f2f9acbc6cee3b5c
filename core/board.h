/* board.h: one emulated board: hardware configuration, DRAM, device, token counts, counters.
 *
 * A session owns one; boards share nothing. Not thread-safe, except that vta_control may be set
 * from any thread while a run is in progress. An unused board costs a few hundred bytes; DRAM is
 * reserved and SRAM allocated at first use.
 */
#ifndef VTA_CORE_BOARD_H
#define VTA_CORE_BOARD_H

#include "device.h"
#include "timing_profile.h"
#include "watch.h"

struct vta_board;

/* Whose time a board predicts. */
enum vta_board_timing {
    VTA_BOARD_TIMING_AUTO, /* the measured profile for its hardware, where there is one */
    VTA_BOARD_TIMING_OFF,
    VTA_BOARD_TIMING_PROFILE /* the one given */
};

struct vta_board_options {
    struct vta_hw hw;
    const struct vta_device_ops *device;
    uint64_t dram_bytes;              /* quota and capacity; default 512 MiB */
    uint64_t max_work;                /* per run, in nest iterations; 0: no limit */
    struct vta_watch_options hazards; /* default: warn, with nobody to report to */
    enum vta_board_timing timing;
    const struct vta_timing_profile *profile; /* with …_PROFILE; copied, never NULL */
};

void vta_board_options_default(struct vta_board_options *options);

int vta_board_open(struct vta_board **board, const struct vta_board_options *options,
                   struct vta_error *error);
void vta_board_close(struct vta_board *board); /* NULL is allowed */

const struct vta_hw *vta_board_hw(const struct vta_board *board);

/* Changes the hardware configuration. VTA_ESTATE once the device has been used (its DRAM asked for
 * or a program run) unless the configuration is the same. */
int vta_board_reconfigure(struct vta_board *board, const struct vta_hw *hw,
                          struct vta_error *error);

/* "Programs the FPGA" with a bitstream by its file's name. A name that spells a configuration
 * (1x16_i8w8a32_15_15_18_17; folders before it and .bit or .bin behind it do not count) selects it,
 * as vta_board_reconfigure; any other keeps the one that is set. *spelled: which of both.
 * VTA_ECONFIG: no such hardware can be. */
int vta_board_program(struct vta_board *board, const char *name, bool *spelled,
                      struct vta_error *error);

/* DRAM, created on first call, which counts as first use of the device; NULL with *error where it
 * cannot be reserved. */
struct vta_dram *vta_board_dram(struct vta_board *board, struct vta_error *error);

/* How much DRAM there is and is used, without using the device. */
void vta_board_memory(const struct vta_board *board, struct vta_dram_stats *stats);

/* Whether the device has been used. */
bool vta_board_used(const struct vta_board *board);

struct vta_run_result {
    struct vta_counters counters; /* of this run alone */
    uint64_t wall_ns;             /* host time inside the device */
    /* What the board would take by the profile; 0 where there is none, or where it would hang
     * because a queue of its own is too short. */
    uint64_t board_cycles; /* its fabric's, of the run alone */
    uint64_t board_ns;     /* the whole call, the host's side of it included */
};

/* Changes whose time is predicted; profile is copied, and used with …_PROFILE only. Returns 0 or
 * VTA_ENOMEM. */
int vta_board_set_timing(struct vta_board *board, enum vta_board_timing timing,
                         const struct vta_timing_profile *profile, struct vta_error *error);

/* The profile that applies to the board as it is configured now, or NULL; the board's, until it is
 * changed or reconfigured. */
const struct vta_timing_profile *vta_board_profile(struct vta_board *board);

/* Runs a verified program. buffers: one handle per parameter, each at least as large as the
 * parameter. VTA_ESTATE where the program was verified for other token counts than the board has.
 * A run that is stopped resets the device and empties the token queues. control may be NULL. */
int vta_board_run(struct vta_board *board, const struct vta_program *program,
                  const vta_handle *buffers, uint32_t buffer_count, struct vta_control *control,
                  struct vta_run_result *result, struct vta_error *error);

/* Runs a stream as it lies in memory: absolute addresses, micro-ops in DRAM. It is decoded and
 * verified for the token counts that the board has, and kept by content (stream_cache.h), so that
 * the same stream is decided once. By the board's policy it is looked at for hazards then, too:
 * they are reported, or refused with VTA_EHAZARD. Fails as vta_stream_cache_get and vta_board_run
 * do. */
int vta_board_run_stream(struct vta_board *board, const uint8_t *insns, uint32_t count,
                         struct vta_control *control, struct vta_run_result *result,
                         struct vta_error *error);

/* The same for a stream that a recorder holds. */
int vta_board_run_decoded(struct vta_board *board, const struct vta_decoded *decoded,
                          struct vta_control *control, struct vta_run_result *result,
                          struct vta_error *error);

/* What is done from now on about hazards of streams. */
void vta_board_set_hazards(struct vta_board *board, enum vta_hazard_policy policy,
                           bool strict_board);

/* Token counts that the next program starts with. */
struct vta_tokens vta_board_tokens(const struct vta_board *board);
void vta_board_set_tokens(struct vta_board *board, struct vta_tokens tokens);

/* Adds a run's counters to a sum. */
void vta_counters_add(struct vta_counters *sum, const struct vta_counters *run);

/* Sums over all runs since open or clear. */
struct vta_counters vta_board_counters(const struct vta_board *board);
void vta_board_clear_counters(struct vta_board *board);

/* Count without computing. */
void vta_board_set_skip(struct vta_board *board, bool skip);
bool vta_board_skip(const struct vta_board *board);

void vta_board_info(const struct vta_board *board, struct vta_device_info *info);

#endif
