/* methods_timing.c: whose time is predicted, and whose clock time evaluators answer in.
 */
#include "request.h"

#include <string.h>

/* params[0]: nil keeps the profile; "auto" and "none"; the name of one that is compiled in; or a
 * profile's JSON text. Never a path: a client does not name the server's files. */
static int choose_profile(struct vta_request *request)
{
    struct vta_timing_profile profile;
    char name[VTA_NAME_MAX + 1];
    const uint8_t *text;
    size_t length;
    struct vta_board *board = request->service->board;
    if (request->count == 0 || request->params[0].type == MSGPACK_OBJECT_NIL)
        return 0;
    int rc = vta_arg_bytes(request, 0, &text, &length);
    if (rc != 0)
        return rc;
    if (length > 0 && text[0] == '{') {
        rc = vta_profile_from_json(&profile, (const char *)text, length, request->error);
        return rc != 0 ? rc
                       : vta_board_set_timing(board, VTA_BOARD_TIMING_PROFILE, &profile,
                                              request->error);
    }
    rc = vta_arg_text(request, 0, name);
    if (rc == 0 && strcmp(name, "auto") == 0)
        return vta_board_set_timing(board, VTA_BOARD_TIMING_AUTO, NULL, request->error);
    if (rc == 0 && strcmp(name, "none") == 0)
        return vta_board_set_timing(board, VTA_BOARD_TIMING_OFF, NULL, request->error);
    if (rc == 0)
        rc = vta_profile_shipped(&profile, name, request->error);
    return rc != 0
               ? rc
               : vta_board_set_timing(board, VTA_BOARD_TIMING_PROFILE, &profile, request->error);
}

/* params[1]: "host" or "board"; nil keeps it. */
static int read_clock(struct vta_request *request, bool *board)
{
    char name[VTA_NAME_MAX + 1];
    if (request->count < 2 || request->params[1].type == MSGPACK_OBJECT_NIL)
        return 0;
    int rc = vta_arg_text(request, 1, name);
    if (rc != 0)
        return rc;
    *board = strcmp(name, "board") == 0;
    if (!*board && strcmp(name, "host") != 0)
        return vta_error_set(request->error, VTA_EINVAL,
                             "params[1]: the clock is 'host' or 'board', not '%s'", name);
    return 0;
}

int vta_do_board_timing(struct vta_request *request)
{
    struct vta_service *service = request->service;
    bool board_clock = service->board_clock;
    int rc = read_clock(request, &board_clock);
    if (rc == 0)
        rc = choose_profile(request);
    if (rc != 0)
        return rc;
    const struct vta_timing_profile *profile = vta_board_profile(service->board);
    if (board_clock && profile == NULL && request->count == 2)
        return vta_error_set(request->error, VTA_ESTATE,
                             "the board's clock needs a timing profile, and there is none for the "
                             "board");
    service->board_clock = board_clock;
    vta_result_map(request, 4);
    vta_result_key(request, "profile");
    if (profile != NULL)
        vta_pack_str(request->packer, profile->name);
    else
        vta_result_nil(request);
    vta_result_text(request, "board", profile != NULL ? profile->board : "");
    vta_result_bool(request, "measured", profile != NULL && profile->measured);
    vta_result_text(request, "clock", board_clock ? "board" : "host");
    return 0;
}
