/* session.h: what most integration tests start from: a daemon, and sessions with the test module
 * loaded.
 */
#ifndef VTA_TESTS_SESSION_H
#define VTA_TESTS_SESSION_H

#include "daemon.h"
#include "modules.h"
#include "wire.h"

/* Enough that spin never ends by itself within a test. */
#define SPINS_FOR_EVER 1000u

/* A connection whose session has uploaded and loaded the module, and made buffers. */
struct session {
    struct wire wire;
    uint64_t module, add, spin; /* handles */
    uint64_t buffers[3];        /* a, b, out of add */
    int32_t a[ADD_NUMBERS], b[ADD_NUMBERS];
};

void session_open(struct session *session, int port, uint32_t spins);
void session_close(struct session *session);

/* Starts spin without waiting for its end: waits until the daemon says that a run is on its way,
 * and returns its msgid. */
uint32_t session_spin(struct session *session);
/* Runs add, and checks every number of the result. */
void session_check_add(struct session *session);

/* The same in pieces, for tests that connect by themselves. */
void session_prepare(struct session *session, uint32_t spins);

#endif
