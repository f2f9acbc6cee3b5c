/* timeline_trace.c: a timeline as a Trace Event file (timeline.h).
 *
 * The format is that of chrome://tracing, which Perfetto reads, too: an object whose traceEvents
 * are slices (X), flow arrows (s, f), counters (C) and names (M). Times are microseconds; they are
 * written from whole nanoseconds, so that slices which follow each other do not overlap.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "timeline.h"

/* Threads of the one process: fetch, then the units. */
#define FETCH_TRACK      1
#define UNIT_TRACK(unit) (2 + (int)(unit))

struct writer {
    const struct vta_timeline *timeline;
    FILE *file;
    bool first;     /* no event yet */
    uint32_t flows; /* arrows so far */
};

/* ---- Text ---------------------------------------------------------------------------------- */

/* The separator in front of an event. */
static void next_event(struct writer *w)
{
    fputs(w->first ? "\n" : ",\n", w->file);
    w->first = false;
}

static void put_string(FILE *file, const char *text)
{
    fputc('"', file);
    for (; *text != '\0'; text++) {
        if (*text == '"' || *text == '\\')
            fprintf(file, "\\%c", *text);
        else if ((unsigned char)*text < 0x20)
            fprintf(file, "\\u%04x", (unsigned)(unsigned char)*text);
        else
            fputc(*text, file);
    }
    fputc('"', file);
}

static void put_us(FILE *file, uint64_t ns)
{
    fprintf(file, "%llu.%03llu", (unsigned long long)(ns / 1000), (unsigned long long)(ns % 1000));
}

static uint64_t ns_of(const struct writer *w, uint64_t cycles)
{
    return vta_timeline_ns(w->timeline, cycles);
}

/* ---- Names --------------------------------------------------------------------------------- */

static void put_name(struct writer *w, const char *what, int track, const char *name)
{
    next_event(w);
    fprintf(w->file,
            "{\"ph\":\"M\",\"pid\":1,\"tid\":%d,\"name\":\"%s\",\"args\":{\"name\":", track, what);
    put_string(w->file, name);
    fputs("}}", w->file);
}

static void put_track(struct writer *w, int track, const char *name)
{
    put_name(w, "thread_name", track, name);
    next_event(w);
    fprintf(w->file,
            "{\"ph\":\"M\",\"pid\":1,\"tid\":%d,\"name\":\"thread_sort_index\",\"args\":{"
            "\"sort_index\":%d}}",
            track, track);
}

static void put_tracks(struct writer *w)
{
    char name[VTA_PROFILE_NAME + 64];
    snprintf(name, sizeof(name), "%.60s on %s", w->timeline->program->name,
             w->timeline->profile.name);
    put_name(w, "process_name", 0, name);
    put_track(w, FETCH_TRACK, "fetch");
    for (int unit = 0; unit < VTA_CORE_UNITS; unit++)
        put_track(w, UNIT_TRACK(unit), vta_core_unit_name((enum vta_core_unit)unit));
}

/* ---- Slices -------------------------------------------------------------------------------- */

/* Opens a slice's object, up to its args. */
static void open_slice(struct writer *w, int track, const char *category, const char *name,
                       uint64_t begin, uint64_t end)
{
    next_event(w);
    fprintf(w->file, "{\"ph\":\"X\",\"pid\":1,\"tid\":%d,\"cat\":\"%s\",\"name\":", track,
            category);
    put_string(w->file, name);
    fputs(",\"ts\":", w->file);
    put_us(w->file, ns_of(w, begin));
    fputs(",\"dur\":", w->file);
    put_us(w->file, ns_of(w, end) - ns_of(w, begin));
}

static void put_wait(struct writer *w, const struct vta_timing_event *event,
                     enum vta_timing_wait wait, uint64_t begin, uint64_t end)
{
    char name[64];
    if (begin == end)
        return;
    snprintf(name, sizeof(name), "wait for %s", vta_timing_wait_name(wait));
    open_slice(w, UNIT_TRACK(event->unit), "wait", name, begin, end);
    fprintf(w->file, ",\"args\":{\"insn\":%u}}", event->insn);
}

static void put_execution(struct writer *w, const struct vta_timing_event *event)
{
    const struct vta_insn *insn = &w->timeline->program->insns[event->insn];
    char name[VTA_TIMELINE_NAME], disasm[VTA_DISASM_TEXT];
    vta_timeline_name(insn, name);
    vta_insn_print(insn, disasm, sizeof(disasm));
    open_slice(w, UNIT_TRACK(event->unit), "insn", name, event->start, event->end);
    fprintf(w->file, ",\"args\":{\"insn\":%u,\"text\":", event->insn);
    put_string(w->file, disasm);
    fprintf(w->file, ",\"cycles\":%llu", (unsigned long long)(event->end - event->start));
    if (event->bytes != 0)
        fprintf(w->file, ",\"bytes\":%llu,\"rows\":%llu,\"port_wait_cycles\":%llu",
                (unsigned long long)event->bytes, (unsigned long long)event->rows,
                (unsigned long long)event->port_wait);
    fputs("}}", w->file);
}

/* What fetch did from one instruction to the next. */
static void put_fetch(struct writer *w, uint32_t index, uint64_t begin, uint64_t end)
{
    char name[VTA_TIMELINE_NAME];
    vta_timeline_name(&w->timeline->program->insns[index], name);
    open_slice(w, FETCH_TRACK, "fetch", name, begin, end);
    fprintf(w->file, ",\"args\":{\"insn\":%u}}", index);
}

static void put_slices(struct writer *w)
{
    uint64_t fetched = 0;
    for (uint32_t i = 0; i < w->timeline->program->count; i++) {
        const struct vta_timing_event *event = &w->timeline->events[i];
        put_fetch(w, i, fetched, event->dealt);
        fetched = event->dealt;
        put_wait(w, event, (enum vta_timing_wait)event->waited_for, event->head, event->start);
        put_execution(w, event);
        put_wait(w, event, VTA_WAIT_SPACE, event->end, event->left);
    }
}

/* ---- Arrows -------------------------------------------------------------------------------- */

static void put_flow_end(struct writer *w, const char *phase, const char *queue,
                         const struct vta_timing_event *event, uint64_t ns)
{
    next_event(w);
    fprintf(w->file,
            "{\"ph\":%s,\"pid\":1,\"tid\":%d,\"cat\":\"token\",\"name\":\"%s\",\"id\":%u,\"ts\":",
            phase, UNIT_TRACK(event->unit), queue, w->flows);
    put_us(w->file, ns);
    fputc('}', w->file);
}

/* From the end of the slice that pushed to the beginning of the one that popped. An arrow belongs
 * to the slice that is open at its time, so it leaves just before the pushing one ends. */
static void put_flow(struct writer *w, uint32_t pushed_by, const struct vta_timing_event *popped,
                     enum vta_queue queue)
{
    if (pushed_by == VTA_TIMING_NONE || pushed_by == VTA_TIMING_BEFORE)
        return;
    const struct vta_timing_event *pusher = &w->timeline->events[pushed_by];
    const uint64_t begin = ns_of(w, pusher->start), end = ns_of(w, pusher->end);
    w->flows++;
    put_flow_end(w, "\"s\"", vta_queue_name(queue), pusher, end > begin ? end - 1 : begin);
    put_flow_end(w, "\"f\",\"bp\":\"e\"", vta_queue_name(queue), popped, ns_of(w, popped->start));
}

static void put_flows(struct writer *w)
{
    for (uint32_t i = 0; i < w->timeline->program->count; i++) {
        const struct vta_timing_event *event = &w->timeline->events[i];
        put_flow(w, event->popped_prev, event, vta_pop_queue(event->unit, false));
        put_flow(w, event->popped_next, event, vta_pop_queue(event->unit, true));
    }
}

/* ---- Counters ------------------------------------------------------------------------------ */

/* The four token queues, the three command queues, and the port. */
#define COMMAND_COUNTER VTA_QUEUE_COUNT
#define PORT_COUNTER    (VTA_QUEUE_COUNT + VTA_CORE_UNITS)
#define COUNTERS        (PORT_COUNTER + 1)

#define PORT_FULL 10000 /* what it can carry */

/* A counter changes by so much at a time. */
struct change {
    uint64_t ns;
    int32_t counter, by;
};

struct changes {
    struct change *items;
    size_t count;
};

static void add_change(struct changes *changes, int counter, uint64_t ns, int32_t by)
{
    if (by != 0)
        changes->items[changes->count++] = (struct change){ ns, counter, by };
}

static void add_tokens(struct changes *changes, const struct writer *w,
                       const struct vta_timing_event *event)
{
    const struct vta_insn *insn = &w->timeline->program->insns[event->insn];
    for (int next = 0; next < 2; next++) {
        const enum vta_queue pop = vta_pop_queue(event->unit, next);
        const enum vta_queue push = vta_push_queue(event->unit, next);
        const uint64_t popped = next ? event->start : event->took;
        const uint64_t pushed = next ? event->left : event->gave;
        if ((next ? insn->pop_next : insn->pop_prev) && pop != VTA_QUEUE_COUNT)
            add_change(changes, (int)pop, ns_of(w, popped), -1);
        if ((next ? insn->push_next : insn->push_prev) && push != VTA_QUEUE_COUNT)
            add_change(changes, (int)push, ns_of(w, pushed), 1);
    }
}

/* What a transfer wants of the port, from its first request to its last byte. Where several want
 * more than there is, all are slowed down and the port is full (put_counter). */
static void add_port(struct changes *changes, const struct writer *w,
                     const struct vta_timing_event *event)
{
    const uint64_t alone = event->port_end - event->port_begin - event->port_wait;
    if (event->bytes == 0 || alone == 0)
        return;
    const int32_t share = (int32_t)(event->port_busy * PORT_FULL / alone);
    add_change(changes, PORT_COUNTER, ns_of(w, event->port_begin), share);
    add_change(changes, PORT_COUNTER, ns_of(w, event->port_end), -share);
}

/* By time; at one time what comes before what goes, so that nothing is below zero. */
static int compare_changes(const void *a, const void *b)
{
    const struct change *x = a, *y = b;
    if (x->ns != y->ns)
        return x->ns < y->ns ? -1 : 1;
    if (x->counter != y->counter)
        return x->counter < y->counter ? -1 : 1;
    return y->by - x->by;
}

static void put_counter(struct writer *w, int counter, uint64_t ns, int64_t value)
{
    next_event(w);
    fputs("{\"ph\":\"C\",\"pid\":1,\"ts\":", w->file);
    put_us(w->file, ns);
    if (counter == PORT_COUNTER && value > PORT_FULL)
        value = PORT_FULL;
    if (counter == PORT_COUNTER)
        fprintf(w->file, ",\"name\":\"memory port\",\"args\":{\"percent\":%lld.%02lld}}",
                (long long)(value / 100), (long long)(value % 100));
    else if (counter >= COMMAND_COUNTER)
        fprintf(w->file, ",\"name\":\"commands for %s\",\"args\":{\"instructions\":%lld}}",
                vta_core_unit_name((enum vta_core_unit)(counter - COMMAND_COUNTER)),
                (long long)value);
    else
        fprintf(w->file, ",\"name\":\"tokens %s\",\"args\":{\"tokens\":%lld}}",
                vta_queue_name((enum vta_queue)counter), (long long)value);
}

/* Sums the changes up: one value per counter and time, the last one. */
static void put_sums(struct writer *w, const struct changes *changes)
{
    const struct vta_tokens *before = &w->timeline->program->before;
    int64_t values[COUNTERS] = { 0 };
    for (int queue = 0; queue < VTA_QUEUE_COUNT; queue++)
        values[queue] = vta_tokens_in(before, (enum vta_queue)queue);
    for (int counter = 0; counter < COUNTERS; counter++)
        put_counter(w, counter, 0, values[counter]);
    for (size_t i = 0; i < changes->count; i++) {
        const struct change *change = &changes->items[i];
        values[change->counter] += change->by;
        if (i + 1 == changes->count || changes->items[i + 1].ns != change->ns ||
            changes->items[i + 1].counter != change->counter)
            put_counter(w, change->counter, change->ns, values[change->counter]);
    }
}

static int put_counters(struct writer *w, struct vta_error *error)
{
    const uint32_t count = w->timeline->program->count;
    struct changes changes = { .items = malloc(((size_t)count * 8 + 1) * sizeof(struct change)) };
    if (changes.items == NULL)
        return vta_error_set(error, VTA_ENOMEM, "no memory for a trace");
    for (uint32_t i = 0; i < count; i++) {
        const struct vta_timing_event *event = &w->timeline->events[i];
        add_tokens(&changes, w, event);
        add_change(&changes, COMMAND_COUNTER + (int)event->unit, ns_of(w, event->dealt), 1);
        add_change(&changes, COMMAND_COUNTER + (int)event->unit, ns_of(w, event->head), -1);
        add_port(&changes, w, event);
    }
    if (changes.count != 0)
        qsort(changes.items, changes.count, sizeof(*changes.items), compare_changes);
    put_sums(w, &changes);
    free(changes.items);
    return 0;
}

/* ---- The file ------------------------------------------------------------------------------ */

static void put_about(const struct writer *w)
{
    const struct vta_timeline *timeline = w->timeline;
    char path[VTA_TIMING_PATH_TEXT], hardware[VTA_BITSTREAM_NAME];
    vta_timing_path_print(&timeline->timing, path, sizeof(path));
    vta_hw_bitstream(&timeline->program->hw, hardware);
    fputs("{\"displayTimeUnit\":\"ns\",\"otherData\":{\"program\":", w->file);
    put_string(w->file, timeline->program->name);
    fputs(",\"hardware\":", w->file);
    put_string(w->file, hardware);
    fputs(",\"profile\":", w->file);
    put_string(w->file, timeline->profile.name);
    fprintf(w->file, ",\"measured\":%s,\"cycles\":\"%llu\",\"critical path\":",
            timeline->profile.measured ? "true" : "false",
            (unsigned long long)timeline->timing.cycles);
    put_string(w->file, path);
    fputs("},\n\"traceEvents\":[", w->file);
}

int vta_timeline_trace(const struct vta_timeline *timeline, FILE *file, struct vta_error *error)
{
    struct writer w = { .timeline = timeline, .file = file, .first = true };
    put_about(&w);
    put_tracks(&w);
    put_slices(&w);
    put_flows(&w);
    int rc = put_counters(&w, error);
    fputs("\n]}\n", file);
    if (rc == 0 && (fflush(file) != 0 || ferror(file)))
        rc = vta_error_set(error, VTA_EIO, "cannot write the trace: %s", strerror(errno));
    return rc;
}
