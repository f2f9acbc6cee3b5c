/* state.h: what a service holds. Private to service/.
 *
 * Everything but control.stop and the sums belongs to whoever is inside vta_service_call; those are
 * atomic, for vta_service_stop, vta_service_urgent and vta_service_stats from other threads.
 */
#ifndef VTA_SERVICE_STATE_H
#define VTA_SERVICE_STATE_H

#include "loaded.h"
#include "service.h"
#include "shelf.h"

/* control.stop while no call is in progress. During one it is 0, or the code that the call was
 * stopped with. One word says both "is there a call" and "is it stopped", so that a stop can
 * neither be lost nor slip into the next call. */
#define VTA_CALL_NONE 1

struct vta_service {
    struct vta_service_options options;
    struct vta_board *board;
    struct vta_shelf shelf;
    struct vta_loaded_set loaded;
    uint8_t *scratch;           /* bytes that the last reply points to; owned */
    bool board_clock;           /* time evaluators answer in the board's time */
    struct vta_control control; /* of the call in progress */
    _Atomic uint64_t runs, calls, failures;
};

/* From here on the call cannot be stopped: it is about to have its effect, or has failed. Returns
 * 0, or the code that it was stopped with before and has to fail with now. */
int vta_call_end(struct vta_service *service);

#endif
