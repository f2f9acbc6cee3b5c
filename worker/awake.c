/* awake.c: two clocks and what the kernel knows of the client (awake.h). */
#include "awake.h"

#include <sched.h>
#include <sys/socket.h>
#include <time.h>

#define AWAY_NS         500000    /* between two looks: something else had the processor */
#define AWAY_PAUSE_NS   250000000 /* after that */
#define SHARED_PAUSE_NS 1000000   /* where the client has it; to ask costs, too */

static uint64_t now(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (uint64_t)time.tv_sec * 1000000000 + (uint64_t)time.tv_nsec;
}

/* The processor that the client's last bytes came from, its own where it is on this machine; -1:
 * the kernel does not say, as of Unix sockets. */
static int client_processor(int socket)
{
    int cpu = -1;
    socklen_t size = sizeof cpu;
    return getsockopt(socket, SOL_SOCKET, SO_INCOMING_CPU, &cpu, &size) == 0 ? cpu : -1;
}

bool awake_begin(struct awake *awake, uint64_t us, int socket)
{
    awake->seen = now();
    awake->until = awake->seen + us * 1000;
    if (us == 0 || awake->seen < awake->not_until)
        return false;
    int cpu = client_processor(socket);
    if (cpu != sched_getcpu())
        return cpu >= 0;
    awake->not_until = awake->seen + SHARED_PAUSE_NS;
    return false;
}

bool awake_still(struct awake *awake)
{
    uint64_t seen = awake->seen;
    awake->seen = now();
    if (awake->seen - seen >= AWAY_NS)
        awake->not_until = awake->seen + AWAY_PAUSE_NS;
    return awake->seen < awake->until && awake->seen >= awake->not_until;
}
