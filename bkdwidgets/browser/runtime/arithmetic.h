/* Small vector arithmetic: four floats at a time, in a fixed order, so that every browser gets the same bits. */
#ifndef ARITHMETIC_H
#define ARITHMETIC_H

#include <wasm_simd128.h>

static inline float sum_of_lanes(v128_t four) {
    return (wasm_f32x4_extract_lane(four, 0) + wasm_f32x4_extract_lane(four, 1)) +
           (wasm_f32x4_extract_lane(four, 2) + wasm_f32x4_extract_lane(four, 3));
}

static inline float largest_lane(v128_t four) {
    v128_t pairs = wasm_f32x4_max(four, wasm_i32x4_shuffle(four, four, 2, 3, 0, 1));
    return wasm_f32x4_extract_lane(wasm_f32x4_max(pairs, wasm_i32x4_shuffle(pairs, pairs, 1, 0, 3, 2)), 0);
}

static inline v128_t multiply_add(v128_t sum, v128_t a, v128_t b) {
    return wasm_f32x4_add(sum, wasm_f32x4_mul(a, b));
}

/* e^x to about 2e-7 (relative): x = n ln 2 + r, a polynomial for e^r (Cephes' expf), n into the exponent. */
static inline v128_t exp_of(v128_t x) {
    x = wasm_f32x4_min(wasm_f32x4_max(x, wasm_f32x4_splat(-87.0f)), wasm_f32x4_splat(88.0f));
    v128_t n = wasm_f32x4_nearest(wasm_f32x4_mul(x, wasm_f32x4_splat(1.44269504f)));
    v128_t r = wasm_f32x4_sub(x, wasm_f32x4_mul(n, wasm_f32x4_splat(0.693359375f)));
    r = wasm_f32x4_add(r, wasm_f32x4_mul(n, wasm_f32x4_splat(2.12194440e-4f)));
    v128_t p = wasm_f32x4_splat(1.9875691500e-4f);
    p = multiply_add(wasm_f32x4_splat(1.3981999507e-3f), p, r);
    p = multiply_add(wasm_f32x4_splat(8.3334519073e-3f), p, r);
    p = multiply_add(wasm_f32x4_splat(4.1665795894e-2f), p, r);
    p = multiply_add(wasm_f32x4_splat(1.6666665459e-1f), p, r);
    p = multiply_add(wasm_f32x4_splat(5.0000001201e-1f), p, r);
    p = wasm_f32x4_add(multiply_add(r, wasm_f32x4_mul(r, r), p), wasm_f32x4_splat(1.0f));
    v128_t power = wasm_i32x4_add(wasm_i32x4_trunc_sat_f32x4(n), wasm_i32x4_splat(127));
    return wasm_f32x4_mul(p, wasm_i32x4_shl(power, 23));
}

/* The inner product of two rows; count is a multiple of 4. */
static inline float dot(const float *a, const float *b, int count) {
    v128_t sum = wasm_f32x4_splat(0);
    for (int i = 0; i < count; i += 4) sum = multiply_add(sum, wasm_v128_load(a + i), wasm_v128_load(b + i));
    return sum_of_lanes(sum);
}

/* sum[i] += factor * row[i]; count is a multiple of 4. */
static inline void add_scaled(float *sum, const float *row, float factor, int count) {
    v128_t factors = wasm_f32x4_splat(factor);
    for (int i = 0; i < count; i += 4)
        wasm_v128_store(sum + i, multiply_add(wasm_v128_load(sum + i), factors, wasm_v128_load(row + i)));
}

#endif
