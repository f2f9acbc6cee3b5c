/* without_landlock.c: vtad as on a kernel without Landlock, and as an ordinary user: takes vtad's
 * arguments, makes Landlock's system calls fail as unknown ones do, and becomes the vtad that
 * VTAD_COPY names.
 */
#include <errno.h>
#include <seccomp.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <unistd.h>

#define NOBODY 65534

int main(int argc, char **argv)
{
    (void)argc;
    scmp_filter_ctx filter = seccomp_init(SCMP_ACT_ALLOW);
    if (filter == NULL ||
        seccomp_rule_add(filter, SCMP_ACT_ERRNO(ENOSYS), SCMP_SYS(landlock_create_ruleset), 0) !=
            0 ||
        seccomp_load(filter) != 0) {
        fputs("without_landlock: no filter\n", stderr);
        return 126;
    }
    seccomp_release(filter);
    if (geteuid() == 0 &&
        (setresgid(NOBODY, NOBODY, NOBODY) != 0 || setresuid(NOBODY, NOBODY, NOBODY) != 0))
        return 126;
    prctl(PR_SET_PDEATHSIG, 9); /* which the change of user has reset */
    const char *path = getenv("VTAD_COPY");
    if (path == NULL)
        return 126;
    execv(path, argv);
    perror(path);
    return 127;
}
