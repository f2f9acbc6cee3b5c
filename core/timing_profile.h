/* timing_profile.h: the numbers that say how fast one hardware build on one board is, and their
 * JSON text.
 *
 * At most ten numbers per build, each with a physical meaning and a unit in its name. The profiles
 * that vtad ships (config/profiles/) are compiled in, so that their names mean the same wherever a
 * program runs; others come from a path. docs/FIDELITY.md says what each number stands for and
 * where its value comes from.
 */
#ifndef VTA_CORE_TIMING_PROFILE_H
#define VTA_CORE_TIMING_PROFILE_H

#include <stdbool.h>
#include <stddef.h>

#include <vta/hw.h>

#define VTA_PROFILE_NAME 48
#define VTA_PROFILE_TEXT 512

/* X(member, smallest, largest): the ten numbers, in the order of the text. */
#define VTA_PROFILE_NUMBERS(X)                                                                     \
    X(clock_mhz, 1, 5000)               /* of the fabric: what a cycle is */                       \
    X(port_bytes_per_cycle, 1, 1024)    /* of the memory port, from the host's cache */            \
    X(dram_bytes_per_cycle, 0.01, 1024) /* through it where the cache misses */                    \
    X(cache_kib, 0, 65536)              /* the host's last cache behind the port; 0: none */       \
    X(dma_row_cycles, 0, 100000)        /* from a read row's request to its first byte */          \
    X(insn_cycles, 0, 100000)           /* to start an instruction in its unit */                  \
    X(gemm_loop_cycles, 0, 100000)      /* to enter GEMM's loop over micro-ops once */             \
    X(alu_cycles, 0, 100000)            /* per step of an ALU nest */                              \
    X(host_call_us, 0, 10000000)        /* the host's side of a call */                            \
    X(host_insn_ns, 0, 10000000)        /* … and per instruction of its stream */

#define VTA_PROFILE_NUMBER_COUNT 10

struct vta_timing_profile {
    char name[VTA_PROFILE_NAME];       /* "1x16-2019-08": letters, digits, '.', '_' and '-' */
    char board[VTA_PROFILE_TEXT];      /* what it describes, for people */
    char note[VTA_PROFILE_TEXT];       /* where the numbers come from; may be empty */
    char hardware[VTA_BITSTREAM_NAME]; /* the bitstream's name, as vta_hw_bitstream has it */
    bool measured;                     /* fitted to times of a real board */
#define VTA_PROFILE_MEMBER(name, low, high) double name;
    VTA_PROFILE_NUMBERS(VTA_PROFILE_MEMBER)
#undef VTA_PROFILE_MEMBER
};

/* A row of the table that reader, writer and tuner come from. */
struct vta_profile_number {
    const char *name;
    size_t offset; /* of the double in struct vta_timing_profile */
    double low, high;
};
const struct vta_profile_number *vta_profile_numbers(void); /* VTA_PROFILE_NUMBER_COUNT rows */

/* Reads a profile's text. Every number must be there; an unknown key is an error that suggests the
 * nearest. Returns 0, VTA_EFORMAT (not JSON) or VTA_ECONFIG (names key, limit and value), and then
 * leaves *profile as it was. */
int vta_profile_from_json(struct vta_timing_profile *profile, const char *text, size_t length,
                          struct vta_error *error);

/* The same from a file of at most 64 KiB. VTA_EIO where it cannot be read. */
int vta_profile_from_file(struct vta_timing_profile *profile, const char *path,
                          struct vta_error *error);

/* Indented JSON text; the caller frees it. NULL without memory. */
char *vta_profile_to_json(const struct vta_timing_profile *profile);

/* A profile that is compiled in, by its name. VTA_ENOTFOUND suggests or lists the known names. */
int vta_profile_shipped(struct vta_timing_profile *profile, const char *name,
                        struct vta_error *error);

/* The same, or from a file where `name` has a '/' or ends in ".json". */
int vta_profile_find(struct vta_timing_profile *profile, const char *name, struct vta_error *error);

/* The measured profile that stands for a hardware configuration: the newest of those compiled in
 * whose hardware it is. VTA_ENOTFOUND where none was measured. */
int vta_profile_for_hw(struct vta_timing_profile *profile, const struct vta_hw *hw,
                       struct vta_error *error);

/* Names of the profiles that are compiled in, or NULL from the first index that has none. */
const char *vta_profile_name(size_t index);

#endif
