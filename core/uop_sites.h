/* uop_sites.h: the micro-op kernels of a command queue, by call site and signature, and the rules
 * by which one is recorded.
 *
 * A kernel is recorded once per place in the code that pushes it, and per signature there. The
 * place keeps a number in a variable of its own, which is never followed: a number that is not
 * from this set of sites (a variable that outlived another runtime, or holds anything else) is a
 * new place.
 */
#ifndef VTA_CORE_UOP_SITES_H
#define VTA_CORE_UOP_SITES_H

#include "record.h"

struct vta_uop_site;

struct vta_uop_sites {
    struct vta_uop_site *sites; /* by ascending number; owned */
    uint32_t count, capacity;
    uint32_t kernel_count, max_kernels;

    struct vta_uop_recording {
        struct vta_record_kernel *kernel; /* that is being recorded, owned; NULL: none is */
        uint32_t open_loops;
        uint32_t uop_capacity;
    } recording;
};

void vta_uop_sites_init(struct vta_uop_sites *sites, uint32_t max_kernels);
void vta_uop_sites_free(struct vta_uop_sites *sites);

/* The kernel that was recorded for this place and signature, or NULL where none was. It belongs to
 * the sites, and does not move. */
struct vta_record_kernel *vta_uop_sites_find(const struct vta_uop_sites *sites,
                                             const void *call_site, const void *signature,
                                             int signature_bytes);

/* What the calls of a recording have to keep: up to two nested loops, all before the first
 * micro-op, and open until the last; one mode, one reset, and for the ALU one opcode and one
 * immediate. VTA_EINVAL, VTA_ESTATE outside (begin: inside) a recording, VTA_ENOMEM; begin also
 * VTA_ELIMIT past max_kernels. */
int vta_uop_record_begin(struct vta_uop_sites *sites, struct vta_error *error);
int vta_uop_record_loop(struct vta_uop_sites *sites, const struct vta_uop_loop *loop,
                        struct vta_error *error);
int vta_uop_record_loop_end(struct vta_uop_sites *sites, struct vta_error *error);
/* what: alu, reset, alu_opcode, use_imm and imm are looked at. */
int vta_uop_record_push(struct vta_uop_sites *sites, const struct vta_record_kernel *what,
                        const struct vta_uop *uop, struct vta_error *error);
/* Ends the recording; the kernel is kept for *call_site, which gets a number where it has none.
 * After a failure nothing is kept. */
int vta_uop_record_end(struct vta_uop_sites *sites, void **call_site, const void *signature,
                       int signature_bytes, struct vta_record_kernel **kernel,
                       struct vta_error *error);
/* Forgets what is being recorded, if anything is. */
void vta_uop_record_abandon(struct vta_uop_sites *sites);

#endif
