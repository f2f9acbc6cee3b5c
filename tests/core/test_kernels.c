/* test_kernels.c: which kernel set serves, and what is said of one that cannot. Whether they
 * compute right is check_kernels.c's matter.
 */
#include <criterion/criterion.h>

#include <stdlib.h>
#include <string.h>

#include "core/kernels.h"

static struct vta_error error;

Test(kernels, unknown_name_is_refused_with_the_nearest)
{
    cr_expect_eq(vta_kernels_force("avx", &error), VTA_EINVAL);
    cr_expect_str_eq(error.message, "no kernel set is called 'avx'; did you mean 'avx2'?");
    cr_expect_eq(vta_kernels_check("something", &error), VTA_EINVAL);
}

Test(kernels, known_name_that_this_processor_cannot_run_is_refused_as_such)
{
    static const char *const names[] = { "vnni", "avx2", "neon", "portable" };
    size_t count, refused = 0;
    const struct vta_kernels *const *sets = vta_kernels_all(&count);
    for (size_t i = 0; i < 4; i++) {
        int rc = vta_kernels_check(names[i], &error);
        cr_expect(rc == 0 || rc == VTA_EUNSUPPORTED);
        refused += rc != 0;
    }
    cr_expect_geq(refused, 1, "no processor has both AVX2 and NEON");
    cr_expect_str_eq(sets[count - 1]->name, "portable", "the one that serves everything is last");
}

Test(kernels, named_set_serves_until_the_name_is_taken_back)
{
    struct vta_hw hw;
    vta_hw_default(&hw);
    unsetenv("VTA_KERNELS");
    const struct vta_kernels *best = vta_kernels_choose(&hw);
    cr_assert_eq(vta_kernels_force("portable", &error), 0);
    cr_expect_str_eq(vta_kernels_choose(&hw)->name, "portable");
    cr_assert_eq(vta_kernels_force(NULL, &error), 0);
    cr_expect_eq(vta_kernels_choose(&hw), best);
    setenv("VTA_KERNELS", "portable", 1);
    cr_expect_str_eq(vta_kernels_choose(&hw)->name, "portable");
}

Test(kernels, portable_serves_where_the_environment_names_a_set_that_cannot)
{
    static const char *const names[] = { "vnni", "avx2", "neon", "something" };
    struct vta_hw hw;
    vta_hw_default(&hw);
    for (size_t i = 0; i < 4; i++) {
        bool can = vta_kernels_check(names[i], &error) == 0;
        setenv("VTA_KERNELS", names[i], 1);
        cr_expect_str_eq(vta_kernels_choose(&hw)->name, can ? names[i] : "portable");
    }
    unsetenv("VTA_KERNELS");
    const struct vta_kernels *best = vta_kernels_choose(&hw);
    setenv("VTA_KERNELS", "", 1);
    cr_expect_eq(vta_kernels_choose(&hw), best, "an empty name names none");
}

Test(kernels, configuration_that_a_set_does_not_know_is_served_by_portable)
{
    struct vta_hw hw;
    vta_hw_default(&hw);
    hw.inp_bits = 16;
    cr_expect_str_eq(vta_kernels_choose(&hw)->name, "portable");
}
