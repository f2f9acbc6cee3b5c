/* teardown.c: part of every suite, so that what fails while a test is torn down fails the suite.
 * Criterion prints such a failure, and counts the test as passed.
 */
#include <criterion/criterion.h>
#include <criterion/hooks.h>

static unsigned failures;

ReportHook(ASSERT)(struct criterion_assert_stats *stats)
{
    failures += stats->passed ? 0 : 1;
}

ReportHook(POST_ALL)(struct criterion_global_stats *stats)
{
    if (failures > 0 && stats->tests_failed == 0 && stats->tests_crashed == 0)
        stats->tests_failed = 1;
}
