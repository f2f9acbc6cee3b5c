/* session.c: see session.h.
 */
#include "session.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

void session_prepare(struct session *session, uint32_t spins)
{
    struct wire *wire = &session->wire;
    uint8_t *bytes;
    size_t nbytes;
    make_module(spins, &bytes, &nbytes);
    wire_call(wire, NULL, "module.upload", "sbO", "test.vta", bytes, nbytes, "store", 0);
    free(bytes);
    session->module =
        wire_uint(wire_get(wire_call(wire, NULL, "module.load", "s", "test.vta"), "module"));
    session->add = wire_uint(
        wire_get(wire_call(wire, NULL, "function.get", "us", session->module, "add"), "function"));
    session->spin = wire_uint(
        wire_get(wire_call(wire, NULL, "function.get", "us", session->module, "spin"), "function"));

    for (uint32_t i = 0; i < ADD_NUMBERS; i++) {
        session->a[i] = (int32_t)i - 30;
        session->b[i] = (int32_t)(3 * i) - 90;
    }
    for (int i = 0; i < 3; i++)
        session->buffers[i] = wire_uint(wire_call(
            wire, NULL, "buffer.alloc", "u", (uint64_t)(i < 2 ? ADD_NUMBERS * 4 : ADD_NUMBERS)));
    wire_call(wire, NULL, "buffer.write", "uub", session->buffers[0], (uint64_t)0, session->a,
              sizeof session->a);
    wire_call(wire, NULL, "buffer.write", "uub", session->buffers[1], (uint64_t)0, session->b,
              sizeof session->b);
}

void session_open(struct session *session, int port, uint32_t spins)
{
    memset(session, 0, sizeof *session);
    wire_connect(&session->wire, port);
    session_prepare(session, spins);
}

void session_close(struct session *session)
{
    wire_close(&session->wire);
}

uint32_t session_spin(struct session *session)
{
    uint32_t msgid =
        wire_request(&session->wire, "run", "uh", session->spin, &session->buffers[2], (size_t)1);
    /* ping is answered at once, and comes after the run has been taken up. */
    wire_call(&session->wire, NULL, "ping", "u", (uint64_t)1);
    return msgid;
}

void session_check_add(struct session *session)
{
    struct wire *wire = &session->wire;
    const msgpack_object *result =
        wire_call(wire, NULL, "run", "uh", session->add, session->buffers, (size_t)3);
    struct vta_counters counters = wire_counters(wire_get(result, "counters"));
    cr_assert_eq(counters.acc_load_nbytes, 2 * sizeof session->a);
    cr_assert_eq(counters.out_store_nbytes, ADD_NUMBERS);
    cr_assert_eq(counters.alu_counter, ADD_NUMBERS / 16);

    result = wire_call(wire, NULL, "buffer.read", "uuu", session->buffers[2], (uint64_t)0,
                       (uint64_t)ADD_NUMBERS);
    cr_assert_eq(result->type, MSGPACK_OBJECT_BIN);
    cr_assert_eq(result->via.bin.size, ADD_NUMBERS);
    for (uint32_t i = 0; i < ADD_NUMBERS; i++)
        cr_assert_eq((int8_t)result->via.bin.ptr[i], (int8_t)(session->a[i] + session->b[i]));
}
