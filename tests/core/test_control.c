/* test_control.c: what bounds long work: stopping, deadlines and budgets. */
#include <criterion/criterion.h>

#include <string.h>

#include "core/control.h"

static struct vta_error error;

Test(control, of_nobody_bounds_nothing)
{
    cr_expect_eq(vta_control_step(NULL, UINT64_MAX), 0);
    cr_expect_eq(vta_control_look(NULL), 0);
}

Test(control, is_stopped_at_the_next_step)
{
    struct vta_control control = { 0 };
    vta_control_begin(&control, 0, 0);
    for (int i = 0; i < 100000; i++)
        cr_assert_eq(vta_control_step(&control, 1), 0);
    atomic_store(&control.stop, VTA_ECANCELLED);
    cr_expect_eq(vta_control_step(&control, 1), VTA_ECANCELLED);
    cr_expect_eq(vta_control_look(&control), VTA_ECANCELLED);
    vta_control_begin(&control, 0, 0);
    cr_expect_eq(vta_control_step(&control, 1), VTA_ECANCELLED, "a stop may come before the work");
    vta_control_error(&control, VTA_ECANCELLED, &error, "%s: a test", "m");
    cr_expect_eq(error.code, VTA_ECANCELLED);
    cr_expect_eq(strncmp(error.message, "m: a test: cancelled after ", 27), 0, "%s", error.message);
}

/* However small its steps are, work that goes on meets its deadline. */
Test(control, keeps_its_deadline_by_itself, .timeout = 30)
{
    struct vta_control control = { 0 };
    int rc = 0;
    vta_control_begin(&control, 20, 0);
    while (rc == 0)
        rc = vta_control_step(&control, 1);
    cr_expect_eq(rc, VTA_EDEADLINE);
    cr_expect_eq(vta_control_error(&control, rc, &error, "a test"), VTA_EDEADLINE);
    cr_expect(error.has_limit && error.limit == 20 && error.value >= 20, "%s", error.message);
    cr_expect(strstr(error.message, "passed its deadline of 20 ms") != NULL, "%s", error.message);

    vta_control_set_deadline(&control, 0);
    cr_expect_eq(vta_control_step(&control, 1), 0);
    vta_control_set_deadline(&control, 1); /* counts from the begin, which is longer ago */
    cr_expect_eq(vta_control_step(&control, 1), VTA_EDEADLINE);
}

Test(control, allows_exactly_its_budget_to_all_together)
{
    struct vta_control control = { 0 };
    vta_control_begin(&control, 0, 10000);
    for (int i = 0; i < 100; i++)
        cr_assert_eq(vta_control_step(&control, 100), 0);
    cr_expect_eq(vta_control_step(&control, 1), VTA_EWORK);
    cr_expect_eq(vta_control_step(&control, 1), VTA_EWORK, "it stays spent");
    cr_expect_eq(vta_control_error(&control, VTA_EWORK, &error, "a test"), VTA_EWORK);
    cr_expect(error.has_limit && error.limit == 10000 && error.value == 10002, "%s", error.message);
    vta_control_begin(&control, 0, 10000);
    cr_expect_eq(vta_control_step(&control, 1), 0);
}
