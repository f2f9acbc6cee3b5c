/* address.c: parsing and printing of listen addresses.
 */
#include "address.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int parse_path(struct address *address, const char *path, struct vta_error *error)
{
    size_t length = strlen(path);
    if (length == 0)
        return vta_error_set(error, VTA_EINVAL,
                             "listen: 'unix:' needs a path, as in unix:/run/vtad.sock");
    if (length >= sizeof address->path)
        return vta_error_limit(
            error, VTA_EINVAL, (int64_t)sizeof address->path - 1, (int64_t)length,
            "listen: the path of a Unix socket has at most %zu bytes, '%s' has %zu",
            sizeof address->path - 1, path, length);
    address->local = true;
    memcpy(address->path, path, length + 1);
    return 0;
}

static int parse_port(struct address *address, const char *text, const char *port,
                      struct vta_error *error)
{
    char *end = NULL;
    unsigned long value = strtoul(port, &end, 10);
    if (port[0] < '0' || port[0] > '9' || *end != '\0')
        return vta_error_set(error, VTA_EINVAL, "listen: '%s': '%s' is not a port number", text,
                             port);
    if (value > UINT16_MAX || end - port > 5)
        return vta_error_limit(error, VTA_EINVAL, UINT16_MAX, (int64_t)value,
                               "listen: '%s': port %s is above 65535", text, port);
    address->port = (uint16_t)value;
    return 0;
}

int address_parse(struct address *address, const char *text, struct vta_error *error)
{
    *address = (struct address){ 0 };
    if (strncmp(text, "unix:", 5) == 0)
        return parse_path(address, text + 5, error);

    const char *host = text, *host_end = NULL, *port = NULL;
    if (text[0] == '[') {
        host = text + 1;
        host_end = strchr(host, ']');
        port = host_end != NULL && host_end[1] == ':' ? host_end + 2 : NULL;
    } else {
        host_end = strchr(text, ':');
        port = host_end != NULL ? host_end + 1 : NULL;
        if (port != NULL && strchr(port, ':') != NULL)
            return vta_error_set(error, VTA_EINVAL,
                                 "listen: '%s': an IPv6 address goes in brackets, as in [::1]:9091",
                                 text);
    }
    if (port == NULL || host_end == host)
        return vta_error_set(error, VTA_EINVAL,
                             "listen: '%s' is not HOST:PORT, [IPV6]:PORT or unix:PATH", text);

    size_t length = (size_t)(host_end - host);
    if (length >= sizeof address->host)
        return vta_error_limit(
            error, VTA_EINVAL, (int64_t)sizeof address->host - 1, (int64_t)length,
            "listen: a host name has at most %zu bytes, not %zu", sizeof address->host - 1, length);
    memcpy(address->host, host, length);
    return parse_port(address, text, port, error);
}

void address_print(const struct sockaddr *address, char *text)
{
    char host[INET6_ADDRSTRLEN] = "?";
    switch (address->sa_family) {
    case AF_INET: {
        const struct sockaddr_in *in = (const struct sockaddr_in *)address;
        inet_ntop(AF_INET, &in->sin_addr, host, sizeof host);
        snprintf(text, ADDRESS_TEXT, "%s:%u", host, ntohs(in->sin_port));
        break;
    }
    case AF_INET6: {
        const struct sockaddr_in6 *in6 = (const struct sockaddr_in6 *)address;
        inet_ntop(AF_INET6, &in6->sin6_addr, host, sizeof host);
        snprintf(text, ADDRESS_TEXT, "[%s]:%u", host, ntohs(in6->sin6_port));
        break;
    }
    case AF_UNIX: {
        const struct sockaddr_un *un = (const struct sockaddr_un *)address;
        snprintf(text, ADDRESS_TEXT, "unix:%.*s", (int)sizeof un->sun_path, un->sun_path);
        break;
    }
    default:
        snprintf(text, ADDRESS_TEXT, "address family %d", address->sa_family);
    }
}
