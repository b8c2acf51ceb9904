/* The model in memory: its shapes, its tensors, and whether all of them are there. */
#include "model.h"

Model model;

static int within(int value, int least, int most) {
    return value >= least && value <= most;
}

static int shapes_fit(void) {
    const Model *m = &model;
    return within(m->n_layers, 1, MAX_LAYERS) && within(m->n_heads, 1, MAX_HEADS) &&
           within(m->n_kv_heads, 1, m->n_heads) && m->n_heads % m->n_kv_heads == 0 &&
           within(m->d_head, 4, MAX_HEAD_WIDTH) && m->d_head % 4 == 0 &&
           within(m->n_heads * m->d_head, 4, MAX_WIDTH) && within(m->d_model, 4, MAX_WIDTH) &&
           m->d_model % 4 == 0 && within(m->d_ff, 4, MAX_WIDTH) && m->d_ff % 4 == 0 &&
           within(m->n_vocab, 1, MAX_VOCAB) && within(m->max_tokens, 1, MAX_TOKENS) &&
           within(m->n_slots, 1, MAX_SLOTS) && all_finite(&m->rms_eps, 1) && m->rms_eps > 0;
}

static int take_tables(void) {
    uint64_t kept = (uint64_t)model.n_slots * model.n_layers * model.n_kv_heads * model.max_tokens * model.d_head;
    uint64_t angles = (uint64_t)model.max_tokens * model.d_head / 2;
    model.keys = take_floats(kept);
    model.values = take_floats(kept);
    model.cosines = take_floats(angles);
    model.sines = take_floats(angles);
    return model.keys && model.values && model.cosines && model.sines ? OK : OUT_OF_MEMORY;
}

int run_open(void); /* run.c */

int model_open(int n_layers, int n_heads, int n_kv_heads, int d_head, int d_model, int d_ff, int n_vocab,
               float rms_eps, int max_tokens, int n_slots) {
    if (model.opened) return ALREADY_THERE;
    model.n_layers = n_layers;
    model.n_heads = n_heads;
    model.n_kv_heads = n_kv_heads;
    model.d_head = d_head;
    model.d_model = d_model;
    model.d_ff = d_ff;
    model.n_vocab = n_vocab;
    model.rms_eps = rms_eps;
    model.max_tokens = max_tokens;
    model.n_slots = n_slots;
    if (!shapes_fit()) return BAD_SHAPE;
    if (take_tables() || activations_open() || adapter_scratch_open() || run_open()) return OUT_OF_MEMORY;
    model.opened = 1;
    return OK;
}

int tensor_rows(int kind) {
    switch (kind) {
    case EMBED:
    case UNEMBED: return model.n_vocab;
    case Q: return model.n_heads * model.d_head;
    case K:
    case V: return model.n_kv_heads * model.d_head;
    case O:
    case DOWN: return model.d_model;
    case GATE:
    case UP: return model.d_ff;
    default: return 1;
    }
}

int tensor_cols(int kind) {
    switch (kind) {
    case O: return model.n_heads * model.d_head;
    case DOWN: return model.d_ff;
    default: return model.d_model;
    }
}

Tensor *tensor_at(int kind, int layer) {
    if (!model.opened || !within(kind, 0, N_KINDS - 1)) return NULL;
    if (kind < FIRST_LAYER_KIND) return layer == 0 ? &model.top[kind] : NULL;
    return within(layer, 0, model.n_layers - 1) ? &model.layers[layer][kind] : NULL;
}

static uint64_t bytes_of(int format, uint64_t count) {
    switch (format) {
    case Q4_1: return count / BLOCK * (2 * sizeof(float) + BLOCK / 2);
    case Q8_0: return count / BLOCK * (sizeof(float) + BLOCK);
    default: return count * sizeof(float);
    }
}

static void point_into_memory(Tensor *tensor) {
    size_t blocks = (size_t)tensor->rows * tensor->cols / BLOCK;
    float *floats = tensor->memory;
    tensor->scales = tensor->format == F32 ? NULL : floats;
    tensor->mins = tensor->format == Q4_1 ? floats + blocks : NULL;
    tensor->values = tensor->format == F32 ? floats : floats + (tensor->format == Q4_1 ? 2 : 1) * blocks;
}

int tensor_reserve(int kind, int layer, int format, int rows, int cols) {
    Tensor *tensor = tensor_at(kind, layer);
    if (!tensor) return BAD_ARGUMENT;
    if (model.sealed || tensor->loaded) return ALREADY_THERE;
    if (!within(format, F32, Q8_0) || rows != tensor_rows(kind) || cols != tensor_cols(kind)) return BAD_SHAPE;
    int is_norm = kind == NORM || kind == INPUT_NORM || kind == POST_NORM;
    if (format != F32 && (is_norm || cols % BLOCK)) return BAD_SHAPE;
    if (tensor->memory && tensor->format != format) return BAD_SHAPE; /* a second try uses the first one's memory */
    if (!tensor->memory) tensor->memory = take(bytes_of(format, (uint64_t)rows * cols));
    if (!tensor->memory) return OUT_OF_MEMORY;
    tensor->format = format;
    tensor->rows = rows;
    tensor->cols = cols;
    point_into_memory(tensor);
    return OK;
}

void *tensor_address(int kind, int layer) {
    Tensor *tensor = tensor_at(kind, layer);
    return tensor && !tensor->loaded ? tensor->memory : NULL;
}

int tensor_commit(int kind, int layer) {
    Tensor *tensor = tensor_at(kind, layer);
    if (!tensor) return BAD_ARGUMENT;
    if (!tensor->memory) return NOT_READY;
    if (tensor->loaded) return ALREADY_THERE;
    size_t count = (size_t)tensor->rows * tensor->cols;
    size_t floats = tensor->format == F32 ? count : count / BLOCK * (tensor->format == Q4_1 ? 2 : 1);
    if (!all_finite(tensor->memory, floats)) return NOT_FINITE;
    tensor->loaded = 1;
    if (tensor->format != F32) model.has_blocks = 1;
    return OK;
}

int model_seal(void) {
    if (!model.opened) return NOT_READY;
    if (model.sealed) return ALREADY_THERE;
    if (!model.top[EMBED].loaded || !model.top[NORM].loaded) return NOT_READY;
    for (int layer = 0; layer < model.n_layers; layer++)
        for (int kind = FIRST_LAYER_KIND; kind < N_KINDS; kind++)
            if (!model.layers[layer][kind].loaded) return NOT_READY;
    size_t angles = (size_t)model.max_tokens * model.d_head / 2;
    if (!all_finite(model.cosines, angles) || !all_finite(model.sines, angles)) return NOT_FINITE;
    model.sealed = 1;
    return OK;
}
