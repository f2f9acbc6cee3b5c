/* replay.c: runs a fuzz target over every file of the folders given, in order of their names.
 *
 * Makes a corpus a regression test in builds that have no libFuzzer. It invents no inputs. Each
 * input lies in memory of exactly its size, so that AddressSanitizer sees a read past its end.
 */
#include <dirent.h>
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int is_input(const struct dirent *entry)
{
    return entry->d_name[0] != '.';
}

/* Returns 0, or -1 after saying what could not be read. */
static int replay_file(const char *path)
{
    FILE *file = fopen(path, "rb");
    struct stat status;
    uint8_t *data = NULL;
    int rc = -1;
    if (file == NULL || fstat(fileno(file), &status) != 0)
        goto fail;
    size_t size = (size_t)status.st_size;
    data = malloc(size > 0 ? size : 1);
    if (data == NULL || fread(data, 1, size, file) != size)
        goto fail;
    printf("%s\n", path);
    fflush(stdout); /* so that the log ends with the input that crashed */
    LLVMFuzzerTestOneInput(data, size);
    rc = 0;
fail:
    if (rc != 0)
        fprintf(stderr, "%s: %s\n", path, strerror(errno));
    free(data);
    if (file != NULL)
        fclose(file);
    return rc;
}

/* Returns how many inputs the folder has, or -1. */
static int replay_folder(const char *folder)
{
    struct dirent **entries = NULL;
    int count = scandir(folder, &entries, is_input, alphasort);
    if (count < 0) {
        fprintf(stderr, "%s: %s\n", folder, strerror(errno));
        return -1;
    }
    int rc = count;
    for (int i = 0; i < count; i++) {
        char path[4096];
        snprintf(path, sizeof path, "%s/%s", folder, entries[i]->d_name);
        if (replay_file(path) != 0)
            rc = -1;
        free(entries[i]);
    }
    free(entries);
    return rc;
}

int main(int argc, char **argv)
{
    int total = 0;
    for (int i = 1; i < argc; i++) {
        int count = replay_folder(argv[i]);
        if (count < 0)
            return 1;
        total += count;
    }
    printf("%d inputs replayed\n", total);
    if (total == 0) {
        fprintf(stderr, "no inputs: a corpus that is empty tests nothing\n");
        return 1;
    }
    return 0;
}
