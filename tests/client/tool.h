/* tool.h: vtactl as a process: what it prints where, and how it ends.
 */
#ifndef VTA_TESTS_CLIENT_TOOL_H
#define VTA_TESTS_CLIENT_TOOL_H

#include <cjson/cJSON.h>
#include <stddef.h>

struct outcome {
    int status;
    char out[16384], err[4096];
};

/* Words are separated by one space. run_to fails the test if it ends with another status. */
struct outcome run(const char *command);
struct outcome run_to(int status, const char *command);
/* The one JSON value that it prints. */
cJSON *run_json(int status, const char *command);

/* The text has this part, the object this number or text; else the test fails. */
void says(const char *text, const char *part);
double number(const cJSON *json, const char *key);
const char *text(const cJSON *json, const char *key);

/* Files of the test's folder; slurp removes it. */
void slurp(const char *name, char *text, size_t size);
void write_scratch(const char *name, const void *bytes, size_t nbytes);

#endif
