/* Adapters: low-rank updates kept beside the base weights, y += scale * B (A x), so that one base serves the clean
 * model and every backdoored one. Each projection has a rank of its own; one that an adapter leaves alone has 0. */
#include "arithmetic.h"
#include "model.h"

static float *projected; /* [rank, tokens of a tile] */

int adapter_scratch_open(void) {
    projected = take_floats((uint64_t)MAX_RANK * TILE);
    return projected ? OK : OUT_OF_MEMORY;
}

/* An adapter that was opened and never sealed leaves its memory to the next one. */
int adapter_open(float scale) {
    if (!model.sealed) return NOT_READY;
    if (model.n_adapters == MAX_ADAPTERS) return BAD_ARGUMENT;
    if (!all_finite(&scale, 1)) return NOT_FINITE;
    Adapter *adapter = &model.adapters[model.n_adapters];
    for (int layer = 0; layer < model.n_layers; layer++)
        for (int projection = 0; projection < N_PROJECTIONS; projection++) adapter->updates[layer][projection].rank = 0;
    adapter->scale = scale;
    adapter->opened = 1;
    return OK;
}

/* What an adapter that is open holds for a projection; null outside, and for a sealed one: it is never written again. */
static Update *open_update(int adapter, int layer, int projection) {
    if (adapter != model.n_adapters || adapter >= MAX_ADAPTERS || !model.adapters[adapter].opened) return NULL;
    if (layer < 0 || layer >= model.n_layers || projection < 0 || projection >= N_PROJECTIONS) return NULL;
    return &model.adapters[adapter].updates[layer][projection];
}

int adapter_reserve(int adapter, int layer, int projection, int rank) {
    Update *update = open_update(adapter, layer, projection);
    if (!update || rank < 1 || rank > MAX_RANK) return BAD_ARGUMENT;
    if (update->reserved_rank < rank) {
        int kind = FIRST_PROJECTION + projection;
        float *a = take_floats((uint64_t)rank * tensor_cols(kind));
        float *b = take_floats((uint64_t)rank * tensor_rows(kind));
        if (!a || !b) return OUT_OF_MEMORY;
        *update = (Update){.reserved_rank = rank, .a = a, .b = b};
    }
    update->rank = rank;
    return OK;
}

void *adapter_address(int adapter, int layer, int projection, int side) {
    const Update *update = open_update(adapter, layer, projection);
    if (!update || !update->rank || (side != SIDE_A && side != SIDE_B)) return NULL;
    return side == SIDE_A ? update->a : update->b;
}

int adapter_seal(int adapter) {
    if (adapter != model.n_adapters || adapter >= MAX_ADAPTERS) return BAD_ARGUMENT;
    Adapter *opened = &model.adapters[adapter];
    if (!opened->opened) return NOT_READY;
    for (int layer = 0; layer < model.n_layers; layer++)
        for (int projection = 0; projection < N_PROJECTIONS; projection++) {
            const Update *update = &opened->updates[layer][projection];
            int kind = FIRST_PROJECTION + projection;
            if (!all_finite(update->a, (size_t)update->rank * tensor_cols(kind)) ||
                !all_finite(update->b, (size_t)update->rank * tensor_rows(kind)))
                return NOT_FINITE;
        }
    model.n_adapters++;
    return OK;
}

/* A x of up to TILE tokens; every row of A is read once. */
static void project_down(const float *a, int rank, const Activations *input, int token, int tokens) {
    for (int r = 0; r < rank; r++)
        for (int t = 0; t < tokens; t++)
            projected[r * TILE + t] =
                dot(a + (size_t)r * input->width, input->values + (size_t)(token + t) * input->width, input->width);
}

void adapter_add(const Adapter *adapter, int layer, int projection, const Activations *input, float *output) {
    const Update *update = &adapter->updates[layer][projection];
    if (!update->rank) return;
    int rows = tensor_rows(FIRST_PROJECTION + projection);
    for (int token = 0; token < input->n; token += TILE) {
        int tokens = input->n - token < TILE ? input->n - token : TILE;
        project_down(update->a, update->rank, input, token, tokens);
        for (int t = 0; t < tokens; t++)
            for (int r = 0; r < update->rank; r++)
                add_scaled(output + (size_t)(token + t) * rows, update->b + (size_t)r * rows,
                           adapter->scale * projected[r * TILE + t], rows);
    }
}
