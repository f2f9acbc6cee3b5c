/* images.h: module images for tests: one small and fixed, and random ones. */
#ifndef TESTS_PROTO_IMAGES_H
#define TESTS_PROTO_IMAGES_H

#include <vta/module.h>

#include "tests/generated/random.h"

/* One function "add" of two parameters, three instructions, two micro-ops, three relocations, for
 * the default hardware. Release with vta_module_image_clear. */
void image_small(struct vta_module_image *image);

/* A valid image: random hardware, functions, parameters, bytes. */
void image_random(struct vta_module_image *image, struct rng *rng);

/* Whether both hold the same. */
bool image_equal(const struct vta_module_image *a, const struct vta_module_image *b);

#endif
