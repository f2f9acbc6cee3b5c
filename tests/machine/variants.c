/* variants.c: libraries that are not as they should be, one per macro: WANTS (symbols that nobody
 * has), FOREIGN (an imported module of another kind), TREE (an import tree that is right), TORN
 * (one that is cut off), LONG (one longer than its variable).
 */
#include <stdint.h>

#define EXPORT __attribute__((visibility("default")))

EXPORT int variant(void);

#ifdef WANTS
int nobody_has_this(void);
int nor_this(void);
int variant(void)
{
    return nobody_has_this() + nor_this();
}
#else
int variant(void)
{
    return 0;
}
#endif

#define U64(n)   (n), 0, 0, 0, 0, 0, 0, 0
#define LIB      U64(4), '_', 'l', 'i', 'b'
#define TREE_KEY U64(12), '_', 'i', 'm', 'p', 'o', 'r', 't', '_', 't', 'r', 'e', 'e'

#ifdef FOREIGN
EXPORT const uint8_t __tvm_dev_mblob[] = {
    U64(8 + 8 + 4 + 8 + 4 + 1), U64(2), LIB, U64(4), 'c', 'u', 'd', 'a', 0
};
#endif
#ifdef TREE
EXPORT const uint8_t __tvm_dev_mblob[] = {
    U64(8 + 12 + 20 + 8 + 16 + 8), U64(2), LIB, TREE_KEY, U64(2), U64(0), U64(0), U64(0)
};
#endif
#ifdef TORN
EXPORT const uint8_t __tvm_dev_mblob[] = { U64(8 + 12 + 20 + 8), U64(2), LIB, TREE_KEY, U64(200) };
#endif
#ifdef LONG
EXPORT const uint8_t __tvm_dev_mblob[] = { U64(9), U64(0) };
#endif
