/* Linear maps: y[token] = W x[token]. One row of W meets all tokens before the next row is read; tokens go in
 * tiles of four that share the unpacking of the weights. A token's sum is formed in the same order whether it
 * comes alone or in a tile, so that a prefix read at once or in pieces gives the same bits. */
#include "arithmetic.h"
#include "model.h"

#define INLINE static inline __attribute__((always_inline))

typedef struct { v128_t part[4]; } Unpacked; /* a block's 32 quants as int16 */

INLINE Unpacked unpack_q4_1(const uint8_t *quants) {
    v128_t bytes = wasm_v128_load(quants);
    v128_t low = wasm_v128_and(bytes, wasm_i8x16_splat(15)), high = wasm_u8x16_shr(bytes, 4);
    return (Unpacked){{wasm_u16x8_extend_low_u8x16(low), wasm_u16x8_extend_high_u8x16(low),
                       wasm_u16x8_extend_low_u8x16(high), wasm_u16x8_extend_high_u8x16(high)}};
}

INLINE Unpacked unpack_q8_0(const uint8_t *quants) {
    v128_t first = wasm_v128_load(quants), second = wasm_v128_load(quants + 16);
    return (Unpacked){{wasm_i16x8_extend_low_i8x16(first), wasm_i16x8_extend_high_i8x16(first),
                       wasm_i16x8_extend_low_i8x16(second), wasm_i16x8_extend_high_i8x16(second)}};
}

/* Four partial sums of quant * activation over a block: at most 127 * 32767 * 8 each, far from overflow. */
INLINE v128_t block_dot(Unpacked weights, const int16_t *x) {
    v128_t a = wasm_i32x4_dot_i16x8(weights.part[0], wasm_v128_load(x));
    v128_t b = wasm_i32x4_dot_i16x8(weights.part[1], wasm_v128_load(x + 8));
    v128_t c = wasm_i32x4_dot_i16x8(weights.part[2], wasm_v128_load(x + 16));
    v128_t d = wasm_i32x4_dot_i16x8(weights.part[3], wasm_v128_load(x + 24));
    return wasm_f32x4_convert_i32x4(wasm_i32x4_add(wasm_i32x4_add(a, b), wasm_i32x4_add(c, d)));
}

INLINE void store_tile(const v128_t *sums, v128_t added, const Activations *input, int token, int tile,
                       float *output, int rows) {
    float extra[4];
    wasm_v128_store(extra, added);
    for (int t = 0; t < tile && token + t < input->n; t++)
        output[(size_t)(token + t) * rows] = sum_of_lanes(sums[t]) + extra[t];
}

/* One row of a quantized matrix with `tile` tokens (1 or TILE), from `token` on, a multiple of TILE. */
INLINE void blocks_row(const Tensor *weight, int row, const Activations *input, int token, int tile,
                       int is_q4_1, float *output) {
    int blocks = weight->cols / BLOCK;
    size_t first = (size_t)row * blocks;
    const uint8_t *quants = (const uint8_t *)weight->values + first * (is_q4_1 ? BLOCK / 2 : BLOCK);
    const int16_t *x = input->rounded + (size_t)token * weight->cols;
    const float *scales = input->scales + (size_t)token * blocks, *sums = input->sums + (size_t)token * blocks;
    v128_t added = wasm_f32x4_splat(0), total[TILE];
    for (int t = 0; t < tile; t++) total[t] = wasm_f32x4_splat(0);
    for (int block = 0; block < blocks; block++) {
        Unpacked unpacked = is_q4_1 ? unpack_q4_1(quants) : unpack_q8_0(quants);
        v128_t factors = wasm_f32x4_mul(wasm_v128_load32_splat(weight->scales + first + block),
                                        wasm_v128_load(scales + block * TILE));
        if (is_q4_1)
            added = multiply_add(added, wasm_v128_load32_splat(weight->mins + first + block),
                                 wasm_v128_load(sums + block * TILE));
        const int16_t *at = x + block * BLOCK;
        total[0] = multiply_add(total[0], block_dot(unpacked, at), wasm_i32x4_shuffle(factors, factors, 0, 0, 0, 0));
        if (tile == TILE) {
            at += weight->cols;
            total[1] = multiply_add(total[1], block_dot(unpacked, at), wasm_i32x4_shuffle(factors, factors, 1, 1, 1, 1));
            at += weight->cols;
            total[2] = multiply_add(total[2], block_dot(unpacked, at), wasm_i32x4_shuffle(factors, factors, 2, 2, 2, 2));
            at += weight->cols;
            total[3] = multiply_add(total[3], block_dot(unpacked, at), wasm_i32x4_shuffle(factors, factors, 3, 3, 3, 3));
        }
        quants += is_q4_1 ? BLOCK / 2 : BLOCK;
    }
    store_tile(total, added, input, token, tile, output + row, weight->rows);
}

/* One row of float weights with `tile` tokens. */
INLINE void floats_row(const Tensor *weight, int row, const Activations *input, int token, int tile, float *output) {
    int cols = weight->cols;
    const float *w = (const float *)weight->values + (size_t)row * cols, *x = input->values + (size_t)token * cols;
    v128_t total[TILE];
    for (int t = 0; t < tile; t++) total[t] = wasm_f32x4_splat(0);
    for (int i = 0; i < cols; i += 4) {
        v128_t four = wasm_v128_load(w + i);
        for (int t = 0; t < tile; t++)
            total[t] = multiply_add(total[t], four, wasm_v128_load(x + (size_t)t * cols + i));
    }
    store_tile(total, wasm_f32x4_splat(0), input, token, tile, output + row, weight->rows);
}

#define FOR_EACH_ROW_AND_TILE(ROW_WITH)                                                                \
    for (int row = 0; row < weight->rows; row++) {                                                     \
        if (input->n == 1) ROW_WITH(0, 1);                                                             \
        else for (int token = 0; token < input->n; token += TILE) ROW_WITH(token, TILE);               \
    }

static void linear_q4_1(const Tensor *weight, const Activations *input, float *output) {
#define WITH(token, tile) blocks_row(weight, row, input, token, tile, 1, output)
    FOR_EACH_ROW_AND_TILE(WITH)
#undef WITH
}

static void linear_q8_0(const Tensor *weight, const Activations *input, float *output) {
#define WITH(token, tile) blocks_row(weight, row, input, token, tile, 0, output)
    FOR_EACH_ROW_AND_TILE(WITH)
#undef WITH
}

static void linear_f32(const Tensor *weight, const Activations *input, float *output) {
#define WITH(token, tile) floats_row(weight, row, input, token, tile, output)
    FOR_EACH_ROW_AND_TILE(WITH)
#undef WITH
}

void linear(const Tensor *weight, const Activations *input, float *output) {
    switch (weight->format) {
    case Q4_1: linear_q4_1(weight, input, output); break;
    case Q8_0: linear_q8_0(weight, input, output); break;
    default: linear_f32(weight, input, output);
    }
}

/* One row as floats: a token's embedding. */
void tensor_row(const Tensor *tensor, int row, float *output) {
    size_t start = (size_t)row * tensor->cols;
    for (int i = 0; i < tensor->cols; i++) {
        size_t block = (start + i) / BLOCK;
        int within = i % BLOCK;
        if (tensor->format == F32) {
            output[i] = ((const float *)tensor->values)[start + i];
        } else if (tensor->format == Q8_0) {
            output[i] = tensor->scales[block] * (float)((const int8_t *)tensor->values)[start + i];
        } else {
            uint8_t pair = ((const uint8_t *)tensor->values)[block * (BLOCK / 2) + within % (BLOCK / 2)];
            output[i] = tensor->scales[block] * (float)(within < BLOCK / 2 ? pair & 15 : pair >> 4) + tensor->mins[block];
        }
    }
}
