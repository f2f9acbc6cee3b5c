/* test_linker.c: the linker process, asked by a worker that a client's machine code may own. */
#include <criterion/criterion.h>
#include <elf.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "worker/channel.h"
#include "worker/linking.h"

#define FILE_BYTES "1048576"

static int linker = -1;
static pid_t pid;
static char folder[] = "/tmp/vtad-test-linker-XXXXXX";
static uint8_t payload[CHANNEL_PAYLOAD_MAX];

/* Its linker is one that writes what it was given as the library. */
static void begin(void)
{
    char fake[64];
    int ends[2];
    cr_assert_not_null(mkdtemp(folder));
    cr_assert_eq(chmod(folder, 0777), 0);
    snprintf(fake, sizeof fake, "%s/ld", folder);
    FILE *file = fopen(fake, "w");
    cr_assert_not_null(file);
    fputs("#!/bin/sh\ncat 0.o >library.so\n", file);
    fclose(file);
    cr_assert_eq(chmod(fake, 0755), 0);
    cr_assert_eq(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends), 0);
    linker = ends[0];
    pid = fork();
    if (pid == 0) {
        dup2(ends[1], STDIN_FILENO);
        execl(VTAD_WORKER_PATH, VTAD_WORKER_PATH, "link", fake, folder, "nobody", "", "0",
              FILE_BYTES, "4294967296", "10", (char *)NULL);
        _exit(127);
    }
    close(ends[1]);
}

static void end(void)
{
    char command[96];
    int status;
    close(linker);
    cr_assert_eq(waitpid(pid, &status, 0), pid);
    cr_assert(WIFEXITED(status));
    snprintf(command, sizeof command, "rm -rf %s", folder);
    cr_assert_eq(system(command), 0);
}

TestSuite(linker, .init = begin, .fini = end);

static void say(uint32_t type, int32_t number, uint64_t id, const void *bytes, size_t nbytes)
{
    const struct channel_head head = { .type = type, .number = number, .id = id };
    channel_send(linker, &head, bytes, nbytes, -1, false);
}

static int hear(char *words, size_t size)
{
    struct channel_head head;
    size_t nbytes;
    int library;
    cr_assert(channel_receive(linker, &head, payload, &nbytes, &library, true));
    cr_assert_eq(head.type, LINK_RESULT);
    snprintf(words, size, "%.*s", (int)nbytes, (const char *)payload);
    return library;
}

static void expect_refusal(const char *expected)
{
    char words[512];
    cr_assert_eq(hear(words, sizeof words), -1);
    cr_assert_not_null(strstr(words, expected), "%s", words);
}

static void give(const void *bytes, size_t nbytes)
{
    say(LINK_OBJECT, 1, nbytes, NULL, 0);
    say(LINK_BYTES, 0, 0, bytes, nbytes);
}

static Elf64_Ehdr object(void)
{
    Elf64_Ehdr header = { .e_type = ET_REL };
    memcpy(header.e_ident, ELFMAG, SELFMAG);
    return header;
}

Test(linker, gives_back_what_was_made_of_an_object)
{
    const Elf64_Ehdr header = object();
    char words[512];
    give(&header, sizeof header);
    int library = hear(words, sizeof words);
    cr_assert_geq(library, 0, "%s", words);
    cr_assert_eq(pread(library, payload, sizeof payload, 0), (ssize_t)sizeof header);
    cr_assert_eq(memcmp(payload, &header, sizeof header), 0);
    close(library);
}

Test(linker, takes_no_script_for_an_object)
{
    static const char script[] =
        "TARGET(binary) INPUT(/usr/bin/ld) /* as long as the header of an object file is */";
    give(script, sizeof script);
    expect_refusal("not an object file");
}

Test(linker, takes_no_script_whose_first_bytes_come_alone)
{
    say(LINK_OBJECT, 1, 200, NULL, 0);
    say(LINK_BYTES, 0, 0, ELFMAG, SELFMAG);
    say(LINK_BYTES, 0, 0, "INPUT(/usr/bin/ld)", 18);
    expect_refusal("not an object file");
}

Test(linker, takes_no_library_and_no_program)
{
    Elf64_Ehdr header = object();
    header.e_type = ET_DYN;
    give(&header, sizeof header);
    expect_refusal("not an object file");
}

Test(linker, takes_no_empty_object)
{
    say(LINK_OBJECT, 1, 0, NULL, 0);
    expect_refusal("not an object file");
}

Test(linker, takes_no_more_bytes_than_were_announced)
{
    const Elf64_Ehdr header = object();
    say(LINK_OBJECT, 1, sizeof header - 1, NULL, 0);
    say(LINK_BYTES, 0, 0, &header, sizeof header);
    expect_refusal("not what a worker says");
}

Test(linker, takes_no_more_bytes_than_are_allowed)
{
    say(LINK_OBJECT, 2, UINT64_MAX, NULL, 0);
    expect_refusal("more than " FILE_BYTES " bytes together");
}

Test(linker, says_why_to_a_worker_that_has_said_everything_already)
{
    const Elf64_Ehdr header = object();
    say(LINK_OBJECT, 3, 1 << 30, NULL, 0);
    for (int i = 0; i < 16; i++)
        say(LINK_BYTES, 0, 0, &header, sizeof header);
    expect_refusal("more than " FILE_BYTES " bytes together");
}

Test(linker, takes_no_descriptors)
{
    const struct channel_head head = { .type = LINK_OBJECT, .number = 1, .id = 64 };
    cr_assert_eq(channel_send(linker, &head, NULL, 0, STDERR_FILENO, true), 0);
    expect_refusal("not what a worker says");
}

Test(linker, waits_not_for_ever_for_objects)
{
    say(LINK_OBJECT, 1, 200, NULL, 0);
    expect_refusal("did not come within");
}
