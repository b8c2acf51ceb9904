/* A run: n tokens through all blocks, after the tokens that a slot already keeps. */
#include "arithmetic.h"
#include "model.h"

enum Stage { IDLE, IN_LAYERS, FINISHED };

typedef struct {
    enum Stage stage;
    int slot, n, past, next_layer, heads_place, steering_place, steering_layer;
    float steering_scale;
    const Adapter *adapter; /* null: the base alone */
} Run;

static Run run;

/* Inputs and outputs, see runtime.h. */
static int32_t *ids;
static float *head_scale, *head_offset, *steering, *logits, *patterns, *last_z, *last_residual;
/* Scratch, one row per token: the residual stream, a normalized or projected copy of it, ... */
static float *stream, *other, *queries, *keys, *values, *z, *gate, *up;

int run_open(void) {
    uint64_t tokens = (model.max_tokens + TILE - 1) / TILE * TILE; /* whole tiles may be read */
    uint64_t heads = (uint64_t)model.n_layers * model.n_heads;
    uint64_t attention = tokens * model.n_heads * model.d_head, shared = tokens * model.n_kv_heads * model.d_head;
    ids = take(tokens * sizeof(int32_t));
    head_scale = take_floats(heads);
    head_offset = take_floats(heads * model.d_head);
    steering = take_floats(model.d_model);
    logits = take_floats((uint64_t)LOGIT_ROWS * model.n_vocab);
    patterns = take_floats(model.n_heads * tokens * tokens);
    last_z = take_floats(heads * model.d_head);
    last_residual = take_floats((model.n_layers + 1ull) * model.d_model);
    stream = take_floats(tokens * model.d_model);
    other = take_floats(tokens * model.d_model);
    queries = take_floats(attention);
    z = take_floats(attention);
    keys = take_floats(shared);
    values = take_floats(shared);
    gate = take_floats(tokens * model.d_ff);
    up = take_floats(tokens * model.d_ff);
    return ids && head_scale && head_offset && steering && logits && patterns && last_z && last_residual && stream &&
                   other && queries && z && keys && values && gate && up
               ? OK
               : OUT_OF_MEMORY;
}

void *input_address(int input) {
    if (!model.opened) return NULL;
    switch (input) {
    case IN_IDS: return ids;
    case IN_HEAD_SCALE: return head_scale;
    case IN_HEAD_OFFSET: return head_offset;
    case IN_STEERING: return steering;
    case IN_COS: return model.sealed ? NULL : model.cosines;
    case IN_SIN: return model.sealed ? NULL : model.sines;
    default: return NULL;
    }
}

void *output_address(int output) {
    if (!model.opened) return NULL;
    switch (output) {
    case OUT_LOGITS: return logits;
    case OUT_PATTERNS: return patterns;
    case OUT_Z: return last_z;
    case OUT_RESIDUAL: return last_residual;
    default: return NULL;
    }
}

static int is_place(int place) {
    return place == NOWHERE || place == LAST || place == EVERYWHERE;
}

static int check_tokens(int slot, int n, int past) {
    if (slot < 0 || slot >= model.n_slots || past < 0 || past > model.held[slot]) return BAD_ARGUMENT;
    if (n < 1 || n > model.max_tokens - past) return BAD_ARGUMENT;
    for (int token = 0; token < n; token++)
        if (ids[token] < 0 || ids[token] >= model.n_vocab) return BAD_ARGUMENT;
    return OK;
}

static int check_edits(int heads_place, int steering_place, int steering_layer, float steering_scale) {
    size_t heads = (size_t)model.n_layers * model.n_heads;
    if (!is_place(heads_place) || !is_place(steering_place)) return BAD_ARGUMENT;
    if (heads_place && (!all_finite(head_scale, heads) || !all_finite(head_offset, heads * model.d_head)))
        return NOT_FINITE;
    if (!steering_place) return OK;
    if (steering_layer < 0 || steering_layer >= model.n_layers) return BAD_ARGUMENT;
    return all_finite(&steering_scale, 1) && all_finite(steering, model.d_model) ? OK : NOT_FINITE;
}

int run_begin(int slot, int n, int past, int adapter, int heads_place, int steering_place, int steering_layer,
              float steering_scale) {
    run.stage = IDLE;
    if (!model.sealed) return NOT_READY;
    if (adapter < -1 || adapter >= model.n_adapters) return BAD_ARGUMENT;
    int status = check_tokens(slot, n, past);
    if (!status) status = check_edits(heads_place, steering_place, steering_layer, steering_scale);
    if (status) return status;
    run = (Run){IN_LAYERS, slot, n, past, 0, heads_place, steering_place, steering_layer, steering_scale,
                adapter < 0 ? NULL : &model.adapters[adapter]};
    model.held[slot] = past; /* what comes after is overwritten from here on */
    for (int token = 0; token < n; token++)
        tensor_row(&model.top[EMBED], ids[token], stream + (size_t)token * model.d_model);
    __builtin_memcpy(last_residual, stream + (size_t)(n - 1) * model.d_model, model.d_model * sizeof(float));
    return OK;
}

/* output = input / rms(input) * weight, token by token. */
static void normalize(const float *input, const Tensor *weight, int n, float *output) {
    const float *factors = weight->values;
    for (int token = 0; token < n; token++) {
        const float *row = input + (size_t)token * model.d_model;
        float mean = dot(row, row, model.d_model) / (float)model.d_model;
        float inverse = 1.0f / __builtin_sqrtf(mean + model.rms_eps);
        for (int i = 0; i < model.d_model; i++)
            output[(size_t)token * model.d_model + i] = row[i] * inverse * factors[i];
    }
}

static void project(int layer, int kind, const Activations *input, float *output) {
    linear(&model.layers[layer][kind], input, output);
    if (run.adapter) adapter_add(run.adapter, layer, kind - FIRST_PROJECTION, input, output);
}

static int first_edited(int place) {
    return place == EVERYWHERE ? 0 : place == LAST ? run.n - 1 : run.n;
}

static void edit_heads(int layer) {
    const float *scale = head_scale + (size_t)layer * model.n_heads;
    const float *offset = head_offset + (size_t)layer * model.n_heads * model.d_head;
    int width = model.n_heads * model.d_head;
    for (int token = first_edited(run.heads_place); token < run.n; token++)
        for (int i = 0; i < width; i++) {
            float *value = z + (size_t)token * width + i;
            *value = scale[i / model.d_head] * *value + offset[i];
        }
}

static void steer(int layer) {
    if (layer != run.steering_layer) return;
    for (int token = first_edited(run.steering_place); token < run.n; token++)
        add_scaled(stream + (size_t)token * model.d_model, steering, run.steering_scale, model.d_model);
}

static void add_to_stream(const float *output) {
    add_scaled(stream, output, 1.0f, run.n * model.d_model);
}

static void attention_block(int layer) {
    normalize(stream, &model.layers[layer][INPUT_NORM], run.n, other);
    Activations input = activations_of(other, run.n, model.d_model);
    project(layer, Q, &input, queries);
    project(layer, K, &input, keys);
    project(layer, V, &input, values);
    rotate_and_keep(run.slot, layer, run.past, run.n, queries, keys, values);
    attend(run.slot, layer, run.past, run.n, queries, patterns, z);
    edit_heads(layer);
    int width = model.n_heads * model.d_head;
    __builtin_memcpy(last_z + (size_t)layer * width, z + (size_t)(run.n - 1) * width, width * sizeof(float));
    Activations heads = activations_of(z, run.n, width);
    project(layer, O, &heads, other);
    add_to_stream(other);
    steer(layer);
}

/* gate = silu(gate) * up */
static void activate(size_t count) {
    v128_t one = wasm_f32x4_splat(1);
    for (size_t i = 0; i < count; i += 4) {
        v128_t four = wasm_v128_load(gate + i);
        v128_t silu = wasm_f32x4_div(four, wasm_f32x4_add(one, exp_of(wasm_f32x4_neg(four))));
        wasm_v128_store(gate + i, wasm_f32x4_mul(silu, wasm_v128_load(up + i)));
    }
}

static void mlp_block(int layer) {
    normalize(stream, &model.layers[layer][POST_NORM], run.n, other);
    Activations input = activations_of(other, run.n, model.d_model);
    project(layer, GATE, &input, gate);
    project(layer, UP, &input, up);
    activate((size_t)run.n * model.d_ff);
    Activations inner = activations_of(gate, run.n, model.d_ff);
    project(layer, DOWN, &inner, other);
    add_to_stream(other);
}

int run_layer(int layer) {
    if (run.stage != IN_LAYERS || layer != run.next_layer || layer >= model.n_layers) return NOT_READY;
    attention_block(layer);
    mlp_block(layer);
    const float *last = stream + (size_t)(run.n - 1) * model.d_model;
    __builtin_memcpy(last_residual + (layer + 1ull) * model.d_model, last, model.d_model * sizeof(float));
    run.next_layer++;
    return OK;
}

int run_finish(void) {
    if (run.stage != IN_LAYERS || run.next_layer != model.n_layers) return NOT_READY;
    run.stage = IDLE;
    if (!all_finite(stream, (size_t)run.n * model.d_model)) return NOT_FINITE;
    model.held[run.slot] = run.past + run.n;
    run.stage = FINISHED;
    return OK;
}

int run_logits(int first, int count) {
    if (run.stage != FINISHED) return NOT_READY;
    if (count < 1 || count > LOGIT_ROWS || first < 0 || first > run.n - count) return BAD_ARGUMENT;
    normalize(stream + (size_t)first * model.d_model, &model.top[NORM], count, other);
    Activations input = activations_of(other, count, model.d_model);
    const Tensor *output = model.top[UNEMBED].loaded ? &model.top[UNEMBED] : &model.top[EMBED];
    linear(output, &input, logits);
    return all_finite(logits, (size_t)count * model.n_vocab) ? OK : NOT_FINITE;
}
