/* board.h: what the client's tests start from: a session with the test module of
 * tests/integration/modules.h, over whichever transport the test is about.
 */
#ifndef VTA_TESTS_CLIENT_BOARD_H
#define VTA_TESTS_CLIENT_BOARD_H

#include <vta/client.h>

#include "tests/integration/modules.h"

/* add, loaded, with arrays for a, b and out. */
struct board {
    struct vta_session *session;
    struct vta_module *module;
    struct vta_function *add;
    struct vta_ndarray *arrays[3];
    int32_t a[ADD_NUMBERS], b[ADD_NUMBERS];
};

extern const struct vta_tensor_type board_int32, board_int8; /* of ADD_NUMBERS */

/* Uploads the module as NAME. */
void board_upload(struct vta_session *session, const char *name);
/* Takes the session over. */
void board_open(struct board *board, struct vta_session *session);
void board_close(struct board *board);
/* Calls add and checks every number. */
void board_check_add(struct board *board);

/* The conversation that every session must be able to hold: every call of vta/client.h. Takes the
 * session over. */
void board_converse(struct vta_session *session);

#endif
