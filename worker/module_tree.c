/* module_tree.c: the serialised tree of imported modules in a compiled library.
 *
 * u64 count, then as often: a kind (u64 length, bytes) and what belongs to it. "_lib" is the
 * library itself and has nothing more; "_import_tree" has two arrays (u64 length, u64 each): where
 * each module's children begin, and the children. Any other kind is a module in a form that only
 * the loader of that kind knows, so that nothing behind it can be read.
 */
#include <inttypes.h>
#include <string.h>

#include "module_code.h"

#define KIND_TEXT 64

struct reader {
    const uint8_t *at;
    uint64_t left;
};

static bool read_u64(struct reader *reader, uint64_t *value)
{
    if (reader->left < sizeof *value)
        return false;
    memcpy(value, reader->at, sizeof *value);
    reader->at += sizeof *value;
    reader->left -= sizeof *value;
    return true;
}

static bool skip(struct reader *reader, uint64_t count, uint64_t size, const uint8_t **bytes)
{
    uint64_t nbytes;
    if (__builtin_mul_overflow(count, size, &nbytes) || nbytes > reader->left)
        return false;
    *bytes = reader->at;
    reader->at += nbytes;
    reader->left -= nbytes;
    return true;
}

struct array {
    const uint8_t *values; /* u64 each, not aligned */
    uint64_t count;
};

static bool read_array(struct reader *reader, struct array *array)
{
    return read_u64(reader, &array->count) &&
           skip(reader, array->count, sizeof(uint64_t), &array->values);
}

static uint64_t value_at(const struct array *array, uint64_t index)
{
    uint64_t value;
    memcpy(&value, array->values + index * sizeof value, sizeof value);
    return value;
}

static int damaged(const char *name, const char *what, struct vta_error *error)
{
    return vta_error_set(error, VTA_EFORMAT, "%s: __tvm_dev_mblob: %s", name, what);
}

/* Rows of children of `modules` modules. */
static int check_rows(const struct array *rows, const struct array *children, uint64_t modules,
                      const char *name, struct vta_error *error)
{
    if (rows->count != modules + 1)
        return damaged(name, "the tree has another number of modules than the library", error);
    for (uint64_t i = 0; i < rows->count; i++) {
        const uint64_t before = i == 0 ? 0 : value_at(rows, i - 1);
        if (value_at(rows, i) < before || value_at(rows, i) > children->count)
            return damaged(name, "a row of the tree lies outside it", error);
    }
    for (uint64_t i = 0; i < children->count; i++)
        if (value_at(children, i) >= modules)
            return damaged(name, "a child that is not there", error);
    return 0;
}

/* One kind and its name; the name is cut to what a message needs. */
static bool read_kind(struct reader *reader, char kind[KIND_TEXT])
{
    uint64_t length;
    const uint8_t *text;
    if (!read_u64(reader, &length) || !skip(reader, length, 1, &text))
        return false;
    const size_t kept = length < KIND_TEXT - 1 ? (size_t)length : KIND_TEXT - 1;
    memcpy(kind, text, kept);
    kind[kept] = '\0';
    return true;
}

int module_code_check_tree(const uint8_t *bytes, uint64_t nbytes, const char *name,
                           struct vta_error *error)
{
    struct reader reader = { .at = bytes, .left = nbytes };
    struct array rows = { 0 }, children = { 0 };
    uint64_t count, modules = 0;
    bool has_tree = false;
    if (!read_u64(&reader, &count))
        return damaged(name, "it ends before its number of modules", error);
    for (uint64_t i = 0; i < count; i++) {
        char kind[KIND_TEXT];
        if (!read_kind(&reader, kind))
            return damaged(name, "it ends inside the kind of a module", error);
        if (strcmp(kind, "_lib") == 0) {
            modules++;
        } else if (strcmp(kind, "_import_tree") == 0) {
            has_tree = true;
            if (!read_array(&reader, &rows) || !read_array(&reader, &children))
                return damaged(name, "it ends inside its tree", error);
        } else {
            return vta_error_set(error, VTA_EUNSUPPORTED,
                                 "%s: it imports a module of kind '%s', which only TVM's own "
                                 "runtime can load",
                                 name, kind);
        }
    }
    return has_tree ? check_rows(&rows, &children, modules, name, error) : 0;
}
