/* timing_profile.c: a board's timing numbers as JSON text, and back; finding one by its name.
 *
 * Accepts any bytes: what is not a profile is refused with the key, the limit and the value. What
 * the numbers mean is timing_cost.c's to say.
 */
#include "timing_profile.h"

#include "suggest.h"
#include "text_file.h"
#include "timing_profiles.h"

#include <cjson/cJSON.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TEXT_MAX 65536

static const struct vta_profile_number numbers[] = {
#define NUMBER(name, low, high) { #name, offsetof(struct vta_timing_profile, name), low, high },
    VTA_PROFILE_NUMBERS(NUMBER)
#undef NUMBER
};
_Static_assert(sizeof(numbers) / sizeof(numbers[0]) == VTA_PROFILE_NUMBER_COUNT,
               "a profile has at most ten numbers");

const struct vta_profile_number *vta_profile_numbers(void)
{
    return numbers;
}

/* The keys that hold text, and the one that holds a truth value. */
static const struct {
    const char *name;
    size_t offset, size;
    bool needed;
} texts[] = {
    { "name", offsetof(struct vta_timing_profile, name), VTA_PROFILE_NAME, true },
    { "board", offsetof(struct vta_timing_profile, board), VTA_PROFILE_TEXT, true },
    { "note", offsetof(struct vta_timing_profile, note), VTA_PROFILE_TEXT, false },
    { "hardware", offsetof(struct vta_timing_profile, hardware), VTA_BITSTREAM_NAME, true },
};
#define TEXT_COUNT (sizeof(texts) / sizeof(texts[0]))

enum {
    KEY_NUMBERS = TEXT_COUNT,
    KEY_MEASURED = KEY_NUMBERS + VTA_PROFILE_NUMBER_COUNT,
    KEY_COUNT
};

static void list_keys(const char *names[KEY_COUNT])
{
    for (size_t i = 0; i < TEXT_COUNT; i++)
        names[i] = texts[i].name;
    for (size_t i = 0; i < VTA_PROFILE_NUMBER_COUNT; i++)
        names[KEY_NUMBERS + i] = numbers[i].name;
    names[KEY_MEASURED] = "measured";
}

/* ---- Reading ------------------------------------------------------------------------------- */

static int read_text(struct vta_timing_profile *profile, size_t key, const cJSON *item,
                     struct vta_error *error)
{
    if (!cJSON_IsString(item))
        return vta_error_set(error, VTA_ECONFIG, "%s is not a string", texts[key].name);
    size_t length = strlen(item->valuestring);
    if (length >= texts[key].size)
        return vta_error_limit(error, VTA_ECONFIG, (int64_t)texts[key].size - 1, (int64_t)length,
                               "%s has %zu bytes, at most %zu fit", texts[key].name, length,
                               texts[key].size - 1);
    memcpy((char *)profile + texts[key].offset, item->valuestring, length + 1);
    return 0;
}

static int read_number(struct vta_timing_profile *profile, const struct vta_profile_number *number,
                       const cJSON *item, struct vta_error *error)
{
    if (!cJSON_IsNumber(item))
        return vta_error_set(error, VTA_ECONFIG, "%s is not a number", number->name);
    double value = item->valuedouble;
    /* Negated, so that a NaN is refused too. */
    if (!(value >= number->low && value <= number->high))
        return vta_error_limit(error, VTA_ECONFIG,
                               (int64_t)(value > number->high ? number->high : number->low),
                               item->valueint, "%s is %g, but must be from %g to %g", number->name,
                               value, number->low, number->high);
    *(double *)((char *)profile + number->offset) = value;
    return 0;
}

static int read_item(struct vta_timing_profile *profile, uint32_t *seen, const cJSON *item,
                     struct vta_error *error)
{
    const char *names[KEY_COUNT];
    size_t key = 0;
    list_keys(names);
    while (key < KEY_COUNT && strcmp(names[key], item->string) != 0)
        key++;
    if (key == KEY_COUNT) {
        const char *nearest = vta_suggest(item->string, names, KEY_COUNT);
        if (nearest == NULL)
            return vta_error_set(error, VTA_ECONFIG, "unknown key '%.64s'", item->string);
        return vta_error_set(error, VTA_ECONFIG, "unknown key '%.64s': did you mean '%s'?",
                             item->string, nearest);
    }
    if (*seen & 1u << key)
        return vta_error_set(error, VTA_ECONFIG, "%s is given twice", names[key]);
    *seen |= 1u << key;
    if (key < KEY_NUMBERS)
        return read_text(profile, key, item, error);
    if (key < KEY_MEASURED)
        return read_number(profile, &numbers[key - KEY_NUMBERS], item, error);
    if (!cJSON_IsBool(item))
        return vta_error_set(error, VTA_ECONFIG, "measured is neither true nor false");
    profile->measured = cJSON_IsTrue(item);
    return 0;
}

/* A profile's name is a file's name, a word of the configuration and a label: it stays simple. */
static int check_name(const char *name, struct vta_error *error)
{
    static const char allowed[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
                                  "0123456789._-";
    if (name[0] == '\0' || name[strspn(name, allowed)] != '\0')
        return vta_error_set(error, VTA_ECONFIG,
                             "name '%s' is not made of letters, digits, '.', '_' and '-'", name);
    return 0;
}

static int read_object(struct vta_timing_profile *profile, const cJSON *root,
                       struct vta_error *error)
{
    const char *names[KEY_COUNT];
    const cJSON *item;
    struct vta_hw hw;
    uint32_t seen = 0;
    int rc = 0;

    if (!cJSON_IsObject(root))
        return vta_error_set(error, VTA_ECONFIG, "a timing profile is a JSON object");
    cJSON_ArrayForEach(item, root)
    {
        rc = read_item(profile, &seen, item, error);
        if (rc != 0)
            return rc;
    }
    list_keys(names);
    for (size_t key = 0; key < KEY_COUNT; key++)
        if (!(seen & 1u << key) && (key >= TEXT_COUNT || texts[key].needed))
            return vta_error_set(error, VTA_ECONFIG, "%s is missing", names[key]);
    rc = check_name(profile->name, error);
    if (rc == 0) {
        rc = vta_hw_from_bitstream(&hw, profile->hardware, VTA_TARGET_SIM, error);
        if (rc != 0)
            vta_error_prefix(error, "hardware");
    }
    return rc;
}

/* Parses text that nobody terminated. *root is the caller's to delete. */
static int parse(cJSON **root, const char *text, size_t length, struct vta_error *error)
{
    if (length > TEXT_MAX)
        return vta_error_limit(error, VTA_EFORMAT, TEXT_MAX, (int64_t)length,
                               "a timing profile of %zu bytes passes the limit of %d", length,
                               TEXT_MAX);
    /* cJSON would cut a string there, and take what is left for another. */
    if (length > 0 && (memchr(text, 0, length) != NULL || memmem(text, length, "\\u0000", 6)))
        return vta_error_set(error, VTA_EFORMAT, "not JSON: a zero byte");
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

int vta_profile_from_json(struct vta_timing_profile *profile, const char *text, size_t length,
                          struct vta_error *error)
{
    struct vta_timing_profile reading = { .measured = false };
    cJSON *root = NULL;
    int rc = parse(&root, text, length, error);
    if (rc == 0)
        rc = read_object(&reading, root, error);
    if (rc == 0)
        *profile = reading;
    cJSON_Delete(root);
    return rc;
}

int vta_profile_from_file(struct vta_timing_profile *profile, const char *path,
                          struct vta_error *error)
{
    char *text;
    size_t length;
    int rc = vta_text_read(path, TEXT_MAX, &text, &length, error);
    if (rc != 0)
        return rc;
    rc = vta_profile_from_json(profile, text, length, error);
    if (rc != 0)
        vta_error_prefix(error, "%s", path);
    free(text);
    return rc;
}

/* ---- Writing ------------------------------------------------------------------------------- */

/* Appends "    "key": value" to *text, which is freed where memory ends. Takes the item. */
static void append(char **text, const char *key, cJSON *item)
{
    char *value = item != NULL ? cJSON_PrintUnformatted(item) : NULL, *longer = NULL;
    if (*text != NULL && value != NULL &&
        asprintf(&longer, "%s%s\n    \"%s\": %s", *text, **text == '\0' ? "{" : ",", key, value) <
            0)
        longer = NULL;
    free(*text);
    *text = longer;
    cJSON_free(value);
    cJSON_Delete(item);
}

/* Text as people write it, four spaces a key, which cJSON_Print would indent with tabs. */
char *vta_profile_to_json(const struct vta_timing_profile *profile)
{
    char *text = strdup(""), *closed = NULL;
    for (size_t i = 0; i < TEXT_COUNT; i++) {
        const char *value = (const char *)profile + texts[i].offset;
        if (texts[i].needed || value[0] != '\0')
            append(&text, texts[i].name, cJSON_CreateString(value));
    }
    append(&text, "measured", cJSON_CreateBool(profile->measured));
    for (size_t i = 0; i < VTA_PROFILE_NUMBER_COUNT; i++)
        append(&text, numbers[i].name,
               cJSON_CreateNumber(*(const double *)((const char *)profile + numbers[i].offset)));
    if (text != NULL && asprintf(&closed, "%s\n}\n", text) < 0)
        closed = NULL;
    free(text);
    return closed;
}

/* ---- Finding ------------------------------------------------------------------------------- */

#define SHIPPED_COUNT (sizeof(shipped) / sizeof(shipped[0]))

const char *vta_profile_name(size_t index)
{
    return index < SHIPPED_COUNT ? shipped[index].name : NULL;
}

static int read_shipped(struct vta_timing_profile *profile, size_t index, struct vta_error *error)
{
    return vta_profile_from_json(profile, shipped[index].text, strlen(shipped[index].text), error);
}

static bool is_path(const char *name)
{
    size_t length = strlen(name);
    return strchr(name, '/') != NULL || (length > 5 && strcmp(name + length - 5, ".json") == 0);
}

int vta_profile_shipped(struct vta_timing_profile *profile, const char *name,
                        struct vta_error *error)
{
    const char *names[SHIPPED_COUNT];
    char list[512] = "";
    for (size_t i = 0; i < SHIPPED_COUNT; i++) {
        if (strcmp(shipped[i].name, name) == 0)
            return read_shipped(profile, i, error);
        size_t length = strlen(list);
        snprintf(list + length, sizeof(list) - length, "%s%s", i == 0 ? "" : ", ", shipped[i].name);
        names[i] = shipped[i].name;
    }
    const char *nearest = vta_suggest(name, names, SHIPPED_COUNT);
    if (nearest != NULL)
        return vta_error_set(error, VTA_ENOTFOUND,
                             "there is no timing profile '%.64s': did you mean '%s'?", name,
                             nearest);
    return vta_error_set(error, VTA_ENOTFOUND, "there is no timing profile '%.64s'; known are %s",
                         name, list);
}

int vta_profile_find(struct vta_timing_profile *profile, const char *name, struct vta_error *error)
{
    return is_path(name) ? vta_profile_from_file(profile, name, error)
                         : vta_profile_shipped(profile, name, error);
}

int vta_profile_for_hw(struct vta_timing_profile *profile, const struct vta_hw *hw,
                       struct vta_error *error)
{
    char name[VTA_BITSTREAM_NAME];
    vta_hw_bitstream(hw, name);
    for (size_t i = SHIPPED_COUNT; i-- > 0;) {
        struct vta_timing_profile candidate;
        int rc = read_shipped(&candidate, i, error);
        if (rc != 0)
            return rc;
        if (candidate.measured && strcmp(candidate.hardware, name) == 0) {
            *profile = candidate;
            return 0;
        }
    }
    return vta_error_set(error, VTA_ENOTFOUND, "no board with the hardware %s has been measured",
                         name);
}
