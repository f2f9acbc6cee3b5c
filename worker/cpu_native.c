/* cpu_native.c: this processor. Objects are placed by image.c; a shared library is mapped by dlopen
 * from a file of its own, made from bytes that were checked, and removed once it is mapped: so the
 * same name can be uploaded and loaded again, and nobody can change what runs.
 */
#include <dlfcn.h>
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <link.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "abi_calls.h"
#include "abi_state.h"
#include "cpu.h"
#include "cpu_native.h"
#include "worker.h"

struct native {
    struct code code; /* first */
    const char *name; /* the module's */
    bool initialised;
    struct native *next; /* in `loaded` */
    /* Of objects: the image and its memory. */
    struct image image;
    uint8_t *memory;
    uint64_t nbytes;
    /* Of a library: of dlopen. */
    void *library;
    struct link_map *map;
};

/* All that is loaded, and what is being called, for who explains a crash. */
static struct native *loaded;
static const char *calling;

/* ---- Objects ------------------------------------------------------------------------------- */

#ifdef MAP_32BIT
#define LOW_MEMORY MAP_32BIT /* code that was not compiled to be position-independent needs it */
#else
#define LOW_MEMORY 0
#endif

static int reserve(void *context, uint64_t nbytes, uint8_t **bytes, uint64_t *address,
                   struct vta_error *error)
{
    const int flags = MAP_PRIVATE | MAP_ANONYMOUS;
    struct native *native = context;
    void *memory = mmap(NULL, nbytes, PROT_READ | PROT_WRITE, flags | LOW_MEMORY, -1, 0);
    if (memory == MAP_FAILED)
        memory = mmap(NULL, nbytes, PROT_READ | PROT_WRITE, flags, -1, 0);
    if (memory == MAP_FAILED)
        return vta_error_set(error, VTA_ENOMEM, "no memory for %llu bytes of code and data: %s",
                             (unsigned long long)nbytes, strerror(errno));
    native->memory = memory;
    native->nbytes = nbytes;
    *bytes = memory;
    *address = (uintptr_t)memory;
    return 0;
}

static uint64_t find_import(void *context, const char *name)
{
    (void)context;
    return (uintptr_t)dlsym(RTLD_DEFAULT, name);
}

static int protect(struct native *native, struct vta_error *error)
{
    for (uint32_t i = 0; i < native->image.part_count; i++) {
        const struct image_part *part = &native->image.parts[i];
        const int protection = ((part->access & IMAGE_READ) != 0 ? PROT_READ : 0) |
                               ((part->access & IMAGE_WRITE) != 0 ? PROT_WRITE : 0) |
                               ((part->access & IMAGE_EXECUTE) != 0 ? PROT_EXEC : 0);
        uint8_t *begin = native->memory + part->offset;
        if (mprotect(begin, part->nbytes, protection) != 0)
            return vta_error_set(error, VTA_EIO, "%s: its memory cannot be protected: %s",
                                 native->name, strerror(errno));
        __builtin___clear_cache((char *)begin, (char *)begin + part->nbytes);
    }
    return 0;
}

/* ---- Libraries ----------------------------------------------------------------------------- */

static int write_library(const char *path, const struct image_file *file, struct vta_error *error)
{
    const uint8_t *at = file->bytes;
    size_t left = file->nbytes;
    ssize_t n = 1;
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    while (fd >= 0 && left > 0 && n > 0) {
        n = write(fd, at, left);
        at += n > 0 ? n : 0;
        left -= n > 0 ? (size_t)n : 0;
    }
    const int reason = errno;
    if (fd >= 0 && close(fd) == 0 && left == 0)
        return 0;
    return vta_error_set(error, VTA_EIO, "%s: a file to map it from cannot be written: %s",
                         file->name, strerror(reason));
}

/* Why dlopen failed. The loader of objects names all symbols that are missing, dlopen one. */
static int explain(struct native *native, const char *path, const struct image_file *file,
                   const char *reason, struct vta_error *error)
{
    const struct image_host host = { .reserve = reserve, .import = find_import, .context = native };
    const size_t length = strlen(path); /* the file's name is ours, not the client's */
    char text[VTA_ERROR_TEXT];          /* dlsym frees dlerror's */
    snprintf(text, sizeof text, "%s", reason);
    reason = text;
    if (strstr(reason, "undefined symbol: ") != NULL &&
        image_load(&native->image, file, 1, native->name, &host, error) == VTA_ENOTFOUND)
        return VTA_ENOTFOUND;
    if (strncmp(reason, path, length) == 0)
        reason += length + strspn(reason + length, ": ");
    return vta_error_set(error, VTA_EFORMAT, "%s: it cannot be loaded: %s", native->name, reason);
}

static int map_library(struct native *native, const struct image_file *file,
                       struct vta_error *error)
{
    char *folder = NULL, *path = NULL;
    int rc = 0;
    if (asprintf(&folder, "%s/.module-XXXXXX", native->code.cpu->worker->scratch) < 0)
        return vta_error_set(error, VTA_ENOMEM, "no memory for a module");
    if (mkdtemp(folder) == NULL) {
        rc = vta_error_set(error, VTA_EIO, "%s: no folder to map it from: %s", native->name,
                           strerror(errno));
        free(folder);
        return rc;
    }
    if (asprintf(&path, "%s/module.so", folder) < 0) {
        path = NULL;
        rc = vta_error_set(error, VTA_ENOMEM, "no memory for a module");
    } else {
        rc = write_library(path, file, error);
    }
    if (rc == 0) {
        native->library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
        if (native->library == NULL)
            rc = explain(native, path, file, dlerror(), error);
        else if (dlinfo(native->library, RTLD_DI_LINKMAP, &native->map) != 0)
            rc = vta_error_set(error, VTA_EINTERNAL, "%s: mapped, but not found", native->name);
    }
    if (path != NULL)
        unlink(path);
    rmdir(folder);
    free(path);
    free(folder);
    return rc;
}

/* A symbol that the library itself defines, not one of the libraries that it is linked with. */
static bool library_symbol(const struct native *native, const char *name,
                           struct code_symbol *symbol)
{
    Dl_info info;
    struct link_map *map = NULL;
    const ElfW(Sym) *entry = NULL;
    void *address = dlsym(native->library, name);
    if (address == NULL || dladdr1(address, &info, (void **)&map, RTLD_DL_LINKMAP) == 0 ||
        map != native->map)
        return false;
    *symbol = (struct code_symbol){ .address = (uintptr_t)address, .function = true };
    /* Its entry may be hidden by another name for the same address. */
    if (dladdr1(address, &info, (void **)&entry, RTLD_DL_SYMENT) != 0 && entry != NULL &&
        info.dli_sname != NULL && strcmp(info.dli_sname, name) == 0) {
        symbol->nbytes = entry->st_size;
        symbol->function = ELF64_ST_TYPE(entry->st_info) == STT_FUNC;
    }
    return true;
}

/* ---- Both ---------------------------------------------------------------------------------- */

static void native_unload(struct code *code)
{
    struct native *native = (struct native *)code;
    struct native **at = &loaded;
    for (uint32_t i = 0; native->initialised && i < native->image.fini_count; i++)
        ((void (*)(void))(uintptr_t)native->image.fini[i])();
    while (*at != NULL && *at != native)
        at = &(*at)->next;
    if (*at != NULL)
        *at = native->next;
    image_clear(&native->image);
    if (native->memory != NULL)
        munmap(native->memory, native->nbytes);
    if (native->library != NULL)
        dlclose(native->library);
    free(native);
}

static int native_load(struct cpu *cpu, struct module *module, const char *name,
                       const struct image_file *files, uint32_t count, struct code **code,
                       struct vta_error *error)
{
    struct native *native = calloc(1, sizeof *native);
    struct image_host host = { .reserve = reserve, .import = find_import, .context = native };
    unsigned machine;
    bool library;
    if (native == NULL)
        return vta_error_set(error, VTA_ENOMEM, "no memory for a module");
    native->code = (struct code){ .cpu = cpu, .module = module, .context = (uintptr_t)module };
    native->name = name;
    const char *const outer = calling;
    calling = "a constructor";
    int rc = image_identify(&files[0], &machine, &library, error);
    if (rc == 0 && library) {
        rc = map_library(native, &files[0], error);
    } else if (rc == 0) {
        rc = image_load(&native->image, files, count, name, &host, error);
        if (rc == 0)
            rc = protect(native, error);
    }
    calling = outer;
    if (rc != 0) {
        native_unload(&native->code);
        return rc;
    }
    native->next = loaded;
    loaded = native;
    *code = &native->code;
    return 0;
}

/* dlopen has called a library's. They get what a program's main does, which nobody has here. */
static int native_initialise(struct code *code, struct vta_error *error)
{
    struct native *native = (struct native *)code;
    static char *nothing[] = { NULL };
    (void)error;
    native->initialised = true;
    calling = "a constructor";
    for (uint32_t i = 0; i < native->image.init_count; i++)
        ((void (*)(int, char **, char **))(uintptr_t)native->image.init[i])(0, nothing, nothing);
    calling = NULL;
    return 0;
}

static bool native_symbol(const struct code *code, const char *name, struct code_symbol *symbol)
{
    const struct native *native = (const struct native *)code;
    if (native->library != NULL)
        return library_symbol(native, name, symbol);
    const struct image_symbol *found = image_find(&native->image, name);
    if (found == NULL)
        return false;
    *symbol = (struct code_symbol){ .address = found->address,
                                    .nbytes = found->nbytes,
                                    .function = found->function };
    return true;
}

/* Machine code can reach all of this process's memory anyway. */
static uint8_t *native_memory(struct cpu *cpu, uint64_t address, uint64_t nbytes)
{
    (void)cpu;
    (void)nbytes;
    return (uint8_t *)(uintptr_t)address;
}

static uint64_t native_import(struct cpu *cpu, const char *name)
{
    return find_import(cpu, name);
}

static int native_call(struct code *code, const char *name, uint64_t address, union tvm_value *args,
                       const int32_t *codes, int count, struct result *result,
                       struct vta_error *error)
{
    const tvm_kernel kernel = (tvm_kernel)(uintptr_t)address;
    union tvm_value value = { 0 };
    int32_t value_code = TVM_NULL;
    (void)code;
    const char *const outer = calling;
    calling = name;
    abi_forget_error();
    const int status = kernel(args, (int32_t *)codes, count, &value, &value_code, NULL);
    calling = outer;
    if (status == 0)
        return result_take(&value, value_code, result, error);
    return abi_take_error(status, error);
}

static void native_stop(struct cpu *cpu)
{
    (void)cpu; /* the daemon ends the process */
}

static void native_close(struct cpu *cpu)
{
    free(cpu);
}

static const struct cpu_ops native_ops = {
#if defined(__x86_64__)
    .machine = EM_X86_64,
#elif defined(__aarch64__)
    .machine = EM_AARCH64,
#else
    .machine = EM_NONE, /* only libraries, which dlopen knows */
#endif
    .pointer_bytes = sizeof(void *),
    .load = native_load,
    .initialise = native_initialise,
    .unload = native_unload,
    .symbol = native_symbol,
    .memory = native_memory,
    .import = native_import,
    .call = native_call,
    .stop = native_stop,
    .close = native_close,
};

int cpu_native_open(struct cpu **cpu, struct worker *worker, struct vta_error *error)
{
    *cpu = malloc(sizeof **cpu);
    if (*cpu == NULL)
        return vta_error_set(error, VTA_ENOMEM, "no memory for a processor");
    **cpu = (struct cpu){ .ops = &native_ops, .worker = worker };
    return 0;
}

/* ---- Crashes ------------------------------------------------------------------------------- */

void cpu_native_describe(uint64_t address, char *text, size_t size)
{
    const struct native *native = loaded;
    struct link_map *map = NULL;
    Dl_info info;
    while (native != NULL && address - native->image.address >= native->image.nbytes)
        native = native->next;
    if (native != NULL) {
        const struct image_symbol *symbol = image_at(&native->image, address);
        if (symbol != NULL)
            snprintf(text, size, "%s+0x%llx (%s)", symbol->name,
                     (unsigned long long)(address - symbol->address), native->name);
        else
            snprintf(text, size, "offset 0x%llx of %s",
                     (unsigned long long)(address - native->image.address), native->name);
    } else if (dladdr1((void *)(uintptr_t)address, &info, (void **)&map, RTLD_DL_LINKMAP) != 0 &&
               info.dli_sname != NULL) {
        for (native = loaded; native != NULL && native->map != map;)
            native = native->next;
        snprintf(text, size, "%s+0x%llx (%s)", info.dli_sname,
                 (unsigned long long)(address - (uintptr_t)info.dli_saddr),
                 native != NULL ? native->name : "of this server");
    } else {
        snprintf(text, size, "no function, at 0x%llx", (unsigned long long)address);
    }
    if (calling != NULL) {
        const size_t used = strlen(text);
        snprintf(text + used, size - used, ", called by %s", calling);
    }
}
