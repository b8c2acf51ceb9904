/* Memory: handed out from the end of the module's own data, never given back; a page that closes frees it all. */
#include "model.h"

enum { PAGE = 65536, ALIGNMENT = 64 };

extern uint8_t __heap_base;
static uint64_t top;

/* Fresh WebAssembly memory is zero, and nothing is handed out twice. */
void *take(uint64_t bytes) {
    if (!top) top = ((uintptr_t)&__heap_base + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
    uint64_t start = top, end = start + (bytes + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
    uint64_t have = (uint64_t)__builtin_wasm_memory_size(0) * PAGE;
    if (bytes > UINT32_MAX || end > UINT32_MAX) return NULL;
    if (end > have && __builtin_wasm_memory_grow(0, (end - have + PAGE - 1) / PAGE) == SIZE_MAX) return NULL;
    top = end;
    return (void *)(uintptr_t)start;
}

float *take_floats(uint64_t count) {
    return count > UINT32_MAX ? NULL : take(count * sizeof(float));
}

/* Looked at as bits, so that no optimization may assume the answer: all ones in the exponent. */
int all_finite(const float *values, size_t count) {
    const uint32_t *bits = (const uint32_t *)values;
    for (size_t i = 0; i < count; i++)
        if ((bits[i] & 0x7f800000u) == 0x7f800000u) return 0;
    return 1;
}
