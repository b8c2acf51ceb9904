/* What the parts of the runtime share: the model in memory, and the operations they offer each other. */
#ifndef MODEL_H
#define MODEL_H

#include "runtime.h"
#include <stddef.h>

enum { BLOCK = 32, TILE = 4 }; /* weights per quantized block; tokens that share one reading of a weight */

typedef struct {
    int format, rows, cols;
    int loaded;    /* committed: values are there and finite */
    void *memory;  /* what was reserved; the pointers below look into it */
    float *scales; /* [rows, cols / BLOCK], null for F32 */
    float *mins;   /* [rows, cols / BLOCK], only Q4_1 */
    void *values;  /* float, bytes of two quants, or int8_t */
} Tensor;

typedef struct {
    int rank;          /* 0: the projection stays as it is */
    int reserved_rank; /* how large a rank the memory was taken for */
    float *a, *b;
} Update;

typedef struct {
    int opened;
    float scale;
    Update updates[MAX_LAYERS][N_PROJECTIONS];
} Adapter;

typedef struct {
    int n_layers, n_heads, n_kv_heads, d_head, d_model, d_ff, n_vocab, max_tokens, n_slots;
    float rms_eps;
    int opened, sealed;
    int has_blocks; /* some projection is quantized: activations are rounded to int16 blocks */
    Tensor top[FIRST_LAYER_KIND];
    Tensor layers[MAX_LAYERS][N_KINDS];
    Adapter adapters[MAX_ADAPTERS];
    int n_adapters;          /* sealed ones */
    int held[MAX_SLOTS];     /* tokens each slot keeps */
    float *keys, *values;    /* [n_slots, n_layers, n_kv_heads, max_tokens, d_head] */
    float *cosines, *sines;  /* [max_tokens, d_head / 2] */
} Model;

/* Inputs of a linear map: as they are, and rounded to blocks of int16 for quantized weights. Tokens come
 * in tiles of TILE; what lies past token n in the last tile is never written out. */
typedef struct {
    int n, width;
    const float *values; /* [n, width] */
    int16_t *rounded;    /* [n, width] */
    float *scales;       /* [tiles, width / BLOCK, TILE] */
    float *sums;         /* [tiles, width / BLOCK, TILE]: sum of a block's values, which multiplies Q4_1's min */
} Activations;

extern Model model;

/* memory.c */
void *take(uint64_t bytes); /* zeroed, aligned to 64; null when there is no more */
float *take_floats(uint64_t count);
int all_finite(const float *values, size_t count);

/* model.c */
int tensor_rows(int kind);
int tensor_cols(int kind);
Tensor *tensor_at(int kind, int layer); /* null outside the model */

/* activations.c */
int activations_open(void);
Activations activations_of(const float *values, int n, int width);

/* linear.c */
void linear(const Tensor *weight, const Activations *input, float *output); /* output [n, rows] */
void tensor_row(const Tensor *tensor, int row, float *output);

/* adapter.c */
int adapter_scratch_open(void);
void adapter_add(const Adapter *adapter, int layer, int projection, const Activations *input, float *output);

/* attention.c */
void rotate_and_keep(int slot, int layer, int past, int n, float *queries, float *keys, const float *values);
void attend(int slot, int layer, int past, int n, const float *queries, float *patterns, float *z);

#endif
