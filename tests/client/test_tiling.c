/* test_tiling.c: matrices to tiles and back, as properties over many shapes.
 */
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include <vta/client.h>

static uint32_t draw(uint32_t *state, uint32_t bound)
{
    *state = *state * 1664525u + 1013904223u;
    return (*state >> 8) % bound;
}

Test(tiling, unpacks_what_it_packed_and_places_every_number)
{
    uint32_t state = 20260101;

    for (int round = 0; round < 500; round++) {
        size_t tile_rows = 1 + draw(&state, 16), tile_columns = 1 + draw(&state, 16);
        size_t rows = tile_rows * (1 + draw(&state, 6));
        size_t columns = tile_columns * (1 + draw(&state, 6));
        size_t elem = (size_t)1 << draw(&state, 4), nbytes = rows * columns * elem;
        uint8_t *matrix = malloc(nbytes), *tiled = malloc(nbytes), *back = malloc(nbytes);

        for (size_t i = 0; i < nbytes; i++)
            matrix[i] = (uint8_t)draw(&state, 256);
        cr_assert_eq(vta_pack_2d(tiled, matrix, rows, columns, tile_rows, tile_columns, elem, NULL),
                     0);
        for (size_t r = 0; r < rows; r++)
            for (size_t c = 0; c < columns; c++) {
                size_t tile = r / tile_rows * (columns / tile_columns) + c / tile_columns;
                size_t place = (tile * tile_rows + r % tile_rows) * tile_columns + c % tile_columns;
                cr_assert_eq(memcmp(tiled + place * elem, matrix + (r * columns + c) * elem, elem),
                             0, "[%zu][%zu] of %zu × %zu in tiles of %zu × %zu", r, c, rows,
                             columns, tile_rows, tile_columns);
            }
        cr_assert_eq(vta_unpack_2d(back, tiled, rows, columns, tile_rows, tile_columns, elem, NULL),
                     0);
        cr_assert_eq(memcmp(back, matrix, nbytes), 0);
        free(matrix);
        free(tiled);
        free(back);
    }
}

Test(tiling, refuses_tiles_that_do_not_divide_the_matrix)
{
    uint8_t from[64] = { 0 }, to[64] = { 0 };
    struct vta_error error;

    cr_assert_eq(vta_pack_2d(to, from, 6, 8, 4, 8, 1, &error), VTA_ESIZE);
    cr_assert_not_null(strstr(error.message, "4 × 8"), "%s", error.message);
    cr_assert_eq(vta_unpack_2d(to, from, 8, 6, 8, 4, 1, &error), VTA_ESIZE);
    cr_assert_eq(vta_pack_2d(to, from, 8, 8, 0, 8, 1, &error), VTA_ESIZE);
    cr_assert_eq(vta_pack_2d(to, from, 8, 8, 8, 0, 1, &error), VTA_ESIZE);
    cr_assert_eq(vta_pack_2d(to, from, 8, 8, 8, 8, 0, &error), VTA_EINVAL);
}
