/* Adapters: low-rank updates kept beside the base weights, y += scale * B (A x), so that one base serves the clean
 * model and every backdoored one. */
#include "arithmetic.h"
#include "model.h"

static float *projected; /* [rank, tokens of a tile] */

int adapter_scratch_open(void) {
    projected = take_floats((uint64_t)MAX_RANK * TILE);
    return projected ? OK : OUT_OF_MEMORY;
}

static int take_sides(Adapter *adapter, int rank) {
    for (int layer = 0; layer < model.n_layers; layer++)
        for (int projection = 0; projection < N_PROJECTIONS; projection++) {
            int kind = FIRST_PROJECTION + projection;
            float *a = take_floats((uint64_t)rank * tensor_cols(kind));
            float *b = take_floats((uint64_t)rank * tensor_rows(kind));
            if (!a || !b) return OUT_OF_MEMORY;
            adapter->a[layer][projection] = a;
            adapter->b[layer][projection] = b;
        }
    adapter->reserved_rank = rank;
    return OK;
}

/* An adapter that was opened and never sealed leaves its memory to the next one. */
int adapter_open(int rank, float scale) {
    if (!model.sealed) return NOT_READY;
    if (model.n_adapters == MAX_ADAPTERS || rank < 1 || rank > MAX_RANK) return BAD_ARGUMENT;
    if (!all_finite(&scale, 1)) return NOT_FINITE;
    Adapter *adapter = &model.adapters[model.n_adapters];
    adapter->rank = rank;
    adapter->scale = scale;
    return adapter->reserved_rank < rank ? take_sides(adapter, rank) : OK;
}

void *adapter_address(int adapter, int layer, int projection, int side) {
    if (adapter != model.n_adapters || adapter >= MAX_ADAPTERS) return NULL; /* a sealed one is never written again */
    if (!model.adapters[adapter].reserved_rank || layer < 0 || layer >= model.n_layers) return NULL;
    if (projection < 0 || projection >= N_PROJECTIONS || (side != SIDE_A && side != SIDE_B)) return NULL;
    const Adapter *opened = &model.adapters[adapter];
    return side == SIDE_A ? opened->a[layer][projection] : opened->b[layer][projection];
}

int adapter_seal(int adapter) {
    if (adapter != model.n_adapters || adapter >= MAX_ADAPTERS) return BAD_ARGUMENT;
    Adapter *opened = &model.adapters[adapter];
    if (!opened->reserved_rank) return NOT_READY;
    for (int layer = 0; layer < model.n_layers; layer++)
        for (int projection = 0; projection < N_PROJECTIONS; projection++) {
            int kind = FIRST_PROJECTION + projection;
            if (!all_finite(opened->a[layer][projection], (size_t)opened->rank * tensor_cols(kind)) ||
                !all_finite(opened->b[layer][projection], (size_t)opened->rank * tensor_rows(kind)))
                return NOT_FINITE;
        }
    opened->sealed = 1;
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
    const float *a = adapter->a[layer][projection], *b = adapter->b[layer][projection];
    int rows = tensor_rows(FIRST_PROJECTION + projection);
    for (int token = 0; token < input->n; token += TILE) {
        int tokens = input->n - token < TILE ? input->n - token : TILE;
        project_down(a, adapter->rank, input, token, tokens);
        for (int t = 0; t < tokens; t++)
            for (int r = 0; r < adapter->rank; r++)
                add_scaled(output + (size_t)(token + t) * rows, b + (size_t)r * rows,
                           adapter->scale * projected[r * TILE + t], rows);
    }
}
