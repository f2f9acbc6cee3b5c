/* watch.c: tells of hazards, and remembers what was written (watch.h). */
#include "watch.h"

#include <stdio.h>
#include <string.h>

const struct vta_hazard_options *vta_watch_looks_for(const struct vta_watch *watch)
{
    static const struct vta_hazard_options plain = { .list_at_most = VTA_HAZARDS_LISTED };
    static const struct vta_hazard_options strict = { .list_at_most = VTA_HAZARDS_LISTED,
                                                      .strict_board = true };
    switch (watch->options.policy) {
    case VTA_HAZARDS_OFF:
        return NULL;
    case VTA_HAZARDS_WARN:
        if (watch->options.report == NULL)
            return NULL;
        break;
    case VTA_HAZARDS_FAIL:
    case VTA_HAZARD_POLICIES:
        break;
    }
    return watch->options.strict_board ? &strict : &plain;
}

/* Hands out a text line by line; *text is changed on the way. */
static void tell(const struct vta_watch *watch, char *text)
{
    while (text != NULL) {
        char *line = strsep(&text, "\n");
        watch->options.report(watch->options.context, line);
    }
}

static void tell_of(const struct vta_watch *watch, const struct vta_program *program,
                    const struct vta_hazard *hazard)
{
    char text[VTA_HAZARD_TEXT];
    vta_hazard_print(program, hazard, text, sizeof(text));
    tell(watch, text);
}

/* What of a finding's entries this board has not seen written. */
static struct vta_extent still_unwritten(const struct vta_watch *watch,
                                         const struct vta_hazards *hazards,
                                         const struct vta_hazard *hazard)
{
    struct vta_extent extent = { 0 };
    const enum vta_memory memory = (enum vta_memory)hazard->memory;
    const struct vta_run run = { (uint32_t)hazard->extent.begin, (uint32_t)hazard->extent.end };
    vta_marks_find_only(&hazards->needs, &watch->written, memory, run, &extent);
    return extent;
}

static void tell_of_unwritten(struct vta_watch *watch, const struct vta_program *program)
{
    const struct vta_hazards *hazards = program->hazards;
    if (watch->unknown || hazards->found[VTA_HAZARD_UNWRITTEN] == 0)
        return;
    for (uint32_t i = 0; i < hazards->count; i++) {
        struct vta_hazard hazard = hazards->items[i];
        if (hazard.kind != VTA_HAZARD_UNWRITTEN)
            continue;
        hazard.extent = still_unwritten(watch, hazards, &hazard);
        if (hazard.extent.count != 0)
            tell_of(watch, program, &hazard);
    }
    vta_marks_join(&watch->written, &hazards->needs); /* told once */
}

static void tell_of_hazards(const struct vta_watch *watch, const struct vta_program *program)
{
    const struct vta_hazards *hazards = program->hazards;
    const uint64_t count = vta_hazards_count(hazards);
    uint64_t told = 0;
    char more[64];
    for (uint32_t i = 0; i < hazards->count; i++) {
        if (vta_hazard_is_warning(hazards->items[i].kind))
            continue;
        tell_of(watch, program, &hazards->items[i]);
        told++;
    }
    if (told == count)
        return;
    snprintf(more, sizeof(more), "hazards: %llu more, not listed",
             (unsigned long long)(count - told));
    watch->options.report(watch->options.context, more);
}

/* The set of what was written, made at first use; without memory everything may be. */
static void make_ready(struct vta_watch *watch, const struct vta_program *program)
{
    if (!watch->unknown && watch->written.bits[VTA_MEM_WGT] == NULL &&
        vta_marks_init(&watch->written, &program->hw, NULL) != 0)
        watch->unknown = true;
}

int vta_watch_before(struct vta_watch *watch, const struct vta_program *program, bool first,
                     struct vta_error *error)
{
    if (program->hazards == NULL || watch->options.policy == VTA_HAZARDS_OFF)
        return 0;
    make_ready(watch, program);
    if (watch->options.report != NULL)
        tell_of_unwritten(watch, program);
    if (first && !program->hazards->complete && watch->options.report != NULL)
        watch->options.report(watch->options.context,
                              "hazards: not everything was compared, there may be more");
    if (watch->options.policy == VTA_HAZARDS_FAIL)
        return vta_hazards_error(program, program->hazards, error);
    if (first && watch->options.report != NULL)
        tell_of_hazards(watch, program);
    return 0;
}

void vta_watch_after(struct vta_watch *watch, const struct vta_program *program)
{
    if (program->hazards == NULL)
        watch->unknown = true;
    make_ready(watch, program);
    if (!watch->unknown)
        vta_marks_join(&watch->written, &program->hazards->writes);
}

void vta_watch_reset(struct vta_watch *watch)
{
    vta_marks_clear(&watch->written);
    watch->unknown = false;
}
