/* link_cache.c: files named by digest: the library, then a digest of key and library.
 */
#include "link_cache.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define NAME_BYTES (2 * LINK_DIGEST_BYTES + 1)
#define CHUNK      (64u << 10)
#define NEW_PREFIX "new-" /* of an entry that is being written */
#define NEW_MAX_S  3600   /* older ones were left by a process that was killed */

static void name_of(char *name, const uint8_t *key)
{
    for (int i = 0; i < LINK_DIGEST_BYTES; i++)
        snprintf(name + 2 * i, 3, "%02x", key[i]);
}

/* The digest of key and the first nbytes of a file; with `to`, these are copied there, too. */
static bool digest_file(const uint8_t *key, int file, uint64_t nbytes, int to, uint8_t *digest)
{
    static uint8_t chunk[CHUNK];
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    bool good = context != NULL && EVP_DigestInit_ex(context, EVP_sha256(), NULL) == 1 &&
                EVP_DigestUpdate(context, key, LINK_DIGEST_BYTES) == 1;
    for (uint64_t at = 0; good && at < nbytes;) {
        uint64_t left = nbytes - at;
        ssize_t n = pread(file, chunk, left < CHUNK ? left : CHUNK, (off_t)at);
        good = n > 0 && EVP_DigestUpdate(context, chunk, (size_t)n) == 1 &&
               (to < 0 || write(to, chunk, (size_t)n) == n);
        at += good ? (uint64_t)n : 0;
    }
    good = good && EVP_DigestFinal_ex(context, digest, NULL) == 1;
    EVP_MD_CTX_free(context);
    return good;
}

static bool is_ours(int file, struct stat *st)
{
    return fstat(file, st) == 0 && S_ISREG(st->st_mode) && st->st_uid == geteuid() &&
           st->st_nlink == 1 && (st->st_mode & 077) == 0;
}

int link_cache_find(int folder, const uint8_t key[LINK_DIGEST_BYTES], uint64_t *nbytes)
{
    char name[NAME_BYTES];
    uint8_t kept[LINK_DIGEST_BYTES], digest[LINK_DIGEST_BYTES];
    struct stat st;
    name_of(name, key);
    int file = openat(folder, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    if (file < 0)
        return -1;
    if (is_ours(file, &st) && st.st_size > LINK_DIGEST_BYTES) {
        *nbytes = (uint64_t)st.st_size - LINK_DIGEST_BYTES;
        if (pread(file, kept, sizeof kept, (off_t)*nbytes) == (ssize_t)sizeof kept &&
            digest_file(key, file, *nbytes, -1, digest) && memcmp(kept, digest, sizeof kept) == 0) {
            futimens(file, NULL); /* used now */
            return file;
        }
    }
    close(file);
    unlinkat(folder, name, 0);
    return -1;
}

/* ---- Keeping ------------------------------------------------------------------------------- */

struct entry {
    char name[NAME_BYTES];
    uint64_t bytes;
    struct timespec used;
};

static bool is_entry(const char *name)
{
    return strlen(name) == NAME_BYTES - 1 && strspn(name, "0123456789abcdef") == NAME_BYTES - 1;
}

static int older_first(const void *a, const void *b)
{
    const struct timespec *x = &((const struct entry *)a)->used;
    const struct timespec *y = &((const struct entry *)b)->used;
    return x->tv_sec != y->tv_sec     ? (x->tv_sec < y->tv_sec ? -1 : 1)
           : x->tv_nsec != y->tv_nsec ? (x->tv_nsec < y->tv_nsec ? -1 : 1)
                                      : 0;
}

/* All entries; what an interrupted process has left is removed on the way. */
static struct entry *list_entries(int folder, size_t *count)
{
    struct entry *entries = NULL;
    size_t room = 0;
    *count = 0;
    int again = openat(folder, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *list = again >= 0 ? fdopendir(again) : NULL;
    const struct dirent *each;
    while (list != NULL && (each = readdir(list)) != NULL) {
        struct stat st;
        if (fstatat(folder, each->d_name, &st, AT_SYMLINK_NOFOLLOW) != 0)
            continue;
        if (strncmp(each->d_name, NEW_PREFIX, sizeof NEW_PREFIX - 1) == 0 &&
            time(NULL) - st.st_mtime > NEW_MAX_S)
            unlinkat(folder, each->d_name, 0);
        if (!is_entry(each->d_name))
            continue;
        if (*count == room) {
            room = room > 0 ? 2 * room : 64;
            struct entry *more = realloc(entries, room * sizeof *more);
            if (more == NULL)
                break;
            entries = more;
        }
        memcpy(entries[*count].name, each->d_name, NAME_BYTES);
        entries[*count].bytes = (uint64_t)st.st_size;
        entries[(*count)++].used = st.st_mtim;
    }
    if (list != NULL)
        closedir(list);
    return entries;
}

static void evict(int folder, uint64_t max_bytes)
{
    size_t count;
    uint64_t total = 0;
    struct entry *entries = list_entries(folder, &count);
    if (entries == NULL)
        return;
    for (size_t i = 0; i < count; i++)
        total += entries[i].bytes;
    qsort(entries, count, sizeof *entries, older_first);
    for (size_t i = 0; i < count && total > max_bytes; i++) {
        unlinkat(folder, entries[i].name, 0);
        total -= entries[i].bytes;
    }
    free(entries);
}

void link_cache_keep(int folder, const uint8_t key[LINK_DIGEST_BYTES], int file, uint64_t nbytes,
                     uint64_t max_bytes)
{
    char name[NAME_BYTES], fresh[64];
    uint8_t digest[LINK_DIGEST_BYTES];
    if (nbytes + LINK_DIGEST_BYTES > max_bytes)
        return;
    name_of(name, key);
    snprintf(fresh, sizeof fresh, NEW_PREFIX "%d", (int)getpid());
    unlinkat(folder, fresh, 0);
    int to = openat(folder, fresh, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (to < 0)
        return;
    bool good = digest_file(key, file, nbytes, to, digest) &&
                write(to, digest, sizeof digest) == (ssize_t)sizeof digest;
    good = close(to) == 0 && good;
    if (!good || renameat(folder, fresh, folder, name) != 0)
        unlinkat(folder, fresh, 0);
    evict(folder, max_bytes);
}

int link_cache_check(const char *path, struct vta_error *error)
{
    struct stat st;
    if (stat(path, &st) != 0)
        return vta_error_set(error, VTA_EIO, "tvm_cache: %s: %s", path, strerror(errno));
    if (!S_ISDIR(st.st_mode) || st.st_uid != geteuid() || (st.st_mode & 022) != 0)
        return vta_error_set(error, VTA_ECONFIG,
                             "tvm_cache: %s is not a folder of this user that nobody else may "
                             "write to",
                             path);
    return 0;
}
