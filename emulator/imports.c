/* imports.c: the table of functions that emulated code finds by name (imports.h): TVM's backend,
 * VTA's runtime, the C library's, and those that compilers call for what a processor lacks.
 *
 * Division by zero is 0, as that of ARM's instructions is, and leaves the dividend as remainder; a
 * float beyond an integer's range becomes the nearest integer, a NaN 0.
 */
#include "imports.h"

#include <math.h>
#include <string.h>

#include "worker/abi_calls.h"

/* ---- Memory -------------------------------------------------------------------------------- */

/* Host memory of a range that a function reads or writes; an empty one may be anywhere. */
static uint8_t *range(struct guest *guest, union import_value address, union import_value nbytes,
                      unsigned access)
{
    static uint8_t nothing;
    uint8_t *bytes = nbytes.w == 0 ? &nothing : guest_memory(guest, address.w, nbytes.w, access);
    if (bytes == NULL)
        guest_fail(guest, VTA_EREFUSED,
                   "%s of %llu bytes at 0x%llx, which is not its memory, by %s",
                   access == IMAGE_WRITE ? "write" : "read", (unsigned long long)nbytes.w,
                   (unsigned long long)address.w, guest->calling);
    return bytes;
}

static void copy_memory(struct guest *guest, const union import_value *args,
                        union import_value *results)
{
    uint8_t *to = range(guest, args[0], args[2], IMAGE_WRITE);
    const uint8_t *from = range(guest, args[1], args[2], IMAGE_READ);
    if (to != NULL && from != NULL)
        memmove(to, from, args[2].w);
    results[0] = args[0];
}

static void fill(struct guest *guest, union import_value to, int byte, union import_value nbytes)
{
    uint8_t *bytes = range(guest, to, nbytes, IMAGE_WRITE);
    if (bytes != NULL)
        memset(bytes, byte, nbytes.w);
}

static void set_memory(struct guest *guest, const union import_value *args,
                       union import_value *results)
{
    fill(guest, args[0], args[1].i, args[2]);
    results[0] = args[0];
}

/* ARM's own has its arguments in another order, and there is one for zeros. */
static void arm_set_memory(struct guest *guest, const union import_value *args,
                           union import_value *results)
{
    (void)results;
    fill(guest, args[0], args[2].i, args[1]);
}

static void clear_memory(struct guest *guest, const union import_value *args,
                         union import_value *results)
{
    (void)results;
    fill(guest, args[0], 0, args[1]);
}

static void compare_memory(struct guest *guest, const union import_value *args,
                           union import_value *results)
{
    const uint8_t *a = range(guest, args[0], args[2], IMAGE_READ);
    const uint8_t *b = range(guest, args[1], args[2], IMAGE_READ);
    if (a != NULL && b != NULL)
        results[0].l = memcmp(a, b, args[2].w);
}

static const char *text_of(struct guest *guest, union import_value address)
{
    const char *text = guest_text(guest, address.w);
    if (text == NULL)
        guest_fail(guest, VTA_EREFUSED, "%s of 0x%llx, where no text of its memory is",
                   guest->calling, (unsigned long long)address.w);
    return text;
}

static void text_length(struct guest *guest, const union import_value *args,
                        union import_value *results)
{
    const char *text = text_of(guest, args[0]);
    results[0].w = text != NULL ? strlen(text) : 0;
}

static void compare_text(struct guest *guest, const union import_value *args,
                         union import_value *results)
{
    const char *a = text_of(guest, args[0]), *b = text_of(guest, args[1]);
    results[0].l = a != NULL && b != NULL ? strcmp(a, b) : 0;
}

/* ---- Integers ------------------------------------------------------------------------------ */

#define ARITHMETIC(name, type, expression)                                                         \
    static type name(type a, type b)                                                               \
    {                                                                                              \
        return (type)(expression);                                                                 \
    }
ARITHMETIC(div_i, int, b == 0 ? 0 : b == -1 ? (int)(0 - (unsigned)a) : a / b)
ARITHMETIC(mod_i, int, b == 0 ? a : b == -1 ? 0 : a % b)
ARITHMETIC(div_l, long, b == 0 ? 0 : b == -1 ? (long)(0 - (unsigned long)a) : a / b)
ARITHMETIC(mod_l, long, b == 0 ? a : b == -1 ? 0 : a % b)
ARITHMETIC(div_u, unsigned, b == 0 ? 0 : a / b)
ARITHMETIC(mod_u, unsigned, b == 0 ? a : a % b)
ARITHMETIC(div_ul, unsigned long, b == 0 ? 0 : a / b)
ARITHMETIC(mod_ul, unsigned long, b == 0 ? a : a % b)
ARITHMETIC(mul_l, unsigned long, a *b)

static void divide_i(struct guest *guest, const union import_value *args,
                     union import_value *results)
{
    (void)guest;
    results[0].l = div_i(args[0].i, args[1].i);
    results[1].l = mod_i(args[0].i, args[1].i);
}

static void divide_u(struct guest *guest, const union import_value *args,
                     union import_value *results)
{
    (void)guest;
    results[0].w = div_u((unsigned)args[0].i, (unsigned)args[1].i);
    results[1].w = mod_u((unsigned)args[0].i, (unsigned)args[1].i);
}

static void divide_l(struct guest *guest, const union import_value *args,
                     union import_value *results)
{
    (void)guest;
    results[0].l = div_l(args[0].l, args[1].l);
    results[1].l = mod_l(args[0].l, args[1].l);
}

static void divide_ul(struct guest *guest, const union import_value *args,
                      union import_value *results)
{
    (void)guest;
    results[0].w = div_ul(args[0].w, args[1].w);
    results[1].w = mod_ul(args[0].w, args[1].w);
}

#define SHIFT(name, type, expression)                                                              \
    static int64_t name(int64_t a, int32_t n)                                                      \
    {                                                                                              \
        return n < 0 || n > 63 ? 0 : (int64_t)((type)a expression n);                              \
    }
SHIFT(shift_left, uint64_t, <<)
SHIFT(shift_right, uint64_t, >>)
SHIFT(shift_signed, int64_t, >>)

/* −1, 0 or 1; libgcc's names have 0, 1 or 2. */
static int compare_l(int64_t a, int64_t b)
{
    return (a > b) - (a < b);
}

static int compare_ul(uint64_t a, uint64_t b)
{
    return (a > b) - (a < b);
}

static int compare_from_1(int64_t a, int64_t b)
{
    return compare_l(a, b) + 1;
}

static int compare_u_from_1(uint64_t a, uint64_t b)
{
    return compare_ul(a, b) + 1;
}

/* Not for 0, as the compiler's. */
static int leading_zeros(uint32_t a)
{
    return a != 0 ? __builtin_clz(a) : 32;
}

static int leading_zeros_l(uint64_t a)
{
    return a != 0 ? __builtin_clzll(a) : 64;
}

static int trailing_zeros_l(uint64_t a)
{
    return a != 0 ? __builtin_ctzll(a) : 64;
}

static int bits_set(uint32_t a)
{
    return __builtin_popcount(a);
}

static int bits_set_l(uint64_t a)
{
    return __builtin_popcountll(a);
}

/* ---- Floats -------------------------------------------------------------------------------- */

#define FLOATS(suffix, type)                                                                       \
    ARITHMETIC(add_##suffix, type, a + b)                                                          \
    ARITHMETIC(sub_##suffix, type, a - b)                                                          \
    ARITHMETIC(rsub_##suffix, type, b - a)                                                         \
    ARITHMETIC(mul_##suffix, type, a *b)                                                           \
    ARITHMETIC(div_##suffix, type, a / b)                                                          \
    COMPARISON(eq_##suffix, type, a == b)                                                          \
    COMPARISON(lt_##suffix, type, a < b)                                                           \
    COMPARISON(le_##suffix, type, a <= b)                                                          \
    COMPARISON(ge_##suffix, type, a >= b)                                                          \
    COMPARISON(gt_##suffix, type, a > b)                                                           \
    COMPARISON(un_##suffix, type, isnan(a) || isnan(b))                                            \
    static type neg_##suffix(type a)                                                               \
    {                                                                                              \
        return -a;                                                                                 \
    }                                                                                              \
    CONVERSION(suffix##_to_i, type, int32_t, 0x1p31, INT32_MIN, INT32_MAX)                         \
    CONVERSION(suffix##_to_u, type, uint32_t, 0x1p32, 0, UINT32_MAX)                               \
    CONVERSION(suffix##_to_l, type, int64_t, 0x1p63, INT64_MIN, INT64_MAX)                         \
    CONVERSION(suffix##_to_ul, type, uint64_t, 0x1p64, 0, UINT64_MAX)                              \
    CAST(i_to_##suffix, int32_t, type)                                                             \
    CAST(u_to_##suffix, uint32_t, type)                                                            \
    CAST(l_to_##suffix, int64_t, type)                                                             \
    CAST(ul_to_##suffix, uint64_t, type)
#define COMPARISON(name, type, expression)                                                         \
    static int name(type a, type b)                                                                \
    {                                                                                              \
        return expression;                                                                         \
    }
#define CONVERSION(name, from, to, end, least, most)                                               \
    static to name(from a)                                                                         \
    {                                                                                              \
        return isnan(a) ? 0 : a >= (from)(end) ? most : a <= (from)(least) ? least : (to)a;        \
    }
#define CAST(name, from, to)                                                                       \
    static to name(from a)                                                                         \
    {                                                                                              \
        return (to)a;                                                                              \
    }
FLOATS(f, float)
FLOATS(d, double)
CAST(f_to_d, float, double)
CAST(d_to_f, double, float)

static float half_to_f(int32_t half)
{
    const int exponent = half >> 10 & 0x1f, mantissa = half & 0x3ff;
    float value;
    if (exponent == 0x1f)
        value = mantissa != 0 ? NAN : INFINITY;
    else if (exponent == 0)
        value = ldexpf((float)mantissa, -24);
    else
        value = ldexpf((float)(mantissa + 0x400), exponent - 25);
    return (half & 0x8000) != 0 ? -value : value;
}

/* To the nearest, ties to even. */
static int32_t d_to_half(double value)
{
    const int32_t sign = signbit(value) ? 0x8000 : 0;
    int exponent;
    value = fabs(value);
    if (isnan(value))
        return sign | 0x7e00;
    if (value >= 65520)
        return sign | 0x7c00;
    if (value < 0x1p-14)
        return sign | (int32_t)nearbyint(value * 0x1p24);
    frexp(value, &exponent);
    return sign | (((exponent + 13) << 10) + (int32_t)nearbyint(ldexp(value, 11 - exponent)));
}

static int32_t f_to_half(float value)
{
    return d_to_half((double)value);
}

static double power_d(double a, int32_t n)
{
    return __builtin_powi(a, n);
}

static float power_f(float a, int32_t n)
{
    return __builtin_powif(a, n);
}

/* Functions that write through pointers: where the code says, of its own memory. */
#define WRITER(name, type, argument, out, call)                                                    \
    static void write_##name(struct guest *guest, const union import_value *args,                  \
                             union import_value *results)                                          \
    {                                                                                              \
        out value = 0;                                                                             \
        const union import_value *const a = args;                                                  \
        results[0].w = 0;                                                                          \
        results[0].type = call;                                                                    \
        guest_write(guest, args[argument].w, &value, sizeof value);                                \
    }
WRITER(frexp, d, 1, int, frexp(a[0].d, &value))
WRITER(frexpf, f, 1, int, frexpf(a[0].f, &value))
WRITER(modf, d, 1, double, modf(a[0].d, &value))
WRITER(modff, f, 1, float, modff(a[0].f, &value))
WRITER(remquo, d, 2, int, remquo(a[0].d, a[1].d, &value))
WRITER(remquof, f, 2, int, remquof(a[0].f, a[1].f, &value))
WRITER(lgamma_r, d, 1, int, lgamma_r(a[0].d, &value))
WRITER(lgammaf_r, f, 1, int, lgammaf_r(a[0].f, &value))

static void write_sincos(struct guest *guest, const union import_value *args,
                         union import_value *results)
{
    const double values[2] = { sin(args[0].d), cos(args[0].d) };
    (void)results;
    if (guest_write(guest, args[1].w, &values[0], sizeof values[0]))
        guest_write(guest, args[2].w, &values[1], sizeof values[1]);
}

static void write_sincosf(struct guest *guest, const union import_value *args,
                          union import_value *results)
{
    const float values[2] = { sinf(args[0].f), cosf(args[0].f) };
    (void)results;
    if (guest_write(guest, args[1].w, &values[0], sizeof values[0]))
        guest_write(guest, args[2].w, &values[1], sizeof values[1]);
}

/* ---- The end, and what is not needed here --------------------------------------------------- */

static void give_up(struct guest *guest, const union import_value *args,
                    union import_value *results)
{
    (void)args, (void)results;
    guest_fail(guest, VTA_EREFUSED, "it called %s", guest->calling);
}

static int nothing(void)
{
    return 0;
}

/* Not the runtime's address, which is none of the code's; only NULL means something. */
static uint64_t command_handle(void)
{
    return VTATLSCommandHandle() != NULL;
}

static uint64_t same_pointer(uint64_t cmd, uint64_t buffer)
{
    (void)cmd;
    return buffer;
}

/* ---- The table ----------------------------------------------------------------------------- */

#define AS(name, signature, function)                                                              \
    {                                                                                              \
        name, signature, (void (*)(void))(function), NULL                                          \
    }
#define HOST(function, signature) AS(#function, signature, function)
#define HANDLE(name, signature, handler)                                                           \
    {                                                                                              \
        name, signature, NULL, handler                                                             \
    }
/* In double and float. */
#define MATH1(function) HOST(function, "dd"), HOST(function##f, "ff")
#define MATH2(function) HOST(function, "ddd"), HOST(function##f, "fff")
#define WRITES(name, d_args, f_args)                                                               \
    HANDLE(#name, d_args, write_##name), HANDLE(#name "f", f_args, write_##name##f)
#define MEMORY(name, ...)                                                                          \
    HANDLE("__aeabi_" name, __VA_ARGS__), HANDLE("__aeabi_" name "4", __VA_ARGS__),                \
        HANDLE("__aeabi_" name "8", __VA_ARGS__)

/* Names of the ARM run-time ABI, for `d` and `f`. */
#define ARM_FLOATS(s)                                                                              \
    AS("__aeabi_" #s "add", "~" #s #s #s, add_##s),                                                \
        AS("__aeabi_" #s "sub", "~" #s #s #s, sub_##s),                                            \
        AS("__aeabi_" #s "rsub", "~" #s #s #s, rsub_##s),                                          \
        AS("__aeabi_" #s "mul", "~" #s #s #s, mul_##s),                                            \
        AS("__aeabi_" #s "div", "~" #s #s #s, div_##s),                                            \
        AS("__aeabi_" #s "neg", "~" #s #s, neg_##s),                                               \
        AS("__aeabi_" #s "cmpeq", "~i" #s #s, eq_##s),                                             \
        AS("__aeabi_" #s "cmplt", "~i" #s #s, lt_##s),                                             \
        AS("__aeabi_" #s "cmple", "~i" #s #s, le_##s),                                             \
        AS("__aeabi_" #s "cmpge", "~i" #s #s, ge_##s),                                             \
        AS("__aeabi_" #s "cmpgt", "~i" #s #s, gt_##s),                                             \
        AS("__aeabi_" #s "cmpun", "~i" #s #s, un_##s), AS("__aeabi_" #s "2iz", "~i" #s, s##_to_i), \
        AS("__aeabi_" #s "2uiz", "~i" #s, s##_to_u), AS("__aeabi_" #s "2lz", "~l" #s, s##_to_l),   \
        AS("__aeabi_" #s "2ulz", "~l" #s, s##_to_ul), AS("__aeabi_i2" #s, "~" #s "i", i_to_##s),   \
        AS("__aeabi_ui2" #s, "~" #s "i", u_to_##s), AS("__aeabi_l2" #s, "~" #s "l", l_to_##s),     \
        AS("__aeabi_ul2" #s, "~" #s "l", ul_to_##s)

/* clang-format off */
static const struct import table[] = {
    { "", "v", NULL, NULL }, /* where a call returns to */

    /* TVM's backend */
    HANDLE("TVMFuncCall", "iwwwiww", guest_func_call),
    HANDLE("TVMAPISetLastError", "vw", guest_set_last_error),
    HANDLE("TVMGetLastError", "w", guest_get_last_error),
    HANDLE("TVMBackendGetFuncFromEnv", "iwww", guest_get_func_from_env),
    HOST(TVMBackendAllocWorkspace, "piilii"), HOST(TVMBackendFreeWorkspace, "iiip"),
    HANDLE("TVMBackendParallelLaunch", "iwwi", guest_parallel_launch),
    AS("TVMBackendParallelBarrier", "i", nothing), /* a launch has one task */
    AS("TVMBackendRegisterSystemLibSymbol", "i", nothing),
    HANDLE("TVMBackendRunOnce", "iwwwi", guest_run_once),
    HANDLE("TVMArrayAlloc", "iwiiiiiiw", guest_array_alloc),
    HANDLE("TVMArrayFree", "iw", guest_array_free),

    /* VTA's runtime */
    AS("VTATLSCommandHandle", "w", command_handle), HOST(VTARuntimeShutdown, "v"),
    HOST(VTABufferAlloc, "pz"), HOST(VTABufferFree, "vp"),
    HANDLE("VTABufferCopy", "vwzwzzi", guest_buffer_copy),
    AS("VTABufferCPUPtr", "www", same_pointer), HOST(VTAWriteBarrier, "vwwiii"),
    HOST(VTAReadBarrier, "vwwiii"), HOST(VTASetDebugMode, "vwi"),
    HOST(VTALoadBuffer2D, "vwpiiiiiiiiii"), HOST(VTAStoreBuffer2D, "vwiipiiii"),
    HOST(VTAUopPush, "viiiiiiii"), HOST(VTAUopLoopBegin, "viiii"), HOST(VTAUopLoopEnd, "v"),
    HANDLE("VTAPushGEMMOp", "iwwwi", guest_push_gemm),
    HANDLE("VTAPushALUOp", "iwwwi", guest_push_alu), HOST(VTADepPush, "iwii"),
    HOST(VTADepPop, "iwii"), HOST(VTASynchronize, "vwi"),

    /* The C library */
    HANDLE("memcpy", "wwwz", copy_memory), HANDLE("memmove", "wwwz", copy_memory),
    HANDLE("memset", "wwiz", set_memory), HANDLE("memcmp", "iwwz", compare_memory),
    HANDLE("bcmp", "iwwz", compare_memory), HANDLE("strlen", "zw", text_length),
    HANDLE("strcmp", "iww", compare_text), HANDLE("abort", "v", give_up),
    HANDLE("__stack_chk_fail", "v", give_up), AS("__cxa_atexit", "i", nothing),
    AS("__aeabi_atexit", "i", nothing), AS("__cxa_finalize", "i", nothing),

    /* libm */
    MATH1(acos), MATH1(acosh), MATH1(asin), MATH1(asinh), MATH1(atan), MATH1(atanh), MATH1(cbrt),
    MATH1(ceil), MATH1(cos), MATH1(cosh), MATH1(erf), MATH1(erfc), MATH1(exp), MATH1(exp10),
    MATH1(exp2), MATH1(expm1), MATH1(fabs), MATH1(floor), MATH1(lgamma), MATH1(log), MATH1(log10),
    MATH1(log1p), MATH1(log2), MATH1(logb), MATH1(nearbyint), MATH1(rint), MATH1(round),
    MATH1(roundeven), MATH1(sin), MATH1(sinh), MATH1(sqrt), MATH1(tan), MATH1(tanh), MATH1(tgamma),
    MATH1(trunc), MATH2(atan2), MATH2(copysign), MATH2(fdim), MATH2(fmax), MATH2(fmin), MATH2(fmod),
    MATH2(hypot), MATH2(nextafter), MATH2(pow), MATH2(remainder), HOST(fma, "dddd"),
    HOST(fmaf, "ffff"), HOST(ldexp, "ddi"), HOST(ldexpf, "ffi"), HOST(scalbn, "ddi"),
    HOST(scalbnf, "ffi"), HOST(scalbln, "ddn"), HOST(scalblnf, "ffn"), HOST(ilogb, "id"),
    HOST(ilogbf, "if"), HOST(lrint, "nd"), HOST(lrintf, "nf"), HOST(lround, "nd"),
    HOST(lroundf, "nf"), HOST(llrint, "ld"), HOST(llrintf, "lf"), HOST(llround, "ld"),
    HOST(llroundf, "lf"), WRITES(frexp, "ddw", "ffw"), WRITES(modf, "ddw", "ffw"),
    WRITES(remquo, "dddw", "fffw"), HANDLE("lgamma_r", "ddw", write_lgamma_r),
    HANDLE("lgammaf_r", "ffw", write_lgammaf_r), WRITES(sincos, "vdww", "vfww"),

    /* ARM's run-time ABI */
    MEMORY("memcpy", "vwwz", copy_memory), MEMORY("memmove", "vwwz", copy_memory),
    MEMORY("memset", "vwzi", arm_set_memory), MEMORY("memclr", "vwz", clear_memory),
    AS("__aeabi_idiv", "iii", div_i), AS("__aeabi_uidiv", "iii", div_u),
    HANDLE("__aeabi_idivmod", "Dii", divide_i), HANDLE("__aeabi_uidivmod", "Dii", divide_u),
    HANDLE("__aeabi_ldivmod", "Qll", divide_l), HANDLE("__aeabi_uldivmod", "Qll", divide_ul),
    AS("__aeabi_idiv0", "i", nothing), AS("__aeabi_ldiv0", "l", nothing),
    AS("__aeabi_lmul", "lll", mul_l), AS("__aeabi_llsl", "lli", shift_left),
    AS("__aeabi_llsr", "lli", shift_right), AS("__aeabi_lasr", "lli", shift_signed),
    AS("__aeabi_lcmp", "ill", compare_l), AS("__aeabi_ulcmp", "ill", compare_ul), ARM_FLOATS(f),
    ARM_FLOATS(d), AS("__aeabi_f2d", "~df", f_to_d), AS("__aeabi_d2f", "~fd", d_to_f),
    AS("__aeabi_h2f", "~fi", half_to_f), AS("__aeabi_f2h", "~if", f_to_half),
    AS("__aeabi_d2h", "~id", d_to_half), AS("__gnu_h2f_ieee", "~fi", half_to_f),
    AS("__gnu_f2h_ieee", "~if", f_to_half), HANDLE("__aeabi_unwind_cpp_pr0", "v", give_up),
    HANDLE("__aeabi_unwind_cpp_pr1", "v", give_up), HANDLE("__aeabi_unwind_cpp_pr2", "v", give_up),
    HANDLE("__gnu_unwind_frame", "v", give_up), HANDLE("__gnu_Unwind_Find_exidx", "v", give_up),

    /* libgcc */
    AS("__divsi3", "iii", div_i), AS("__modsi3", "iii", mod_i), AS("__udivsi3", "iii", div_u),
    AS("__umodsi3", "iii", mod_u), AS("__divdi3", "lll", div_l), AS("__moddi3", "lll", mod_l),
    AS("__udivdi3", "lll", div_ul), AS("__umoddi3", "lll", mod_ul), AS("__muldi3", "lll", mul_l),
    AS("__ashldi3", "lli", shift_left), AS("__lshrdi3", "lli", shift_right),
    AS("__ashrdi3", "lli", shift_signed), AS("__cmpdi2", "ill", compare_from_1),
    AS("__ucmpdi2", "ill", compare_u_from_1), AS("__clzsi2", "ii", leading_zeros),
    AS("__clzdi2", "il", leading_zeros_l), AS("__ctzdi2", "il", trailing_zeros_l),
    AS("__popcountsi2", "ii", bits_set), AS("__popcountdi2", "il", bits_set_l),
    AS("__fixdfdi", "ld", d_to_l), AS("__fixunsdfdi", "ld", d_to_ul), AS("__fixsfdi", "lf", f_to_l),
    AS("__fixunssfdi", "lf", f_to_ul), AS("__floatdidf", "dl", l_to_d),
    AS("__floatundidf", "dl", ul_to_d), AS("__floatdisf", "fl", l_to_f),
    AS("__floatundisf", "fl", ul_to_f), AS("__powidf2", "ddi", power_d),
    AS("__powisf2", "ffi", power_f), AS("__extendhfsf2", "fi", half_to_f),
    AS("__truncsfhf2", "if", f_to_half), AS("__truncdfhf2", "id", d_to_half),
};
/* clang-format on */

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

/* ---- Variables ----------------------------------------------------------------------------- */

static const struct {
    const char *name;
    uint64_t value;
} variables[] = { { "__stack_chk_guard", 0x5bd1e995a17c3f00 }, { "__dso_handle", 0 } };

void import_variables(uint8_t bytes[IMPORT_VARIABLES_BYTES])
{
    for (size_t i = 0; i < sizeof variables / sizeof variables[0]; i++)
        memcpy(bytes + i * sizeof variables[i].value, &variables[i].value,
               sizeof variables[i].value);
}

int import_variable(const char *name)
{
    for (size_t i = 0; i < sizeof variables / sizeof variables[0]; i++)
        if (strcmp(variables[i].name, name) == 0)
            return (int)(i * sizeof variables[i].value);
    return -1;
}
