/* Listen addresses as text.
 */
#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "server/address.h"

static void accept_tcp(const char *text, const char *host, unsigned port)
{
    struct address address;
    struct vta_error error = { 0 };
    cr_assert_eq(address_parse(&address, text, &error), 0, "%s: %s", text, error.message);
    cr_assert(!address.local);
    cr_assert_str_eq(address.host, host);
    cr_assert_eq(address.port, port);
}

static void refuse(const char *text, const char *reason)
{
    struct address address;
    struct vta_error error = { 0 };
    cr_assert_eq(address_parse(&address, text, &error), VTA_EINVAL, "%s was accepted", text);
    cr_assert_not_null(strstr(error.message, reason), "%s: %s", text, error.message);
}

Test(address, takes_ipv4_ipv6_in_brackets_and_names)
{
    accept_tcp("127.0.0.1:9091", "127.0.0.1", 9091);
    accept_tcp("0.0.0.0:0", "0.0.0.0", 0);
    accept_tcp("[::1]:65535", "::1", 65535);
    accept_tcp("[fe80::1%eth0]:1", "fe80::1%eth0", 1);
    accept_tcp("localhost:80", "localhost", 80);
}

Test(address, takes_a_unix_path)
{
    struct address address;
    cr_assert_eq(address_parse(&address, "unix:/run/a:b", NULL), 0);
    cr_assert(address.local);
    cr_assert_str_eq(address.path, "/run/a:b");
}

Test(address, refuses_what_is_no_address_and_says_why)
{
    refuse("", "HOST:PORT");
    refuse("9091", "HOST:PORT");
    refuse(":9091", "HOST:PORT");
    refuse("host", "HOST:PORT");
    refuse("[::1]", "HOST:PORT");
    refuse("[::1]9091", "HOST:PORT");
    refuse("[::1", "HOST:PORT");
    refuse("[]:1", "HOST:PORT");
    refuse("::1:9091", "brackets");
    refuse("host:", "not a port number");
    refuse("host:-1", "not a port number");
    refuse("host: 1", "not a port number");
    refuse("host:80x", "not a port number");
    refuse("host:65536", "65535");
    refuse("host:99999999999999999999", "65535");
    refuse("unix:", "path");
}

Test(address, refuses_a_unix_path_that_no_socket_address_holds)
{
    char text[200] = "unix:/";
    memset(text + 6, 'a', 150);
    refuse(text, "107");
}

Test(address, prints_each_family_as_it_is_written)
{
    char text[ADDRESS_TEXT];
    struct sockaddr_in in = { .sin_family = AF_INET, .sin_port = htons(9091) };
    inet_pton(AF_INET, "10.0.0.7", &in.sin_addr);
    address_print((struct sockaddr *)&in, text);
    cr_assert_str_eq(text, "10.0.0.7:9091");

    struct sockaddr_in6 in6 = { .sin6_family = AF_INET6, .sin6_port = htons(1) };
    inet_pton(AF_INET6, "::1", &in6.sin6_addr);
    address_print((struct sockaddr *)&in6, text);
    cr_assert_str_eq(text, "[::1]:1");

    struct sockaddr_un un = { .sun_family = AF_UNIX, .sun_path = "/run/x" };
    address_print((struct sockaddr *)&un, text);
    cr_assert_str_eq(text, "unix:/run/x");
}
