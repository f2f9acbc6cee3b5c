/* nest_print.c: loop nests as indented pseudo-code. */
#include "nest.h"

static void print_expr(const struct nest *nest, const struct nest_expr *expr, FILE *file);

/* A sum inside a product or after a minus needs parentheses. */
static void print_factor(const struct nest *nest, const struct nest_expr *expr, FILE *file)
{
    bool sum = expr->kind == NEST_ADD || expr->kind == NEST_SUB;
    fputs(sum ? "(" : "", file);
    print_expr(nest, expr, file);
    fputs(sum ? ")" : "", file);
}

static void print_expr(const struct nest *nest, const struct nest_expr *expr, FILE *file)
{
    switch (expr->kind) {
    case NEST_CONST:
        fprintf(file, "%lld", (long long)expr->number);
        break;
    case NEST_VAR:
        fputs(nest->names[expr->number], file);
        break;
    case NEST_ADD:
        print_expr(nest, expr->left, file);
        fputs(" + ", file);
        print_expr(nest, expr->right, file);
        break;
    case NEST_SUB:
        print_expr(nest, expr->left, file);
        fputs(" - ", file);
        print_factor(nest, expr->right, file);
        break;
    case NEST_MUL:
        print_factor(nest, expr->left, file);
        fputs("*", file);
        print_factor(nest, expr->right, file);
        break;
    case NEST_MIN:
        fputs("min(", file);
        print_expr(nest, expr->left, file);
        fputs(", ", file);
        print_expr(nest, expr->right, file);
        fputs(")", file);
        break;
    }
}

static void print_access(const struct nest *nest, const struct nest_access *access, FILE *file)
{
    fprintf(file, "%s[", access->tensor);
    for (int i = 0; i < NEST_NDIM && access->index[i] != NULL; i++) {
        fputs(i > 0 ? ", " : "", file);
        print_expr(nest, access->index[i], file);
    }
    fputs("]", file);
}

static const char *op_name(enum vta_alu_opcode op)
{
    static const char *const names[] = { [VTA_ALU_MIN] = "min",
                                         [VTA_ALU_MAX] = "max",
                                         [VTA_ALU_ADD] = "add",
                                         [VTA_ALU_SHR] = "shr",
                                         [VTA_ALU_MUL] = "mul" };
    return names[op];
}

static void print_assign(const struct nest *nest, const struct nest_stmt *stmt, FILE *file)
{
    print_access(nest, &stmt->to, file);
    switch (stmt->assign) {
    case NEST_ZERO:
        fputs(" = 0", file);
        break;
    case NEST_COPY:
        fputs(" = ", file);
        print_access(nest, &stmt->a, file);
        break;
    case NEST_PRODUCT:
        fputs(" += ", file);
        print_access(nest, &stmt->a, file);
        fputs(" * ", file);
        print_access(nest, &stmt->b, file);
        break;
    case NEST_APPLY:
        fprintf(file, " = %s(", op_name(stmt->op));
        print_access(nest, &stmt->to, file);
        fprintf(file, ", %d)", stmt->imm);
        break;
    }
}

static const char *unit_name(enum vta_unit unit)
{
    return unit == VTA_UNIT_LOAD ? "load" : unit == VTA_UNIT_COMPUTE ? "compute" : "store";
}

/* "inp[0] <- data[16*k]: 1 × 16 tiles, stride 64" */
static void print_copy(const struct nest *nest, const struct nest_stmt *stmt, FILE *file)
{
    static const char *const entries[] = { [VTA_MEM_WGT] = "wgt[0]",
                                           [VTA_MEM_INP] = "inp[0]",
                                           [VTA_MEM_ACC] = "acc[0]",
                                           [VTA_MEM_OUT] = "out[0]" };
    if (stmt->kind == NEST_LOAD)
        fprintf(file, "load %s <- ", entries[stmt->memory]);
    else
        fputs("store ", file);
    fprintf(file, "%s[", stmt->tensor);
    print_expr(nest, stmt->offset, file);
    fputs("]", file);
    if (stmt->kind == NEST_STORE)
        fprintf(file, " <- %s", entries[stmt->memory]);
    fputs(": ", file);
    print_factor(nest, stmt->y, file);
    fputs(" × ", file);
    print_factor(nest, stmt->x, file);
    fputs(" tiles, stride ", file);
    print_expr(nest, stmt->stride, file);
}

static void print_gemm(const struct nest *nest, const struct nest_stmt *stmt, FILE *file)
{
    fputs("gemm acc[b*", file);
    print_factor(nest, stmt->o_count, file);
    fputs(" + o] += inp[b*", file);
    print_factor(nest, stmt->k_count, file);
    fputs(" + k] · wgt[o*", file);
    print_factor(nest, stmt->k_count, file);
    fputs(" + k]ᵀ: b in 0..", file);
    print_factor(nest, stmt->b_count, file);
    fputs(", o in 0..", file);
    print_factor(nest, stmt->o_count, file);
    fputs(", k in 0..", file);
    print_factor(nest, stmt->k_count, file);
}

static void print_stmt(const struct nest *nest, const struct nest_stmt *stmt, FILE *file)
{
    switch (stmt->kind) {
    case NEST_FOR:
        fprintf(file, "for %s in 0..", nest->names[stmt->var]);
        print_factor(nest, stmt->extent, file);
        fputs(":", file);
        break;
    case NEST_LET:
        fprintf(file, "let %s = ", nest->names[stmt->var]);
        print_expr(nest, stmt->extent, file);
        break;
    case NEST_ASSIGN:
        print_assign(nest, stmt, file);
        break;
    case NEST_PUSH:
    case NEST_POP:
        fprintf(file, "%s %s→%s", stmt->kind == NEST_PUSH ? "push" : "pop",
                unit_name(stmt->from_unit), unit_name(stmt->to_unit));
        break;
    case NEST_LOAD:
    case NEST_STORE:
        print_copy(nest, stmt, file);
        break;
    case NEST_RESET:
        fputs("gemm reset acc[0..", file);
        print_factor(nest, stmt->extent, file);
        fputs("]", file);
        break;
    case NEST_GEMM:
        print_gemm(nest, stmt, file);
        break;
    case NEST_ALU:
        fprintf(file, "alu %s acc[0..", op_name(stmt->op));
        print_factor(nest, stmt->extent, file);
        fprintf(file, "], %d", stmt->imm);
        break;
    }
    if (stmt->note != NULL)
        fprintf(file, "  // %s", stmt->note);
    fputs("\n", file);
}

static void print_list(const struct nest *nest, const struct nest_stmt *stmt, int depth, FILE *file)
{
    for (; stmt != NULL; stmt = stmt->next) {
        fprintf(file, "%*s", depth * 2, "");
        print_stmt(nest, stmt, file);
        if (stmt->kind == NEST_FOR)
            print_list(nest, stmt->body, depth + 1, file);
    }
}

void vta_nest_print(const struct nest *nest, FILE *file)
{
    print_list(nest, nest->body, 0, file);
}
