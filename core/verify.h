/* verify.h: decides, before it runs, whether a program is safe on a board.
 *
 * Exact: a program that passes touches nothing outside its board and its buffers, uses no micro-op
 * that it did not load, and ends; one that is refused would not have. Cost is linear in
 * instructions (times logarithms of the UOP depth and of the micro-ops) plus micro-ops in the
 * program, whatever the loops' extents, however often a micro-op is loaded and in how many rows.
 *
 * One kind of program could cost more, and is refused if it does (VTA_EWORK): one that loads rows
 * of micro-ops again and again, with micro-ops between these rows in DRAM that its nests could not
 * use. To see that they do not, the loaded entries are told apart one by one, VTA_VERIFY_ENTRIES of
 * them and 16 for each instruction and micro-op of the program.
 */
#ifndef VTA_CORE_VERIFY_H
#define VTA_CORE_VERIFY_H

#include "control.h"
#include "program.h"

#define VTA_VERIFY_ENTRIES (UINT64_C(1) << 20)

struct vta_verify_options {
    struct vta_tokens before;   /* token counts that the queues start with */
    bool tokens_must_end_empty; /* file functions: all queues empty afterwards */
    uint64_t max_work;          /* 0: no limit */
    /* Where a program has absolute addresses: whether [address, address + nbytes) is inside one
     * allocation. NULL refuses every absolute access. */
    vta_dram_reader reader;
    void *context;
    /* Changes when what was inside an allocation may be so no longer. 0: not known. */
    uint64_t epoch;
    struct vta_control *control; /* ends it; NULL: nobody does */
};

/* Verifies and fills the second half of *program. Returns 0 or
 * VTA_EOPCODE  unknown opcode, memory type or ALU opcode; a store with padding or not from OUT
 * VTA_ESRAM    a load, store or nest leaves its SRAM
 * VTA_EDRAM    an access leaves its parameter or allocation, or a store goes to a read-only one
 * VTA_EUOP     a nest uses micro-ops that nothing has loaded
 * VTA_EDEADLOCK  names each unit that waits, its instruction, the queue, pushes and pops
 * VTA_EFINISH  FINISH is missing, not last, or a store is not ordered before it
 * VTA_EWORK    the work passes max_work, or that of verifying its bound (above)
 * VTA_ENOMEM, or what control ends it with */
int vta_verify(struct vta_program *program, const struct vta_verify_options *options,
               struct vta_error *error);

/* Checks again what may have changed since a program with absolute addresses was verified: whether
 * its accesses are still inside allocations. Looks at nothing of *options but reader and context.
 * Returns 0 or VTA_EDRAM. */
int vta_verify_addresses(struct vta_program *program, const struct vta_verify_options *options,
                         struct vta_error *error);

#endif
