/* sniff.h: the first bytes of a connection say which protocol it speaks.
 */
#ifndef VTA_SERVER_SNIFF_H
#define VTA_SERVER_SNIFF_H

#include <stddef.h>
#include <stdint.h>

#define SNIFF_BYTES 4 /* what a decision needs at most */

enum sniff {
    SNIFF_MORE, /* these bytes may become either; wait */
    SNIFF_NATIVE,
    SNIFF_TVM,
    SNIFF_UNKNOWN
};

enum sniff sniff(const uint8_t *bytes, size_t nbytes);

#endif
