/* address.h: the words of --listen: HOST:PORT, [IPV6]:PORT or unix:PATH. Text only; sockets are in
 * listen.h.
 */
#ifndef VTA_SERVER_ADDRESS_H
#define VTA_SERVER_ADDRESS_H

#include <netinet/in.h>
#include <stdint.h>
#include <sys/un.h>

#include <vta/error.h>

struct address {
    bool local; /* a Unix socket: path counts; else host and port */
    char host[256];
    uint16_t port; /* 0: any free one */
    char path[sizeof((struct sockaddr_un *)0)->sun_path];
};

/* Returns 0 or VTA_EINVAL with a message that shows the forms that are accepted. */
int address_parse(struct address *address, const char *text, struct vta_error *error);

/* "127.0.0.1:9091", "[::1]:9091" or "unix:PATH" of a socket address. text holds
 * ADDRESS_TEXT bytes. */
#define ADDRESS_TEXT 128
void address_print(const struct sockaddr *address, char *text);

#endif
