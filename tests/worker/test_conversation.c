/* test_conversation.c: a whole session as it was recorded (conversation.txt says how to read it):
 * every request must get the very bytes that are expected. And the same requests with bytes
 * changed, which may get any answer but must leave nothing behind.
 */
#include <criterion/criterion.h>
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kit.h"

/* One line of the file, continued or not: bytes, of which some may be any. */
struct line {
    char kind; /* '>' or '<' */
    int number;
    uint8_t *bytes, *any; /* owned; any[i]: bytes[i] does not count */
    size_t nbytes;
};

struct conversation {
    struct line *lines; /* owned */
    size_t count;
    struct packet requests; /* all of them */
};

static void add_byte(struct line *line, uint8_t byte, bool any)
{
    line->bytes = realloc(line->bytes, line->nbytes + 1);
    line->any = realloc(line->any, line->nbytes + 1);
    line->bytes[line->nbytes] = byte;
    line->any[line->nbytes++] = any;
}

static uint8_t hex(const char *text)
{
    char digits[3] = { text[0], text[1], '\0' };
    cr_assert(isxdigit((unsigned char)text[0]) && isxdigit((unsigned char)text[1]), "%.8s", text);
    return (uint8_t)strtoul(digits, NULL, 16);
}

/* "text" with \" and \\. Returns what follows. */
static const char *read_text(struct line *line, const char *at)
{
    for (at++; *at != '"'; at++) {
        cr_assert_neq(*at, '\0', "line %d: a text does not end", line->number);
        if (*at == '\\')
            at++;
        add_byte(line, (uint8_t)*at, false);
    }
    return at + 1;
}

/* 0a0b0c0d, 00*16, ??*16. Returns what follows. */
static const char *read_hex(struct line *line, const char *at)
{
    for (; *at != ' ' && *at != '\n' && *at != '\0'; at += 2) {
        bool any = at[0] == '?';
        uint8_t byte = any ? 0 : hex(at);
        unsigned long times = 1;
        char *end = (char *)at + 2;
        if (at[2] == '*')
            times = strtoul(at + 3, &end, 10);
        for (unsigned long i = 0; i < times; i++)
            add_byte(line, byte, any);
        if (at[2] == '*')
            return end;
    }
    return at;
}

static void read_line(struct conversation *conversation, const char *text, int number)
{
    if (text[0] == '>' || text[0] == '<') {
        conversation->lines =
            realloc(conversation->lines, (conversation->count + 1) * sizeof(struct line));
        conversation->lines[conversation->count++] =
            (struct line){ .kind = text[0], .number = number };
    } else if (text[0] != ' ') {
        cr_assert(text[0] == '#' || text[0] == '\n', "line %d", number);
        return;
    }
    struct line *line = &conversation->lines[conversation->count - 1];
    for (const char *at = text + 1; *at != '\n' && *at != '\0';)
        at = *at == ' ' ? at + 1 : *at == '"' ? read_text(line, at) : read_hex(line, at);
}

static void read_conversation(struct conversation *conversation)
{
    char text[512];
    int number = 0;
    FILE *file = fopen(CONVERSATION, "r");
    cr_assert_neq(file, NULL, "%s", CONVERSATION);
    *conversation = (struct conversation){ 0 };
    while (fgets(text, sizeof text, file) != NULL)
        read_line(conversation, text, ++number);
    fclose(file);
    for (size_t i = 0; i < conversation->count; i++)
        if (conversation->lines[i].kind == '>')
            put_bytes(&conversation->requests, conversation->lines[i].bytes,
                      conversation->lines[i].nbytes);
}

static void free_conversation(struct conversation *conversation)
{
    for (size_t i = 0; i < conversation->count; i++) {
        free(conversation->lines[i].bytes);
        free(conversation->lines[i].any);
    }
    free(conversation->lines);
    packet_free(&conversation->requests);
}

/* Serves requests from memory; nothing may be left. Returns session_run's result. */
static int serve(const uint8_t *requests, size_t nbytes, struct memory_wire *memory)
{
    struct kit kit;
    struct vta_error error;
    kit_open(&kit, NULL);
    memory->input = requests;
    memory->input_bytes = nbytes;
    struct wire wire = wire_memory(memory);
    int rc = session_run(&kit.worker, &wire, NULL, 0, &error);
    cr_assert_eq(worker_cpu_bytes(&kit.worker), 0);
    cr_assert_eq(kit_modules(), 0);
    kit_close(&kit);
    return rc;
}

static void compare(const struct line *expected, const uint8_t *got, size_t left)
{
    cr_assert_leq(expected->nbytes, left, "line %d: %zu bytes expected, %zu came", expected->number,
                  expected->nbytes, left);
    for (size_t i = 0; i < expected->nbytes; i++)
        cr_assert(expected->any[i] || expected->bytes[i] == got[i],
                  "line %d: byte %zu is %02x, not %02x", expected->number, i, got[i],
                  expected->bytes[i]);
}

static void must_answer_as_recorded(size_t bytes_per_read)
{
    struct conversation conversation;
    struct memory_wire memory = { .most = bytes_per_read };
    size_t at = 0;
    read_conversation(&conversation);
    cr_assert_gt(conversation.count, 150);
    cr_assert_eq(serve(conversation.requests.bytes, conversation.requests.size, &memory), 0);
    for (size_t i = 0; i < conversation.count; i++) {
        if (conversation.lines[i].kind != '<')
            continue;
        compare(&conversation.lines[i], memory.output + at, memory.output_bytes - at);
        at += conversation.lines[i].nbytes;
    }
    cr_assert_eq(at, memory.output_bytes, "more came than was expected");
    free(memory.output);
    free_conversation(&conversation);
}

TestSuite(conversation, .timeout = 120);

Test(conversation, gets_the_bytes_that_were_recorded)
{
    must_answer_as_recorded(0);
}

Test(conversation, gets_the_same_in_small_pieces)
{
    must_answer_as_recorded(1);
    must_answer_as_recorded(13);
}

Test(conversation, ends_anywhere_and_leaves_nothing)
{
    struct conversation conversation;
    read_conversation(&conversation);
    for (size_t nbytes = 0; nbytes < conversation.requests.size; nbytes += 37) {
        struct memory_wire memory = { .output_room = 1 };
        int rc = serve(conversation.requests.bytes, nbytes, &memory);
        cr_assert(rc == 0 || rc == VTA_ECLOSED);
    }
    free_conversation(&conversation);
}

Test(conversation, with_bytes_changed_leaves_nothing)
{
    struct conversation conversation;
    uint64_t state = 1;
    read_conversation(&conversation);
    uint8_t *changed = malloc(conversation.requests.size);
    for (int round = 0; round < 150; round++) {
        struct memory_wire memory = { .output_room = 1 };
        memcpy(changed, conversation.requests.bytes, conversation.requests.size);
        for (int change = 0; change <= round % 8; change++) {
            state = state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
            size_t at = (size_t)(state >> 33) % conversation.requests.size;
            changed[at] = (state >> 20 & 1) != 0 ? (uint8_t)(state >> 24) : changed[at] ^ 1;
        }
        serve(changed, conversation.requests.size, &memory);
    }
    free(changed);
    free_conversation(&conversation);
}
