/* test_marshal.c: arguments and results of every kind between emulated code and ours. In place of
 * imports.c there is a table of the test's own: what compiled code calls (mixed.c) must arrive.
 */
#include "emulated.h"

#include <string.h>

#include "emulator/imports.h"
#include "mixed.h"

#define DEFINE(name, signature, type, parameters, arguments, sum)                                  \
    static type take_##name parameters                                                             \
    {                                                                                              \
        return sum;                                                                                \
    }
MIXED(DEFINE)

static void *take_pointers(void *a, void *b, uintptr_t c)
{
    return b == NULL && c == 0x87654321u ? a : NULL;
}

static void take_no_result(double *a)
{
    *a += 1;
}

#define ROW(name, signature, type, parameters, arguments, sum)                                     \
    { "take_" #name, signature, (void (*)(void))take_##name, NULL },
static const struct import table[] = {
    { "", "v", NULL, NULL },
    MIXED(ROW) /**/
    { "take_pointers", "pppw", (void (*)(void))take_pointers, NULL },
    { "take_no_result", "vp", (void (*)(void))take_no_result, NULL },
};

uint32_t import_count(void)
{
    return sizeof table / sizeof table[0];
}

const struct import *import_at(uint32_t number)
{
    return &table[number];
}

uint32_t import_find(const char *name)
{
    for (uint32_t i = 1; i < import_count(); i++)
        if (strcmp(table[i].name, name) == 0)
            return i;
    return 0;
}

void import_variables(uint8_t bytes[IMPORT_VARIABLES_BYTES])
{
    (void)bytes;
}

int import_variable(const char *name)
{
    (void)name;
    return -1;
}

static void expect(struct emulated *emulated, const char *name, char letter, const void *bytes,
                   size_t nbytes)
{
    int64_t expected = 0;
    const int64_t found = emulated_int(emulated, name, 0, NULL);
    memcpy(&expected, bytes, nbytes);
    if (emulated->machine == EM_ARM && (letter == 'z' || letter == 'n'))
        expected = (uint32_t)expected;
    cr_expect_eq(found, expected, "%s: 0x%llx, not 0x%llx", name, (unsigned long long)found,
                 (unsigned long long)expected);
}

ON_BOTH(marshal, hands_over_every_kind, "mixed")
{
#define EXPECT(name, signature, type, parameters, arguments, sum)                                  \
    do {                                                                                           \
        __typeof__(take_##name arguments) value = take_##name arguments;                           \
        expect(emulated, "call_" #name, signature[0] == '~' ? signature[1] : signature[0], &value, \
               sizeof value);                                                                      \
    } while (0);
    MIXED(EXPECT)
    cr_expect_eq(emulated_int(emulated, "call_pointers", 0, NULL), 1);
}

ON_BOTH(marshal, refuses_pointers_to_what_is_not_its_memory, "mixed")
{
    emulated_fails(emulated, "call_wild", 0, VTA_EREFUSED, "argument 1 of take_pointers is 0x10");
    cr_expect_eq(emulated_int(emulated, "call_nothing", 0, NULL), (uint32_t)-7);
}
