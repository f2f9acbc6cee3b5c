/* test_suggest.c: which typing errors are recognised, and which words are left alone. */
#include <criterion/criterion.h>

#include <string.h>

#include "core/suggest.h"

static const char *const keys[] = { "LOG_BATCH", "LOG_BLOCK", "TARGET", "HW_VER" };

static const char *suggest(const char *name)
{
    return vta_suggest(name, keys, sizeof keys / sizeof keys[0]);
}

Test(suggest, recognises_a_missing_a_wrong_a_superfluous_and_a_swapped_letter)
{
    cr_assert_str_eq(suggest("LOG_BACH"), "LOG_BATCH");
    cr_assert_str_eq(suggest("LOG_BLOCG"), "LOG_BLOCK");
    cr_assert_str_eq(suggest("TARGETS"), "TARGET");
    cr_assert_str_eq(suggest("HW_VRE"), "HW_VER");
}

Test(suggest, does_not_mind_the_case_of_letters)
{
    cr_assert_str_eq(suggest("log_batch"), "LOG_BATCH");
}

Test(suggest, counts_a_swap_as_one_edit)
{
    static const char *const targets[] = { "sim" };
    cr_assert_str_eq(vta_suggest("ism", targets, 1), "sim");
    cr_assert_null(vta_suggest("mis", targets, 1));
}

Test(suggest, takes_the_nearest_of_several)
{
    static const char *const names[] = { "read", "reads", "red" };
    cr_assert_str_eq(vta_suggest("reads", names, 3), "reads");
    cr_assert_str_eq(vta_suggest("readss", names, 3), "reads");
}

Test(suggest, leaves_alone_what_is_near_to_nothing)
{
    cr_assert_null(suggest("PORT"));
    cr_assert_null(suggest(""));
    cr_assert_null(vta_suggest("x", NULL, 0));
}

Test(suggest, takes_names_of_any_length)
{
    char name[4096];
    memset(name, 'L', sizeof name - 1);
    name[sizeof name - 1] = '\0';
    cr_assert_null(suggest(name));
    const char *const candidates[] = { name, "LOG_BATCH" };
    cr_assert_str_eq(vta_suggest("LOG_BATH", candidates, 2), "LOG_BATCH");
}
