/* image_sample.h: the functions of image_sample.c that a test calls, in an image and in itself. */
#ifndef TEST_IMAGE_SAMPLE_H
#define TEST_IMAGE_SAMPLE_H

typedef unsigned long long word;

/* Each is word sample_NAME(word). */
#define SAMPLES(X)                                                                                 \
    X(calls)                                                                                       \
    X(pointers)                                                                                    \
    X(pointer_tables)                                                                              \
    X(variables)                                                                                   \
    X(statics)                                                                                     \
    X(zeros)                                                                                       \
    X(commons)                                                                                     \
    X(weak)                                                                                        \
    X(tables)                                                                                      \
    X(jumps)                                                                                       \
    X(text)                                                                                        \
    X(wide)                                                                                        \
    X(doubles)                                                                                     \
    X(imports)                                                                                     \
    X(imported_pointer)                                                                            \
    X(imported_data)                                                                               \
    X(constructed)                                                                                 \
    X(far_elements)                                                                                \
    X(tail)                                                                                        \
    X(hidden)                                                                                      \
    X(groups)                                                                                      \
    X(vectors)

#define SAMPLE_DECLARE(name) word sample_##name(word x);
SAMPLES(SAMPLE_DECLARE)
#undef SAMPLE_DECLARE

/* Puts every variable back to what it was after the constructors. */
word sample_reset(word x);

/* What the host gives. */
word host_scale(word x);
double host_mix(double a, double b);
word host_back(word (*function)(word), word x);
extern const word host_numbers[4];

#endif
