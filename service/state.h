/* state.h: what a service holds. Private to service/.
 *
 * Everything but `run` and `stats` belongs to whoever is inside vta_service_call; those two are
 * atomic, for vta_service_stop, vta_service_urgent and vta_service_stats from other threads.
 */
#ifndef VTA_SERVICE_STATE_H
#define VTA_SERVICE_STATE_H

#include "loaded.h"
#include "service.h"
#include "shelf.h"

/* control.stop outside a run. Inside it is 0, or the code that the run was stopped with. One word
 * says both "is there a run" and "is it stopped", so a stop cannot slip into the next run. */
#define VTA_RUN_IDLE 1

struct vta_service {
    struct vta_service_options options;
    struct vta_board *board;
    struct vta_shelf shelf;
    struct vta_loaded_set loaded;
    uint8_t *scratch; /* bytes that the last reply points to; owned */
    bool board_clock; /* time evaluators answer in the board's time */
    struct vta_control control;
    _Atomic uint64_t runs, calls, failures;
};

#endif
