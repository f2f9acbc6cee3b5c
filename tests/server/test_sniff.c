/* The first bytes of a connection.
 */
#include <criterion/criterion.h>

#include "server/sniff.h"

Test(sniff, sees_native_in_the_first_byte_of_any_array)
{
    for (int byte = 0x90; byte <= 0x9f; byte++)
        cr_assert_eq(sniff((uint8_t[]){ (uint8_t)byte }, 1), SNIFF_NATIVE);
    cr_assert_eq(sniff((uint8_t[]){ 0xdc }, 1), SNIFF_NATIVE);
    cr_assert_eq(sniff((uint8_t[]){ 0xdd }, 1), SNIFF_NATIVE);
}

Test(sniff, waits_for_all_of_the_tvm_magic)
{
    const uint8_t magic[] = { 0x71, 0xf2, 0x0f, 0x00 };
    for (size_t n = 0; n < sizeof magic; n++)
        cr_assert_eq(sniff(magic, n), SNIFF_MORE);
    cr_assert_eq(sniff(magic, sizeof magic), SNIFF_TVM);
}

Test(sniff, knows_nothing_else)
{
    for (int byte = 0; byte <= 0xff; byte++) {
        bool known = (byte & 0xf0) == 0x90 || byte == 0xdc || byte == 0xdd || byte == 0x71;
        cr_assert_eq(sniff((uint8_t[]){ (uint8_t)byte }, 1) == SNIFF_UNKNOWN, !known);
    }
    cr_assert_eq(sniff((const uint8_t *)"GET ", 4), SNIFF_UNKNOWN);
    cr_assert_eq(sniff((uint8_t[]){ 0x71, 0xf2, 0x10 }, 3), SNIFF_UNKNOWN);
}
