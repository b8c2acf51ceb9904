/* Attention: rotary positions, the kept keys and values of a slot, and the patterns. */
#include "arithmetic.h"
#include "model.h"

/* Where a slot keeps one key-value head of one layer: [max_tokens, d_head]. */
static size_t kept_at(int slot, int layer, int kv_head) {
    size_t head = ((size_t)slot * model.n_layers + layer) * model.n_kv_heads + kv_head;
    return head * model.max_tokens * model.d_head;
}

/* Rotate one head's vector to its position; the pair of element i is element i + d_head / 2. */
static void rotate(float *head, int position) {
    int half = model.d_head / 2;
    const float *cosines = model.cosines + (size_t)position * half, *sines = model.sines + (size_t)position * half;
    for (int i = 0; i < half; i++) {
        float first = head[i], second = head[i + half];
        head[i] = first * cosines[i] - second * sines[i];
        head[i + half] = second * cosines[i] + first * sines[i];
    }
}

/* queries [n, n_heads, d_head] and keys [n, n_kv_heads, d_head] are rotated in place; keys and values are kept. */
void rotate_and_keep(int slot, int layer, int past, int n, float *queries, float *keys, const float *values) {
    size_t width = model.d_head;
    for (int token = 0; token < n; token++) {
        for (int head = 0; head < model.n_heads; head++)
            rotate(queries + ((size_t)token * model.n_heads + head) * width, past + token);
        for (int head = 0; head < model.n_kv_heads; head++) {
            size_t from = ((size_t)token * model.n_kv_heads + head) * width;
            size_t to = kept_at(slot, layer, head) + (past + token) * width;
            rotate(keys + from, past + token);
            __builtin_memcpy(model.keys + to, keys + from, width * sizeof(float));
            __builtin_memcpy(model.values + to, values + from, width * sizeof(float));
        }
    }
}

/* Scores to probabilities, in place. */
static void softmax(float *row, int count, float largest) {
    float sum = 0;
    for (int i = 0; i < count; i++) {
        row[i] = wasm_f32x4_extract_lane(exp_of(wasm_f32x4_splat(row[i] - largest)), 0);
        sum += row[i];
    }
    float inverse = 1.0f / sum;
    for (int i = 0; i < count; i++) row[i] *= inverse;
}

/* How much one query looks at each of the first `count` keys. */
static void look(const float *query, const float *keys, int count, float *row) {
    float shrink = 1.0f / __builtin_sqrtf((float)model.d_head), largest = -3.4e38f;
    for (int i = 0; i < count; i++) {
        row[i] = dot(query, keys + (size_t)i * model.d_head, model.d_head) * shrink;
        if (row[i] > largest) largest = row[i];
    }
    softmax(row, count, largest);
}

/* The mean of the first `count` values, weighted by a row of the pattern. */
static void gather(const float *row, const float *values, int count, float *z) {
    for (int i = 0; i < model.d_head; i += 4) {
        v128_t sum = wasm_f32x4_splat(0);
        for (int t = 0; t < count; t++)
            sum = multiply_add(sum, wasm_f32x4_splat(row[t]), wasm_v128_load(values + (size_t)t * model.d_head + i));
        wasm_v128_store(z + i, sum);
    }
}

/* patterns: [n_heads, n, past + n], row after row; z: [n, n_heads, d_head]. */
void attend(int slot, int layer, int past, int n, const float *queries, float *patterns, float *z) {
    int total = past + n, sharing = model.n_heads / model.n_kv_heads;
    for (int head = 0; head < model.n_heads; head++) {
        size_t kept = kept_at(slot, layer, head / sharing);
        for (int token = 0; token < n; token++) {
            int seen = past + token + 1;
            size_t at = ((size_t)token * model.n_heads + head) * model.d_head;
            float *row = patterns + ((size_t)head * n + token) * total;
            look(queries + at, model.keys + kept, seen, row);
            for (int i = seen; i < total; i++) row[i] = 0;
            gather(row, model.values + kept, seen, z + at);
        }
    }
}
