/* case.h: one recorded run in a folder: case.json, insn.bin, dram_in.bin and, where the result is
 * known, dram_out.bin.
 *
 *   name, hw            what it is, and the hardware configuration (keys of vta_config.json)
 *   insn_count          instructions in insn.bin, 16 bytes each
 *   dram_in, dram_out   {"file", "segments": [[byte address, bytes, offset in file], …]}
 *   counters            the seven counters of the run
 *   tokens_before       token counts of the four queues at its start; tokens_after: at its end
 *   measured_s          where a board was timed: [seconds per call, …], the host's side included
 *   bitstream           and of which hardware build: the name of a timing profile
 */
#ifndef VTA_TOOLS_CASE_H
#define VTA_TOOLS_CASE_H

#include "core/program.h"

struct replay_segment {
    uint64_t address, nbytes, offset;
};

struct replay_memory {
    uint8_t *bytes; /* the file; NULL where the case has none */
    size_t nbytes;
    struct replay_segment *segments;
    size_t count;
};

struct replay_case {
    char *name;
    struct vta_hw hw;
    uint8_t *insns;
    uint32_t insn_count;
    struct replay_memory in, out;
    struct vta_counters counters;
    struct vta_tokens before, after;
    double measured_s; /* the median, or 0 where the case has none */
    char *bitstream;   /* or NULL */
};

/* Reads and checks a case; VTA_EIO or VTA_EFORMAT. Release with replay_case_clear in every case. */
int replay_case_read(struct replay_case *rc, const char *folder, struct vta_error *error);
void replay_case_clear(struct replay_case *rc);

/* The case's stream as a verified program; free it with vta_program_free. Fails as
 * vta_program_from_stream and vta_verify do. */
int replay_case_program(struct vta_program **program, const struct replay_case *rc,
                        struct vta_error *error);

#endif
