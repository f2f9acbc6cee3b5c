/* tracker_config.c: what the keys of trackers must be, and how they must agree with others.
 */
#include <string.h>

#include "address.h"
#include "config.h"
#include "proto/tvm_tracker.h"

static int check_word(const char *name, const char *text, size_t max, struct vta_error *error)
{
    if (text == NULL || tvm_tracker_is_word(text, max))
        return 0;
    return vta_error_set(error, VTA_ECONFIG,
                         "%s: '%s' is not one word of 1 to %zu bytes, printable ASCII without "
                         "quotes and backslashes",
                         name, text, max);
}

static int check_address(const char *name, const char *text, bool any_port, struct vta_error *error)
{
    struct address address;
    if (text == NULL)
        return 0;
    if (address_parse(&address, text, NULL) != 0 || address.local ||
        (address.port == 0 && !any_port))
        return vta_error_set(error, VTA_ECONFIG, "%s: '%s' is not HOST:PORT or [IPV6]:PORT", name,
                             text);
    return 0;
}

static int check_offers(const struct config *config, struct vta_error *error)
{
    if (config->tracker == NULL)
        return 0;
    if (config->tracker_key == NULL)
        return vta_error_set(error, VTA_ECONFIG, "tracker: needs a tracker_key, too");
    if (config->tvm == TVM_OFF)
        return vta_error_set(error, VTA_ECONFIG, "tracker: needs TVM sessions, but tvm is off");
    if (config->tracker_boards > config->max_tvm_sessions)
        return vta_error_limit(error, VTA_ECONFIG, (int64_t)config->max_tvm_sessions,
                               (int64_t)config->tracker_boards,
                               "tracker_boards: %llu is above max_tvm_sessions, %llu",
                               (unsigned long long)config->tracker_boards,
                               (unsigned long long)config->max_tvm_sessions);
    return 0;
}

int config_check_tracker(const struct config *config, struct vta_error *error)
{
    int rc = check_address("tracker", config->tracker, false, error);
    if (rc == 0)
        rc = check_address("serve_tracker", config->serve_tracker, true, error);
    if (rc == 0)
        rc = check_word("tracker_key", config->tracker_key, TVM_TRACKER_KEY_MAX, error);
    if (rc == 0)
        rc = check_word("tracker_stop_key", config->tracker_stop_key, TVM_TRACKER_KEY_MAX, error);
    if (rc == 0)
        rc = check_word("tracker_address", config->tracker_address, TVM_TRACKER_HOST_MAX, error);
    return rc != 0 ? rc : check_offers(config, error);
}
