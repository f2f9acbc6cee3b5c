/* tiling.c: row-major matrices to VTA's tiles and back. Host memory only; no session.
 */
#include <vta/client.h>

#include <string.h>

static int check(size_t rows, size_t columns, size_t tile_rows, size_t tile_columns,
                 size_t elem_bytes, struct vta_error *error)
{
    if (elem_bytes == 0)
        return vta_error_set(error, VTA_EINVAL, "elements of 0 bytes cannot be tiled");
    if (tile_rows == 0 || tile_columns == 0 || rows % tile_rows != 0 || columns % tile_columns != 0)
        return vta_error_set(error, VTA_ESIZE,
                             "tiles of %zu × %zu do not divide a matrix of %zu × %zu", tile_rows,
                             tile_columns, rows, columns);
    return 0;
}

/* The bytes of a matrix, row of a tile by row of a tile in the order of the tiles; each is
 * contiguous on both sides. */
struct tiling {
    size_t rows, columns, tile_rows, tile_columns, elem_bytes;
};

static void retile(uint8_t *to, const uint8_t *from, const struct tiling *tiling, bool pack)
{
    size_t run = tiling->tile_columns * tiling->elem_bytes;
    size_t row = tiling->columns * tiling->elem_bytes;
    size_t tiled = 0;

    for (size_t y = 0; y < tiling->rows; y += tiling->tile_rows)
        for (size_t x = 0; x < row; x += run)
            for (size_t r = y; r < y + tiling->tile_rows; r++, tiled += run)
                memcpy(to + (pack ? tiled : r * row + x), from + (pack ? r * row + x : tiled), run);
}

int vta_pack_2d(void *tiled, const void *matrix, size_t rows, size_t columns, size_t tile_rows,
                size_t tile_columns, size_t elem_bytes, struct vta_error *error)
{
    struct tiling tiling = { rows, columns, tile_rows, tile_columns, elem_bytes };
    int rc = check(rows, columns, tile_rows, tile_columns, elem_bytes, error);

    if (rc == 0)
        retile(tiled, matrix, &tiling, true);
    return rc;
}

int vta_unpack_2d(void *matrix, const void *tiled, size_t rows, size_t columns, size_t tile_rows,
                  size_t tile_columns, size_t elem_bytes, struct vta_error *error)
{
    struct tiling tiling = { rows, columns, tile_rows, tile_columns, elem_bytes };
    int rc = check(rows, columns, tile_rows, tile_columns, elem_bytes, error);

    if (rc == 0)
        retile(matrix, tiled, &tiling, false);
    return rc;
}
