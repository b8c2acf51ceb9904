/* Activations as blocks of 32 int16 with one scale each: sixteen bits keep them exact to about 1.5e-5 of the
 * block's largest value, and products with 4- or 8-bit weights then add up without error in 32-bit integers. */
#include "arithmetic.h"
#include "model.h"

static int16_t *rounded;
static float *scales, *sums;

static int widest(void) {
    int attention = model.n_heads * model.d_head;
    int width = model.d_model > model.d_ff ? model.d_model : model.d_ff;
    return width > attention ? width : attention;
}

int activations_open(void) {
    uint64_t tokens = (model.max_tokens + TILE - 1) / TILE * TILE;
    uint64_t blocks = tokens * ((widest() + BLOCK - 1) / BLOCK);
    rounded = take(blocks * BLOCK * sizeof(int16_t));
    scales = take_floats(blocks);
    sums = take_floats(blocks);
    return rounded && scales && sums ? OK : OUT_OF_MEMORY;
}

static void round_block(const float *block, int16_t *output, float *scale, float *sum) {
    v128_t largest = wasm_f32x4_splat(0), total = largest;
    for (int i = 0; i < BLOCK; i += 4) {
        v128_t four = wasm_v128_load(block + i);
        largest = wasm_f32x4_max(largest, wasm_f32x4_abs(four));
        total = wasm_f32x4_add(total, four);
    }
    float most = largest_lane(largest);
    *scale = most / 32767.0f;
    *sum = sum_of_lanes(total);
    v128_t inverse = wasm_f32x4_splat(most == 0 ? 0 : 32767.0f / most);
    for (int i = 0; i < BLOCK; i += 8) {
        v128_t low = wasm_f32x4_nearest(wasm_f32x4_mul(wasm_v128_load(block + i), inverse));
        v128_t high = wasm_f32x4_nearest(wasm_f32x4_mul(wasm_v128_load(block + i + 4), inverse));
        low = wasm_i32x4_trunc_sat_f32x4(low);
        high = wasm_i32x4_trunc_sat_f32x4(high);
        wasm_v128_store(output + i, wasm_i16x8_narrow_i32x4(low, high));
    }
}

/* The result looks into one shared scratch: it is good until the next call. */
Activations activations_of(const float *values, int n, int width) {
    Activations made = {n, width, values, rounded, scales, sums};
    if (!model.has_blocks || width % BLOCK) return made; /* no quantized weight has this width */
    int blocks = width / BLOCK;
    for (int token = 0; token < n; token++) {
        size_t tile = (size_t)(token / TILE) * blocks * TILE + token % TILE;
        for (int block = 0; block < blocks; block++) {
            size_t from = (size_t)token * width + block * BLOCK, at = tile + (size_t)block * TILE;
            round_block(values + from, rounded + from, scales + at, sums + at);
        }
    }
    return made;
}
