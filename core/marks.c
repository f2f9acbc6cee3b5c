/* marks.c: bitmaps over SRAM entries (marks.h), a word at a time. */
#include "marks.h"

#include <stdlib.h>
#include <string.h>

static size_t words_of(uint32_t depth)
{
    return ((size_t)depth + 63) / 64;
}

int vta_marks_init(struct vta_marks *marks, const struct vta_hw *hw, struct vta_error *error)
{
    size_t words = 0;
    memset(marks, 0, sizeof(*marks));
    for (int memory = VTA_MEM_WGT; memory <= VTA_MEM_OUT; memory++) {
        marks->depth[memory] = hw->depth[memory];
        words += words_of(hw->depth[memory]);
    }
    uint64_t *bits = calloc(words, sizeof(*bits)); /* one block for all */
    if (bits == NULL)
        return vta_error_set(error, VTA_ENOMEM, "no memory for a set of SRAM entries");
    for (int memory = VTA_MEM_WGT; memory <= VTA_MEM_OUT; memory++) {
        marks->bits[memory] = bits;
        bits += words_of(hw->depth[memory]);
    }
    return 0;
}

void vta_marks_clear(struct vta_marks *marks)
{
    free(marks->bits[VTA_MEM_WGT]);
    memset(marks, 0, sizeof(*marks));
}

/* The bits of a run that lie in one word. */
static uint64_t mask_of(struct vta_run run, uint32_t word)
{
    const uint64_t first = (uint64_t)word * 64;
    uint64_t mask = UINT64_MAX;
    if (run.begin > first)
        mask <<= run.begin - first;
    if (run.end < first + 64)
        mask &= UINT64_MAX >> (first + 64 - run.end);
    return mask;
}

void vta_marks_add(struct vta_marks *marks, enum vta_memory memory, struct vta_run run)
{
    for (uint32_t word = run.begin / 64; (uint64_t)word * 64 < run.end; word++)
        marks->bits[memory][word] |= mask_of(run, word);
}

void vta_marks_take(struct vta_marks *marks, enum vta_memory memory, struct vta_run run)
{
    for (uint32_t word = run.begin / 64; (uint64_t)word * 64 < run.end; word++)
        marks->bits[memory][word] &= ~mask_of(run, word);
}

void vta_marks_add_missing(struct vta_marks *marks, enum vta_memory memory, struct vta_run run,
                           const struct vta_marks *known)
{
    for (uint32_t word = run.begin / 64; (uint64_t)word * 64 < run.end; word++)
        marks->bits[memory][word] |= mask_of(run, word) & ~known->bits[memory][word];
}

void vta_extent_add(struct vta_extent *extent, uint64_t begin, uint64_t end)
{
    if (extent->count == 0 || begin < extent->begin)
        extent->begin = begin;
    if (extent->count == 0 || end > extent->end)
        extent->end = end;
    extent->count += end - begin;
}

/* Adds the set bits of a word. */
static void add_bits(uint64_t bits, uint32_t word, struct vta_extent *extent)
{
    for (; bits != 0; bits &= bits - 1) {
        const uint64_t entry = (uint64_t)word * 64 + (unsigned)__builtin_ctzll(bits);
        vta_extent_add(extent, entry, entry + 1);
    }
}

void vta_marks_find(const struct vta_marks *marks, enum vta_memory memory, struct vta_run run,
                    bool missing, struct vta_extent *extent)
{
    for (uint32_t word = run.begin / 64; (uint64_t)word * 64 < run.end; word++) {
        const uint64_t bits = marks->bits[memory][word];
        add_bits((missing ? ~bits : bits) & mask_of(run, word), word, extent);
    }
}

void vta_marks_find_only(const struct vta_marks *marks, const struct vta_marks *other,
                         enum vta_memory memory, struct vta_run run, struct vta_extent *extent)
{
    for (uint32_t word = run.begin / 64; (uint64_t)word * 64 < run.end; word++)
        add_bits(marks->bits[memory][word] & ~other->bits[memory][word] & mask_of(run, word), word,
                 extent);
}

void vta_marks_join(struct vta_marks *marks, const struct vta_marks *other)
{
    for (int memory = VTA_MEM_WGT; memory <= VTA_MEM_OUT; memory++)
        for (size_t word = 0; word < words_of(marks->depth[memory]); word++)
            marks->bits[memory][word] |= other->bits[memory][word];
}
