/* guest.c: emulated code that uses its processor, the C library, and memory that is not its own.
 * Each kernel takes numbers and returns one; compiled for every emulated machine.
 */
#include <string.h>

#include "signatures.h"
#include "worker/abi_calls.h"

#define KERNEL(name)                                                                               \
    int name(union tvm_value *args, int32_t *codes, int count, union tvm_value *result,            \
             int32_t *code, void *resource);                                                       \
    int name(union tvm_value *args, int32_t *codes, int count, union tvm_value *result,            \
             int32_t *code, void *resource)

#define RETURN(value)                                                                              \
    do {                                                                                           \
        (void)args, (void)codes, (void)count, (void)resource;                                      \
        result->i = (int64_t)(value);                                                              \
        *code = TVM_INT;                                                                           \
        return 0;                                                                                  \
    } while (0)

static void *pointer(union tvm_value value)
{
    return (void *)(uintptr_t)value.i;
}

/* ---- Wrong ----------------------------------------------------------------------------------- */

KERNEL(read_at)
{
    RETURN(*(volatile int32_t *)pointer(args[0]));
}

KERNEL(write_at)
{
    *(volatile int32_t *)pointer(args[0]) = 1;
    RETURN(0);
}

KERNEL(jump_to)
{
    ((void (*)(void))pointer(args[0]))();
    RETURN(0);
}

/* Takes a workspace on the device that it is told, and never comes to free it. */
KERNEL(leaves_a_workspace)
{
    if (TVMBackendAllocWorkspace((int)args[0].i, 0, 1 << 20, TVM_DTYPE_INT, 8) == NULL)
        return -1;
    *(volatile int32_t *)pointer((union tvm_value){ .i = 4 }) = 1;
    RETURN(0);
}

/* From now on numbers that are too small for a normal one become 0. */
KERNEL(flushes_to_zero)
{
#if defined(__arm__)
    unsigned mode;
    __asm__ volatile("vmrs %0, fpscr" : "=r"(mode));
    __asm__ volatile("vmsr fpscr, %0" : : "r"(mode | 1u << 24));
#else
    unsigned long mode;
    __asm__ volatile("mrs %0, fpcr" : "=r"(mode));
    __asm__ volatile("msr fpcr, %0" : : "r"(mode | 1ul << 24));
#endif
    RETURN(0);
}

KERNEL(has_small_numbers)
{
    volatile double small = 1e-308;
    RETURN(small / 3 > 0);
}

KERNEL(own_code)
{
    RETURN((uintptr_t)read_at);
}

KERNEL(own_constant)
{
    static const volatile int32_t constant[4] = { 1, 2, 3, 4 };
    RETURN((uintptr_t)constant);
}

KERNEL(undefined)
{
#if defined(__arm__)
    __asm__ volatile(".word 0xe7f000f0");
#else
    __asm__ volatile(".word 0");
#endif
    RETURN(0);
}

KERNEL(system_call)
{
    __asm__ volatile("svc #0");
    RETURN(0);
}

KERNEL(endless)
{
    for (volatile int i = 0;; i++)
        ;
    RETURN(0);
}

/* Every call has its own room on the stack, which the next one is shown. */
static int64_t dig(int64_t depth, volatile char *above)
{
    volatile char room[1000];
    room[0] = above != NULL ? above[0] : 0;
    return depth == 0 ? room[0] : 1 + dig(depth - 1, room) + room[1] * 0;
}

KERNEL(deep)
{
    RETURN(dig(args[0].i, NULL));
}

static int wild_uop(void *signature)
{
    int32_t address;
    memcpy(&address, signature, sizeof address);
    return *(volatile int32_t *)(uintptr_t)(uint32_t)address;
}

/* Goes wrong while it records for the board. */
KERNEL(wild_recording)
{
    static void *site;
    int32_t address = (int32_t)args[0].i;
    RETURN(VTAPushGEMMOp(&site, wild_uop, &address, sizeof address));
}

static int spin_task(int task, struct tvm_parallel_env *env, void *data)
{
    (void)task, (void)env, (void)data;
    for (volatile int i = 0;; i++)
        ;
}

KERNEL(endless_task)
{
    RETURN(TVMBackendParallelLaunch(spin_task, NULL, 0));
}

static int again(int task, struct tvm_parallel_env *env, void *data)
{
    (void)task, (void)env;
    return TVMBackendParallelLaunch(again, data, 0);
}

KERNEL(endless_launches)
{
    RETURN(TVMBackendParallelLaunch(again, NULL, 0));
}

void abort(void);

KERNEL(aborts)
{
    abort();
    RETURN(0);
}

KERNEL(returns_wild_text)
{
    result->i = args[0].i;
    *code = (int32_t)args[1].i;
    (void)codes, (void)count, (void)resource;
    return 0;
}

KERNEL(says_wild_text)
{
    TVMAPISetLastError(pointer(args[0]));
    RETURN(0);
}

KERNEL(copies)
{
    memcpy(pointer(args[0]), pointer(args[1]), (size_t)args[2].i);
    RETURN(0);
}

KERNEL(fills)
{
    memset(pointer(args[0]), 1, (size_t)args[1].i);
    RETURN(0);
}

/* ---- The C library --------------------------------------------------------------------------- */

/* Any function, of a signature, with any bits. */
KERNEL(call_function)
{
    uint64_t bits[3] = { (uint64_t)args[2].i, (uint64_t)args[3].i, (uint64_t)args[4].i };
    RETURN(call_signature((uint32_t)args[0].i, (uintptr_t)args[1].i, bits));
}

double frexp(double x, int *exponent);
float frexpf(float x, int *exponent);
double modf(double x, double *whole);
float modff(float x, float *whole);
double remquo(double x, double y, int *quotient);
float remquof(float x, float y, int *quotient);
double lgamma_r(double x, int *sign);
float lgammaf_r(float x, int *sign);
void sincos(double x, double *sine, double *cosine);
void sincosf(float x, float *sine, float *cosine);

/* Which of their two results, of which of them. */
KERNEL(two_results)
{
    const double x = args[1].f, y = args[2].f;
    double first = 0, second = 0;
    float f = 0, g = 0;
    int n = 0;
    switch (args[0].i) {
    case 0:
        first = frexp(x, &n);
        break;
    case 1:
        first = frexpf((float)x, &n);
        break;
    case 2:
        first = modf(x, &second);
        break;
    case 3:
        first = modff((float)x, &f);
        second = f;
        break;
    case 4:
        first = remquo(x, y, &n);
        break;
    case 5:
        first = remquof((float)x, (float)y, &n);
        break;
    case 6:
        first = lgamma_r(x, &n);
        break;
    case 7:
        first = lgammaf_r((float)x, &n);
        break;
    case 8:
        sincos(x, &first, &second);
        break;
    default:
        sincosf((float)x, &f, &g);
        first = f;
        second = g;
        break;
    }
    if (n != 0)
        second = n;
    (void)codes, (void)count, (void)resource;
    result->f = args[3].i == 0 ? first : second;
    *code = TVM_FLOAT;
    return 0;
}

#if defined(__arm__)
/* Both at once, which compilers for other systems ask for. */
#define DIVIDE(name)                                                                               \
    register int32_t quotient __asm__("r0") = (int32_t)args[1].i;                                  \
    register int32_t remainder __asm__("r1") = (int32_t)args[2].i;                                 \
    __asm__ volatile("bl " name                                                                    \
                     : "+r"(quotient), "+r"(remainder)                                             \
                     :                                                                             \
                     : "r2", "r3", "ip", "lr", "cc", "memory");                                    \
    RETURN((int64_t)quotient << 32 | (uint32_t)remainder)

KERNEL(divide_signed)
{
    DIVIDE("__aeabi_idivmod");
}

KERNEL(divide_unsigned)
{
    DIVIDE("__aeabi_uidivmod");
}
#endif

/* Quotient and remainder, as compilers ask for them. */
KERNEL(divide)
{
    const int64_t a = args[1].i, b = args[2].i;
    switch (args[0].i) {
    case 0:
        RETURN((int64_t)(uint32_t)((int32_t)a / (int32_t)b) << 32 |
               (uint32_t)((int32_t)a % (int32_t)b));
    case 1:
        RETURN((uint64_t)((uint32_t)a / (uint32_t)b) << 32 | (uint32_t)a % (uint32_t)b);
    case 2:
        RETURN(a / b ^ (a % b) << 1);
    default:
        RETURN((uint64_t)a / (uint64_t)b ^ ((uint64_t)a % (uint64_t)b) << 1);
    }
}

#if defined(__arm__)
void __aeabi_memcpy8(void *to, const void *from, size_t n);
void __aeabi_memmove4(void *to, const void *from, size_t n);
void __aeabi_memset(void *to, size_t n, int byte);
void __aeabi_memclr(void *to, size_t n);
#else
#define __aeabi_memcpy8          memcpy
#define __aeabi_memmove4         memmove
#define __aeabi_memset(to, n, c) memset(to, c, n)
#define __aeabi_memclr(to, n)    memset(to, 0, n)
#endif

/* 0, or which step went wrong. */
KERNEL(memory)
{
    static char text[64];
    char a[64], b[64];
    volatile size_t n = 64;
#define STEP(number, condition)                                                                    \
    if (!(condition))                                                                              \
    RETURN(number)
    STEP(1, memset(a, 'a', n) == a && a[0] == 'a' && a[63] == 'a');
    STEP(2, memcpy(b, a, n) == b && memcmp(a, b, n) == 0);
    b[63] = 'b';
    STEP(3, memcmp(a, b, n) < 0 && memcmp(b, a, n) > 0 && memcmp(a, b, n - 1) == 0);
    STEP(4, memmove(b + 1, b, n - 1) == b + 1 && b[63] == 'a');
    __aeabi_memset(text, n - 1, 'x');
    STEP(5, strlen(text) == 63 && text[62] == 'x');
    __aeabi_memclr(text + 10, n - 10);
    STEP(6, strlen(text) == 10 && strcmp(text, "xxxxxxxxxx") == 0 && strcmp(text, "y") < 0);
    __aeabi_memcpy8(a, text, n);
    __aeabi_memmove4(a + 4, a, n - 4);
    STEP(7, memcmp(a, "xxxxxxxxxxxxxx", 15) == 0);
    memcpy(NULL, NULL, n - 64);
    RETURN(0);
}

/* ---- Arguments ------------------------------------------------------------------------------- */

/* A tensor (2, 3) of 2-byte numbers with strides (8, 2) and an offset; a text; bytes. */
KERNEL(arguments)
{
    const struct tvm_tensor *tensor = args[0].p;
    const struct tvm_bytes *bytes = args[2].p;
    const int16_t *data = (const int16_t *)((char *)tensor->data + tensor->byte_offset);
    STEP(1,
         count == 6 && codes[0] == TVM_TENSOR && codes[1] == TVM_STRING && codes[2] == TVM_BYTES);
    STEP(2, tensor->device.type == TVM_CPU && tensor->device.id == 0 && tensor->ndim == 2);
    STEP(3, tensor->dtype.code == 0 && tensor->dtype.bits == 16 && tensor->dtype.lanes == 1);
    STEP(4, tensor->shape[0] == 2 && tensor->shape[1] == 3);
    STEP(5, tensor->strides[0] == 8 && tensor->strides[1] == 2 && tensor->byte_offset == 64);
    STEP(6, data[8 + 4] == 1234);
    STEP(7, strcmp(args[1].s, "words") == 0);
    STEP(8, bytes->size == 3 && memcmp(bytes->data, "a\0b", 3) == 0);
    STEP(9, codes[3] == TVM_FLOAT && args[3].f == 0.5);
    STEP(10,
         codes[4] == TVM_DEVICE && args[4].device.type == TVM_EXT_DEV && args[4].device.id == 7);
    STEP(11, codes[5] == TVM_NULL);
    RETURN(0);
}
