/* image_sample.c: what machine code does that a loader must get right, in three parts, compiled one
 * by one for every machine and in many ways, and into the test that compares: PART 1 and 2 are a
 * module of two objects, PART 3 is what it imports. Needs no library.
 */
#include "image_sample.h"

/* ---- Between the objects ------------------------------------------------------------------- */

word other_add(word a, word b);
word other_step(word x);
word other_grouped(word x);
word other_overridden(word x);
__attribute__((visibility("hidden"))) word other_hidden(word x);
extern int other_counter;
extern const char *const other_words[3];
extern unsigned other_zeros[64];
extern word (*const other_functions[4])(word);
extern short other_far[150000];
__attribute__((weak)) word nobody_has_this(word x);
__attribute__((weak)) extern int nobody_has_that;
#if PART != 2 && !defined COMMON
extern
#endif
    int common_pair[2];
#if PART != 2 && !defined COMMON
extern
#endif
    long long common_single;

/* A number below n, without a division, for which some machines need a library. */
#define BELOW(n, x) (((unsigned)(x)&255) * (n) >> 8)
#define NOINLINE    __attribute__((noinline))

#define TEXT(number)    #number
#define TEXT_OF(number) TEXT(number)
#define PART_TEXT       TEXT_OF(PART)

/* A group that both objects have, with different contents: that of the first one counts. */
extern const word grouped;
#if PART < 3
__asm__(".section .rodata.grouped,\"aG\",%progbits,grouped,comdat\n"
        ".globl grouped\n"
        ".balign 8\n"
        "grouped: .long 5 + " PART_TEXT ", 0\n"
        ".size grouped, 8\n"
        ".previous");
#endif

#if PART == 1

static int counter = 11;
static int calls = 5;
static int far_away[200000];
static unsigned char zeros[4096];
static double factors[4] = { 0.5, -1.25, 3.0, 100.0 };
static word order;
int shared = 77;
int *shared_address = &shared;
static const short table[8] = { 3, -1, 4, -1, 5, -9, 2, -6 };

__attribute__((constructor)) static void last(void)
{
    order = order * 10 + 2;
}

__attribute__((constructor(200))) static void first(void)
{
    order = order * 10 + 1;
}

static NOINLINE word local_step(word x)
{
    return x * 2654435761u + 1;
}

__attribute__((weak)) NOINLINE word other_overridden(word x)
{
    return x + 1000000;
}

word sample_calls(word x)
{
    return other_add(local_step(x), other_step(x)) ^ other_overridden(x);
}

word sample_tail(word x)
{
    if ((x & 1) != 0)
        return other_step(x + 3);
    return local_step(x + 5);
}

word sample_pointers(word x)
{
    word (*volatile function)(word) = (x & 1) != 0 ? local_step : other_step;
    return function(x) + (function == other_step);
}

word sample_pointer_tables(word x)
{
    static word (*const mine[3])(word) = { local_step, other_step, sample_tail };
    return mine[BELOW(3, x)](x) + other_functions[x & 3](x);
}

word sample_variables(word x)
{
    other_counter += (int)x;
    shared += other_counter;
    *shared_address ^= 5;
    return (word)shared * 3 + (word)other_counter;
}

word sample_statics(word x)
{
    calls += (int)(x & 15);
    counter ^= calls;
    return (word)counter << 20 | (word)(calls & 0xfff);
}

word sample_zeros(word x)
{
    zeros[x & 4095]++;
    other_zeros[x & 63] += zeros[(x >> 1) & 4095] + 1u;
    return other_zeros[x & 63] * 256 + zeros[x & 4095];
}

word sample_commons(word x)
{
    common_pair[x & 1] += (int)x;
    common_single -= (long long)x;
    return (word)common_pair[0] * 31 + (word)common_pair[1] + (word)common_single;
}

word sample_weak(word x)
{
    word sum = nobody_has_this != 0 ? nobody_has_this(x) : 7;
    return sum + (&nobody_has_that != 0 ? 100 : 9) + other_overridden(x);
}

word sample_tables(word x)
{
    return (word)(long long)(table[x & 7] * 1000) + (word)other_words[BELOW(3, x)][BELOW(5, x)];
}

word sample_jumps(word x)
{
    switch (BELOW(11, x)) {
    case 0:
        return other_step(x);
    case 1:
        return x * 7;
    case 2:
        return local_step(x) - 1;
    case 3:
        return (word)shared;
    case 4:
        return x << 5;
    case 5:
        return ~x;
    case 6:
        return other_add(x, 9);
    case 7:
        return x ^ 0x5555;
    case 9:
        return x >> 3;
    default:
        return 42;
    }
}

word sample_text(word x)
{
    const char *const words[] = { "relocated", "objects", "", "stub" };
    const char *word_text = words[x & 3];
    word hash = 1469598103u;
    for (; *word_text != '\0'; word_text++)
        hash = (hash ^ (unsigned char)*word_text) * 16777619u;
    return hash + (unsigned char)other_words[1][2];
}

word sample_wide(word x)
{
    const word a = x * 0x9e3779b97f4a7c15ull;
    return (a >> 17) + (a << 9) - (word)((long long)a >> 33) + 0x123456789abcdef0ull;
}

word sample_doubles(word x)
{
    const double value =
        (double)(int)(x & 0xffff) * factors[x & 3] + host_mix((double)(int)(x & 255), 0.75);
    return (word)(long long)(int)(value / 16.0) + (value > 0.0);
}

word sample_imports(word x)
{
    return host_scale(x) + host_back(local_step, x) + host_back(other_step, x);
}

word sample_imported_pointer(word x)
{
    word (*volatile function)(word) = host_scale;
    return function(x) + 1;
}

word sample_imported_data(word x)
{
#ifdef NO_IMPORTED_DATA
    static const word numbers[4] = { 3, 1ull << 40, 0xffffffff, 12 };
    return numbers[x & 3];
#else
    return host_numbers[x & 3];
#endif
}

word sample_constructed(word x)
{
    return x + order;
}

word sample_far_elements(word x)
{
    far_away[150000] += (int)x;
    far_away[199999] ^= far_away[150000];
    other_far[140001] = (short)(other_far[140001] + (short)x);
    return (word)far_away[199999] * 5 + (word)other_far[140001] + (word)far_away[x & 1023];
}

word sample_hidden(word x)
{
    return other_hidden(x) * 2;
}

word sample_groups(word x)
{
    return x + grouped + other_grouped(x);
}

word sample_vectors(word x)
{
    static float numbers[32];
    float sum = 0;
    for (int i = 0; i < 32; i++)
        numbers[i] = (float)((int)(x & 63) + i) * 0.5f;
    for (int i = 0; i < 32; i++)
        sum += numbers[i];
    return (word)(long long)(int)sum;
}

word sample_reset(word x)
{
    volatile unsigned char *bytes = zeros;
    (void)x;
    counter = 11;
    calls = 5;
    far_away[150000] = far_away[199999] = 0;
    other_far[140001] = 0;
    shared = 77;
    other_counter = -3;
    for (int i = 0; i < 4096; i++)
        bytes[i] = 0;
    for (int i = 0; i < 64; i++)
        ((volatile unsigned *)other_zeros)[i] = 0;
    common_pair[0] = common_pair[1] = 0;
    common_single = 0;
    return 0;
}

#elif PART == 2

int other_counter = -3;
unsigned other_zeros[64];
short other_far[150000];
const char *const other_words[3] = { "alpha", "bravo", "delta" };
extern int shared;

NOINLINE word other_add(word a, word b)
{
    return a + b + (word)(shared & 0);
}

NOINLINE word other_step(word x)
{
    return (x ^ x >> 7) * 31 + 17;
}

NOINLINE word other_overridden(word x)
{
    return x + 5;
}

NOINLINE word other_grouped(word x)
{
    return x * grouped;
}

NOINLINE word other_hidden(word x)
{
    return x - 12345;
}

word (*const other_functions[4])(word) = { other_step, other_overridden, host_scale, sample_jumps };

#else

const word host_numbers[4] = { 3, 1ull << 40, 0xffffffff, 12 };

word host_scale(word x)
{
    return x * 3 + 1;
}

double host_mix(double a, double b)
{
    return a * b - 2.0;
}

word host_back(word (*function)(word), word x)
{
    return function(x + 1) + 1;
}

#endif
