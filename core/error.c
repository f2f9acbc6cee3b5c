/* error.c: fills struct vta_error and knows the names of the codes.
 *
 * A message may quote bytes that a peer sent, and travels to clients that decode it strictly. So
 * whatever comes in, what is stored is valid UTF-8: a character that does not fit is left out
 * whole, a byte that belongs to no character becomes '?'.
 */
#include <vta/error.h>

#include <stdio.h>
#include <string.h>

/* Bytes of the character that starts at s (terminated text), or 0 where none does. */
static size_t utf8_length(const unsigned char *s)
{
    if (s[0] < 0x80)
        return 1;
    size_t length = s[0] >= 0xf0 ? 4 : s[0] >= 0xe0 ? 3 : 2;
    if (s[0] < 0xc2 || s[0] > 0xf4)
        return 0;
    for (size_t i = 1; i < length; i++)
        if ((s[i] & 0xc0) != 0x80)
            return 0;
    /* Overlong forms, surrogates, and what lies beyond U+10FFFF. */
    if ((s[0] == 0xe0 && s[1] < 0xa0) || (s[0] == 0xed && s[1] >= 0xa0) ||
        (s[0] == 0xf0 && s[1] < 0x90) || (s[0] == 0xf4 && s[1] >= 0x90))
        return 0;
    return length;
}

/* Drops the beginning of a character at the end of text that was cut there. */
static void drop_cut_character(char *text)
{
    size_t end = strlen(text);
    size_t lead = end;
    while (lead > 0 && end - lead < 3 && ((unsigned char)text[lead - 1] & 0xc0) == 0x80)
        lead--;
    if (lead > 0 && (unsigned char)text[lead - 1] >= 0xc0 &&
        utf8_length((const unsigned char *)text + lead - 1) == 0)
        text[lead - 1] = '\0';
}

static void replace_invalid(char *text)
{
    while (*text != '\0') {
        size_t length = utf8_length((const unsigned char *)text);
        if (length == 0) {
            *text = '?';
            length = 1;
        }
        text += length;
    }
}

/* Formats into text, which the arguments may point into. */
static void format_message(char text[VTA_ERROR_TEXT], const char *format, va_list args)
{
    char message[VTA_ERROR_TEXT];
    int length = vsnprintf(message, sizeof message, format, args);
    if (length < 0)
        message[0] = '\0';
    if (length >= (int)sizeof message)
        drop_cut_character(message);
    replace_invalid(message);
    memcpy(text, message, strlen(message) + 1);
}

static void set(struct vta_error *error, int code, const char *format, va_list args)
{
    format_message(error->message, format, args);
    error->code = code;
    error->insn = -1;
    error->has_limit = false;
    error->limit = 0;
    error->value = 0;
}

int vta_error_set(struct vta_error *error, int code, const char *format, ...)
{
    if (error == NULL)
        return code;
    va_list args;
    va_start(args, format);
    set(error, code, format, args);
    va_end(args);
    return code;
}

int vta_error_limit(struct vta_error *error, int code, int64_t limit, int64_t value,
                    const char *format, ...)
{
    if (error == NULL)
        return code;
    va_list args;
    va_start(args, format);
    set(error, code, format, args);
    va_end(args);
    error->has_limit = true;
    error->limit = limit;
    error->value = value;
    return code;
}

void vta_error_prefix(struct vta_error *error, const char *format, ...)
{
    if (error == NULL)
        return;

    char prefix[VTA_ERROR_TEXT];
    va_list args;
    va_start(args, format);
    format_message(prefix, format, args);
    va_end(args);

    char whole[2 * VTA_ERROR_TEXT + 2];
    int length = snprintf(whole, sizeof whole, "%s: %s", prefix, error->message);
    whole[VTA_ERROR_TEXT - 1] = '\0';
    if (length >= VTA_ERROR_TEXT)
        drop_cut_character(whole);
    memcpy(error->message, whole, strlen(whole) + 1);
}

static const struct {
    int code;
    const char *name, *text;
} codes[] = {
#define VTA_ERROR_ROW(symbol, value, name, text) { symbol, name, text },
    VTA_ERRORS(VTA_ERROR_ROW)
#undef VTA_ERROR_ROW
};

#define CODE_COUNT (sizeof codes / sizeof codes[0])

const char *vta_error_name(int code)
{
    for (size_t i = 0; i < CODE_COUNT; i++)
        if (codes[i].code == code)
            return codes[i].name;
    return "unknown";
}

const char *vta_error_text(int code)
{
    if (code == 0)
        return "success";
    for (size_t i = 0; i < CODE_COUNT; i++)
        if (codes[i].code == code)
            return codes[i].text;
    return "an error that this version does not know";
}

int vta_error_from_name(const char *name)
{
    for (size_t i = 0; i < CODE_COUNT; i++)
        if (strcmp(codes[i].name, name) == 0)
            return codes[i].code;
    return VTA_EINTERNAL;
}
