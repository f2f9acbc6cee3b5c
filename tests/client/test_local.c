/* test_local.c: the client library over a board in this process.
 */
#include <criterion/criterion.h>
#include <string.h>

#include "board.h"

Test(local, session_can_hold_the_whole_conversation)
{
    struct vta_error error = { .message = "" };
    struct vta_session *session = vta_local_session(NULL, &error);

    cr_assert_not_null(session, "%s", error.message);
    cr_assert(vta_session_is_local(session));
    board_converse(session);
}

Test(local, session_has_no_run_deadline)
{
    struct vta_server_info info;
    struct vta_session *session = vta_local_session(NULL, NULL);

    cr_assert_eq(vta_server_info(session, &info, NULL), 0);
    cr_assert_eq(info.run_deadline_ms, 0);
    vta_close(session);
}

Test(local, session_has_the_hardware_it_was_asked_for)
{
    struct vta_server_info info;
    struct vta_hw hw;

    cr_assert_eq(vta_hw_from_bitstream(&hw, "4x8_i8w8a32_14_14_17_16", VTA_TARGET_SIM, NULL), 0);
    struct vta_session *session = vta_local_session(&hw, NULL);
    cr_assert_eq(vta_server_info(session, &info, NULL), 0);
    cr_assert(vta_hw_equal(&info.hw, &hw));
    vta_close(session);
}

Test(local, closed_session_leaves_objects_that_only_can_be_freed)
{
    struct board board;
    struct vta_error error;
    uint8_t bytes[ADD_NUMBERS * 4];
    double seconds;

    board_open(&board, vta_local_session(NULL, NULL));
    vta_close(board.session);
    cr_assert_eq(vta_call(board.add, board.arrays, 3, NULL, &error), VTA_ECLOSED);
    cr_assert_eq(vta_time_evaluator(board.add, board.arrays, 3, 1, 1, 0, &seconds, &error),
                 VTA_ECLOSED);
    cr_assert_eq(vta_ndarray_copy_from(board.arrays[0], bytes, sizeof bytes, &error), VTA_ECLOSED);
    cr_assert_eq(vta_ndarray_copy_to(board.arrays[0], bytes, sizeof bytes, &error), VTA_ECLOSED);
    cr_assert_eq(vta_ndarray_copy(board.arrays[0], board.arrays[1], &error), VTA_ECLOSED);
    cr_assert_null(vta_module_function(board.module, "add", &error));
    cr_assert_eq(error.code, VTA_ECLOSED);
    cr_assert_str_eq(vta_function_name(board.add), "add");
    board.session = NULL;
    board_close(&board);
}

Test(local, function_of_an_unloaded_module_cannot_be_called)
{
    struct board board;
    struct vta_error error;

    board_open(&board, vta_local_session(NULL, NULL));
    vta_module_free(board.module);
    board.module = NULL;
    cr_assert_eq(vta_call(board.add, board.arrays, 3, NULL, &error), VTA_EHANDLE);
    board_close(&board);
}

Test(local, arrays_of_two_sessions_do_not_mix)
{
    struct board one, two;
    struct vta_error error;

    board_open(&one, vta_local_session(NULL, NULL));
    board_open(&two, vta_local_session(NULL, NULL));
    struct vta_ndarray *mixed[3] = { one.arrays[0], two.arrays[1], one.arrays[2] };
    cr_assert_eq(vta_call(one.add, mixed, 3, NULL, &error), VTA_EINVAL);
    cr_assert_not_null(strstr(error.message, "another session"), "%s", error.message);
    cr_assert_eq(vta_ndarray_copy(one.arrays[0], two.arrays[0], &error), VTA_EINVAL);
    board_close(&one);
    board_close(&two);
}

Test(local, nothing_needs_an_error_to_write_to)
{
    struct vta_session *session = vta_local_session(NULL, NULL);

    cr_assert_eq(vta_remove(session, "none.vta", NULL), VTA_ENOTFOUND);
    cr_assert_null(vta_load_module(session, "none.vta", NULL));
    cr_assert_eq(vta_upload(session, "/none/none.vta", NULL, NULL), VTA_ENOTFOUND);
    vta_close(session);
    vta_close(NULL);
    vta_module_free(NULL);
    vta_function_free(NULL);
    vta_ndarray_free(NULL);
}

/* ---- Progress ------------------------------------------------------------------------------ */

struct seen {
    uint64_t calls, done, total;
    const char *what;
};

static void see(void *context, const char *what, uint64_t done, uint64_t total)
{
    struct seen *seen = context;

    cr_assert_gt(done, seen->done, "progress must grow");
    cr_assert_leq(done, total);
    *seen = (struct seen){ seen->calls + 1, done, total, what };
}

Test(local, long_transfers_report_progress_up_to_the_end)
{
    static uint8_t bytes[(5 << 20) + 1];
    struct vta_tensor_type type = { { VTA_DTYPE_INT, 8 }, 1, { sizeof bytes } };
    struct vta_session *session = vta_local_session(NULL, NULL);
    struct seen seen = { 0 };

    vta_set_progress(session, see, &seen);
    struct vta_ndarray *array = vta_ndarray_from(vta_ext_dev(session, 0), &type, bytes, NULL);
    cr_assert_eq(seen.done, sizeof bytes);
    cr_assert_eq(seen.total, sizeof bytes);
    cr_assert_eq(seen.calls, 6);
    cr_assert_str_eq(seen.what, "write");
    seen = (struct seen){ 0 };
    cr_assert_eq(vta_ndarray_copy_to(array, bytes, sizeof bytes, NULL), 0);
    cr_assert_eq(seen.calls, 6);
    cr_assert_eq(seen.done, sizeof bytes);
    cr_assert_str_eq(seen.what, "read");
    vta_set_progress(session, NULL, NULL);
    cr_assert_eq(vta_ndarray_copy_from(array, bytes, sizeof bytes, NULL), 0);
    cr_assert_eq(seen.calls, 6, "no progress was asked for");
    vta_ndarray_free(array);
    vta_close(session);
}
