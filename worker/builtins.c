/* builtins.c: finds the server's own functions by name. */
#include "builtins.h"

#include <assert.h>
#include <string.h>

static const struct builtin *const tables[] = { builtins_rpc, builtins_vta, builtins_random,
                                                builtins_graph };

#define TABLES        (sizeof tables / sizeof tables[0])
#define TABLE_ENTRIES 16 /* of a table, at most */

/* One object for each, made when it is first found; they are never freed. */
static struct function functions[TABLES][TABLE_ENTRIES];

struct function *builtin_find(struct worker *worker, const char *name)
{
    for (size_t t = 0; t < TABLES; t++)
        for (size_t i = 0; tables[t][i].name != NULL; i++) {
            const struct builtin *builtin = &tables[t][i];
            assert(i < TABLE_ENTRIES);
            if (strcmp(builtin->name, name) != 0)
                continue;
            struct function *function = &functions[t][i];
            function->ops = &builtin->ops;
            function->worker = worker;
            function->name = builtin->name;
            return function_hold(function);
        }
    return NULL;
}

bool builtin_is_upload(const struct function *function)
{
    return function->ops == &builtins_rpc[0].ops;
}
