/* check.h: Criterion's assertions, or, for a program that ThreadSanitizer watches, the few that the
 * harness needs.
 */
#ifndef VTA_TESTS_SERVICE_CHECK_H
#define VTA_TESTS_SERVICE_CHECK_H

#ifndef VTA_WITHOUT_CRITERION
#include <criterion/criterion.h>
#else

#include <stdio.h>
#include <stdlib.h>

#define cr_assert(condition, ...)                                                                  \
    do {                                                                                           \
        if (!(condition)) {                                                                        \
            fprintf(stderr, "%s:%d: %s is false\n", __FILE__, __LINE__, #condition);               \
            fprintf(stderr, "  " __VA_ARGS__);                                                     \
            fputc('\n', stderr);                                                                   \
            exit(1);                                                                               \
        }                                                                                          \
    } while (0)
#define cr_assert_eq(a, b, ...)    cr_assert((a) == (b), __VA_ARGS__)
#define cr_assert_lt(a, b, ...)    cr_assert((a) < (b), __VA_ARGS__)
#define cr_assert_not_null(p, ...) cr_assert((p) != NULL, __VA_ARGS__)
#define cr_assert_fail(...)        cr_assert(0, __VA_ARGS__)

#endif
#endif
