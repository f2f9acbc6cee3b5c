/* hw_json.c: a hardware configuration as the text of a vta_config.json, and back.
 *
 * Accepts any bytes: what is not a configuration is refused with the key, the limit and the value;
 * what is unknown is passed over with a warning, because files in use hold keys of other tools.
 * What the values must be is vta_hw_derive's to say (hw.c).
 */
#include <vta/hw.h>

#include "suggest.h"
#include "text_file.h"

#include <cjson/cJSON.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TEXT_MAX 65536
#define KEYS_MAX 64
#define LOG_MAX  31 /* beyond every limit of vta_hw_derive, and still a shift of 32 bits */

/* Every key that a text may hold; the order is that of the bits in `seen`. */
enum {
    KEY_TARGET,
    KEY_HW_VER,
    KEY_RAW,
    KEY_DERIVED = KEY_RAW + VTA_HW_KEY_COUNT
};

static const char *const derived_names[] = { "LOG_BLOCK_IN", "LOG_BLOCK_OUT", "LOG_OUT_WIDTH",
                                             "LOG_OUT_BUFF_SIZE" };
#define DERIVED_COUNT (sizeof derived_names / sizeof derived_names[0])
#define KEY_COUNT     (KEY_DERIVED + DERIVED_COUNT)

/* What a text says, before anything is derived from it. */
struct reading {
    struct vta_hw hw;
    uint8_t derived[DERIVED_COUNT];
    uint32_t seen; /* one bit per key */
    const struct vta_hw_warnings *warnings;
};

static void list_names(const char *names[KEY_COUNT])
{
    names[KEY_TARGET] = "TARGET";
    names[KEY_HW_VER] = "HW_VER";
    for (size_t i = 0; i < VTA_HW_KEY_COUNT; i++)
        names[KEY_RAW + i] = vta_hw_keys()[i].name;
    for (size_t i = 0; i < DERIVED_COUNT; i++)
        names[KEY_DERIVED + i] = derived_names[i];
}

/* The key of a name, or KEY_COUNT. */
static size_t find_key(const char *const names[KEY_COUNT], const char *name)
{
    size_t key = 0;
    while (key < KEY_COUNT && strcmp(names[key], name) != 0)
        key++;
    return key;
}

static bool is_raw(size_t key)
{
    return key >= KEY_RAW && key < KEY_DERIVED;
}

static bool is_seen(const struct reading *reading, size_t key)
{
    return (reading->seen & 1u << key) != 0;
}

static void VTA_PRINTF(2, 3) warn(const struct reading *reading, const char *format, ...)
{
    char line[256];
    va_list args;
    if (reading->warnings == NULL || reading->warnings->line == NULL)
        return;
    va_start(args, format);
    vsnprintf(line, sizeof line, format, args);
    va_end(args);
    for (char *at = line; *at != '\0'; at++)
        if (*at < ' ' || *at > '~')
            *at = '?';
    reading->warnings->line(reading->warnings->context, line);
}

/* ---- Reading ------------------------------------------------------------------------------- */

/* A board of a kind that is not known here is simulated as any other. */
static int read_target(struct reading *reading, const cJSON *item, struct vta_error *error)
{
    if (!cJSON_IsString(item))
        return vta_error_set(error, VTA_ECONFIG, "TARGET is not a string");
    for (unsigned i = 0; i < VTA_TARGET_COUNT; i++) {
        if (strcmp(item->valuestring, vta_target_name((enum vta_target)i)) == 0) {
            reading->hw.target = (enum vta_target)i;
            return 0;
        }
    }
    reading->hw.target = VTA_TARGET_SIM;
    warn(reading, "TARGET '%.64s' is unknown and taken as sim", item->valuestring);
    return 0;
}

static int read_version(struct vta_hw *hw, const cJSON *item, struct vta_error *error)
{
    if (!cJSON_IsString(item))
        return vta_error_set(error, VTA_ECONFIG, "HW_VER is not a string");
    size_t length = strlen(item->valuestring);
    if (length >= sizeof hw->hw_ver)
        return vta_error_limit(error, VTA_ECONFIG, VTA_HW_VER_MAX - 1, (int64_t)length,
                               "HW_VER '%.64s' has %zu bytes, at most %d fit", item->valuestring,
                               length, VTA_HW_VER_MAX - 1);
    memcpy(hw->hw_ver, item->valuestring, length + 1);
    return 0;
}

static int read_log(uint8_t *log, const cJSON *item, struct vta_error *error)
{
    if (!cJSON_IsNumber(item))
        return vta_error_set(error, VTA_ECONFIG, "%s is not a number", item->string);
    double value = item->valuedouble;
    /* Negated, so that a NaN is refused too. */
    if (!(value >= 0 && value <= LOG_MAX))
        return vta_error_limit(error, VTA_ECONFIG, LOG_MAX, item->valueint,
                               "%s is %g, but must be from 0 to %d", item->string, value, LOG_MAX);
    if (value != (double)(int)value)
        return vta_error_set(error, VTA_ECONFIG, "%s is %g, but must be a whole number",
                             item->string, value);
    *log = (uint8_t)value;
    return 0;
}

static int read_value(struct reading *reading, size_t key, const cJSON *item,
                      struct vta_error *error)
{
    if (key == KEY_TARGET)
        return read_target(reading, item, error);
    if (key == KEY_HW_VER)
        return read_version(&reading->hw, item, error);
    if (key >= KEY_DERIVED)
        return read_log(&reading->derived[key - KEY_DERIVED], item, error);
    return read_log((uint8_t *)&reading->hw + vta_hw_keys()[key - KEY_RAW].offset, item, error);
}

/* What is unknown is for judge_unknown to say. */
static int read_item(struct reading *reading, const cJSON *item, struct vta_error *error)
{
    const char *names[KEY_COUNT];
    list_names(names);
    size_t key = find_key(names, item->string);
    if (key == KEY_COUNT)
        return 0;
    if (is_seen(reading, key))
        return vta_error_set(error, VTA_ECONFIG, "%s is given twice", names[key]);
    reading->seen |= 1u << key;
    return read_value(reading, key, item, error);
}

/* Other tools have a size for each side of a weight tile. */
static int read_block(struct reading *reading, struct vta_error *error)
{
    const char *names[KEY_COUNT];
    list_names(names);
    const size_t block = find_key(names, "LOG_BLOCK");
    const uint8_t in = reading->derived[0], out = reading->derived[1];
    if (is_seen(reading, block) || !is_seen(reading, KEY_DERIVED) ||
        !is_seen(reading, KEY_DERIVED + 1))
        return 0;
    if (in != out)
        return vta_error_set(
            error, VTA_ECONFIG,
            "LOG_BLOCK_IN is %u and LOG_BLOCK_OUT is %u, but there are only square "
            "blocks",
            in, out);
    reading->hw.log_block = in;
    reading->seen |= 1u << block;
    return 0;
}

/* A key that is unknown is a mistake if the one that it looks like is missing. */
static int judge_unknown(const struct reading *reading, const cJSON *root, struct vta_error *error)
{
    const char *names[KEY_COUNT];
    const cJSON *item;
    list_names(names);
    cJSON_ArrayForEach(item, root)
    {
        if (find_key(names, item->string) != KEY_COUNT)
            continue;
        const char *nearest = vta_suggest(item->string, names, KEY_COUNT);
        size_t key = nearest != NULL ? find_key(names, nearest) : KEY_COUNT;
        if (is_raw(key) && !is_seen(reading, key))
            return vta_error_set(error, VTA_ECONFIG, "%s is missing; %.64s looks like it", nearest,
                                 item->string);
        warn(reading, "unknown key '%.64s' is ignored%s%s", item->string,
             nearest != NULL ? "; the nearest known one is " : "", nearest != NULL ? nearest : "");
    }
    return 0;
}

static int read_object(struct reading *reading, const cJSON *root, struct vta_error *error)
{
    if (!cJSON_IsObject(root))
        return vta_error_set(error, VTA_ECONFIG, "a hardware configuration is a JSON object");
    int count = cJSON_GetArraySize(root), rc = 0;
    if (count > KEYS_MAX)
        return vta_error_limit(error, VTA_ECONFIG, KEYS_MAX, count,
                               "a hardware configuration of %d keys, at most %d", count, KEYS_MAX);
    for (const cJSON *item = root->child; item != NULL && rc == 0; item = item->next)
        rc = read_item(reading, item, error);
    if (rc == 0)
        rc = read_block(reading, error);
    if (rc == 0)
        rc = judge_unknown(reading, root, error);
    if (rc != 0)
        return rc;
    const uint32_t raw = ((1u << VTA_HW_KEY_COUNT) - 1) << KEY_RAW;
    if ((reading->seen & raw) == 0)
        return vta_error_set(error, VTA_ECONFIG,
                             "no hardware configuration: none of its keys (LOG_BLOCK, …) is there");
    return 0;
}

/* Derived keys may be repeated, not changed. */
static int check_derived(const struct reading *reading, struct vta_error *error)
{
    const struct vta_hw *hw = &reading->hw;
    const int expected[DERIVED_COUNT] = {
        hw->log_block,
        hw->log_block,
        hw->log_inp_width,
        hw->log_acc_buff + hw->log_inp_width - hw->log_acc_width,
    };
    static const char *const sources[DERIVED_COUNT] = {
        "LOG_BLOCK",
        "LOG_BLOCK",
        "LOG_INP_WIDTH",
        "LOG_ACC_BUFF_SIZE + LOG_INP_WIDTH - LOG_ACC_WIDTH",
    };
    for (size_t i = 0; i < DERIVED_COUNT; i++)
        if ((reading->seen & 1u << (KEY_DERIVED + i)) && reading->derived[i] != expected[i])
            return vta_error_limit(error, VTA_ECONFIG, expected[i], reading->derived[i],
                                   "%s is %u, but %s makes it %d", derived_names[i],
                                   reading->derived[i], sources[i], expected[i]);
    return 0;
}

/* Parses text that nobody terminated. *root is the caller's to delete. */
static int parse(cJSON **root, const char *text, size_t length, struct vta_error *error)
{
    if (length > TEXT_MAX)
        return vta_error_limit(error, VTA_EFORMAT, TEXT_MAX, (int64_t)length,
                               "a hardware configuration of %zu bytes passes the limit of %d",
                               length, TEXT_MAX);
    /* cJSON would cut a string there, and take what is left for another. */
    if (length > 0 && (memchr(text, 0, length) != NULL || memmem(text, length, "\\u0000", 6)))
        return vta_error_set(error, VTA_EFORMAT, "not JSON: a zero byte");

    /* A terminated copy: with one, cJSON can tell trailing bytes from the end. */
    char *copy = malloc(length + 1);
    if (copy == NULL)
        return vta_error_set(error, VTA_ENOMEM, "no memory for %zu bytes of JSON", length);
    if (length > 0)
        memcpy(copy, text, length);
    copy[length] = '\0';
    const char *end = copy;
    *root = cJSON_ParseWithLengthOpts(copy, length + 1, &end, true);
    int rc = 0;
    if (*root == NULL)
        rc = vta_error_set(error, VTA_EFORMAT, "not JSON: error at byte %td", end - copy);
    free(copy);
    return rc;
}

int vta_hw_read_json(struct vta_hw *hw, const char *text, size_t length,
                     const struct vta_hw_warnings *warnings, struct vta_error *error)
{
    struct reading reading = { .warnings = warnings };
    vta_hw_default(&reading.hw);
    cJSON *root = NULL;
    int rc = parse(&root, text, length, error);
    if (rc == 0)
        rc = read_object(&reading, root, error);
    if (rc == 0)
        rc = vta_hw_derive(&reading.hw, error);
    if (rc == 0)
        rc = check_derived(&reading, error);
    if (rc == 0)
        *hw = reading.hw;
    cJSON_Delete(root);
    return rc;
}

int vta_hw_read_file(struct vta_hw *hw, const char *path, const struct vta_hw_warnings *warnings,
                     struct vta_error *error)
{
    char *text;
    size_t length;
    int rc = vta_text_read(path, TEXT_MAX, &text, &length, error);
    if (rc != 0)
        return rc;
    rc = vta_hw_read_json(hw, text, length, warnings, error);
    if (rc != 0)
        vta_error_prefix(error, "%s", path);
    free(text);
    return rc;
}

int vta_hw_from_json(struct vta_hw *hw, const char *text, size_t length, struct vta_error *error)
{
    return vta_hw_read_json(hw, text, length, NULL, error);
}

int vta_hw_from_file(struct vta_hw *hw, const char *path, struct vta_error *error)
{
    return vta_hw_read_file(hw, path, NULL, error);
}

/* ---- Writing ------------------------------------------------------------------------------- */

char *vta_hw_to_json(const struct vta_hw *hw)
{
    char *text = NULL;
    cJSON *root = cJSON_CreateObject();
    bool good = root != NULL &&
                cJSON_AddStringToObject(root, "TARGET", vta_target_name(hw->target)) != NULL &&
                cJSON_AddStringToObject(root, "HW_VER", hw->hw_ver) != NULL;
    const struct vta_hw_key *keys = vta_hw_keys();
    for (size_t i = 0; i < VTA_HW_KEY_COUNT && good; i++)
        good = cJSON_AddNumberToObject(root, keys[i].name, ((const uint8_t *)hw)[keys[i].offset]) !=
               NULL;
    if (good)
        text = cJSON_PrintUnformatted(root);
    cJSON_Delete(root);
    return text;
}
