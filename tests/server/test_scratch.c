/* Scratch folders: whose left-overs are removed, and whose are not.
 */
#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "server/scratch.h"

static char parent[64], path[512];
static struct vta_error error;

static void setup(void)
{
    snprintf(parent, sizeof parent, "/tmp/vtad-test-XXXXXX");
    cr_assert_not_null(mkdtemp(parent));
}

static void teardown(void)
{
    cr_assert_eq(scratch_remove(parent), 0);
}

TestSuite(scratch, .init = setup, .fini = teardown);

static const char *in(const char *folder, const char *name)
{
    snprintf(path, sizeof path, "%s/%s", folder, name);
    return path;
}

static void make_file(const char *folder, const char *name)
{
    int fd = open(in(folder, name), O_WRONLY | O_CREAT | O_EXCL, 0600);
    cr_assert_geq(fd, 0);
    cr_assert_eq(write(fd, "x", 1), 1);
    close(fd);
}

static bool there(const char *folder, const char *name)
{
    struct stat st;
    return lstat(in(folder, name), &st) == 0;
}

static void open_scratch(struct scratch *scratch)
{
    cr_assert_eq(scratch_open(scratch, parent, "nobody", &error), 0, "%s", error.message);
}

Test(scratch, is_made_and_removed_with_all_in_it)
{
    struct scratch scratch;
    char folder[SCRATCH_PATH_MAX];
    struct stat st;
    open_scratch(&scratch);
    cr_assert_eq(scratch_make(&scratch, folder, &error), 0);
    make_file(folder, "file");
    cr_assert_eq(stat(folder, &st), 0);
    cr_assert_eq(st.st_mode & 0777, 0700);
    cr_assert_eq(st.st_uid, geteuid() == 0 ? scratch.uid : geteuid());
    char made[SCRATCH_PATH_MAX];
    strcpy(made, scratch.path);
    scratch_close(&scratch);
    cr_assert_neq(access(made, F_OK), 0);
}

Test(scratch, removes_what_a_daemon_that_is_gone_has_left)
{
    char left[SCRATCH_PATH_MAX], *inner;
    struct scratch scratch;
    snprintf(left, sizeof left, "%s/vtad-scratch-abc", parent);
    cr_assert_eq(mkdir(left, 0700), 0);
    make_file(left, "lock");
    inner = strdup(in(left, "worker"));
    cr_assert_eq(mkdir(inner, 0700), 0);
    make_file(inner, "library.so");
    free(inner);
    open_scratch(&scratch);
    cr_assert_neq(access(left, F_OK), 0);
    scratch_close(&scratch);
}

Test(scratch, leaves_the_folder_of_a_daemon_that_runs)
{
    struct scratch first, second;
    open_scratch(&first);
    open_scratch(&second);
    cr_assert_eq(access(first.path, F_OK), 0);
    scratch_close(&second);
    cr_assert(there(first.path, "lock"));
    scratch_close(&first);
}

Test(scratch, leaves_what_is_none_of_a_daemons)
{
    struct scratch scratch;
    cr_assert_eq(mkdir(in(parent, "vtad-scratch-nolock"), 0700), 0);
    make_file(parent, "vtad-scratch-file");
    cr_assert_eq(mkdir(in(parent, "other"), 0700), 0);
    char *other = strdup(in(parent, "other"));
    make_file(other, "lock");
    cr_assert_eq(symlink("other", in(parent, "vtad-scratch-link")), 0);
    open_scratch(&scratch);
    cr_assert(there(parent, "vtad-scratch-nolock"));
    cr_assert(there(parent, "vtad-scratch-file"));
    cr_assert(there(parent, "vtad-scratch-link"));
    cr_assert(there(other, "lock"));
    scratch_close(&scratch);
    free(other);
}

Test(scratch, leaves_the_folders_of_other_users)
{
    struct scratch scratch;
    if (geteuid() != 0)
        cr_skip("only root can make another user's folder");
    char *left = strdup(in(parent, "vtad-scratch-theirs"));
    cr_assert_eq(mkdir(left, 0755), 0);
    make_file(left, "lock");
    cr_assert_eq(chown(left, 12345, 12345), 0);
    open_scratch(&scratch);
    cr_assert(there(left, "lock"));
    scratch_close(&scratch);
    free(left);
}

Test(scratch, removing_follows_no_link)
{
    char *tree = strdup(in(parent, "tree")), *kept = strdup(in(parent, "kept"));
    cr_assert_eq(mkdir(tree, 0700), 0);
    cr_assert_eq(mkdir(kept, 0700), 0);
    make_file(kept, "file");
    cr_assert_eq(symlink(kept, in(tree, "link")), 0);
    cr_assert_eq(scratch_remove(tree), 0);
    cr_assert(there(kept, "file"));
    cr_assert_eq(symlink(kept, tree), 0);
    cr_assert_neq(scratch_remove(tree), 0); /* the folder itself is a link */
    cr_assert(there(kept, "file"));
    free(tree);
    free(kept);
}

Test(scratch, removing_goes_as_deep_as_folders_do)
{
    char *tree = strdup(in(parent, "tree"));
    cr_assert_eq(mkdir(tree, 0700), 0);
    int at = open(tree, O_RDONLY | O_DIRECTORY);
    for (int i = 0; i < 300; i++) {
        cr_assert_eq(mkdirat(at, "deeper", 0700), 0);
        int inner = openat(at, "deeper", O_RDONLY | O_DIRECTORY);
        close(at);
        at = inner;
    }
    close(at);
    cr_assert_eq(scratch_remove(tree), 0);
    cr_assert_neq(access(tree, F_OK), 0);
    free(tree);
}

Test(scratch, removing_minds_no_modes)
{
    char *tree = strdup(in(parent, "tree"));
    cr_assert_eq(mkdir(tree, 0700), 0);
    char *closed = strdup(in(tree, "closed"));
    cr_assert_eq(mkdir(closed, 0700), 0);
    make_file(closed, "file");
    cr_assert_eq(chmod(closed, 0), 0);
    cr_assert_eq(chmod(tree, 0500), 0);
    cr_assert_eq(scratch_remove(tree), 0);
    free(closed);
    free(tree);
}

Test(scratch, says_where_it_cannot_be)
{
    struct scratch scratch;
    cr_assert_eq(scratch_open(&scratch, "/no/such/folder", "nobody", &error), VTA_EIO);
    cr_assert_not_null(strstr(error.message, "tvm_scratch: /no/such/folder"), "%s", error.message);
    cr_assert_eq(scratch.path[0], '\0');
    if (geteuid() == 0) {
        cr_assert_eq(scratch_open(&scratch, parent, "no-such-user", &error), VTA_ECONFIG);
        cr_assert_not_null(strstr(error.message, "no user 'no-such-user'"), "%s", error.message);
    }
}

/* As a thread does that others wait for. */
Test(scratch, is_removed_a_little_at_a_time)
{
    char *tree = strdup(in(parent, "tree")), name[16];
    int rc, slices = 0;
    cr_assert_eq(mkdir(tree, 0700), 0);
    for (int i = 0; i < 50; i++) {
        snprintf(name, sizeof name, "%d", i);
        make_file(tree, name);
    }
    while ((rc = scratch_remove_some(tree, 0)) == -EAGAIN)
        slices++;
    cr_assert_eq(rc, 0);
    cr_assert_geq(slices, 49, "%d", slices); /* each removes something, or there is no end */
    cr_assert_neq(access(tree, F_OK), 0);
    free(tree);
}
