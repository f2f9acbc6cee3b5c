/* suggest.c: edit distance between short names, for messages only. */
#include "suggest.h"

#include <ctype.h>
#include <string.h>

#define NAME_MAX_LETTERS 64 /* longer names are no typing errors of ours */

static size_t min(size_t a, size_t b)
{
    return a < b ? a : b;
}

static char lower(char c)
{
    return (char)tolower((unsigned char)c);
}

/* Insertions, deletions, replacements and swaps of neighbours that make a from b. */
static size_t distance(const char *a, size_t a_length, const char *b, size_t b_length)
{
    size_t rows[3][NAME_MAX_LETTERS + 1];
    size_t *before = rows[0], *last = rows[1], *row = rows[2];
    for (size_t j = 0; j <= b_length; j++)
        last[j] = j;
    for (size_t i = 1; i <= a_length; i++) {
        row[0] = i;
        for (size_t j = 1; j <= b_length; j++) {
            char x = lower(a[i - 1]), y = lower(b[j - 1]);
            row[j] = min(last[j - 1] + (x != y), min(last[j], row[j - 1]) + 1);
            if (i > 1 && j > 1 && x == lower(b[j - 2]) && y == lower(a[i - 2]))
                row[j] = min(row[j], before[j - 2] + 1);
        }
        size_t *oldest = before;
        before = last;
        last = row;
        row = oldest;
    }
    return last[b_length];
}

const char *vta_suggest(const char *name, const char *const *candidates, size_t count)
{
    size_t length = strnlen(name, NAME_MAX_LETTERS + 1);
    if (length > NAME_MAX_LETTERS)
        return NULL;

    const char *nearest = NULL;
    size_t smallest = NAME_MAX_LETTERS + 1;
    for (size_t i = 0; i < count; i++) {
        size_t candidate_length = strlen(candidates[i]);
        if (candidate_length > NAME_MAX_LETTERS)
            continue;
        size_t edits = distance(name, length, candidates[i], candidate_length);
        size_t letters = length > candidate_length ? length : candidate_length;
        if (3 * edits <= letters && edits < smallest) {
            smallest = edits;
            nearest = candidates[i];
        }
    }
    return nearest;
}
