/* tracker_link.h: a connection to a tracker: the name resolved, each of its addresses tried in
 * turn, then bytes. What they mean is tracker_client.c's. A link that is dropped says nothing more,
 * and frees itself from the loop.
 */
#ifndef VTA_SERVER_TRACKER_LINK_H
#define VTA_SERVER_TRACKER_LINK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <uv.h>

struct tracker_client;
struct tracker_link;

/* NULL where it cannot begin. */
struct tracker_link *tracker_link_open(struct tracker_client *client, uv_loop_t *loop,
                                       const char *host, uint16_t port);
void tracker_link_drop(struct tracker_link *link);
/* False where not all of it can be taken at once, as always is by a tracker that answers. */
bool tracker_link_write(struct tracker_link *link, const void *bytes, size_t nbytes);

/* What a link tells; each may drop it. */
void tracker_client_connecting(struct tracker_client *client); /* to one address after the other */
void tracker_client_connected(struct tracker_client *client);
/* Returns how many of these bytes it has taken; 0: more are needed, or the link is dropped. */
size_t tracker_client_arrived(struct tracker_client *client, const uint8_t *bytes, size_t nbytes);
void tracker_client_failed(struct tracker_client *client, const char *reason);

#endif
