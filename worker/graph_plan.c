/* graph_plan.c: reads TVM's graph JSON into a plan: nodes, then what is known of each output, then
 * what a node takes, so that each step leans on what the one before has checked.
 */
#include "graph_plan.h"

#include <cjson/cJSON.h>
#include <inttypes.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

struct reading {
    struct graph_plan *plan;
    const cJSON *root, *attrs;
    uint32_t node; /* at hand, for messages */
    struct vta_error *error;
};

/* ---- Memory -------------------------------------------------------------------------------- */

#define BLOCK_BYTES 65536u

struct graph_block {
    struct graph_block *next;
    size_t used, room;
    max_align_t bytes[];
};

/* Zeroed memory that lives as long as the plan; NULL with VTA_ENOMEM. */
static void *take(struct reading *reading, size_t count, size_t size)
{
    struct graph_plan *plan = reading->plan;
    struct graph_block *block = plan->blocks;
    size_t nbytes = 0;
    bool fits = !__builtin_mul_overflow(count, size, &nbytes) && nbytes < SIZE_MAX / 2;
    nbytes = (nbytes + sizeof(max_align_t) - 1) / sizeof(max_align_t) * sizeof(max_align_t);
    if (fits && (block == NULL || block->room - block->used < nbytes)) {
        const size_t room = nbytes > BLOCK_BYTES ? nbytes : BLOCK_BYTES;
        block = calloc(1, sizeof *block + room);
        if (block != NULL) {
            *block = (struct graph_block){ .next = plan->blocks, .room = room };
            plan->blocks = block;
        }
    }
    if (!fits || block == NULL) {
        vta_error_set(reading->error, VTA_ENOMEM, "graph: no memory for %zu items", count);
        return NULL;
    }
    void *taken = (uint8_t *)block->bytes + block->used;
    block->used += nbytes;
    return taken;
}

static char *take_text(struct reading *reading, const char *text)
{
    const size_t nbytes = strlen(text) + 1;
    char *copy = take(reading, nbytes, 1);
    if (copy != NULL)
        memcpy(copy, text, nbytes);
    return copy;
}

/* ---- Errors -------------------------------------------------------------------------------- */

static int wrong(const struct reading *reading, const char *what)
{
    return vta_error_set(reading->error, VTA_EFORMAT, "graph: %s", what);
}

/* About the node at hand; what was set already gets the node's name in front. */
static int at_node(const struct reading *reading, int rc)
{
    const char *name = reading->plan->nodes[reading->node].name;
    if (rc != 0)
        vta_error_prefix(reading->error, "graph: node %" PRIu32 " '%.64s'", reading->node,
                         name == NULL ? "" : name);
    return rc;
}

/* ---- Values -------------------------------------------------------------------------------- */

/* A whole number from 0 to `most`. */
static bool read_number(const cJSON *item, int64_t most, int64_t *value)
{
    /* Negated, so that a NaN is refused too. */
    if (!cJSON_IsNumber(item) || !(item->valuedouble >= 0 && item->valuedouble <= (double)most))
        return false;
    *value = (int64_t)item->valuedouble;
    return (double)*value == item->valuedouble;
}

static bool read_index(const cJSON *item, uint32_t count, uint32_t *value)
{
    int64_t number;
    if (count == 0 || !read_number(item, (int64_t)count - 1, &number))
        return false;
    *value = (uint32_t)number;
    return true;
}

static const cJSON *member(const cJSON *object, const char *name)
{
    return cJSON_GetObjectItemCaseSensitive(object, name);
}

/* A number of a node's attributes, where all are texts. */
static int read_attribute(const struct reading *reading, const cJSON *attributes, const char *name,
                          uint32_t most, uint32_t *value)
{
    const cJSON *item = member(attributes, name);
    if (!cJSON_IsString(item))
        return vta_error_set(reading->error, VTA_EFORMAT, "%s is not there, or not a text", name);
    char *end;
    const unsigned long number = strtoul(item->valuestring, &end, 10);
    if (item->valuestring[0] < '0' || item->valuestring[0] > '9' || *end != '\0' || number > most)
        return vta_error_limit(reading->error, VTA_EFORMAT, most, (int64_t)number,
                               "%s is '%.32s', not a number up to %" PRIu32, name,
                               item->valuestring, most);
    *value = (uint32_t)number;
    return 0;
}

/* "float32", "int8x16", "bool": a name, bits, lanes. */
static bool read_dtype(const char *text, struct tvm_dtype *dtype)
{
    static const struct {
        const char *name;
        struct tvm_dtype dtype;
    } names[] = { { "int", { TVM_DTYPE_INT, 32, 1 } },
                  { "uint", { TVM_DTYPE_UINT, 32, 1 } },
                  { "float", { TVM_DTYPE_FLOAT, 32, 1 } },
                  { "bfloat", { TVM_DTYPE_BFLOAT, 16, 1 } },
                  { "bool", { TVM_DTYPE_UINT, 1, 1 } } };
    const size_t length = strcspn(text, "0123456789");
    size_t i = 0;
    while (i < sizeof names / sizeof names[0] &&
           (strlen(names[i].name) != length || memcmp(names[i].name, text, length) != 0))
        i++;
    if (i == sizeof names / sizeof names[0])
        return false;
    *dtype = names[i].dtype;
    const char *at = text + length;
    if (*at == '\0')
        return true;
    char *end;
    const unsigned long bits = strtoul(at, &end, 10);
    unsigned long lanes = 1;
    if (*end == 'x' && end[1] >= '0' && end[1] <= '9')
        lanes = strtoul(end + 1, &end, 10);
    dtype->bits = (uint8_t)bits;
    dtype->lanes = (uint16_t)lanes;
    return *end == '\0' && bits >= 1 && bits <= 128 && lanes >= 1 && lanes <= UINT16_MAX;
}

/* ---- Nodes --------------------------------------------------------------------------------- */

static int read_call(struct reading *reading, const cJSON *item, struct graph_node *node)
{
    const cJSON *attributes = member(item, "attrs"), *function, *hash;
    uint32_t flatten = 0;
    if (attributes == NULL)
        attributes = member(item, "attr");
    function = member(attributes, "func_name");
    hash = member(attributes, "hash");
    if (!cJSON_IsString(function))
        return vta_error_set(reading->error, VTA_EFORMAT, "it has no func_name");
    int rc = read_attribute(reading, attributes, "num_inputs", GRAPH_LINKS_MAX, &node->input_count);
    if (rc == 0)
        rc = read_attribute(reading, attributes, "num_outputs", GRAPH_LINKS_MAX,
                            &node->output_count);
    if (rc == 0)
        rc = read_attribute(reading, attributes, "flatten_data", 1, &flatten);
    if (rc != 0)
        return rc;
    node->flatten = flatten != 0;
    node->op = strcmp(function->valuestring, "__nop") == 0    ? GRAPH_NOP
               : strcmp(function->valuestring, "__copy") == 0 ? GRAPH_COPY
                                                              : GRAPH_CALL;
    if (node->op != GRAPH_CALL && (node->input_count != 1 || node->output_count != 1))
        return vta_error_set(reading->error, VTA_EFORMAT,
                             "%s has %" PRIu32 " inputs and %" PRIu32 " outputs, not one of each",
                             function->valuestring, node->input_count, node->output_count);
    node->function = take_text(reading, function->valuestring);
    if (cJSON_IsString(hash))
        node->hash = take_text(reading, hash->valuestring);
    return node->function == NULL || (cJSON_IsString(hash) && node->hash == NULL) ? VTA_ENOMEM : 0;
}

static int read_node(struct reading *reading, const cJSON *item, struct graph_node *node)
{
    const cJSON *name = member(item, "name"), *op = member(item, "op");
    if (!cJSON_IsString(name) || !cJSON_IsString(op))
        return vta_error_set(reading->error, VTA_EFORMAT, "it has no name, or no op");
    node->name = take_text(reading, name->valuestring);
    if (node->name == NULL)
        return VTA_ENOMEM;
    if (strcmp(op->valuestring, "tvm_op") == 0)
        return read_call(reading, item, node);
    node->output_count = 1;
    if (strcmp(op->valuestring, "null") == 0)
        return 0;
    return vta_error_set(reading->error, VTA_EFORMAT, "its op is '%.32s', not null or tvm_op",
                         op->valuestring);
}

static int read_nodes(struct reading *reading)
{
    struct graph_plan *plan = reading->plan;
    const cJSON *nodes = member(reading->root, "nodes"), *item;
    if (!cJSON_IsArray(nodes) || nodes->child == NULL)
        return wrong(reading, "it has no nodes");
    const int count = cJSON_GetArraySize(nodes);
    if (count > (int)GRAPH_NODES_MAX)
        return vta_error_limit(reading->error, VTA_ELIMIT, GRAPH_NODES_MAX, count,
                               "graph: %d nodes, at most %u", count, GRAPH_NODES_MAX);
    plan->nodes = take(reading, (size_t)count, sizeof *plan->nodes);
    if (plan->nodes == NULL)
        return VTA_ENOMEM;
    plan->node_count = (uint32_t)count;
    cJSON_ArrayForEach(item, nodes)
    {
        struct graph_node *node = &plan->nodes[reading->node];
        int rc = at_node(reading, read_node(reading, item, node));
        if (rc != 0)
            return rc;
        node->first_entry = plan->entry_count;
        plan->entry_count += node->output_count;
        if (plan->entry_count > GRAPH_ENTRIES_MAX)
            return vta_error_limit(reading->error, VTA_ELIMIT, GRAPH_ENTRIES_MAX, plan->entry_count,
                                   "graph: more than %u outputs of nodes", GRAPH_ENTRIES_MAX);
        reading->node++;
    }
    return 0;
}

/* ---- Entries ------------------------------------------------------------------------------- */

/* One value for each entry: ["list_int", [0, 1, …]]. *values: NULL if it is left out. */
static int find_list(const struct reading *reading, const char *name, const char *type,
                     bool required, const cJSON **values)
{
    const cJSON *list = member(reading->attrs, name);
    *values = NULL;
    if (list == NULL && !required)
        return 0;
    if (!cJSON_IsArray(list) || cJSON_GetArraySize(list) != 2 || !cJSON_IsString(list->child) ||
        strcmp(list->child->valuestring, type) != 0 || !cJSON_IsArray(list->child->next))
        return vta_error_set(reading->error, VTA_EFORMAT, "graph: attrs: %s is not [\"%s\", […]]",
                             name, type);
    const int count = cJSON_GetArraySize(list->child->next);
    if (count != (int)reading->plan->entry_count)
        return vta_error_set(reading->error, VTA_EFORMAT,
                             "graph: attrs: %s has %d items for %" PRIu32 " outputs of nodes", name,
                             count, reading->plan->entry_count);
    *values = list->child->next->child;
    return 0;
}

static int read_shape(struct reading *reading, const cJSON *shape, struct graph_entry *entry)
{
    const cJSON *extent;
    uint64_t nbytes = ((uint64_t)entry->dtype.bits * entry->dtype.lanes + 7) / 8;
    const int ndim = cJSON_IsArray(shape) ? cJSON_GetArraySize(shape) : -1;
    if (ndim < 0 || ndim > (int)TVM_NDIM_MAX)
        return vta_error_set(reading->error, VTA_EFORMAT,
                             "a shape is not a list of up to %u extents", TVM_NDIM_MAX);
    entry->shape = take(reading, (size_t)ndim, sizeof *entry->shape);
    if (entry->shape == NULL)
        return VTA_ENOMEM;
    cJSON_ArrayForEach(extent, shape)
    {
        int64_t *value = &entry->shape[entry->ndim++];
        if (!read_number(extent, INT64_C(1) << 48, value))
            return vta_error_set(reading->error, VTA_EFORMAT,
                                 "extent %" PRId32 " of a shape is not a number of elements",
                                 entry->ndim - 1);
        if (__builtin_mul_overflow(nbytes, (uint64_t)*value, &nbytes) || nbytes > INT64_MAX)
            return vta_error_set(reading->error, VTA_ESIZE,
                                 "extent %" PRId32 " of a shape, %" PRId64
                                 ", is too much with those before it",
                                 entry->ndim - 1, *value);
    }
    entry->nbytes = nbytes;
    entry->elements = 1;
    for (int32_t i = 0; i < entry->ndim; i++)
        entry->elements *= entry->shape[i];
    return 0;
}

/* The items of each list that are about one entry. */
struct items {
    const cJSON *shape, *dtype, *storage, *device, *scope;
};

static int read_entry(struct reading *reading, const struct items *items, struct graph_entry *entry)
{
    struct graph_plan *plan = reading->plan;
    const cJSON *scope = items->scope;
    if (!cJSON_IsString(items->dtype) || !read_dtype(items->dtype->valuestring, &entry->dtype))
        return vta_error_set(reading->error, VTA_EFORMAT, "its type is '%.32s', which is unknown",
                             cJSON_IsString(items->dtype) ? items->dtype->valuestring : "?");
    int rc = read_shape(reading, items->shape, entry);
    if (rc != 0)
        return rc;
    if (!read_index(items->storage, GRAPH_ENTRIES_MAX, &entry->storage))
        return vta_error_set(reading->error, VTA_EFORMAT, "its storage_id is not a number below %u",
                             GRAPH_ENTRIES_MAX);
    if (scope != NULL && (!cJSON_IsString(scope) || (scope->valuestring[0] != '\0' &&
                                                     strcmp(scope->valuestring, "global") != 0)))
        return vta_error_set(reading->error, VTA_EUNSUPPORTED,
                             "there is no storage scope '%.32s', only global",
                             cJSON_IsString(scope) ? scope->valuestring : "?");
    if (plan->storage_count <= entry->storage)
        plan->storage_count = entry->storage + 1;
    return 0;
}

static void advance(const cJSON **item)
{
    if (*item != NULL)
        *item = (*item)->next;
}

static int read_entries(struct reading *reading, struct items items)
{
    struct graph_plan *plan = reading->plan;
    plan->entries = take(reading, plan->entry_count, sizeof *plan->entries);
    if (plan->entries == NULL)
        return VTA_ENOMEM;
    for (reading->node = 0; reading->node < plan->node_count; reading->node++) {
        const struct graph_node *node = &plan->nodes[reading->node];
        for (uint32_t i = 0; i < node->output_count; i++) {
            struct graph_entry *entry = &plan->entries[node->first_entry + i];
            entry->node = reading->node;
            entry->root = node->first_entry + i;
            int rc = at_node(reading, read_entry(reading, &items, entry));
            if (rc != 0)
                return rc;
            advance(&items.shape);
            advance(&items.dtype);
            advance(&items.storage);
            advance(&items.scope);
        }
    }
    return 0;
}

/* device: of the entry; NULL if the graph does not say. */
static int add_to_storage(const struct reading *reading, const struct graph_entry *entry,
                          const cJSON *device)
{
    struct graph_storage *storage = &reading->plan->storages[entry->storage];
    /* cJSON keeps what is no int32 within its bounds. */
    const int32_t type = device == NULL ? 0 : device->valueint;
    if (device != NULL && !cJSON_IsNumber(device))
        return vta_error_set(reading->error, VTA_EFORMAT, "its device_index is no device type");
    if (storage->used && storage->device_type != type)
        return vta_error_set(reading->error, VTA_EFORMAT,
                             "storage %" PRIu32 " is on device type %" PRId32
                             " for another node, on %" PRId32 " here",
                             entry->storage, storage->device_type, type);
    storage->device_type = type;
    storage->used = true;
    if (storage->nbytes < entry->nbytes)
        storage->nbytes = entry->nbytes;
    return 0;
}

static int read_storages(struct reading *reading, const cJSON *device)
{
    struct graph_plan *plan = reading->plan;
    plan->storages = take(reading, plan->storage_count, sizeof *plan->storages);
    if (plan->storages == NULL)
        return VTA_ENOMEM;
    for (reading->node = 0; reading->node < plan->node_count; reading->node++) {
        const struct graph_node *node = &plan->nodes[reading->node];
        for (uint32_t i = 0; i < node->output_count; i++) {
            const struct graph_entry *entry = &plan->entries[node->first_entry + i];
            int rc = at_node(reading, add_to_storage(reading, entry, device));
            if (rc != 0)
                return rc;
            advance(&device);
        }
    }
    return 0;
}

static int read_attributes(struct reading *reading)
{
    struct items items;
    int rc = find_list(reading, "shape", "list_shape", true, &items.shape);
    if (rc == 0)
        rc = find_list(reading, "dltype", "list_str", true, &items.dtype);
    if (rc == 0)
        rc = find_list(reading, "storage_id", "list_int", true, &items.storage);
    if (rc == 0)
        rc = find_list(reading, "device_index", "list_int", false, &items.device);
    if (rc == 0)
        rc = find_list(reading, "storage_scope", "list_str", false, &items.scope);
    if (rc == 0)
        rc = read_entries(reading, items);
    return rc == 0 ? read_storages(reading, items.device) : rc;
}

/* node_row_ptr says again where the entries of each node begin. */
static int check_rows(const struct reading *reading)
{
    const struct graph_plan *plan = reading->plan;
    const cJSON *rows = member(reading->root, "node_row_ptr"), *row;
    uint32_t i = 0;
    if (!cJSON_IsArray(rows) || cJSON_GetArraySize(rows) != (int)plan->node_count + 1)
        return wrong(reading, "node_row_ptr does not have one number more than there are nodes");
    cJSON_ArrayForEach(row, rows)
    {
        const uint32_t first =
            i < plan->node_count ? plan->nodes[i].first_entry : plan->entry_count;
        int64_t value;
        if (!read_number(row, GRAPH_ENTRIES_MAX, &value) || value != first)
            return vta_error_set(reading->error, VTA_EFORMAT,
                                 "graph: node_row_ptr: item %" PRIu32 " is not %" PRIu32
                                 ", the outputs of the nodes before",
                                 i, first);
        i++;
    }
    return 0;
}

/* ---- Links --------------------------------------------------------------------------------- */

/* [node, output] or [node, output, version], of a node below `nodes`. */
static int read_link(const struct reading *reading, const cJSON *item, uint32_t nodes,
                     uint32_t *entry)
{
    const struct graph_plan *plan = reading->plan;
    const int count = cJSON_IsArray(item) ? cJSON_GetArraySize(item) : 0;
    uint32_t node, output;
    if (count != 2 && count != 3)
        return vta_error_set(reading->error, VTA_EFORMAT, "is not [node, output, version]");
    if (!read_index(item->child, nodes, &node))
        return vta_error_set(reading->error, VTA_EFORMAT,
                             "is of node %g, which is none of the %" PRIu32 " that come before",
                             item->child->valuedouble, nodes);
    if (!read_index(item->child->next, plan->nodes[node].output_count, &output))
        return vta_error_set(reading->error, VTA_EFORMAT,
                             "is output %g of node %" PRIu32 ", which has %" PRIu32,
                             item->child->next->valuedouble, node, plan->nodes[node].output_count);
    *entry = plan->nodes[node].first_entry + output;
    return 0;
}

/* A node that runs nothing of its own has its input's bytes. */
static int check_same(const struct reading *reading, const struct graph_node *node)
{
    struct graph_entry *to = &reading->plan->entries[node->first_entry];
    const struct graph_entry *from = &reading->plan->entries[node->inputs[0]];
    if (to->nbytes != from->nbytes)
        return vta_error_set(reading->error, VTA_EFORMAT, "%s of %" PRIu64 " bytes to %" PRIu64,
                             node->function, from->nbytes, to->nbytes);
    if (node->op == GRAPH_COPY)
        return 0;
    if (to->storage != from->storage)
        return vta_error_set(reading->error, VTA_EFORMAT,
                             "__nop from storage %" PRIu32 " to %" PRIu32, from->storage,
                             to->storage);
    to->root = from->root;
    return 0;
}

static int read_inputs(struct reading *reading, const cJSON *item, struct graph_node *node)
{
    const cJSON *inputs = member(item, "inputs"), *link, *before;
    const int count = cJSON_IsArray(inputs) ? cJSON_GetArraySize(inputs) : inputs == NULL ? 0 : -1;
    uint32_t at = 0, unread;
    if (count != (int)node->input_count)
        return vta_error_set(reading->error, VTA_EFORMAT,
                             "it has %d inputs, but should have %" PRIu32, count,
                             node->input_count);
    uint32_t *entries = take(reading, node->input_count, sizeof *entries);
    if (entries == NULL)
        return VTA_ENOMEM;
    node->inputs = entries;
    cJSON_ArrayForEach(link, inputs)
    {
        int rc = read_link(reading, link, reading->node, &entries[at]);
        if (rc != 0) {
            vta_error_prefix(reading->error, "input %" PRIu32, at);
            return rc;
        }
        at++;
    }
    cJSON_ArrayForEach(before, member(item, "control_deps"))
    {
        if (!read_index(before, reading->node, &unread))
            return vta_error_set(reading->error, VTA_EFORMAT,
                                 "it waits for a node that does not come before it");
    }
    return node->op == GRAPH_NOP || node->op == GRAPH_COPY ? check_same(reading, node) : 0;
}

static int read_links(struct reading *reading)
{
    const cJSON *item;
    reading->node = 0;
    cJSON_ArrayForEach(item, member(reading->root, "nodes"))
    {
        int rc = at_node(reading, read_inputs(reading, item, &reading->plan->nodes[reading->node]));
        if (rc != 0)
            return rc;
        reading->node++;
    }
    return 0;
}

static int read_arguments(struct reading *reading)
{
    struct graph_plan *plan = reading->plan;
    const cJSON *list = member(reading->root, "arg_nodes"), *item;
    bool *seen = take(reading, plan->node_count, sizeof *seen);
    const int count = cJSON_IsArray(list) ? cJSON_GetArraySize(list) : -1;
    if (count < 0 || count > (int)plan->node_count)
        return wrong(reading, "arg_nodes is not a list of nodes");
    plan->inputs = take(reading, (size_t)count, sizeof *plan->inputs);
    if (seen == NULL || plan->inputs == NULL)
        return VTA_ENOMEM;
    cJSON_ArrayForEach(item, list)
    {
        uint32_t node;
        if (!read_index(item, plan->node_count, &node) || seen[node] ||
            plan->nodes[node].op != GRAPH_INPUT)
            return vta_error_set(reading->error, VTA_EFORMAT,
                                 "graph: arg_nodes: item %" PRIu32
                                 " is no node whose op is null, or is there twice",
                                 plan->input_count);
        seen[node] = true;
        plan->inputs[plan->input_count++] = node;
    }
    return 0;
}

static int read_heads(struct reading *reading)
{
    struct graph_plan *plan = reading->plan;
    const cJSON *list = member(reading->root, "heads"), *item;
    const int count = cJSON_IsArray(list) ? cJSON_GetArraySize(list) : -1;
    if (count < 0 || count > (int)GRAPH_ENTRIES_MAX)
        return wrong(reading, "heads is not a list of outputs");
    plan->outputs = take(reading, (size_t)count, sizeof *plan->outputs);
    if (plan->outputs == NULL)
        return VTA_ENOMEM;
    cJSON_ArrayForEach(item, list)
    {
        int rc = read_link(reading, item, plan->node_count, &plan->outputs[plan->output_count]);
        if (rc != 0) {
            vta_error_prefix(reading->error, "graph: heads: item %" PRIu32, plan->output_count);
            return rc;
        }
        plan->output_count++;
    }
    return 0;
}

/* ---- A plan -------------------------------------------------------------------------------- */

static int read_all(struct reading *reading)
{
    reading->attrs = member(reading->root, "attrs");
    int rc = read_nodes(reading);
    if (rc == 0)
        rc = check_rows(reading);
    if (rc == 0)
        rc = read_attributes(reading);
    if (rc == 0)
        rc = read_links(reading);
    if (rc == 0)
        rc = read_arguments(reading);
    return rc == 0 ? read_heads(reading) : rc;
}

int graph_plan_read(struct graph_plan **plan, const char *text, size_t nbytes,
                    struct vta_error *error)
{
    if (nbytes > GRAPH_JSON_MAX)
        return vta_error_limit(error, VTA_ELIMIT, GRAPH_JSON_MAX, (int64_t)nbytes,
                               "graph: %zu bytes of JSON, at most %u", nbytes, GRAPH_JSON_MAX);
    struct reading reading = { .error = error };
    cJSON *root = cJSON_ParseWithLength(text, nbytes);
    reading.root = root;
    if (root == NULL)
        return vta_error_set(error, VTA_EFORMAT, "graph: it is not JSON, or nested too deeply");
    reading.plan = calloc(1, sizeof *reading.plan);
    int rc = reading.plan == NULL ? vta_error_set(error, VTA_ENOMEM, "graph: no memory for it")
                                  : read_all(&reading);
    cJSON_Delete(root);
    if (rc != 0) {
        graph_plan_free(reading.plan);
        return rc;
    }
    *plan = reading.plan;
    return 0;
}

void graph_plan_free(struct graph_plan *plan)
{
    if (plan == NULL)
        return;
    while (plan->blocks != NULL) {
        struct graph_block *block = plan->blocks;
        plan->blocks = block->next;
        free(block);
    }
    free(plan);
}

int64_t graph_plan_input(const struct graph_plan *plan, const char *name)
{
    for (uint32_t i = 0; i < plan->input_count; i++)
        if (strcmp(plan->nodes[plan->inputs[i]].name, name) == 0)
            return i;
    return -1;
}
