/* timing_kept.c: a short list of predictions per program (timing_kept.h). It only grows, up to a
 * few profiles, so that readers need no lock.
 */
#include "timing_kept.h"

#include <stdlib.h>
#include <string.h>

#define KEPT_MOST 8 /* profiles per program; later ones are predicted anew each time */

struct vta_timing_kept {
    double numbers[VTA_PROFILE_NUMBER_COUNT];
    int rc; /* 0, or VTA_EDEADLOCK with the reason */
    struct vta_timing timing;
    struct vta_error *reason;     /* owned */
    struct vta_timing_kept *next; /* owned */
    uint32_t depth;               /* entries from here on */
};

static void numbers_of(double numbers[VTA_PROFILE_NUMBER_COUNT],
                       const struct vta_timing_profile *profile)
{
    for (size_t i = 0; i < VTA_PROFILE_NUMBER_COUNT; i++)
        memcpy(&numbers[i], (const char *)profile + vta_profile_numbers()[i].offset,
               sizeof(numbers[i]));
}

static const struct vta_timing_kept *find(const struct vta_timing_kept *kept, const double *numbers)
{
    while (kept != NULL && memcmp(kept->numbers, numbers, sizeof(kept->numbers)) != 0)
        kept = kept->next;
    return kept;
}

static void kept_free_one(struct vta_timing_kept *kept)
{
    free(kept->reason);
    free(kept);
}

void vta_timing_kept_free(struct vta_timing_kept *kept)
{
    while (kept != NULL) {
        struct vta_timing_kept *next = kept->next;
        kept_free_one(kept);
        kept = next;
    }
}

/* Puts an answer in front of the list, unless memory or the list ends: then it is not kept. */
static void keep(const struct vta_program *program, const double *numbers, int rc,
                 const struct vta_timing *timing, const struct vta_error *error)
{
    struct vta_timing_kept *_Atomic *list = (struct vta_timing_kept * _Atomic *)&program->timings;
    struct vta_timing_kept *kept = calloc(1, sizeof(*kept));
    if (kept == NULL)
        return;
    memcpy(kept->numbers, numbers, sizeof(kept->numbers));
    kept->rc = rc;
    kept->timing = *timing;
    if (rc != 0) {
        kept->reason = malloc(sizeof(*kept->reason));
        if (kept->reason == NULL) {
            kept_free_one(kept);
            return;
        }
        *kept->reason = *error;
    }
    kept->next = atomic_load_explicit(list, memory_order_acquire);
    do {
        kept->depth = kept->next == NULL ? 1 : kept->next->depth + 1;
        if (kept->depth > KEPT_MOST) {
            kept_free_one(kept);
            return;
        }
    } while (!atomic_compare_exchange_weak(list, &kept->next, kept));
}

int vta_timing_of(struct vta_timing *timing, const struct vta_program *program,
                  const struct vta_timing_profile *profile, struct vta_control *control,
                  struct vta_error *error)
{
    double numbers[VTA_PROFILE_NUMBER_COUNT];
    struct vta_error reason;
    numbers_of(numbers, profile);
    const struct vta_timing_kept *kept =
        find(atomic_load_explicit(&program->timings, memory_order_acquire), numbers);
    if (kept != NULL) {
        *timing = kept->timing;
        if (kept->rc != 0 && error != NULL)
            *error = *kept->reason;
        return kept->rc;
    }
    int rc = vta_timing_replay(timing, program, profile, NULL, control, &reason);
    if (rc == 0 || rc == VTA_EDEADLOCK)
        keep(program, numbers, rc, timing, &reason);
    if (rc != 0 && error != NULL)
        *error = reason;
    return rc;
}
