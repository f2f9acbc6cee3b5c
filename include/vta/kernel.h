/* vta/kernel.h: one compiled function, as the recorder makes it and a module file keeps it.
 *
 * A kernel is position-independent: its instructions name DRAM by parameter and element offset
 * (a relocation), its micro-ops travel with it. It starts and ends with empty token queues.
 */
#ifndef VTA_KERNEL_H
#define VTA_KERNEL_H

#include <stddef.h>
#include <stdint.h>

#include <vta/error.h>
#include <vta/hw.h>

#ifdef __cplusplus
extern "C" {
#endif

enum vta_dtype_code {
    VTA_DTYPE_INT = 0,
    VTA_DTYPE_UINT = 1,
    VTA_DTYPE_FLOAT = 2
};

/* A number's type; bits may be 1, 2, 4 (packed, low bits first), 8, 16, 32 or 64. */
struct vta_dtype {
    uint8_t code; /* enum vta_dtype_code */
    uint8_t bits;
};

#define VTA_MAX_NDIM 8

struct vta_tensor_type {
    struct vta_dtype dtype;
    uint32_t ndim;
    uint64_t shape[VTA_MAX_NDIM]; /* numbers per axis, outermost first */
};

/* "int8" ↔ struct. text holds at least 8 bytes. */
VTA_API int vta_dtype_parse(struct vta_dtype *dtype, const char *text, struct vta_error *error);
VTA_API void vta_dtype_print(struct vta_dtype dtype, char *text);

/* Bytes of a tensor, row-major and dense, sub-byte numbers packed. VTA_ESIZE where the product
 * overflows, is not whole bytes, or ndim passes VTA_MAX_NDIM. */
VTA_API int vta_tensor_nbytes(const struct vta_tensor_type *type, uint64_t *nbytes,
                              struct vta_error *error);

enum vta_access {
    VTA_ACCESS_READ = 1,
    VTA_ACCESS_WRITE = 2,
    VTA_ACCESS_READ_WRITE = 3
};

struct vta_param {
    char *name; /* owned */
    struct vta_tensor_type type;
    enum vta_memory memory; /* the memory whose tiles it is laid out in */
    enum vta_access access; /* what the kernel does with it */
};

/* Where an instruction's DRAM base lies. */
#define VTA_PARAM_UOPS UINT32_MAX /* the kernel's own micro-ops */

struct vta_reloc {
    uint32_t insn;   /* instruction index; ascending in a kernel, each at most once */
    uint32_t param;  /* parameter index, or VTA_PARAM_UOPS */
    uint32_t offset; /* in DRAM elements of the instruction's memory */
};

struct vta_kernel {
    char *name; /* owned, as everything below */
    uint32_t param_count, insn_count, uop_count, reloc_count;
    struct vta_param *params;
    uint8_t *insns; /* insn_count × 16 bytes; dram_base fields are 0 */
    uint32_t *uops; /* encoded micro-ops */
    struct vta_reloc *relocs;
};

/* Releases what a kernel owns and zeroes it. */
VTA_API void vta_kernel_clear(struct vta_kernel *kernel);

/* Several kernels for one hardware configuration: what a module file holds. */
struct vta_module_image {
    struct vta_hw hw;
    uint32_t kernel_count;
    struct vta_kernel *kernels; /* owned */
};

VTA_API void vta_module_image_clear(struct vta_module_image *image);

/* The kernel with this name, or NULL. Belongs to the image. */
VTA_API const struct vta_kernel *vta_module_image_find(const struct vta_module_image *image,
                                                       const char *name);

/* Moves a kernel into the image, which owns it from then on (*kernel is zeroed).
 * VTA_EEXIST where the name is taken. */
VTA_API int vta_module_image_add(struct vta_module_image *image, struct vta_kernel *kernel,
                                 struct vta_error *error);

#ifdef __cplusplus
}
#endif

#endif
