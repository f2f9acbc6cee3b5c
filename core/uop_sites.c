/* uop_sites.c: micro-op kernels by call site, and their recording (uop_sites.h). */
#include "uop_sites.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#define FIRST_CAPACITY 16u

/* A kernel with its signature. */
struct keyed {
    uint64_t key; /* 0: no signature; else the signature's int and 1 */
    struct vta_record_kernel *kernel;
};

struct vta_uop_site {
    uintptr_t number;
    struct keyed *keyed; /* by ascending key */
    uint32_t count, capacity;
};

void vta_uop_sites_init(struct vta_uop_sites *sites, uint32_t max_kernels)
{
    *sites = (struct vta_uop_sites){ .max_kernels = max_kernels };
}

static void free_kernel(struct vta_record_kernel *kernel)
{
    if (kernel != NULL)
        free(kernel->uops);
    free(kernel);
}

void vta_uop_sites_free(struct vta_uop_sites *sites)
{
    vta_uop_record_abandon(sites);
    for (uint32_t i = 0; i < sites->count; i++) {
        for (uint32_t k = 0; k < sites->sites[i].count; k++)
            free_kernel(sites->sites[i].keyed[k].kernel);
        free(sites->sites[i].keyed);
    }
    free(sites->sites);
    vta_uop_sites_init(sites, sites->max_kernels);
}

/* ---- Looking up ---------------------------------------------------------------------------- */

static uint64_t key_of(const void *signature, int signature_bytes)
{
    uint32_t value;
    if (signature_bytes == 0)
        return 0;
    memcpy(&value, signature, sizeof(value));
    return (uint64_t)value + 1;
}

static struct vta_uop_site *find_site(const struct vta_uop_sites *sites, const void *call_site)
{
    const uintptr_t number = (uintptr_t)call_site;
    uint32_t low = 0, high = sites->count;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (sites->sites[middle].number < number)
            low = middle + 1;
        else
            high = middle;
    }
    return low < sites->count && sites->sites[low].number == number ? &sites->sites[low] : NULL;
}

/* Where a key is, or where it belongs. */
static uint32_t place_of(const struct vta_uop_site *site, uint64_t key)
{
    uint32_t low = 0, high = site->count;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (site->keyed[middle].key < key)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

struct vta_record_kernel *vta_uop_sites_find(const struct vta_uop_sites *sites,
                                             const void *call_site, const void *signature,
                                             int signature_bytes)
{
    const struct vta_uop_site *site = find_site(sites, call_site);
    if (site == NULL)
        return NULL;
    const uint64_t key = key_of(signature, signature_bytes);
    const uint32_t place = place_of(site, key);
    return place < site->count && site->keyed[place].key == key ? site->keyed[place].kernel : NULL;
}

/* ---- Recording ----------------------------------------------------------------------------- */

static int no_memory(struct vta_error *error)
{
    return vta_error_set(error, VTA_ENOMEM, "no memory for a micro-op kernel");
}

int vta_uop_record_begin(struct vta_uop_sites *sites, struct vta_error *error)
{
    struct vta_uop_recording *recording = &sites->recording;
    if (recording->kernel != NULL)
        return vta_error_set(error, VTA_ESTATE,
                             "a micro-op kernel is called while another one is recorded");
    if (sites->kernel_count >= sites->max_kernels)
        return vta_error_limit(
            error, VTA_ELIMIT, sites->max_kernels, (int64_t)sites->kernel_count + 1,
            "one more micro-op kernel than the %u that are kept", sites->max_kernels);
    struct vta_record_kernel *kernel = calloc(1, sizeof(*kernel));
    if (kernel == NULL)
        return no_memory(error);
    *recording = (struct vta_uop_recording){ .kernel = kernel };
    return 0;
}

void vta_uop_record_abandon(struct vta_uop_sites *sites)
{
    free_kernel(sites->recording.kernel);
    sites->recording = (struct vta_uop_recording){ 0 };
}

static int check_recording(const struct vta_uop_sites *sites, const char *what,
                           struct vta_error *error)
{
    if (sites->recording.kernel != NULL)
        return 0;
    return vta_error_set(error, VTA_ESTATE, "%s outside the recording of a micro-op kernel", what);
}

int vta_uop_record_loop(struct vta_uop_sites *sites, const struct vta_uop_loop *loop,
                        struct vta_error *error)
{
    struct vta_uop_recording *recording = &sites->recording;
    struct vta_record_kernel *kernel = recording->kernel;
    int rc = check_recording(sites, "a loop begins", error);
    if (rc != 0)
        return rc;
    if (kernel->uop_count > 0)
        return vta_error_set(error, VTA_EINVAL,
                             "a loop of a micro-op kernel begins after its first micro-op");
    if (kernel->loop_count > recording->open_loops)
        return vta_error_set(error, VTA_EINVAL,
                             "a loop of a micro-op kernel begins after another one has ended");
    if (kernel->loop_count == 2)
        return vta_error_limit(error, VTA_EINVAL, 2, 3,
                               "a micro-op kernel has 3 loops, an instruction holds 2");
    kernel->loops[kernel->loop_count++] = *loop;
    recording->open_loops++;
    return 0;
}

int vta_uop_record_loop_end(struct vta_uop_sites *sites, struct vta_error *error)
{
    int rc = check_recording(sites, "a loop ends", error);
    if (rc != 0)
        return rc;
    if (sites->recording.open_loops == 0)
        return vta_error_set(error, VTA_EINVAL,
                             "a loop of a micro-op kernel ends that has not begun");
    sites->recording.open_loops--;
    return 0;
}

/* Whether a micro-op may follow those that are there: one instruction executes them all. */
static int check_same(const struct vta_record_kernel *kernel, const struct vta_record_kernel *what,
                      struct vta_error *error)
{
    const struct {
        const char *name;
        int64_t have, given;
    } rows[] = {
        { "mode", kernel->alu, what->alu },
        { "reset", kernel->reset, what->reset },
        { "opcode", kernel->alu_opcode, what->alu_opcode },
        { "use_imm", kernel->use_imm, what->use_imm },
        { "imm", kernel->imm, what->imm },
    };
    /* The last three mean nothing to a GEMM. */
    const size_t count = kernel->alu ? sizeof rows / sizeof rows[0] : 2;
    for (size_t i = 0; i < count; i++)
        if (rows[i].have != rows[i].given)
            return vta_error_set(error, VTA_EINVAL,
                                 "%s changes inside a micro-op kernel, from %lld to %lld",
                                 rows[i].name, (long long)rows[i].have, (long long)rows[i].given);
    return 0;
}

static int add_uop(struct vta_uop_recording *recording, const struct vta_uop *uop,
                   struct vta_error *error)
{
    struct vta_record_kernel *kernel = recording->kernel;
    if (kernel->uop_count == recording->uop_capacity) {
        uint32_t capacity =
            recording->uop_capacity == 0 ? FIRST_CAPACITY : recording->uop_capacity * 2;
        if (capacity > UINT32_MAX / 2)
            return no_memory(error);
        struct vta_uop *uops = realloc(kernel->uops, capacity * sizeof(*uops));
        if (uops == NULL)
            return no_memory(error);
        kernel->uops = uops;
        recording->uop_capacity = capacity;
    }
    kernel->uops[kernel->uop_count++] = *uop;
    return 0;
}

int vta_uop_record_push(struct vta_uop_sites *sites, const struct vta_record_kernel *what,
                        const struct vta_uop *uop, struct vta_error *error)
{
    struct vta_record_kernel *kernel = sites->recording.kernel;
    int rc = check_recording(sites, "a micro-op", error);
    if (rc != 0)
        return rc;
    if (what->alu > 1)
        return vta_error_set(error, VTA_EINVAL, "mode %u is neither 0 (GEMM) nor 1 (ALU)",
                             what->alu);
    if (kernel->loop_count > sites->recording.open_loops)
        return vta_error_set(error, VTA_EINVAL, "a micro-op after a loop of its kernel has ended");
    if (kernel->uop_count == 0) {
        kernel->alu = what->alu;
        kernel->reset = what->reset;
        kernel->alu_opcode = what->alu ? what->alu_opcode : 0;
        kernel->use_imm = what->alu ? what->use_imm : 0;
        kernel->imm = what->alu ? what->imm : 0;
    }
    rc = check_same(kernel, what, error);
    return rc != 0 ? rc : add_uop(&sites->recording, uop, error);
}

/* ---- Keeping ------------------------------------------------------------------------------- */

/* Numbers are never used twice in a process, so that a stale one belongs to nobody. */
static uintptr_t next_number(void)
{
    static _Atomic uintptr_t last;
    return atomic_fetch_add_explicit(&last, 1, memory_order_relaxed) + 1;
}

static struct vta_uop_site *add_site(struct vta_uop_sites *sites)
{
    if (sites->count == sites->capacity) {
        uint32_t capacity = sites->capacity == 0 ? FIRST_CAPACITY : sites->capacity * 2;
        struct vta_uop_site *all = realloc(sites->sites, capacity * sizeof(*all));
        if (all == NULL)
            return NULL;
        sites->sites = all;
        sites->capacity = capacity;
    }
    struct vta_uop_site *site = &sites->sites[sites->count++];
    *site = (struct vta_uop_site){ .number = next_number() };
    return site;
}

static int add_keyed(struct vta_uop_site *site, uint64_t key, struct vta_record_kernel *kernel)
{
    if (site->count == site->capacity) {
        uint32_t capacity = site->capacity == 0 ? 1 : site->capacity * 2;
        struct keyed *all = realloc(site->keyed, capacity * sizeof(*all));
        if (all == NULL)
            return VTA_ENOMEM;
        site->keyed = all;
        site->capacity = capacity;
    }
    const uint32_t place = place_of(site, key);
    memmove(site->keyed + place + 1, site->keyed + place,
            (site->count - place) * sizeof(*site->keyed));
    site->keyed[place] = (struct keyed){ .key = key, .kernel = kernel };
    site->count++;
    return 0;
}

int vta_uop_record_end(struct vta_uop_sites *sites, void **call_site, const void *signature,
                       int signature_bytes, struct vta_record_kernel **kernel,
                       struct vta_error *error)
{
    int rc = check_recording(sites, "an end", error);
    if (rc != 0)
        return rc;
    if (sites->recording.open_loops > 0)
        rc = vta_error_set(error, VTA_EINVAL, "a micro-op kernel ends with %u of its loops open",
                           sites->recording.open_loops);
    else if (sites->recording.kernel->uop_count == 0)
        rc = vta_error_set(error, VTA_EINVAL, "a micro-op kernel was recorded without micro-ops");
    struct vta_uop_site *site = find_site(sites, *call_site);
    if (rc == 0 && site == NULL)
        site = add_site(sites);
    if (rc == 0 && (site == NULL || add_keyed(site, key_of(signature, signature_bytes),
                                              sites->recording.kernel) != 0))
        rc = no_memory(error);
    if (rc != 0) {
        vta_uop_record_abandon(sites);
        return rc;
    }
    *call_site = (void *)site->number;
    *kernel = sites->recording.kernel;
    sites->kernel_count++;
    sites->recording = (struct vta_uop_recording){ 0 };
    return 0;
}
