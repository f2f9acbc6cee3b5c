/* hazard.c: calls the finders, and keeps and counts what they find (hazard.h). */
#include "hazard_find.h"

#include <stdlib.h>
#include <string.h>

/* Comparisons of two instructions before counting gives up; only a program full of races gets
 * there. */
#define COMPARISONS_MAX (UINT64_C(1) << 22)

const char *vta_hazard_name(enum vta_hazard_kind kind)
{
    static const char *const names[VTA_HAZARD_KINDS] = {
#define NAME(symbol, name, text) name,
        VTA_HAZARDS(NAME)
#undef NAME
    };
    return names[kind];
}

const char *vta_hazard_text(enum vta_hazard_kind kind)
{
    static const char *const texts[VTA_HAZARD_KINDS] = {
#define TEXT(symbol, name, text) text,
        VTA_HAZARDS(TEXT)
#undef TEXT
    };
    return texts[kind];
}

bool vta_hazard_policy_parse(enum vta_hazard_policy *policy, const char *text)
{
    static const char *const words[VTA_HAZARD_POLICIES] = { "off", "warn", "fail" };
    for (int i = 0; i < VTA_HAZARD_POLICIES; i++) {
        if (strcmp(text, words[i]) != 0)
            continue;
        *policy = (enum vta_hazard_policy)i;
        return true;
    }
    return false;
}

void vta_hazards_free(struct vta_hazards *hazards)
{
    if (hazards == NULL)
        return;
    vta_marks_clear(&hazards->needs);
    vta_marks_clear(&hazards->writes);
    free(hazards->items);
    free(hazards);
}

uint64_t vta_hazards_count(const struct vta_hazards *hazards)
{
    uint64_t count = 0;
    for (int kind = 0; kind < VTA_HAZARD_KINDS; kind++)
        count += vta_hazard_is_warning((enum vta_hazard_kind)kind) ? 0 : hazards->found[kind];
    return count;
}

uint64_t vta_hazards_warnings(const struct vta_hazards *hazards)
{
    uint64_t count = 0;
    for (int kind = 0; kind < VTA_HAZARD_KINDS; kind++)
        count += vta_hazard_is_warning((enum vta_hazard_kind)kind) ? hazards->found[kind] : 0;
    return count;
}

int vta_finder_add(struct vta_finder *finder, const struct vta_hazard *hazard,
                   struct vta_error *error)
{
    struct vta_hazards *hazards = finder->hazards;
    const uint32_t most = finder->options->list_at_most;

    hazards->found[hazard->kind]++;
    if (most != 0 && hazards->found[hazard->kind] > most)
        return 0;
    if (hazards->count == finder->capacity) {
        uint32_t capacity = finder->capacity == 0 ? 16 : finder->capacity * 2;
        struct vta_hazard *items = realloc(hazards->items, capacity * sizeof(*items));
        if (items == NULL)
            return vta_error_set(error, VTA_ENOMEM, "no memory for a list of hazards");
        hazards->items = items;
        finder->capacity = capacity;
    }
    hazards->items[hazards->count++] = *hazard;
    return 0;
}

int vta_finder_add_race(struct vta_finder *finder, uint32_t insn, bool writes, uint32_t other,
                        const struct vta_hazard *where, struct vta_error *error)
{
    struct vta_hazard hazard = *where;
    hazard.kind = VTA_HAZARD_RACE;
    hazard.first = insn < other ? insn : other;
    hazard.second = insn < other ? other : insn;
    hazard.first_writes = (insn < other) == writes;
    hazard.second_writes = !hazard.first_writes;
    return vta_finder_add(finder, &hazard, error);
}

int vta_finder_step(const struct vta_finder *finder, uint64_t steps, struct vta_error *error)
{
    struct vta_control *control = finder->options->control;
    int rc = vta_control_step(control, steps);
    return rc == 0 ? 0
                   : vta_control_error(control, rc, error, "%s: search for hazards",
                                       finder->program->name);
}

static int compare_hazards(const void *a, const void *b)
{
    const struct vta_hazard *x = a, *y = b;
    if (x->kind != y->kind)
        return x->kind < y->kind ? -1 : 1;
    if (x->first != y->first)
        return x->first < y->first ? -1 : 1;
    if (x->second != y->second)
        return x->second < y->second ? -1 : 1;
    return x->memory < y->memory ? -1 : x->memory > y->memory;
}

static int find(struct vta_finder *finder, struct vta_error *error)
{
    int rc = vta_finder_step(finder, finder->program->count, error);
    if (rc == 0)
        rc = vta_ordering_make(&finder->ordering, finder->program, error);
    if (rc == 0)
        rc = vta_find_in_sram(finder, error);
    if (rc == 0)
        rc = vta_find_in_dram(finder, error);
    if (rc == 0 && finder->options->strict_board)
        rc = vta_find_differences(finder, error);
    vta_ordering_clear(&finder->ordering);
    return rc;
}

int vta_hazards_find(struct vta_hazards **result, const struct vta_program *program,
                     const struct vta_hazard_options *options, struct vta_error *error)
{
    struct vta_finder finder = { .program = program,
                                 .options = options,
                                 .budget = COMPARISONS_MAX,
                                 .hazards = calloc(1, sizeof(*finder.hazards)) };
    if (finder.hazards == NULL)
        return vta_error_set(error, VTA_ENOMEM, "no memory for a list of hazards");
    finder.hazards->complete = true;
    finder.hazards->strict_board = options->strict_board;
    int rc = vta_marks_init(&finder.hazards->needs, &program->hw, error);
    if (rc == 0)
        rc = vta_marks_init(&finder.hazards->writes, &program->hw, error);
    if (rc == 0)
        rc = find(&finder, error);
    if (rc == VTA_EWORK) { /* the budget is spent */
        finder.hazards->complete = false;
        rc = 0;
    }
    if (rc != 0) {
        vta_hazards_free(finder.hazards);
        return rc;
    }
    if (finder.hazards->count != 0)
        qsort(finder.hazards->items, finder.hazards->count, sizeof(*finder.hazards->items),
              compare_hazards);
    *result = finder.hazards;
    return 0;
}

int vta_program_find_hazards(struct vta_program *program, const struct vta_hazard_options *options,
                             struct vta_error *error)
{
    struct vta_hazards *hazards;
    int rc = vta_hazards_find(&hazards, program, options, error);
    if (rc != 0)
        return rc;
    vta_hazards_free(program->hazards);
    program->hazards = hazards;
    return 0;
}
