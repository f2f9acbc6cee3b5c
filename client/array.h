/* array.h: an array's inside, for calls that take arrays. */
#ifndef VTA_CLIENT_ARRAY_H
#define VTA_CLIENT_ARRAY_H

#include "session.h"

struct vta_ndarray {
    struct vta_session *session; /* held */
    struct vta_tensor_type type;
    uint64_t nbytes;
    uint64_t handle;
};

#endif
