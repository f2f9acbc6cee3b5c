/* linking.h: how object files become a shared library, without the worker running a program: it
 * asks the daemon, which starts a linker process (linker.c) and gives the worker a socket to it.
 *
 *     worker → linker   OBJECT for each file (number: how many there are; id: its bytes), then
 *                       BYTES: all of it, in pieces
 *     linker → worker   RESULT (number 0: a descriptor, id: bytes of the library; else the reason)
 *
 * The messages are channel.h's. The linker process believes no name, and gives nothing to a linker
 * that is not an object file: a linker obeys a script, which could have it read what it may.
 */
#ifndef VTA_WORKER_LINKING_H
#define VTA_WORKER_LINKING_H

#include <vta/error.h>

#define LINK_PIECE (32u << 10) /* bytes of an object in one message, at most */

enum link_message {
    LINK_OBJECT = 100,
    LINK_BYTES,
    LINK_RESULT
};

/* For the worker: has objects (paths) linked into a new file at `output`. VTA_EINVAL with the
 * linker's words, VTA_ETIMEOUT, VTA_EUNSUPPORTED where the server has no linker, VTA_ELIMIT. */
int link_objects(const char *const *objects, uint32_t count, const char *output,
                 struct vta_error *error);

/* What the daemon tells a linker process on its command line, in this order after "link". */
enum link_argument {
    LINK_ARGUMENT_PROGRAM, /* of the linker; absolute */
    LINK_ARGUMENT_FOLDER,  /* for this link alone */
    LINK_ARGUMENT_USER,
    LINK_ARGUMENT_CACHE,       /* folder; "": none */
    LINK_ARGUMENT_CACHE_BYTES, /* of all entries */
    LINK_ARGUMENT_FILE_BYTES,  /* of all objects together, and of the library */
    LINK_ARGUMENT_MEMORY_BYTES,
    LINK_ARGUMENT_CPU_S,
    LINK_ARGUMENTS
};

/* The linker process, whose standard input is the socket. arguments: LINK_ARGUMENTS of them.
 * Returns its exit status: 0 once the worker has a result. */
int linker_main(char *const *arguments);

#endif
