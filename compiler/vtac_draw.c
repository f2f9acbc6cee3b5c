/* vtac_draw.c: what vtac time writes beside its summary: a timeline as a trace or as a picture. */
#include "vtac.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#include "core/timeline.h"

/* A file that could not be written whole does not stay; what is no file, as a pipe, does. */
static int write_file(const struct vta_timeline *timeline, const char *path,
                      int (*write)(const struct vta_timeline *, FILE *, struct vta_error *),
                      struct vta_error *error)
{
    FILE *file = fopen(path, "we");
    if (file == NULL)
        return vta_error_set(error, VTA_EIO, "%s: %s", path, strerror(errno));
    struct stat about;
    const bool removable = fstat(fileno(file), &about) == 0 && S_ISREG(about.st_mode);
    int rc = write(timeline, file, error);
    if (fclose(file) != 0 && rc == 0)
        rc = vta_error_set(error, VTA_EIO, "%s", strerror(errno));
    if (rc == 0)
        return 0;
    vta_error_prefix(error, "%s", path);
    if (removable)
        remove(path);
    return rc;
}

int vtac_draw(const struct vta_program *program, const struct vta_timing_profile *profile,
              const char *trace, const char *svg, struct vta_error *error)
{
    struct vta_timeline timeline = { 0 };
    if (trace == NULL && svg == NULL)
        return 0;
    int rc = vta_timeline_make(&timeline, program, profile, error);
    if (rc == 0 && trace != NULL)
        rc = write_file(&timeline, trace, vta_timeline_trace, error);
    if (rc == 0 && svg != NULL)
        rc = write_file(&timeline, svg, vta_timeline_svg, error);
    vta_timeline_clear(&timeline);
    return rc;
}
