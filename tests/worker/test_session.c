/* test_session.c: packets and the life of a session: what begins it, what it refuses and goes on,
 * what ends it.
 */
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "kit.h"

static struct kit kit;
static struct client client;
static struct reply reply;

static void begin(void)
{
    kit_open(&kit, NULL);
    client_open_bare(&client, &kit);
}

static void begin_ready(void)
{
    kit_open(&kit, NULL);
    client_open(&client, &kit);
}

static void end(void)
{
    client_close(&client);
    cr_assert_eq(client.rc, 0, "%s", client.error.message);
    cr_assert_eq(worker_cpu_bytes(&kit.worker), 0);
    cr_assert_eq(kit_modules(), 0);
    kit_close(&kit);
}

/* InitServer with a version and the constructor's name and arguments. */
static void init(const char *version, const char *letters, const char *constructor)
{
    struct packet body = { 0 };
    put_text(&body, version);
    put_values(&body, letters, constructor, (int64_t)1);
    client_send(&client, TVM_PACKET_INIT_SERVER, &body);
    client_receive(&client, &reply);
    packet_free(&body);
}

static void goes_on(void)
{
    ask(&client, &reply, TVM_PACKET_GET_GLOBAL_FUNC, "s", "no.such.function");
    cr_assert_eq(expect_handle(&reply, 0), 0);
}

/* A packet with a body of any bytes. */
static void send_body(uint32_t code, const void *bytes, size_t nbytes)
{
    struct packet body = { 0 };
    put_bytes(&body, bytes, nbytes);
    client_send(&client, code, &body);
    client_receive(&client, &reply);
    packet_free(&body);
}

TestSuite(session, .timeout = 60);

Test(session, allows_nothing_before_init_server, .init = begin, .fini = end)
{
    const uint8_t copy[32 + 8] = { 0 };
    ask(&client, &reply, TVM_PACKET_GET_GLOBAL_FUNC, "s", "x");
    expect_exception(&reply, "GetGlobalFunc before InitServer");
    call(&client, &reply, 1, "");
    expect_exception(&reply, "CallFunc before InitServer");
    send_body(TVM_PACKET_COPY_TO_REMOTE, copy, sizeof copy);
    expect_exception(&reply, "CopyToRemote before InitServer");
    send_body(TVM_PACKET_COPY_FROM_REMOTE, copy, sizeof copy);
    expect_exception(&reply, "CopyFromRemote before InitServer");
    init("0.8.0", "", NULL);
    expect_null(&reply);
    goes_on();
}

Test(session, speaks_one_version, .init = begin, .fini = end)
{
    init("0.7.1", "", NULL);
    expect_exception(&reply, "protocol version 0.7.1; this server speaks 0.8.0");
    init("0.8.0", "", NULL);
    expect_null(&reply);
    init("0.8.0", "", NULL);
    expect_exception(&reply, "initialised before");
    goes_on();
}

Test(session, constructs_only_the_local_session, .init = begin, .fini = end)
{
    init("0.8.0", "s", "rpc.Connect");
    expect_exception(&reply, "no session constructor rpc.Connect");
    init("0.8.0", "si", "rpc.LocalSession");
    expect_exception(&reply, "takes no arguments, got 1");
    init("0.8.0", "n", NULL);
    expect_exception(&reply, "is a string, not null");
    init("0.8.0", "s", "rpc.LocalSession");
    expect_null(&reply);
    goes_on();
}

Test(session, ignores_packets_of_no_bytes, .init = begin_ready, .fini = end)
{
    const uint8_t nothing[24] = { 0 };
    client_send_raw(&client, nothing, sizeof nothing);
    goes_on();
}

Test(session, names_codes_that_are_no_requests, .init = begin_ready, .fini = end)
{
    send_body(99, NULL, 0);
    expect_exception(&reply, "packet code 99 is unknown");
    send_body(0, "xy", 2);
    expect_exception(&reply, "packet code 0 is unknown");
    send_body(TVM_PACKET_RETURN, NULL, 0);
    expect_exception(&reply, "packet code 4 is an answer's");
    send_body(TVM_PACKET_COPY_ACK, NULL, 0);
    expect_exception(&reply, "packet code 8 is an answer's");
    send_body(22, NULL, 0);
    expect_exception(&reply, "packet code 22 is unknown");
    goes_on();
}

Test(session, skips_a_packet_without_a_code, .init = begin_ready, .fini = end)
{
    const uint8_t packet[] = { 3, 0, 0, 0, 0, 0, 0, 0, 'a', 'b', 'c' };
    client_send_raw(&client, packet, sizeof packet);
    client_receive(&client, &reply);
    expect_exception(&reply, "a packet of 3 bytes has no code");
    goes_on();
}

Test(session, says_where_a_packet_ends_too_early_or_late, .init = begin_ready, .fini = end)
{
    const uint8_t half[] = { 1, 0 };
    const uint8_t one_string[] = { 1, 0, 0, 0, 11, 0, 0, 0, 9, 0, 0, 0, 0, 0, 0, 0, 'x' };
    const uint8_t many[] = { 255, 255, 255, 127 };
    const uint8_t odd_type[] = { 1, 0, 0, 0, 77, 0, 0, 0 };
    const uint8_t more[] = { 1, 0, 0, 0, 11, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 'x', 'y' };
    send_body(TVM_PACKET_GET_GLOBAL_FUNC, half, sizeof half);
    expect_exception(&reply, "GetGlobalFunc: the packet ends within the number of values");
    send_body(TVM_PACKET_GET_GLOBAL_FUNC, one_string, sizeof one_string);
    expect_exception(&reply, "value 1 of 1: the packet ends within string: 9 bytes are needed, 1");
    send_body(TVM_PACKET_GET_GLOBAL_FUNC, many, sizeof many);
    expect_exception(&reply, "2147483647 values");
    send_body(TVM_PACKET_GET_GLOBAL_FUNC, odd_type, sizeof odd_type);
    expect_exception(&reply, "type code 77");
    send_body(TVM_PACKET_GET_GLOBAL_FUNC, more, sizeof more);
    expect_exception(&reply, "1 bytes follow");
    send_body(TVM_PACKET_CALL_FUNC, half, sizeof half);
    expect_exception(&reply, "ends within the function's handle");
    goes_on();
}

Test(session, counts_and_types_arguments_of_system_calls, .init = begin_ready, .fini = end)
{
    ask(&client, &reply, TVM_PACKET_GET_GLOBAL_FUNC, "");
    expect_exception(&reply, "GetGlobalFunc: takes 1 argument, got 0");
    ask(&client, &reply, TVM_PACKET_GET_GLOBAL_FUNC, "i", (int64_t)1);
    expect_exception(&reply, "GetGlobalFunc: argument 1 is a string, not of type int");
    ask(&client, &reply, TVM_PACKET_DEV_ALLOC_DATA, "diin", 1, 0, (int64_t)1, (int64_t)1);
    expect_exception(&reply, "DevAllocData: argument 4 is a dtype, not of type null");
    ask(&client, &reply, TVM_PACKET_FREE_HANDLE, "h", (uint64_t)1);
    expect_exception(&reply, "FreeHandle: takes 2 arguments, got 1");
    goes_on();
}

Test(session, refuses_a_packet_past_the_limit_and_goes_on, .init = begin_ready, .fini = end)
{
    size_t nbytes = (1 << 20) + 1000;
    uint8_t *bytes = calloc(1, nbytes);
    send_body(TVM_PACKET_GET_GLOBAL_FUNC, bytes, nbytes);
    expect_exception(&reply,
                     "GetGlobalFunc: a packet of 1049580 bytes passes the limit of 1048576");
    free(bytes);
    goes_on();
}

Test(session, ends_with_a_reason_where_no_next_packet_can_be_found, .init = begin_ready)
{
    client_send_raw(&client, "GET / HTTP/1.1\r\n\r\n", 18);
    client_receive(&client, &reply);
    expect_exception(&reply, "this is not TVM's RPC");
    client_close(&client);
    cr_assert_eq(client.rc, VTA_EPROTO);
    kit_close(&kit);
}

Test(session, ends_with_shutdown_and_frees_everything, .init = begin_ready, .fini = end)
{
    memory_of(&client, TVM_CPU, 1000);
    memory_of(&client, TVM_EXT_DEV, 1000);
    uint64_t module = module_of(&client, "a.so");
    kernel_of(&client, module, "count");
    struct packet none = { 0 };
    client_send(&client, TVM_PACKET_SHUTDOWN, &none);
}

Test(session, tells_a_close_within_a_packet_from_one_between_packets, .init = begin_ready)
{
    client_send_raw(&client, "\x08\0\0\0\0\0\0\0\x09\0\0", 11);
    client_close(&client);
    cr_assert_eq(client.rc, VTA_ECLOSED);
    kit_close(&kit);
}

Test(session, serves_requests_that_arrive_byte_by_byte_or_together)
{
    struct packet input = { 0 };
    struct vta_error error;
    kit_open(&kit, NULL);
    put_u64(&input, 4 + 8 + 5 + 4);
    put_u32(&input, TVM_PACKET_INIT_SERVER);
    put_text(&input, "0.8.0");
    put_values(&input, "");
    for (int i = 0; i < 100; i++) {
        put_u64(&input, 4 + 4 + 4 + 8 + 3);
        put_u32(&input, TVM_PACKET_GET_GLOBAL_FUNC);
        put_values(&input, "s", "abc");
    }
    struct memory_wire together = { .input = input.bytes, .input_bytes = input.size };
    struct memory_wire bytes = { .input = input.bytes, .input_bytes = input.size, .most = 1 };
    struct wire wires[] = { wire_memory(&together), wire_memory(&bytes) };
    cr_assert_eq(session_run(&kit.worker, &wires[0], NULL, 0, &error), 0);
    cr_assert_eq(session_run(&kit.worker, &wires[1], NULL, 0, &error), 0);
    cr_assert_eq(together.output_bytes, bytes.output_bytes);
    cr_assert_eq(memcmp(together.output, bytes.output, bytes.output_bytes), 0);
    free(together.output);
    free(bytes.output);
    packet_free(&input);
    kit_close(&kit);
}

Test(session, begins_with_bytes_that_were_read_before)
{
    struct packet input = { 0 };
    struct vta_error error;
    kit_open(&kit, NULL);
    put_u64(&input, 4 + 8 + 5 + 4);
    put_u32(&input, TVM_PACKET_INIT_SERVER);
    put_text(&input, "0.8.0");
    put_values(&input, "");
    struct memory_wire rest = { .input = input.bytes + 7, .input_bytes = input.size - 7 };
    struct wire wire = wire_memory(&rest);
    cr_assert_eq(session_run(&kit.worker, &wire, input.bytes, 7, &error), 0);
    cr_assert_eq(rest.output_bytes, 8 + 4 + 4 + 4);
    free(rest.output);
    packet_free(&input);
    kit_close(&kit);
}

Test(session, knows_the_devices_and_no_others, .init = begin_ready, .fini = end)
{
    const int devices[][3] = { { TVM_CPU, 0, 1 },
                               { TVM_EXT_DEV, 0, 1 },
                               { TVM_CPU, 1, 0 },
                               { TVM_EXT_DEV, 3, 0 },
                               { 2, 0, 0 } };
    for (size_t i = 0; i < sizeof devices / sizeof devices[0]; i++) {
        ask(&client, &reply, TVM_PACKET_DEV_GET_ATTR, "di", devices[i][0], devices[i][1],
            (int64_t)0);
        cr_assert_eq(expect_int(&reply), devices[i][2]);
    }
    ask(&client, &reply, TVM_PACKET_DEV_GET_ATTR, "di", TVM_CPU, 0, (int64_t)5);
    expect_null(&reply);
    ask(&client, &reply, TVM_PACKET_DEV_GET_ATTR, "di", 2, 0, (int64_t)5);
    expect_exception(&reply, "device type 2 id 0 does not exist");
    ask(&client, &reply, TVM_PACKET_DEV_SET_DEVICE, "d", TVM_EXT_DEV, 0);
    expect_null(&reply);
    ask(&client, &reply, TVM_PACKET_DEV_SET_DEVICE, "d", TVM_EXT_DEV, 1);
    expect_exception(&reply, "device type 12 id 1 does not exist");
}

Test(session, has_one_stream_which_is_0, .init = begin_ready, .fini = end)
{
    ask(&client, &reply, TVM_PACKET_DEV_CREATE_STREAM, "d", TVM_EXT_DEV, 0);
    cr_assert_eq(expect_handle(&reply, 0), 0);
    ask(&client, &reply, TVM_PACKET_DEV_GET_CURRENT_STREAM, "d", TVM_CPU, 0);
    cr_assert_eq(expect_handle(&reply, 0), 0);
    ask(&client, &reply, TVM_PACKET_DEV_STREAM_SYNC, "dh", TVM_EXT_DEV, 0, (uint64_t)0);
    expect_null(&reply);
    ask(&client, &reply, TVM_PACKET_DEV_STREAM_SYNC, "dn", TVM_CPU, 0);
    expect_null(&reply);
    ask(&client, &reply, TVM_PACKET_DEV_SET_STREAM, "dh", TVM_CPU, 0, (uint64_t)0);
    expect_null(&reply);
    ask(&client, &reply, TVM_PACKET_DEV_FREE_STREAM, "dh", TVM_CPU, 0, (uint64_t)77);
    expect_exception(&reply, "stream handle 0x4d was never given out");
    ask(&client, &reply, TVM_PACKET_DEV_CREATE_STREAM, "d", 3, 0);
    expect_exception(&reply, "device type 3");
}
