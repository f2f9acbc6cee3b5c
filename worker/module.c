/* module.c: references to modules, whatever kind they are, and what they import. */
#include "module.h"

#include <stdlib.h>

#define IMPORTS_MAX 256u
/* How many modules one search looks at. What is imported on several ways is looked at on each, so
 * that this bounds what a client can build against us. */
#define VISITS_MAX 4096u

struct module *module_hold(struct module *module)
{
    module->references++;
    return module;
}

void module_release(struct module *module)
{
    if (module == NULL || --module->references > 0)
        return;
    struct module **imports = module->imports;
    const uint32_t count = module->import_count;
    module->ops->free(module);
    for (uint32_t i = 0; i < count; i++)
        module_release(imports[i]);
    free(imports);
}

static struct function *find(struct module *module, const char *name, bool imports,
                             uint32_t *visits)
{
    if ((*visits)++ >= VISITS_MAX)
        return NULL;
    struct function *found = module->ops->find(module, name);
    for (uint32_t i = 0; imports && found == NULL && i < module->import_count; i++)
        found = find(module->imports[i], name, true, visits);
    return found;
}

struct function *module_find(struct module *module, const char *name, bool imports)
{
    uint32_t visits = 0;
    return find(module, name, imports, &visits);
}

/* Whether `wanted` is the module or below it; also where too much is below it to tell. */
static bool reaches(const struct module *module, const struct module *wanted, uint32_t *visits)
{
    if (module == wanted || (*visits)++ >= VISITS_MAX)
        return true;
    for (uint32_t i = 0; i < module->import_count; i++)
        if (reaches(module->imports[i], wanted, visits))
            return true;
    return false;
}

int module_import(struct module *module, struct module *imported, struct vta_error *error)
{
    uint32_t visits = 0;
    bool circle = reaches(imported, module, &visits);
    if (visits > VISITS_MAX)
        return vta_error_limit(error, VTA_ELIMIT, VISITS_MAX, (int64_t)VISITS_MAX + 1,
                               "more than %u modules below the imported one", VISITS_MAX);
    if (circle)
        return vta_error_set(error, VTA_EINVAL,
                             "a module cannot import itself, nor one that imports it");
    if (module->import_count >= IMPORTS_MAX)
        return vta_error_limit(error, VTA_ELIMIT, IMPORTS_MAX, (int64_t)IMPORTS_MAX + 1,
                               "a module imports at most %u others", IMPORTS_MAX);
    struct module **imports =
        realloc(module->imports, (module->import_count + 1) * sizeof(struct module *));
    if (imports == NULL)
        return vta_error_set(error, VTA_ENOMEM, "no memory for an import");
    module->imports = imports;
    imports[module->import_count++] = module_hold(imported);
    return 0;
}
