/* board.c: see board.h.
 */
#include "board.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

const struct vta_tensor_type board_int32 = { { VTA_DTYPE_INT, 32 }, 1, { ADD_NUMBERS } };
const struct vta_tensor_type board_int8 = { { VTA_DTYPE_INT, 8 }, 1, { ADD_NUMBERS } };

#define OK(call)                                                                                   \
    do {                                                                                           \
        struct vta_error failure = { .message = "" };                                              \
        int rc = (call);                                                                           \
        cr_assert_eq(rc, 0, "%s: %s", #call, failure.message);                                     \
    } while (0)

void board_upload(struct vta_session *session, const char *name)
{
    uint8_t *bytes;
    size_t nbytes;

    make_module(1, &bytes, &nbytes);
    OK(vta_upload_bytes(session, name, bytes, nbytes, &failure));
    free(bytes);
}

void board_open(struct board *board, struct vta_session *session)
{
    struct vta_error error = { .message = "" };
    struct vta_device device = vta_ext_dev(session, 0);

    cr_assert_not_null(session);
    board->session = session;
    board_upload(session, "add.vta");
    board->module = vta_load_module(session, "add.vta", &error);
    cr_assert_not_null(board->module, "%s", error.message);
    board->add = vta_module_function(board->module, "add", &error);
    cr_assert_not_null(board->add, "%s", error.message);
    for (int i = 0; i < (int)ADD_NUMBERS; i++) {
        board->a[i] = i * 7 - 100;
        board->b[i] = 1000 - i * i;
    }
    board->arrays[0] = vta_ndarray_from(device, &board_int32, board->a, &error);
    board->arrays[1] = vta_ndarray_from(device, &board_int32, board->b, &error);
    board->arrays[2] = vta_ndarray_empty(device, &board_int8, &error);
    for (int i = 0; i < 3; i++)
        cr_assert_not_null(board->arrays[i], "%s", error.message);
}

void board_close(struct board *board)
{
    for (int i = 0; i < 3; i++)
        vta_ndarray_free(board->arrays[i]);
    vta_function_free(board->add);
    vta_module_free(board->module);
    vta_close(board->session);
}

void board_check_add(struct board *board)
{
    struct vta_run_stats stats;
    int8_t out[ADD_NUMBERS];

    OK(vta_call(board->add, board->arrays, 3, &stats, &failure));
    OK(vta_ndarray_copy_to(board->arrays[2], out, sizeof out, &failure));
    for (int i = 0; i < (int)ADD_NUMBERS; i++)
        cr_assert_eq(out[i], (int8_t)(board->a[i] + board->b[i]), "number %d is %d", i, out[i]);
    cr_assert_eq(stats.counters.acc_load_nbytes, 2 * sizeof board->a);
    cr_assert_eq(stats.counters.out_store_nbytes, sizeof out);
}

/* ---- The conversation ---------------------------------------------------------------------- */

static void talk_of_the_board(struct vta_session *session)
{
    struct vta_server_info info;
    struct vta_hw hw;
    uint64_t ns = 0;

    OK(vta_ping(session, &ns, &failure));
    cr_assert_gt(ns, 0);
    OK(vta_program_fpga(session, "1x8_i8w8a32_13_13_16_15.bit", &failure));
    OK(vta_server_info(session, &info, &failure));
    cr_assert_str_eq(info.bitstream, "1x8_i8w8a32_13_13_16_15");
    cr_assert_eq(info.hw.block, 8);
    vta_hw_default(&hw);
    OK(vta_reconfig_runtime(session, &hw, &failure));
    OK(vta_server_info(session, &info, &failure));
    cr_assert(vta_hw_equal(&info.hw, &hw));
    cr_assert_eq(info.protocol, 1);
    cr_assert_eq(info.module_format, 1);
    cr_assert_str_eq(info.device, "sim");
    cr_assert_gt(info.message_bytes, 0);
    cr_assert_gt(info.read_bytes, 0);
}

static void talk_of_modules(struct vta_session *session)
{
    char path[] = "/tmp/vta-client-XXXXXX";
    struct vta_module_info *list;
    struct vta_error error;
    uint8_t *bytes;
    void *back;
    size_t nbytes, back_nbytes, count;
    int fd = mkstemp(path);

    cr_assert_geq(fd, 0);
    make_module(1, &bytes, &nbytes);
    cr_assert_eq(write(fd, bytes, nbytes), (ssize_t)nbytes);
    close(fd);
    OK(vta_upload(session, path, NULL, &failure));
    OK(vta_upload(session, path, "one.vta", &failure));
    unlink(path);
    OK(vta_list_modules(session, &list, &count, &failure));
    cr_assert_eq(count, 2);
    cr_assert_str_eq(list[0].name, "one.vta");
    cr_assert_str_eq(list[1].name, strrchr(path, '/') + 1);
    cr_assert_eq(list[0].bytes, nbytes);
    cr_assert_eq(strlen(list[0].digest), 64);
    OK(vta_remove(session, list[1].name, &failure));
    free(list);
    OK(vta_download(session, "one.vta", &back, &back_nbytes, &failure));
    cr_assert_eq(back_nbytes, nbytes);
    cr_assert_arr_eq(back, bytes, nbytes);
    free(back);
    free(bytes);
    cr_assert_eq(vta_download(session, "two.vta", &back, &back_nbytes, &error), VTA_ENOTFOUND);
    OK(vta_remove(session, "one.vta", &failure));
    cr_assert_eq(vta_remove(session, "one.vta", &error), VTA_ENOTFOUND);
    cr_assert_null(vta_load_module(session, "one.vta", &error));
    cr_assert_eq(error.code, VTA_ENOTFOUND);
    cr_assert_eq(vta_upload_bytes(session, "bad.vta", "not a module", 12, &error), VTA_EFORMAT);
}

static void talk_of_functions(struct board *board)
{
    double seconds[3] = { -1, -1, -1 };

    cr_assert_eq(vta_module_function_count(board->module), 2);
    cr_assert_str_eq(vta_module_function_name(board->module, 0), "add");
    cr_assert_null(vta_module_function_name(board->module, 2));
    cr_assert_str_eq(vta_function_name(board->add), "add");
    cr_assert_eq(vta_function_param_count(board->add), 3);
    const struct vta_param *param = vta_function_param(board->add, 2);
    cr_assert_str_eq(param->name, "out");
    cr_assert_eq(param->memory, VTA_MEM_OUT);
    cr_assert_eq(param->access, VTA_ACCESS_WRITE);
    cr_assert_eq(param->type.ndim, 1);
    cr_assert_eq(param->type.shape[0], ADD_NUMBERS);
    cr_assert_null(vta_function_param(board->add, 3));
    cr_assert_eq(vta_function_counters(board->add).out_store_nbytes, ADD_NUMBERS);
    OK(vta_time_evaluator(board->add, board->arrays, 3, 2, 3, 0, seconds, &failure));
    for (int i = 0; i < 3; i++)
        cr_assert(seconds[i] > 0);
}

static void talk_of_counters(struct board *board)
{
    struct vta_counters counters, zero = { 0 };
    int8_t out[ADD_NUMBERS] = { 0 }, marks[ADD_NUMBERS];

    OK(vta_clear_counters(board->session, &failure));
    board_check_add(board);
    board_check_add(board);
    OK(vta_get_counters(board->session, &counters, &failure));
    cr_assert_eq(counters.out_store_nbytes, 2 * ADD_NUMBERS);
    OK(vta_clear_counters(board->session, &failure));
    OK(vta_get_counters(board->session, &counters, &failure));
    cr_assert_eq(memcmp(&counters, &zero, sizeof zero), 0);

    memset(marks, 99, sizeof marks);
    OK(vta_ndarray_copy_from(board->arrays[2], marks, sizeof marks, &failure));
    OK(vta_skip_execution(board->session, true, &failure));
    OK(vta_call(board->add, board->arrays, 3, NULL, &failure));
    OK(vta_skip_execution(board->session, false, &failure));
    OK(vta_get_counters(board->session, &counters, &failure));
    cr_assert_eq(counters.out_store_nbytes, ADD_NUMBERS);
    OK(vta_ndarray_copy_to(board->arrays[2], out, sizeof out, &failure));
    cr_assert_arr_eq(out, marks, sizeof out, "a skipped run must not store");
}

/* What the library itself refuses, and what the service does, in the service's words. */
static void talk_of_mistakes(struct board *board)
{
    struct vta_ndarray *swapped[3] = { board->arrays[0], board->arrays[2], board->arrays[1] };
    struct vta_ndarray *none[3] = { board->arrays[0], board->arrays[1], NULL };
    struct vta_device second = vta_ext_dev(board->session, 1);
    struct vta_hw hw;
    struct vta_error error;
    uint8_t byte = 0;

    cr_assert_eq(vta_call(board->add, swapped, 3, NULL, &error), VTA_ESIZE);
    cr_assert_not_null(strstr(error.message, "parameter 1 (b)"), "%s", error.message);
    cr_assert_eq(vta_call(board->add, board->arrays, 2, NULL, &error), VTA_ESIZE);
    cr_assert_eq(vta_call(board->add, none, 3, NULL, &error), VTA_EINVAL);
    cr_assert_eq(vta_ndarray_copy_from(board->arrays[0], &byte, 1, &error), VTA_ESIZE);
    cr_assert_eq(vta_ndarray_copy_to(board->arrays[0], &byte, 1, &error), VTA_ESIZE);
    cr_assert_null(vta_ndarray_empty(second, &board_int8, &error));
    cr_assert_eq(error.code, VTA_EINVAL);
    cr_assert_null(vta_module_function(board->module, "ad", &error));
    cr_assert_eq(error.code, VTA_ENOTFOUND);
    cr_assert_not_null(strstr(error.message, "add"), "%s", error.message);
    vta_hw_default(&hw);
    hw.log_uop_buff--;
    OK(vta_hw_derive(&hw, &failure));
    cr_assert_eq(vta_reconfig_runtime(board->session, &hw, &error), VTA_ESTATE);
    cr_assert_eq(vta_program_fpga(board->session, "3x8_i8w8a32_13_13_16_15", &error), VTA_ECONFIG,
                 "%s", vta_error_name(error.code));
    cr_assert_eq(vta_time_evaluator(board->add, board->arrays, 3, 0, 1, 0, NULL, &error),
                 VTA_EINVAL);
    cr_assert_eq(vta_ping(board->session, NULL, NULL), 0, "a session outlives mistakes");
}

/* More than one chunk, not a multiple of it; copied on the board; read back. */
static void talk_of_many_bytes(struct vta_session *session)
{
    const size_t nbytes = ((size_t)3 << 20) + 12345;
    struct vta_tensor_type type = { { VTA_DTYPE_INT, 8 }, 1, { nbytes } };
    struct vta_device device = vta_ext_dev(session, 0);
    uint8_t *out = malloc(nbytes), *back = calloc(1, nbytes);
    struct vta_error error;

    for (size_t i = 0; i < nbytes; i++)
        out[i] = (uint8_t)(i * 2654435761u >> 13);
    struct vta_ndarray *one = vta_ndarray_from(device, &type, out, &error);
    cr_assert_not_null(one, "%s", error.message);
    struct vta_ndarray *two = vta_ndarray_empty(device, &type, &error);
    cr_assert_not_null(two, "%s", error.message);
    OK(vta_ndarray_copy_to(two, back, nbytes, &failure));
    for (size_t i = 0; i < nbytes; i++)
        cr_assert_eq(back[i], 0);
    OK(vta_ndarray_copy(two, one, &failure));
    OK(vta_ndarray_copy_to(two, back, nbytes, &failure));
    cr_assert_eq(memcmp(out, back, nbytes), 0);
    cr_assert_eq(vta_ndarray_nbytes(two), nbytes);
    cr_assert_eq(vta_ndarray_type(two)->shape[0], nbytes);
    vta_ndarray_free(one);
    vta_ndarray_free(two);
    free(out);
    free(back);
}

void board_converse(struct vta_session *session)
{
    struct board board;

    cr_assert_not_null(session);
    talk_of_the_board(session);
    talk_of_modules(session);
    talk_of_many_bytes(session);
    board_open(&board, session);
    talk_of_functions(&board);
    talk_of_counters(&board);
    talk_of_mistakes(&board);
    board_check_add(&board);
    board_close(&board);
}
