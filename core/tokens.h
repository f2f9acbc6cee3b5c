/* tokens.h: the three units and the four token queues between them, decided without running.
 *
 * Which pop meets which push does not depend on time (the k-th pop of a queue matches its k-th
 * push), so one walk says whether a program ends, in which order its instructions may run, and
 * what is left in the queues.
 */
#ifndef VTA_CORE_TOKENS_H
#define VTA_CORE_TOKENS_H

#include "program.h"

/* What a board holds; the walk below knows no such end. */
#define VTA_BOARD_COMMANDS 512  /* instructions that wait for one unit */
#define VTA_BOARD_TOKENS   1024 /* tokens in one queue */

/* The queues, in the order of the members of struct vta_tokens. */
enum vta_queue {
    VTA_QUEUE_LOAD_COMPUTE,
    VTA_QUEUE_COMPUTE_LOAD,
    VTA_QUEUE_COMPUTE_STORE,
    VTA_QUEUE_STORE_COMPUTE,
    VTA_QUEUE_COUNT
};

/* "load→compute". */
const char *vta_queue_name(enum vta_queue queue);

/* How many of the tokens are in one queue. */
uint32_t vta_tokens_in(const struct vta_tokens *tokens, enum vta_queue queue);

/* The queue that a bit of an instruction pops or pushes, or VTA_QUEUE_COUNT where there is none
 * (load has no previous unit, store no next one: the hardware ignores such a bit). */
enum vta_queue vta_pop_queue(enum vta_core_unit unit, bool next);
enum vta_queue vta_push_queue(enum vta_core_unit unit, bool next);

/* Fills order (count entries) and *after. The order is the program's own wherever the tokens allow
 * it: of the instructions that are ready, the first in the program goes first.
 * VTA_EDEADLOCK names every unit that waits for ever. */
int vta_tokens_walk(const struct vta_program *program, const struct vta_tokens *before,
                    uint32_t *order, struct vta_tokens *after, struct vta_error *error);

/* VTA_EFINISH unless every store that moves data is ordered before the FINISH that ends the
 * program. Presumes that vta_tokens_walk accepted it. */
int vta_tokens_check_finish(const struct vta_program *program, const struct vta_tokens *before,
                            struct vta_error *error);

#endif
