/* serial.h: a stream in which every instruction waits for the one before it: libvta's "force
 * serial", the way to find out whether a wrong result comes from order between the units.
 *
 * Dependence bits are replaced by a chain through all instructions. What the queues hold before
 * and after a run is as it would be without: tokens that are there are taken out first and put
 * back, with what the stream itself would have left, at the end. So the mode may be switched
 * between any two runs.
 */
#ifndef VTA_CORE_SERIAL_H
#define VTA_CORE_SERIAL_H

#include "record.h"

struct vta_serial {
    struct vta_insn *insns; /* owned, as bases */
    uint32_t *bases;
    uint32_t count;
};

/* The stream of *record, which must end with FINISH, in serial. before: what the queues hold.
 * Where the stream pops more than it may, its chain would hide that: *serial is then empty, and
 * the stream itself is what should be refused. VTA_ELIMIT where a queue holds more tokens than a
 * board's, VTA_ENOMEM. Release with vta_serial_free in any case. */
int vta_serial_make(struct vta_serial *serial, const struct vta_record *record,
                    const struct vta_tokens *before, struct vta_error *error);
void vta_serial_free(struct vta_serial *serial);

#endif
