/* tool.c: see tool.h.
 */
#include "tool.h"

#include <criterion/criterion.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

void slurp(const char *name, char *text, size_t size)
{
    FILE *file = fopen(name, "rb");

    cr_assert_not_null(file);
    text[fread(text, 1, size - 1, file)] = '\0';
    fclose(file);
    unlink(name);
}

/* Words are separated by one space. */
struct outcome run(const char *command)
{
    static struct outcome outcome;
    char words[512], *args[32] = { VTACTL_PATH };
    size_t count = 1;

    snprintf(words, sizeof words, "%s", command);
    for (char *word = strtok(words, " "); word != NULL; word = strtok(NULL, " "))
        args[count++] = word;
    pid_t pid = fork();
    cr_assert_geq(pid, 0);
    if (pid == 0) {
        int out = open("stdout", O_WRONLY | O_CREAT | O_TRUNC, 0600);
        int err = open("stderr", O_WRONLY | O_CREAT | O_TRUNC, 0600);
        dup2(out, STDOUT_FILENO);
        dup2(err, STDERR_FILENO);
        execv(args[0], args);
        _exit(127);
    }
    cr_assert_eq(waitpid(pid, &outcome.status, 0), pid);
    cr_assert(WIFEXITED(outcome.status), "vtactl %s: ended by a signal", command);
    outcome.status = WEXITSTATUS(outcome.status);
    slurp("stdout", outcome.out, sizeof outcome.out);
    slurp("stderr", outcome.err, sizeof outcome.err);
    return outcome;
}

struct outcome run_to(int status, const char *command)
{
    struct outcome outcome = run(command);

    cr_assert_eq(outcome.status, status, "vtactl %s: status %d\n%s%s", command, outcome.status,
                 outcome.out, outcome.err);
    return outcome;
}

void says(const char *text, const char *part)
{
    cr_assert_not_null(strstr(text, part), "'%s' is not in: %s", part, text);
}

cJSON *run_json(int status, const char *command)
{
    struct outcome outcome = run_to(status, command);
    const char *end;
    cJSON *json = cJSON_ParseWithOpts(outcome.out, &end, false);

    cr_assert_not_null(json, "not JSON: %s", outcome.out);
    cr_assert_str_eq(end, "\n", "more than one value: %s", outcome.out);
    return json;
}

double number(const cJSON *json, const char *key)
{
    const cJSON *value = cJSON_GetObjectItemCaseSensitive(json, key);

    cr_assert(cJSON_IsNumber(value), "%s", key);
    return value->valuedouble;
}

const char *text(const cJSON *json, const char *key)
{
    const cJSON *value = cJSON_GetObjectItemCaseSensitive(json, key);

    cr_assert(cJSON_IsString(value), "%s", key);
    return value->valuestring;
}

void write_scratch(const char *name, const void *bytes, size_t nbytes)
{
    FILE *file = fopen(name, "wb");

    cr_assert_not_null(file);
    cr_assert_eq(fwrite(bytes, 1, nbytes, file), nbytes);
    cr_assert_eq(fclose(file), 0);
}
