/* nest.h: loop nests: what the compiler transforms, prints and walks.
 *
 * A nest is a tree of statements over integer expressions of loop variables. The printer shows it,
 * the emitter runs it once against a builder: both read the same tree, so what is printed is what
 * is compiled. It knows VTA's operations but no operator: matmul_nest.c makes the trees.
 *
 * Words: an *axis* of a lowered GEMM or copy counts tiles; a *tensor* is a kernel's parameter or,
 * in nests that are not lowered, the accumulator.
 */
#ifndef VTA_COMPILER_NEST_H
#define VTA_COMPILER_NEST_H

#include <stdio.h>

#include <vta/build.h>

#define NEST_VARS 32
#define NEST_NDIM 4

/* An expression. Belongs to its nest; may be used in many places. */
struct nest_expr {
    enum nest_expr_kind {
        NEST_CONST,
        NEST_VAR,
        NEST_ADD,
        NEST_SUB,
        NEST_MUL,
        NEST_MIN
    } kind;
    int64_t number; /* NEST_CONST: the value; NEST_VAR: the variable */
    const struct nest_expr *left, *right;
};

/* One number of a tensor. */
struct nest_access {
    const char *tensor; /* static */
    const struct nest_expr *index[NEST_NDIM];
};

enum nest_kind {
    NEST_FOR,    /* var from 0 to extent - 1 over body */
    NEST_LET,    /* var = extent for what follows in the same body */
    NEST_ASSIGN, /* definition and blocking only */
    NEST_PUSH,
    NEST_POP,
    NEST_LOAD,
    NEST_STORE,
    NEST_RESET,
    NEST_GEMM,
    NEST_ALU
};

enum nest_assign {
    NEST_ZERO,    /* to = 0 */
    NEST_COPY,    /* to = a */
    NEST_PRODUCT, /* to += a · b */
    NEST_APPLY    /* to = op(to, imm) */
};

struct nest_stmt {
    enum nest_kind kind;
    const char *note; /* printed beside it; static, may be NULL */
    struct nest_stmt *next;

    uint32_t var;                   /* FOR, LET */
    const struct nest_expr *extent; /* FOR, LET; RESET, ALU: accumulators from 0 on */
    struct nest_stmt *body;         /* FOR */

    enum nest_assign assign; /* ASSIGN */
    struct nest_access to, a, b;
    enum vta_alu_opcode op; /* ALU, ASSIGN with NEST_APPLY */
    int32_t imm;

    enum vta_unit from_unit, to_unit; /* PUSH, POP */

    /* LOAD, STORE: y rows of x elements, stride apart, from element offset of a tensor to
     * (STORE: from) entry 0 of a memory. */
    const char *tensor;
    int param;
    enum vta_memory memory;
    const struct nest_expr *offset, *y, *x, *stride;

    /* GEMM: acc[b·o_count + o] += inp[b·k_count + k] · wgt[o·k_count + k]ᵀ over all b, o, k */
    const struct nest_expr *b_count, *o_count, *k_count;
};

struct nest {
    char names[NEST_VARS][8];
    uint32_t var_count;
    struct nest_stmt *body;
    struct nest_stmt **end; /* where the next statement goes */
    struct nest_chunk *chunks;
    bool out_of_memory;     /* sticks; nest_append then gives the spare, which is in no tree */
    struct nest_stmt spare; /* so a nest must not be copied */
};

/* ---- Making -------------------------------------------------------------------------------- */

void vta_nest_init(struct nest *nest);
void vta_nest_free(struct nest *nest);

const struct nest_expr *vta_nest_const(struct nest *nest, int64_t number);
/* These fold constants, so that x·1, x+0 and min of two numbers print as what they are. */
const struct nest_expr *vta_nest_add(struct nest *nest, const struct nest_expr *left,
                                     const struct nest_expr *right);
const struct nest_expr *vta_nest_sub(struct nest *nest, const struct nest_expr *left,
                                     const struct nest_expr *right);
const struct nest_expr *vta_nest_mul(struct nest *nest, const struct nest_expr *left,
                                     const struct nest_expr *right);
const struct nest_expr *vta_nest_min(struct nest *nest, const struct nest_expr *left,
                                     const struct nest_expr *right);

/* Appends a statement; fill the rest of it. */
struct nest_stmt *vta_nest_append(struct nest *nest, enum nest_kind kind);

/* Opens a loop; statements go into it until nest_close with what `outer` was set to. Returns the
 * variable. */
const struct nest_expr *vta_nest_open(struct nest *nest, const char *name,
                                      const struct nest_expr *extent, struct nest_stmt ***outer);
void vta_nest_close(struct nest *nest, struct nest_stmt **outer);

/* Names a value; a constant needs no name and is returned as it is. */
const struct nest_expr *vta_nest_let(struct nest *nest, const char *name,
                                     const struct nest_expr *value);

/* ---- Using --------------------------------------------------------------------------------- */

int64_t vta_nest_eval(const struct nest_expr *expr, const int64_t values[NEST_VARS]);

void vta_nest_print(const struct nest *nest, FILE *file);

/* Runs a lowered nest against a builder. What passes an instruction's fields is split into several.
 * VTA_ELIMIT past max_insns instructions, or the builder's error. */
int vta_nest_emit(const struct nest *nest, const struct vta_hw *hw, struct vta_build *build,
                  uint32_t max_insns, struct vta_error *error);

#endif
