/* hazard.h: what a verified program does right in a simulator and may do wrong on a board.
 *
 * Exact, like the verifier: what is reported is one and, where the search was complete, what is not
 * reported is none.
 *
 * A *race*: two units access the same SRAM entry or the same bytes of DRAM, at least one of them
 * writes, and neither instruction precedes the other (ordering.h). INP and WGT lie between load and
 * compute, OUT between compute and store; DRAM is read by load and compute and written by store.
 * ACC and UOP belong to compute alone. Two parameters are taken to be two buffers.
 * Stores that are not ordered before FINISH are refused by the verifier.
 *
 * *Unwritten*: an SRAM entry is read that nothing has written, in the order in which the simulator
 * runs the program. Whether something had written it before depends on the board, so the report
 * assumes a new one and keeps, as sets, what a program needs and what it leaves written.
 *
 * *Differences* (only with strict_board): what a board does unlike the simulator.
 */
#ifndef VTA_CORE_HAZARD_H
#define VTA_CORE_HAZARD_H

#include "control.h"
#include "marks.h"
#include "program.h"

/* X(symbol, stable name, one line of meaning). */
#define VTA_HAZARDS(X)                                                                             \
    X(VTA_HAZARD_RACE, "race", "two units access the same place and no token orders them")         \
    X(VTA_HAZARD_UNWRITTEN, "unwritten", "reads SRAM that nothing has written")                    \
    X(VTA_HAZARD_MUL, "board-mul", "a board's ALU has no MUL")                                     \
    X(VTA_HAZARD_SHIFT, "board-shift", "a board's shift amount is a signed number of 5 bits")      \
    X(VTA_HAZARD_ACC_8BIT, "board-acc8", "a board cannot load 8-bit numbers into ACC")             \
    X(VTA_HAZARD_PADDING, "board-padding", "a board pads loads of INP and ACC only")               \
    X(VTA_HAZARD_STALE, "board-stale", "on a board a load into ACC does not reach OUT")            \
    X(VTA_HAZARD_QUEUE, "board-queue", "a board's queues are bounded, and the program would hang")

enum vta_hazard_kind {
#define VTA_HAZARD_ENUM(symbol, name, text) symbol,
    VTA_HAZARDS(VTA_HAZARD_ENUM)
#undef VTA_HAZARD_ENUM
    VTA_HAZARD_KINDS
};

const char *vta_hazard_name(enum vta_hazard_kind kind);
const char *vta_hazard_text(enum vta_hazard_kind kind);

/* Unwritten SRAM is a warning whatever the policy; everything else is a hazard. */
static inline bool vta_hazard_is_warning(enum vta_hazard_kind kind)
{
    return kind == VTA_HAZARD_UNWRITTEN;
}

/* What is done about hazards. Warnings are told, never failed on. */
enum vta_hazard_policy {
    VTA_HAZARDS_OFF,  /* nobody looks */
    VTA_HAZARDS_WARN, /* told, and the program runs */
    VTA_HAZARDS_FAIL, /* refused with VTA_EHAZARD */
    VTA_HAZARD_POLICIES
};

/* "off", "warn", "fail". False where the text is none of them. */
bool vta_hazard_policy_parse(enum vta_hazard_policy *policy, const char *text);

#define VTA_HAZARD_NO_INSN UINT32_MAX
#define VTA_HAZARD_DRAM    VTA_MEM_COUNT /* in place of a memory */

struct vta_hazard {
    enum vta_hazard_kind kind;
    uint32_t first, second;           /* instructions, in program order; or VTA_HAZARD_NO_INSN */
    uint32_t memory;                  /* enum vta_memory, or VTA_HAZARD_DRAM */
    uint32_t base;                    /* of DRAM: what the bytes count from, VTA_BASE_… */
    bool first_writes, second_writes; /* of a race */
    struct vta_extent extent;         /* SRAM entries, or bytes of DRAM; of a race: those of both */
};

/* What was found. Immutable. */
struct vta_hazards {
    uint32_t count; /* listed here, races first, each kind by instruction */
    struct vta_hazard *items;
    uint64_t found[VTA_HAZARD_KINDS]; /* of each kind, listed or not */
    bool complete;                    /* everything was looked at; else there may be more */
    bool strict_board;                /* differences were looked for */
    struct vta_marks needs;           /* SRAM entries that the program reads and has not written */
    struct vta_marks writes;          /* SRAM entries that it writes */
};

struct vta_hazard_options {
    bool strict_board;
    uint32_t list_at_most;       /* of each kind; 0: no limit */
    struct vta_control *control; /* ends it; NULL: nobody does */
};

/* What a report lists where nobody says otherwise. */
#define VTA_HAZARDS_LISTED 8

/* Looks at a program that vta_verify accepted. Cost: near linear in instructions, in the SRAM
 * entries that they touch and in the rows that they transfer, and less than a run. Where the
 * control's budget ends, so does the search, and what it found until then is not complete.
 * Returns 0, whatever it found, VTA_ENOMEM, or what else control ends it with. */
int vta_hazards_find(struct vta_hazards **hazards, const struct vta_program *program,
                     const struct vta_hazard_options *options, struct vta_error *error);
void vta_hazards_free(struct vta_hazards *hazards); /* NULL is allowed */

/* The same, kept in program->hazards. For whoever has just verified the program: it must not be
 * shared yet. */
int vta_program_find_hazards(struct vta_program *program, const struct vta_hazard_options *options,
                             struct vta_error *error);

/* How many hazards, and how many warnings, were found. */
uint64_t vta_hazards_count(const struct vta_hazards *hazards);
uint64_t vta_hazards_warnings(const struct vta_hazards *hazards);

/* One finding as several lines of text, without a newline at the end: what, both instructions with
 * their disassembly, and which token would have ordered them. Returns the length it needed. */
#define VTA_HAZARD_TEXT 1024
size_t vta_hazard_print(const struct vta_program *program, const struct vta_hazard *hazard,
                        char *text, size_t size);

/* VTA_EHAZARD about the first hazard, with the number of the others; 0 where there is none. */
int vta_hazards_error(const struct vta_program *program, const struct vta_hazards *hazards,
                      struct vta_error *error);

#endif
