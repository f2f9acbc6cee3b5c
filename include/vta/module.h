/* vta/module.h: module files (*.vta) as bytes. docs/MODULE.md describes the format.
 *
 * Reading checks everything that can be checked without running: structure, limits, digest,
 * hardware configuration, relocations. Whether the instructions are safe is the verifier's part.
 */
#ifndef VTA_MODULE_H
#define VTA_MODULE_H

#include <vta/kernel.h>

#ifdef __cplusplus
extern "C" {
#endif

#define VTA_MODULE_FORMAT 1
#define VTA_DIGEST_BYTES  32 /* SHA-256 */

/* Limits that reading enforces; each has an error that names it. */
struct vta_module_limits {
    uint64_t file_bytes;
    uint32_t kernels, params, name_bytes;
    uint32_t insns, uops; /* per kernel */
};

VTA_API void vta_module_limits_default(struct vta_module_limits *limits);

/* Encodes an image: one image, one encoding. The caller frees *bytes.
 * Returns 0, VTA_EFORMAT, VTA_ECONFIG or VTA_ELIMIT for an image that decoding (with the default
 * limits) would refuse, or VTA_ENOMEM. */
VTA_API int vta_module_encode(const struct vta_module_image *image, uint8_t **bytes, size_t *nbytes,
                              struct vta_error *error);

/* Decodes bytes into *image (release with vta_module_image_clear). limits may be NULL (default).
 * Returns 0, VTA_EFORMAT, VTA_EVERSION, VTA_EDIGEST, VTA_ECONFIG, VTA_ELIMIT or VTA_ENOMEM. */
VTA_API int vta_module_decode(struct vta_module_image *image, const uint8_t *bytes, size_t nbytes,
                              const struct vta_module_limits *limits, struct vta_error *error);

/* The same with a file; messages begin with its path, VTA_EIO says what failed. Writing goes to a
 * temporary name in the same folder first and is on disk before it gets its own, so that path is
 * the old or the new file whatever happens. Only regular files are read or replaced. */
VTA_API int vta_module_save(const struct vta_module_image *image, const char *path,
                            struct vta_error *error);
VTA_API int vta_module_open(struct vta_module_image *image, const char *path,
                            struct vta_error *error);

/* SHA-256 of any bytes. */
VTA_API void vta_digest(const void *bytes, size_t nbytes, uint8_t digest[VTA_DIGEST_BYTES]);

#ifdef __cplusplus
}
#endif

#endif
