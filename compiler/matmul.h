/* matmul.h: a matrix multiply whose schedule is settled, between matmul.c and matmul_nest.c. */
#ifndef VTA_COMPILER_MATMUL_H
#define VTA_COMPILER_MATMUL_H

#include <vta/compile.h>

#include "nest.h"

/* Parameter indices, in the order of declaration. */
enum {
    MATMUL_DATA = 0,
    MATMUL_WEIGHT = 1,
    MATMUL_BIAS = 2 /* the result comes after it, or in its place */
};

/* Fills an initialised nest with one step of a resolved matmul. */
void vta_matmul_nest(struct nest *nest, const struct vta_hw *hw, const struct vta_matmul *matmul,
                     enum vta_schedule_step step);

#endif
