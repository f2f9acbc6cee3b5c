/* config.c: setting, reading, comparing and printing of a configuration, all of it by the table.
 */
#include "config.h"

#include <cjson/cJSON.h>
#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "address.h"
#include "core/kernels.h"
#include "core/suggest.h"
#include "log.h"

#define FILE_BYTES_MAX (1 << 20)
#define KEYS_MAX       128
#define TVM_KEY_MAX    256
#define TVM_USER_MAX   32

static void *member(const struct config *config, const struct config_key *key)
{
    return (char *)config + key->offset;
}

/* ---- Life ---------------------------------------------------------------------------------- */

static void list_clear(struct config_list *list)
{
    for (size_t i = 0; i < list->count; i++)
        free(list->items[i]);
    free(list->items);
    *list = (struct config_list){ 0 };
}

static void key_clear(struct config *config, const struct config_key *key)
{
    if (key->type == CONFIG_LISTEN) {
        list_clear(member(config, key));
    } else if (key->type == CONFIG_PATH || key->type == CONFIG_TEXT ||
               key->type == CONFIG_HARDWARE || key->type == CONFIG_PROFILE) {
        char **text = member(config, key);
        free(*text);
        *text = NULL;
    }
}

void config_clear(struct config *config)
{
    size_t count;
    const struct config_key *keys = config_keys(&count);
    for (size_t i = 0; i < count; i++)
        key_clear(config, &keys[i]);
}

int config_defaults(struct config *config, struct vta_error *error)
{
    size_t count;
    const struct config_key *keys = config_keys(&count);
    *config = (struct config){ 0 };
    for (size_t i = 0; i < count; i++) {
        int rc =
            keys[i].fallback != NULL ? config_set(config, &keys[i], keys[i].fallback, error) : 0;
        if (rc != 0)
            return rc;
    }
    return 0;
}

/* ---- Setting one key ----------------------------------------------------------------------- */

static int set_number(struct config *config, const struct config_key *key, uint64_t value,
                      struct vta_error *error)
{
    if (value < key->min)
        return vta_error_limit(error, VTA_ECONFIG, (int64_t)key->min, (int64_t)value,
                               "%s: %" PRIu64 " is below the least value %" PRIu64, key->name,
                               value, key->min);
    if (value > key->max)
        return vta_error_limit(
            error, VTA_ECONFIG, (int64_t)key->max, value > INT64_MAX ? INT64_MAX : (int64_t)value,
            "%s: %" PRIu64 " is above the greatest value %" PRIu64, key->name, value, key->max);
    *(uint64_t *)member(config, key) = value;
    return 0;
}

static int set_number_text(struct config *config, const struct config_key *key, const char *text,
                           struct vta_error *error)
{
    static const struct {
        const char *name;
        unsigned shift;
    } units[] = { { "", 0 }, { "KiB", 10 }, { "MiB", 20 }, { "GiB", 30 } };

    char *end = NULL;
    errno = 0;
    uint64_t value = strtoull(text, &end, 10);
    if (!isdigit((unsigned char)text[0]) || errno != 0)
        return vta_error_set(error, VTA_ECONFIG, "%s: '%s' is not a whole number", key->name, text);
    for (size_t i = 0; i < sizeof units / sizeof units[0]; i++) {
        if (strcmp(end, units[i].name) != 0 || (i > 0 && key->type != CONFIG_BYTES))
            continue;
        if (value > UINT64_MAX >> units[i].shift)
            value = UINT64_MAX;
        return set_number(config, key, value == UINT64_MAX ? value : value << units[i].shift,
                          error);
    }
    return vta_error_set(error, VTA_ECONFIG, "%s: '%s' is not a number%s", key->name, text,
                         key->type == CONFIG_BYTES ? " with KiB, MiB, GiB or nothing after it"
                                                   : "");
}

static int set_word(struct config *config, const struct config_key *key, const char *text,
                    struct vta_error *error)
{
    char known[128] = "";
    for (size_t i = 0; key->words[i] != NULL; i++) {
        if (strcmp(text, key->words[i]) == 0) {
            *(uint64_t *)member(config, key) = i;
            return 0;
        }
        size_t used = strlen(known);
        snprintf(known + used, sizeof known - used, "%s%s", i > 0 ? ", " : "", key->words[i]);
    }
    return vta_error_set(error, VTA_ECONFIG, "%s: '%s' is not one of %s", key->name, text, known);
}

static int set_text(struct config *config, const struct config_key *key, const char *text,
                    struct vta_error *error)
{
    char **place = member(config, key);
    free(*place);
    *place = text[0] != '\0' ? strdup(text) : NULL;
    if (text[0] != '\0' && *place == NULL)
        return vta_error_set(error, VTA_ENOMEM, "%s: no memory", key->name);
    return 0;
}

static int add_listen(struct config *config, const struct config_key *key, const char *text,
                      struct vta_error *error)
{
    struct config_list *list = member(config, key);
    struct address address;
    int rc = address_parse(&address, text, error);
    if (rc != 0)
        return rc;
    char **items = realloc(list->items, (list->count + 1) * sizeof *items);
    char *copy = strdup(text);
    if (items != NULL)
        list->items = items;
    if (items == NULL || copy == NULL) {
        free(copy);
        return vta_error_set(error, VTA_ENOMEM, "%s: no memory", key->name);
    }
    list->items[list->count++] = copy;
    return 0;
}

int config_set(struct config *config, const struct config_key *key, const char *text,
               struct vta_error *error)
{
    switch (key->type) {
    case CONFIG_COUNT:
    case CONFIG_BYTES:
        return set_number_text(config, key, text, error);
    case CONFIG_WORD:
        return set_word(config, key, text, error);
    case CONFIG_PATH:
    case CONFIG_TEXT:
    case CONFIG_HARDWARE:
    case CONFIG_PROFILE:
        return set_text(config, key, text, error);
    case CONFIG_LISTEN:
        return add_listen(config, key, text, error);
    }
    return vta_error_set(error, VTA_EINTERNAL, "%s: a key of no type", key->name);
}

/* ---- The file ------------------------------------------------------------------------------ */

static const struct config_key *find_or_explain(const char *name, struct vta_error *error)
{
    const struct config_key *key = config_find(name, strlen(name));
    if (key != NULL)
        return key;

    size_t count;
    const struct config_key *keys = config_keys(&count);
    const char *names[KEYS_MAX];
    for (size_t i = 0; i < count && i < KEYS_MAX; i++)
        names[i] = keys[i].name;
    const char *near = vta_suggest(name, names, count < KEYS_MAX ? count : KEYS_MAX);
    vta_error_set(error, VTA_ECONFIG, "unknown key '%s'%s%s%s", name,
                  near != NULL ? ": did you mean '" : "", near != NULL ? near : "",
                  near != NULL ? "'?" : "");
    return NULL;
}

static const char *expected(enum config_type type)
{
    switch (type) {
    case CONFIG_COUNT:
        return "a whole number";
    case CONFIG_BYTES:
        return "a whole number of bytes, or text as \"64MiB\"";
    case CONFIG_WORD:
    case CONFIG_PATH:
    case CONFIG_TEXT:
        return "a string";
    case CONFIG_LISTEN:
        return "an array of strings";
    case CONFIG_HARDWARE:
        return "a path or an object";
    case CONFIG_PROFILE:
        return "a name or a path";
    }
    return "?";
}

static int read_listen(struct config *config, const struct config_key *key, const cJSON *array,
                       struct vta_error *error)
{
    list_clear(member(config, key));
    const cJSON *item;
    cJSON_ArrayForEach(item, array)
    {
        if (!cJSON_IsString(item))
            return vta_error_set(error, VTA_ECONFIG, "%s: expected %s", key->name,
                                 expected(key->type));
        int rc = add_listen(config, key, item->valuestring, error);
        if (rc != 0)
            return rc;
    }
    return 0;
}

static int read_object(struct config *config, const struct config_key *key, const cJSON *object,
                       struct vta_error *error)
{
    char *text = cJSON_PrintUnformatted(object);
    if (text == NULL)
        return vta_error_set(error, VTA_ENOMEM, "%s: no memory", key->name);
    int rc = set_text(config, key, text, error);
    cJSON_free(text);
    return rc;
}

static int read_key(struct config *config, const struct config_key *key, const cJSON *value,
                    struct vta_error *error)
{
    bool numeric = key->type == CONFIG_COUNT || key->type == CONFIG_BYTES;
    if (numeric && cJSON_IsNumber(value)) {
        double number = value->valuedouble;
        if (!(number >= 0 && number <= 9007199254740992.0) || number != (double)(uint64_t)number)
            return vta_error_set(error, VTA_ECONFIG, "%s: %g is not a whole number", key->name,
                                 number);
        return set_number(config, key, (uint64_t)number, error);
    }
    if (key->type == CONFIG_LISTEN && cJSON_IsArray(value))
        return read_listen(config, key, value, error);
    if (key->type == CONFIG_HARDWARE && cJSON_IsObject(value))
        return read_object(config, key, value, error);
    if (cJSON_IsString(value) && key->type != CONFIG_COUNT && key->type != CONFIG_LISTEN)
        return config_set(config, key, value->valuestring, error);
    return vta_error_set(error, VTA_ECONFIG, "%s: expected %s", key->name, expected(key->type));
}

static int read_keys(struct config *config, const cJSON *root, struct vta_error *error)
{
    if (!cJSON_IsObject(root))
        return vta_error_set(error, VTA_EFORMAT, "expected an object of keys");
    const cJSON *value;
    cJSON_ArrayForEach(value, root)
    {
        const struct config_key *key = find_or_explain(value->string, error);
        if (key == NULL)
            return VTA_ECONFIG;
        if (cJSON_GetObjectItemCaseSensitive(root, key->name) != value)
            return vta_error_set(error, VTA_ECONFIG, "key '%s' appears twice", key->name);
        int rc = read_key(config, key, value, error);
        if (rc != 0)
            return rc;
    }
    return 0;
}

int config_read_json(struct config *config, const char *text, size_t length,
                     struct vta_error *error)
{
    const char *end = text;
    cJSON *root = cJSON_ParseWithLengthOpts(text, length, &end, 0);
    if (root != NULL)
        while (end < text + length && isspace((unsigned char)*end))
            end++;
    if (root == NULL || end != text + length) {
        int line = 1;
        for (const char *at = text; at < end && at < text + length; at++)
            line += *at == '\n';
        cJSON_Delete(root);
        return vta_error_set(error, VTA_EFORMAT, "line %d: not JSON", line);
    }
    int rc = read_keys(config, root, error);
    cJSON_Delete(root);
    return rc;
}

static int read_file(struct config *config, const char *path, bool required,
                     struct vta_error *error)
{
    FILE *file = fopen(path, "re");
    if (file == NULL) {
        if (errno == ENOENT && !required)
            return 0;
        return vta_error_set(error, VTA_EIO, "%s: %s", path, strerror(errno));
    }
    char *text = malloc(FILE_BYTES_MAX + 1);
    size_t length = text != NULL ? fread(text, 1, FILE_BYTES_MAX + 1, file) : 0;
    int rc = 0;
    if (text == NULL)
        rc = vta_error_set(error, VTA_ENOMEM, "%s: no memory", path);
    else if (ferror(file))
        rc = vta_error_set(error, VTA_EIO, "%s: %s", path, strerror(errno));
    else if (length > FILE_BYTES_MAX)
        rc = vta_error_limit(error, VTA_ELIMIT, FILE_BYTES_MAX, (int64_t)length,
                             "%s: has more than %d bytes", path, FILE_BYTES_MAX);
    else if ((rc = config_read_json(config, text, length, error)) != 0)
        vta_error_prefix(error, "%s", path);
    free(text);
    fclose(file);
    return rc;
}

/* ---- The whole ----------------------------------------------------------------------------- */

static void warn_of_hardware(void *context, const char *text)
{
    (void)context;
    log_warning("hardware: %s", text);
}

static int read_hardware(struct config *config, struct vta_error *error)
{
    const struct vta_hw_warnings warnings = { .line = warn_of_hardware };
    int rc = 0;
    if (config->hardware == NULL)
        vta_hw_default(&config->hw);
    else if (config->hardware[0] == '{')
        rc = vta_hw_read_json(&config->hw, config->hardware, strlen(config->hardware), &warnings,
                              error);
    else
        rc = vta_hw_read_file(&config->hw, config->hardware, &warnings, error);
    if (rc != 0)
        vta_error_prefix(error, "hardware");
    return rc;
}

/* What the key profile says. */
static int read_profile(struct config *config, struct vta_error *error)
{
    const char *name = config->profile != NULL ? config->profile : "none";
    config->timing_profile = (struct vta_timing_profile){ .measured = false };
    config->timing = VTA_BOARD_TIMING_PROFILE;
    if (strcmp(name, "auto") == 0)
        config->timing = VTA_BOARD_TIMING_AUTO;
    else if (strcmp(name, "none") == 0)
        config->timing = VTA_BOARD_TIMING_OFF;
    else if (vta_profile_find(&config->timing_profile, name, error) != 0) {
        vta_error_prefix(error, "profile");
        return VTA_ECONFIG;
    }
    if (config->timing == VTA_BOARD_TIMING_OFF && config->clock == CLOCK_BOARD)
        return vta_error_set(error, VTA_ECONFIG,
                             "clock: the board's needs a profile, but profile is none");
    return 0;
}

/* The first word of what a client sends is its key, so that one with a space could not be met. */
static int check_tvm(const struct config *config, struct vta_error *error)
{
    size_t length = config->tvm_key != NULL ? strlen(config->tvm_key) : 0;
    for (size_t i = 0; i < length; i++)
        if (isspace((unsigned char)config->tvm_key[i]))
            return vta_error_set(error, VTA_ECONFIG, "tvm_key: '%s' has a space in it",
                                 config->tvm_key);
    if (length > TVM_KEY_MAX)
        return vta_error_limit(error, VTA_ECONFIG, TVM_KEY_MAX, (int64_t)length,
                               "tvm_key: has %zu bytes, the limit is %d", length, TVM_KEY_MAX);
    if (config->tvm_user == NULL || strlen(config->tvm_user) > TVM_USER_MAX)
        return vta_error_set(error, VTA_ECONFIG, "tvm_user: a name of 1 to %d bytes is needed",
                             TVM_USER_MAX);
    if (config->tvm_memory_bytes != 0 && config->tvm_memory_bytes < config->dram_bytes)
        return vta_error_limit(error, VTA_ECONFIG, (int64_t)config->dram_bytes,
                               (int64_t)config->tvm_memory_bytes,
                               "tvm_memory_bytes: %" PRIu64 " is below dram_bytes, %" PRIu64,
                               config->tvm_memory_bytes, config->dram_bytes);
    return 0;
}

int config_check(struct config *config, struct vta_error *error)
{
    int rc = check_tvm(config, error);
    if (rc == 0)
        rc = config_check_tracker(config, error);
    if (rc != 0)
        return rc;
    if (config->dram_bytes % 4096 != 0)
        return vta_error_limit(error, VTA_ECONFIG, 4096, (int64_t)config->dram_bytes,
                               "dram_bytes: %" PRIu64 " is not a multiple of the page, 4096",
                               config->dram_bytes);
    if (config->max_queued_bytes < config->max_message_bytes)
        return vta_error_limit(error, VTA_ECONFIG, (int64_t)config->max_message_bytes,
                               (int64_t)config->max_queued_bytes,
                               "max_queued_bytes: %" PRIu64 " is below max_message_bytes, %" PRIu64,
                               config->max_queued_bytes, config->max_message_bytes);
    if (config->kernels != 0) {
        rc = vta_kernels_check(config_kernels[config->kernels], error);
        if (rc != 0) {
            vta_error_prefix(error, "kernels");
            return rc;
        }
    }
    rc = read_profile(config, error);
    return rc != 0 ? rc : read_hardware(config, error);
}

static int apply_flags(struct config *config, const struct config_source *source,
                       struct vta_error *error)
{
    bool listens = false; /* the first --listen replaces what the file said */
    for (size_t i = 0; i < source->flag_count; i++) {
        const struct config_flag *flag = &source->flags[i];
        if (flag->key->type == CONFIG_LISTEN && !listens) {
            list_clear(member(config, flag->key));
            listens = true;
        }
        int rc = config_set(config, flag->key, flag->value, error);
        if (rc != 0) {
            vta_error_prefix(error, "command line");
            return rc;
        }
    }
    return 0;
}

int config_load(struct config *config, const struct config_source *source, struct vta_error *error)
{
    int rc = config_defaults(config, error);
    if (rc == 0)
        rc = read_file(config, source->path, source->path_required, error);
    if (rc == 0)
        rc = apply_flags(config, source, error);
    if (rc == 0)
        rc = config_check(config, error);
    return rc;
}

static void print_string(const char *text, FILE *file)
{
    cJSON *string = cJSON_CreateString(text);
    char *quoted = cJSON_PrintUnformatted(string);
    fputs(quoted != NULL ? quoted : "\"\"", file);
    cJSON_free(quoted);
    cJSON_Delete(string);
}

static void print_value(const struct config *config, const struct config_key *key, FILE *file)
{
    switch (key->type) {
    case CONFIG_COUNT:
    case CONFIG_BYTES:
        fprintf(file, "%" PRIu64, *(uint64_t *)member(config, key));
        break;
    case CONFIG_WORD:
        print_string(key->words[*(uint64_t *)member(config, key)], file);
        break;
    case CONFIG_PATH:
    case CONFIG_PROFILE:
    case CONFIG_TEXT: {
        const char *text = *(char **)member(config, key);
        print_string(text != NULL ? text : "", file);
        break;
    }
    case CONFIG_LISTEN: {
        const struct config_list *list = member(config, key);
        fputc('[', file);
        for (size_t i = 0; i < list->count; i++) {
            fputs(i > 0 ? ", " : "", file);
            print_string(list->items[i], file);
        }
        fputc(']', file);
        break;
    }
    case CONFIG_HARDWARE: {
        char *text = vta_hw_to_json(&config->hw);
        cJSON *object = text != NULL ? cJSON_Parse(text) : NULL;
        char *line = object != NULL ? cJSON_PrintUnformatted(object) : NULL;
        fputs(line != NULL ? line : "{}", file);
        cJSON_free(line);
        cJSON_Delete(object);
        free(text);
        break;
    }
    }
}

void config_print(const struct config *config, FILE *file)
{
    size_t count;
    const struct config_key *keys = config_keys(&count);
    for (size_t i = 0; i < count; i++) {
        fprintf(file, "%s\n    \"%s\": ", i == 0 ? "{" : ",", keys[i].name);
        print_value(config, &keys[i], file);
    }
    fputs("\n}\n", file);
}

/* ---- Reload -------------------------------------------------------------------------------- */

static bool same_text(const char *a, const char *b)
{
    return a == b || (a != NULL && b != NULL && strcmp(a, b) == 0);
}

static bool same_list(const struct config_list *a, const struct config_list *b)
{
    if (a->count != b->count)
        return false;
    for (size_t i = 0; i < a->count; i++)
        if (strcmp(a->items[i], b->items[i]) != 0)
            return false;
    return true;
}

static bool same_profile(const struct config *a, const struct config *b)
{
    char *one = vta_profile_to_json(&a->timing_profile);
    char *other = vta_profile_to_json(&b->timing_profile);
    bool same = a->timing == b->timing && same_text(one, other);
    free(one);
    free(other);
    return same;
}

bool config_same(const struct config *a, const struct config *b, const struct config_key *key)
{
    switch (key->type) {
    case CONFIG_COUNT:
    case CONFIG_BYTES:
    case CONFIG_WORD:
        return *(uint64_t *)member(a, key) == *(uint64_t *)member(b, key);
    case CONFIG_PATH:
    case CONFIG_TEXT:
        return same_text(*(char **)member(a, key), *(char **)member(b, key));
    case CONFIG_LISTEN:
        return same_list(member(a, key), member(b, key));
    case CONFIG_HARDWARE: /* the file that a path names may have changed */
        return vta_hw_equal(&a->hw, &b->hw) && a->hw.target == b->hw.target &&
               strcmp(a->hw.hw_ver, b->hw.hw_ver) == 0;
    case CONFIG_PROFILE: /* as may this one */
        return same_text(a->profile, b->profile) && same_profile(a, b);
    }
    return true;
}

void config_reload(struct config *config, struct config *fresh,
                   void (*changed)(const struct config_key *key))
{
    size_t count;
    const struct config_key *keys = config_keys(&count);
    for (size_t i = 0; i < count; i++) {
        const struct config_key *key = &keys[i];
        if (config_same(config, fresh, key))
            continue;
        changed(key);
        if (key->reload == RELOAD_RESTART)
            continue;
        if (key->type == CONFIG_HARDWARE) {
            char *old = config->hardware;
            config->hardware = fresh->hardware;
            config->hw = fresh->hw;
            fresh->hardware = old;
        } else if (key->type == CONFIG_PROFILE) {
            char *old = config->profile;
            config->profile = fresh->profile;
            config->timing = fresh->timing;
            config->timing_profile = fresh->timing_profile;
            fresh->profile = old;
        } else if (key->type == CONFIG_PATH || key->type == CONFIG_TEXT) {
            char **place = member(config, key), **other = member(fresh, key), *old = *place;
            *place = *other;
            *other = old;
        } else { /* every other key that can be reloaded is a number */
            *(uint64_t *)member(config, key) = *(uint64_t *)member(fresh, key);
        }
    }
}
