/* fake.c: see fake.h.
 */
#include "fake.h"

#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <msgpack.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "proto/rpc.h"

static void pack_pair(msgpack_packer *packer, const char *key, uint64_t value)
{
    vta_pack_str(packer, key);
    msgpack_pack_uint64(packer, value);
}

static void pack_hardware(msgpack_packer *packer)
{
    const struct vta_hw_key *keys = vta_hw_keys();
    struct vta_hw hw;

    vta_hw_default(&hw);
    msgpack_pack_map(packer, VTA_HW_KEY_COUNT + 2);
    for (size_t i = 0; i < VTA_HW_KEY_COUNT; i++)
        pack_pair(packer, keys[i].name, *((uint8_t *)&hw + keys[i].offset));
    vta_pack_str(packer, "TARGET");
    vta_pack_str(packer, "sim");
    vta_pack_str(packer, "HW_VER");
    vta_pack_str(packer, "0.0.2");
}

static void pack_hello(msgpack_packer *packer, uint32_t msgid)
{
    vta_rpc_pack_result(packer, msgid);
    msgpack_pack_map(packer, 7);
    vta_pack_str(packer, "server");
    vta_pack_str(packer, "fake 1");
    vta_pack_str(packer, "device");
    vta_pack_str(packer, "fake");
    vta_pack_str(packer, "bitstream");
    vta_pack_str(packer, "1x16_i8w8a32_15_15_18_17");
    pack_pair(packer, "protocol", 1);
    pack_pair(packer, "module_format", 1);
    vta_pack_str(packer, "hardware");
    pack_hardware(packer);
    vta_pack_str(packer, "limits");
    msgpack_pack_map(packer, 7);
    pack_pair(packer, "message_bytes", 1 << 20);
    pack_pair(packer, "dram_bytes", 1 << 29);
    pack_pair(packer, "upload_bytes", 1 << 20);
    pack_pair(packer, "read_bytes", 1 << 20);
    pack_pair(packer, "modules", 16);
    pack_pair(packer, "buffers", 16);
    pack_pair(packer, "run_deadline_ms", 1000);
}

/* Reads whatever comes, at least one byte; 0 or less at the end. */
static ssize_t hear(int fd)
{
    char bytes[4096];

    return recv(fd, bytes, sizeof bytes, 0);
}

static void hear_all(int fd, size_t nbytes)
{
    ssize_t got;

    for (size_t heard = 0; heard < nbytes && (got = hear(fd)) > 0;)
        heard += (size_t)got;
}

static void say(int fd, const void *bytes, size_t nbytes)
{
    const char *at = bytes;

    while (nbytes > 0) {
        ssize_t sent = send(fd, at, nbytes, MSG_NOSIGNAL);
        if (sent <= 0)
            return; /* the client has left */
        at += sent;
        nbytes -= (size_t)sent;
    }
}

static void *play(void *context)
{
    struct fake *fake = context;
    msgpack_sbuffer hello;
    msgpack_packer packer;
    int fd = accept(fake->listener, NULL, NULL);

    msgpack_sbuffer_init(&hello);
    msgpack_packer_init(&packer, &hello, msgpack_sbuffer_write);
    pack_hello(&packer, 1); /* a client's first request is 1 */
    if (hear(fd) > 0 && fake->hello) {
        say(fd, hello.data, hello.size);
        hear(fd);
    }
    say(fd, fake->bytes, fake->nbytes);
    if (fake->end == FAKE_WAITS)
        hear_all(fd, SIZE_MAX);
    else
        hear_all(fd, fake->hears);
    msgpack_sbuffer_destroy(&hello);
    close(fd);
    return NULL;
}

void fake_start(struct fake *fake, bool hello, const void *bytes, size_t nbytes, enum fake_end end)
{
    struct sockaddr_in address = { .sin_family = AF_INET,
                                   .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    socklen_t length = sizeof address;

    *fake = (struct fake){ .bytes = bytes, .nbytes = nbytes, .end = end, .hello = hello };
    fake->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    cr_assert_eq(bind(fake->listener, (struct sockaddr *)&address, sizeof address), 0);
    cr_assert_eq(listen(fake->listener, 1), 0);
    cr_assert_eq(getsockname(fake->listener, (struct sockaddr *)&address, &length), 0);
    fake->port = ntohs(address.sin_port);
    cr_assert_eq(pthread_create(&fake->thread, NULL, play, fake), 0);
}

void fake_join(struct fake *fake)
{
    pthread_join(fake->thread, NULL);
    close(fake->listener);
}

struct vta_session *fake_connect(const struct fake *fake, unsigned timeout_ms)
{
    struct vta_error error = { .message = "" };
    struct vta_session *session = vta_connect_timeout("127.0.0.1", fake->port, timeout_ms, &error);

    cr_assert_not_null(session, "%s", error.message);
    return session;
}
