/* mixed.c: emulated code that calls the functions of mixed.h: a kernel for each, which returns what
 * the function returned, as bits. And pointers.
 */
#include "mixed.h"

#define KERNEL(name)                                                                               \
    int name(int64_t *args, int32_t *codes, int count, int64_t *result, int32_t *code,             \
             void *resource);                                                                      \
    int name(int64_t *args, int32_t *codes, int count, int64_t *result, int32_t *code,             \
             void *resource)
#define UNUSED() (void)args, (void)codes, (void)count, (void)resource

#define CALL(name, signature, type, parameters, arguments, sum)                                    \
    type take_##name parameters;                                                                   \
    KERNEL(call_##name)                                                                            \
    {                                                                                              \
        UNUSED();                                                                                  \
        union {                                                                                    \
            __typeof__(take_##name arguments) value;                                               \
            int64_t bits;                                                                          \
        } u = { .bits = 0 };                                                                       \
        u.value = take_##name arguments;                                                           \
        *result = u.bits;                                                                          \
        *code = 0;                                                                                 \
        return 0;                                                                                  \
    }
MIXED(CALL)

void *take_pointers(void *a, void *b, uintptr_t c);
void take_no_result(double *a);
static double number = 1.5;

/* Back comes the one that went; NULL is NULL; the stack, variables and a number. */
KERNEL(call_pointers)
{
    UNUSED();
    char local;
    *code = 0;
    *result = take_pointers(&local, NULL, 0x87654321u) == &local &&
              take_pointers(&number, NULL, 0x87654321u) == &number;
    take_no_result(&number);
    *result = *result && number == 2.5;
    return 0;
}

KERNEL(call_wild)
{
    UNUSED();
    *code = 0;
    *result = take_pointers((void *)0x10, NULL, 0) != NULL;
    return 0;
}
