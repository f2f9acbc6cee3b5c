/* device.h: what runs a verified program. The simulator is one; an FPGA is another.
 *
 * A device holds the SRAMs. It trusts the program: everything was checked by vta_verify, and the
 * addresses by who bound them.
 */
#ifndef VTA_CORE_DEVICE_H
#define VTA_CORE_DEVICE_H

#include "control.h"
#include "dram.h"
#include "program.h"

struct vta_dev; /* a device, whichever it is */

/* Where a program's parameters lie during one run. */
struct vta_binding {
    uint32_t count;
    const uint32_t *addresses; /* DRAM address of each, a multiple of the page; not owned */
};

struct vta_device_info {
    const char *name;    /* "sim" */
    const char *kernels; /* which implementation computes: "portable" */
    bool exact_counters;
};

struct vta_device_ops {
    /* SRAM appears at the first run. */
    int (*open)(struct vta_dev **device, const struct vta_hw *hw, struct vta_error *error);
    /* Executes every instruction; with skip, none. Returns 0, what control ends it with, VTA_ENOMEM
     * or VTA_EIO. */
    int (*run)(struct vta_dev *device, const struct vta_program *program,
               const struct vta_binding *binding, struct vta_dram *dram, bool skip,
               struct vta_control *control, struct vta_error *error);
    /* As after power-up: SRAM zeroed. */
    void (*reset)(struct vta_dev *device);
    void (*close)(struct vta_dev *device);
    /* What it is, or what it would be for this configuration while none is open (device NULL). */
    void (*info)(const struct vta_dev *device, const struct vta_hw *hw,
                 struct vta_device_info *info);
};

struct vta_dev {
    const struct vta_device_ops *ops;
};

/* The simulator. */
extern const struct vta_device_ops vta_sim_device;

#endif
