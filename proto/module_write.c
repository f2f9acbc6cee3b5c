/* module_write.c: an image as the bytes of a module file. */
#include "module_format.h"
#include "values.h"

#include <endian.h>
#include <stdlib.h>
#include <string.h>

/* A buffer that remembers that it once could not grow, so that packing needs no check per line. */
struct writer {
    msgpack_sbuffer bytes;
    bool failed;
};

static int append(void *data, const char *bytes, size_t nbytes)
{
    struct writer *writer = data;

    if (writer->failed || msgpack_sbuffer_write(&writer->bytes, bytes, nbytes) != 0) {
        writer->failed = true;
        return -1;
    }
    return 0;
}

static void pack_hardware(msgpack_packer *packer, const struct vta_hw *hw)
{
    const struct vta_hw_key *keys = vta_hw_keys();

    msgpack_pack_map(packer, HARDWARE_KEYS);
    vta_pack_str(packer, "TARGET");
    vta_pack_str(packer, vta_target_name(hw->target));
    vta_pack_str(packer, "HW_VER");
    vta_pack_str(packer, hw->hw_ver);
    for (int i = 0; i < VTA_HW_KEY_COUNT; i++) {
        vta_pack_str(packer, keys[i].name);
        msgpack_pack_uint8(packer, *((const uint8_t *)hw + keys[i].offset));
    }
}

static void pack_param(msgpack_packer *packer, const struct vta_param *param)
{
    char dtype[8];

    vta_dtype_print(param->type.dtype, dtype);
    msgpack_pack_map(packer, PARAM_KEYS);
    vta_pack_str(packer, vta_param_keys[PARAM_NAME]);
    vta_pack_str(packer, param->name);
    vta_pack_str(packer, vta_param_keys[PARAM_DTYPE]);
    vta_pack_str(packer, dtype);
    vta_pack_str(packer, vta_param_keys[PARAM_SHAPE]);
    msgpack_pack_array(packer, param->type.ndim);
    for (uint32_t axis = 0; axis < param->type.ndim; axis++)
        msgpack_pack_uint64(packer, param->type.shape[axis]);
    vta_pack_str(packer, vta_param_keys[PARAM_MEMORY]);
    vta_pack_str(packer, vta_memory_name(param->memory));
    vta_pack_str(packer, vta_param_keys[PARAM_ACCESS]);
    vta_pack_str(packer, vta_access_names[param->access]);
}

static void pack_uops(msgpack_packer *packer, const struct vta_kernel *kernel)
{
    msgpack_pack_bin(packer, (size_t)kernel->uop_count * VTA_UOP_BYTES);
    for (uint32_t i = 0; i < kernel->uop_count; i++) {
        uint32_t word = htole32(kernel->uops[i]);
        msgpack_pack_bin_body(packer, &word, sizeof word);
    }
}

static void pack_relocs(msgpack_packer *packer, const struct vta_kernel *kernel)
{
    msgpack_pack_bin(packer, (size_t)kernel->reloc_count * RELOC_BYTES);
    for (uint32_t i = 0; i < kernel->reloc_count; i++) {
        const struct vta_reloc *reloc = &kernel->relocs[i];
        uint32_t words[] = { htole32(reloc->insn), htole32(reloc->param), htole32(reloc->offset) };
        msgpack_pack_bin_body(packer, words, sizeof words);
    }
}

static void pack_kernel(msgpack_packer *packer, const struct vta_kernel *kernel)
{
    size_t insn_bytes = (size_t)kernel->insn_count * VTA_INSN_BYTES;

    msgpack_pack_map(packer, FUNCTION_KEYS);
    vta_pack_str(packer, vta_function_keys[FUNCTION_NAME]);
    vta_pack_str(packer, kernel->name);
    vta_pack_str(packer, vta_function_keys[FUNCTION_PARAMS]);
    msgpack_pack_array(packer, kernel->param_count);
    for (uint32_t i = 0; i < kernel->param_count; i++)
        pack_param(packer, &kernel->params[i]);
    vta_pack_str(packer, vta_function_keys[FUNCTION_INSNS]);
    msgpack_pack_bin(packer, insn_bytes);
    if (insn_bytes > 0)
        msgpack_pack_bin_body(packer, kernel->insns, insn_bytes);
    vta_pack_str(packer, vta_function_keys[FUNCTION_UOPS]);
    pack_uops(packer, kernel);
    vta_pack_str(packer, vta_function_keys[FUNCTION_RELOCS]);
    pack_relocs(packer, kernel);
}

/* Everything before the digest. */
static void pack_image(msgpack_packer *packer, const struct vta_module_image *image)
{
    msgpack_pack_map(packer, MODULE_KEYS);
    vta_pack_str(packer, vta_module_keys[MODULE_FORMAT_KEY]);
    vta_pack_str(packer, MODULE_FORMAT_NAME);
    vta_pack_str(packer, vta_module_keys[MODULE_VERSION]);
    msgpack_pack_uint8(packer, VTA_MODULE_FORMAT);
    vta_pack_str(packer, vta_module_keys[MODULE_HARDWARE]);
    pack_hardware(packer, &image->hw);
    vta_pack_str(packer, vta_module_keys[MODULE_FUNCTIONS]);
    msgpack_pack_array(packer, image->kernel_count);
    for (uint32_t i = 0; i < image->kernel_count; i++)
        pack_kernel(packer, &image->kernels[i]);
}

static void append_digest(struct writer *writer)
{
    uint8_t digest[VTA_DIGEST_BYTES];

    if (writer->failed)
        return;
    vta_digest(writer->bytes.data, writer->bytes.size, digest);
    append(writer, DIGEST_ENTRY, DIGEST_ENTRY_BYTES);
    append(writer, (const char *)digest, sizeof digest);
}

int vta_module_encode(const struct vta_module_image *image, uint8_t **bytes, size_t *nbytes,
                      struct vta_error *error)
{
    struct vta_module_limits limits;
    struct writer writer = { .failed = false };
    struct vta_hw hw = image->hw;
    msgpack_packer packer;
    int rc;

    vta_module_limits_default(&limits);
    rc = vta_hw_derive(&hw, error);
    if (rc == 0)
        rc = vta_module_check(image, &limits, error);
    if (rc != 0)
        return rc;
    msgpack_sbuffer_init(&writer.bytes);
    msgpack_packer_init(&packer, &writer, append);
    pack_image(&packer, image);
    append_digest(&writer);
    if (writer.failed)
        rc = vta_error_set(error, VTA_ENOMEM, "no memory to encode a module of more than %zu bytes",
                           writer.bytes.size);
    else
        rc =
            vta_module_limit("bytes in a module file", writer.bytes.size, limits.file_bytes, error);
    if (rc == 0) {
        *nbytes = writer.bytes.size;
        *bytes = (uint8_t *)msgpack_sbuffer_release(&writer.bytes);
    }
    msgpack_sbuffer_destroy(&writer.bytes);
    return rc;
}
