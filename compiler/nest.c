/* nest.c: makes and evaluates loop nests (nest.h). */
#include "nest.h"

#include <stdlib.h>
#include <string.h>

/* Expressions and statements live in chunks that are freed together. */
struct nest_chunk {
    struct nest_chunk *next;
    union {
        struct nest_expr expr;
        struct nest_stmt stmt;
    } node;
};

void vta_nest_init(struct nest *nest)
{
    memset(nest, 0, sizeof(*nest));
    nest->end = &nest->body;
}

void vta_nest_free(struct nest *nest)
{
    while (nest->chunks != NULL) {
        struct nest_chunk *chunk = nest->chunks;
        nest->chunks = chunk->next;
        free(chunk);
    }
}

static struct nest_chunk *new_chunk(struct nest *nest)
{
    struct nest_chunk *chunk = calloc(1, sizeof(*chunk));
    if (chunk == NULL) {
        nest->out_of_memory = true;
        return NULL;
    }
    chunk->next = nest->chunks;
    nest->chunks = chunk;
    return chunk;
}

/* ---- Expressions --------------------------------------------------------------------------- */

static const struct nest_expr *new_expr(struct nest *nest, struct nest_expr expr)
{
    static const struct nest_expr dummy = { .kind = NEST_CONST };
    struct nest_chunk *chunk = new_chunk(nest);
    if (chunk == NULL)
        return &dummy;
    chunk->node.expr = expr;
    return &chunk->node.expr;
}

static bool is_number(const struct nest_expr *expr, int64_t number)
{
    return expr->kind == NEST_CONST && expr->number == number;
}

static bool both_const(const struct nest_expr *left, const struct nest_expr *right)
{
    return left->kind == NEST_CONST && right->kind == NEST_CONST;
}

const struct nest_expr *vta_nest_const(struct nest *nest, int64_t number)
{
    return new_expr(nest, (struct nest_expr){ .kind = NEST_CONST, .number = number });
}

const struct nest_expr *vta_nest_add(struct nest *nest, const struct nest_expr *left,
                                     const struct nest_expr *right)
{
    if (both_const(left, right))
        return vta_nest_const(nest, left->number + right->number);
    if (is_number(left, 0))
        return right;
    if (is_number(right, 0))
        return left;
    return new_expr(nest, (struct nest_expr){ .kind = NEST_ADD, .left = left, .right = right });
}

const struct nest_expr *vta_nest_sub(struct nest *nest, const struct nest_expr *left,
                                     const struct nest_expr *right)
{
    if (both_const(left, right))
        return vta_nest_const(nest, left->number - right->number);
    if (is_number(right, 0))
        return left;
    return new_expr(nest, (struct nest_expr){ .kind = NEST_SUB, .left = left, .right = right });
}

const struct nest_expr *vta_nest_mul(struct nest *nest, const struct nest_expr *left,
                                     const struct nest_expr *right)
{
    if (both_const(left, right))
        return vta_nest_const(nest, left->number * right->number);
    if (is_number(left, 0) || is_number(right, 1))
        return left;
    if (is_number(right, 0) || is_number(left, 1))
        return right;
    if (left->kind == NEST_MUL && left->right->kind == NEST_CONST && right->kind == NEST_CONST)
        return vta_nest_mul(nest, left->left,
                            vta_nest_const(nest, left->right->number * right->number));
    return new_expr(nest, (struct nest_expr){ .kind = NEST_MUL, .left = left, .right = right });
}

const struct nest_expr *vta_nest_min(struct nest *nest, const struct nest_expr *left,
                                     const struct nest_expr *right)
{
    if (both_const(left, right))
        return left->number < right->number ? left : right;
    return new_expr(nest, (struct nest_expr){ .kind = NEST_MIN, .left = left, .right = right });
}

int64_t vta_nest_eval(const struct nest_expr *expr, const int64_t values[NEST_VARS])
{
    int64_t left, right;
    if (expr->kind == NEST_CONST)
        return expr->number;
    if (expr->kind == NEST_VAR)
        return values[expr->number];
    left = vta_nest_eval(expr->left, values);
    right = vta_nest_eval(expr->right, values);
    switch (expr->kind) {
    case NEST_ADD:
        return left + right;
    case NEST_SUB:
        return left - right;
    case NEST_MUL:
        return left * right;
    default:
        return left < right ? left : right;
    }
}

/* ---- Statements ---------------------------------------------------------------------------- */

struct nest_stmt *vta_nest_append(struct nest *nest, enum nest_kind kind)
{
    struct nest_chunk *chunk = new_chunk(nest);
    if (chunk == NULL)
        return &nest->spare;
    struct nest_stmt *stmt = &chunk->node.stmt;
    stmt->kind = kind;
    *nest->end = stmt;
    nest->end = &stmt->next;
    return stmt;
}

static uint32_t new_var(struct nest *nest, const char *name)
{
    uint32_t var = nest->var_count < NEST_VARS ? nest->var_count++ : NEST_VARS - 1;
    snprintf(nest->names[var], sizeof nest->names[var], "%s", name);
    return var;
}

const struct nest_expr *vta_nest_open(struct nest *nest, const char *name,
                                      const struct nest_expr *extent, struct nest_stmt ***outer)
{
    struct nest_stmt *loop = vta_nest_append(nest, NEST_FOR);
    loop->var = new_var(nest, name);
    loop->extent = extent;
    *outer = nest->end;
    nest->end = &loop->body;
    return new_expr(nest, (struct nest_expr){ .kind = NEST_VAR, .number = loop->var });
}

void vta_nest_close(struct nest *nest, struct nest_stmt **outer)
{
    nest->end = outer;
}

const struct nest_expr *vta_nest_let(struct nest *nest, const char *name,
                                     const struct nest_expr *value)
{
    if (value->kind == NEST_CONST)
        return value;
    struct nest_stmt *let = vta_nest_append(nest, NEST_LET);
    let->var = new_var(nest, name);
    let->extent = value;
    return new_expr(nest, (struct nest_expr){ .kind = NEST_VAR, .number = let->var });
}
