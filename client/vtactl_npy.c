/* vtactl_npy.c: arrays in files, as NumPy writes them (version 1 of .npy) or as bytes alone.
 */
#include "vtactl.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define NPY_HEAD_BYTES 10u /* magic, version, u16 length of the text */
#define NPY_TEXT_MAX   UINT16_MAX

static bool is_npy(const char *path)
{
    const size_t length = strlen(path);
    return length > 4 && strcmp(path + length - 4, ".npy") == 0;
}

/* "<f4", "|i1"; an empty text for types that NumPy lacks. */
static void npy_type(const struct vta_tensor_type *type, char text[8])
{
    const struct vta_dtype dtype = type->dtype;
    const char kind = dtype.code == VTA_DTYPE_INT ? 'i' : dtype.code == VTA_DTYPE_UINT ? 'u' : 'f';
    *text = '\0';
    if (dtype.bits == 1)
        strcpy(text, "|b1");
    else if (dtype.bits >= 8)
        snprintf(text, 8, "%c%c%u", dtype.bits == 8 ? '|' : '<', kind, dtype.bits / 8);
}

/* "(1, 3, 32, 32)", "(10,)", "()". */
static void npy_shape(const struct vta_tensor_type *type, char *text, size_t size)
{
    size_t used = (size_t)snprintf(text, size, "(");
    for (uint32_t i = 0; i < type->ndim && used < size; i++)
        used += (size_t)snprintf(text + used, size - used, "%s%" PRIu64, i == 0 ? "" : ", ",
                                 type->shape[i]);
    if (used < size)
        snprintf(text + used, size - used, type->ndim == 1 ? ",)" : ")");
}

/* ---- Reading ------------------------------------------------------------------------------- */

/* The text behind 'key': in a header. */
static const char *value_of(const char *header, const char *key)
{
    const char *at = strstr(header, key);
    at = at != NULL ? strchr(at + strlen(key), ':') : NULL;
    return at != NULL ? at + 1 + strspn(at + 1, " ") : "";
}

static int compare_header(const char *path, const char *header, const struct vta_tensor_type *type,
                          struct vta_error *error)
{
    char descr[8], shape[256];
    npy_type(type, descr);
    npy_shape(type, shape, sizeof shape);
    const char *got = value_of(header, "'descr'");
    if (*got != '\'' || strncmp(got + 1, descr, strlen(descr)) != 0 ||
        got[1 + strlen(descr)] != '\'')
        return vta_error_set(error, VTA_ESIZE, "%s: its numbers are %.*s, the input's '%s'", path,
                             (int)strcspn(got, ",}"), got, descr);
    if (strncmp(value_of(header, "'fortran_order'"), "False", 5) != 0)
        return vta_error_set(error, VTA_EUNSUPPORTED, "%s: it is in Fortran's order", path);
    got = value_of(header, "'shape'");
    const size_t length = strcspn(got, ")");
    if (strncmp(got, shape, strlen(shape)) != 0)
        return vta_error_set(error, VTA_ESIZE, "%s: its shape is %.*s), the input's %s", path,
                             (int)length, got, shape);
    return 0;
}

/* Leaves the file where the numbers begin. */
static int read_header(FILE *file, const char *path, const struct vta_tensor_type *type,
                       struct vta_error *error)
{
    static char text[NPY_TEXT_MAX + 1];
    uint8_t head[NPY_HEAD_BYTES];
    if (fread(head, 1, sizeof head, file) != sizeof head || memcmp(head, "\x93NUMPY", 6) != 0)
        return vta_error_set(error, VTA_EFORMAT, "%s: not a .npy file", path);
    if (head[6] != 1)
        return vta_error_set(error, VTA_EVERSION, "%s: version %u of .npy, 1 is read", path,
                             head[6]);
    const size_t length = head[8] | (size_t)head[9] << 8;
    if (fread(text, 1, length, file) != length)
        return vta_error_set(error, VTA_EFORMAT, "%s: cut short within its header", path);
    text[length] = '\0';
    return compare_header(path, text, type, error);
}

static int read_npy(const char *path, const struct vta_tensor_type *type, uint64_t nbytes,
                    void *bytes, struct vta_error *error)
{
    FILE *file = fopen(path, "rb");
    if (file == NULL) /* with the words of the other form */
        return read_exactly(path, bytes, nbytes, error);
    int rc = read_header(file, path, type, error);
    if (rc == 0 && fread(bytes, 1, (size_t)nbytes, file) != nbytes)
        rc = vta_error_set(error, VTA_ESIZE, "%s: it has less than %" PRIu64 " bytes of numbers",
                           path, nbytes);
    fclose(file);
    return rc;
}

int read_array(const char *path, const struct vta_tensor_type *type, uint64_t nbytes, void **bytes,
               struct vta_error *error)
{
    *bytes = malloc((size_t)nbytes + 1);
    if (*bytes == NULL)
        return vta_error_set(error, VTA_ENOMEM, "no memory for %" PRIu64 " bytes", nbytes);
    int rc = is_npy(path) ? read_npy(path, type, nbytes, *bytes, error)
                          : read_exactly(path, *bytes, nbytes, error);
    if (rc == 0)
        return 0;
    free(*bytes);
    *bytes = NULL;
    return rc;
}

/* ---- Writing ------------------------------------------------------------------------------- */

int write_array(const char *path, const struct vta_tensor_type *type, const void *bytes,
                uint64_t nbytes, struct vta_error *error)
{
    char descr[8], shape[256], text[512];
    if (!is_npy(path))
        return write_file(path, bytes, (size_t)nbytes, error);
    npy_type(type, descr);
    npy_shape(type, shape, sizeof shape);
    if (*descr == '\0')
        return vta_error_set(error, VTA_EUNSUPPORTED, "%s: NumPy has no numbers of %u bits", path,
                             type->dtype.bits);
    int length = snprintf(text, sizeof text,
                          "{'descr': '%s', 'fortran_order': False, 'shape': %s, }", descr, shape);
    /* Filled up with spaces, so that the numbers begin at a multiple of 64. */
    const size_t head_bytes = (NPY_HEAD_BYTES + (size_t)length + 1 + 63) / 64 * 64;
    uint8_t *whole = malloc(head_bytes + (size_t)nbytes);
    if (whole == NULL)
        return vta_error_set(error, VTA_ENOMEM, "no memory for %" PRIu64 " bytes", nbytes);
    memset(whole, ' ', head_bytes);
    memcpy(whole, "\x93NUMPY\x01", 8); /* and a zero */
    whole[8] = (uint8_t)(head_bytes - NPY_HEAD_BYTES);
    whole[9] = (uint8_t)((head_bytes - NPY_HEAD_BYTES) >> 8);
    memcpy(whole + NPY_HEAD_BYTES, text, (size_t)length);
    whole[head_bytes - 1] = '\n';
    memcpy(whole + head_bytes, bytes, (size_t)nbytes);
    int rc = write_file(path, whole, head_bytes + (size_t)nbytes, error);
    free(whole);
    return rc;
}
