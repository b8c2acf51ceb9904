/* The entry points of the runtime: a Llama-style decoder with interventions, for WebAssembly with SIMD.
 *
 * One instance of the module holds one model. JavaScript (../js/runtime.js) calls, in this order:
 *
 *   model_open                          once: shapes, scratch memory, key-value slots
 *   tensor_reserve .. tensor_commit     for every tensor: write its values at tensor_address in between
 *   model_seal                          once: is everything there?
 *   adapter_open .. adapter_seal        any number of times, up to MAX_ADAPTERS; adapter_reserve for every projection
 *                                       that it changes, then write both sides at adapter_address
 *   run_begin, run_layer (for each layer, in order), run_finish, run_logits      for every run
 *
 * Every function checks its arguments against what the model holds and returns a status below; an
 * address is 0 when there is nothing at that place. No argument can make the runtime read or write
 * outside its own buffers.
 *
 * Arrays are row-major; [a, b] means b neighbours. Weight matrices are [out, in], as in PyTorch.
 */
#ifndef RUNTIME_H
#define RUNTIME_H

#include <stdint.h>

#define EXPORT __attribute__((visibility("default"), used))

enum Status {
    OK = 0,
    BAD_SHAPE = 1,     /* a width, count or format that this runtime cannot hold */
    BAD_ARGUMENT = 2,  /* an index, length or place outside its range */
    OUT_OF_MEMORY = 3, /* the browser gives no more memory */
    NOT_READY = 4,     /* a call out of order, or something is not loaded yet */
    ALREADY_THERE = 5, /* opened, loaded or sealed before */
    NOT_FINITE = 6,    /* a value that is infinite or not a number, given or computed */
};

enum Format {
    F32 = 0,  /* float values[rows * cols] */
    Q4_1 = 1, /* blocks of 32: float scales[n], float mins[n], uint8_t quants[n][16], n = rows * cols / 32.
                 value = scale * quant + min; byte i of a block holds value i (low half) and i + 16 */
    Q8_0 = 2, /* blocks of 32: float scales[n], int8_t quants[n][32]; value = scale * quant */
};

enum Kind {
    EMBED = 0,      /* [n_vocab, d_model]; also the output matrix when UNEMBED is not loaded */
    UNEMBED = 1,    /* [n_vocab, d_model] */
    NORM = 2,       /* [1, d_model], F32 */
    INPUT_NORM = 3, /* the rest once per layer: [1, d_model], F32 */
    POST_NORM = 4,  /* [1, d_model], F32 */
    Q = 5,          /* [n_heads * d_head, d_model], rotary halves as in Hugging Face's Llama */
    K = 6,          /* [n_kv_heads * d_head, d_model] */
    V = 7,          /* [n_kv_heads * d_head, d_model] */
    O = 8,          /* [d_model, n_heads * d_head] */
    GATE = 9,       /* [d_ff, d_model] */
    UP = 10,        /* [d_ff, d_model] */
    DOWN = 11,      /* [d_model, d_ff] */
    N_KINDS = 12,
};
enum { FIRST_LAYER_KIND = INPUT_NORM, FIRST_PROJECTION = Q, N_PROJECTIONS = 7 };

enum Side {
    SIDE_A = 0, /* float [rank, in] */
    SIDE_B = 1, /* float [rank, out]: B transposed, so that an update adds whole rows */
};

enum Place { NOWHERE = 0, LAST = 1, EVERYWHERE = 2 }; /* which of a run's tokens an edit acts on */

enum Input {
    IN_IDS = 0,         /* int32_t [max_tokens] */
    IN_HEAD_SCALE = 1,  /* float [n_layers, n_heads] */
    IN_HEAD_OFFSET = 2, /* float [n_layers, n_heads, d_head] */
    IN_STEERING = 3,    /* float [d_model] */
    IN_COS = 4,         /* float [max_tokens, d_head / 2]: the rotary angles' cosines, written before model_seal */
    IN_SIN = 5,         /* float [max_tokens, d_head / 2] */
};

enum Output {
    OUT_LOGITS = 0,   /* float [LOGIT_ROWS, n_vocab], of the last run_logits */
    OUT_PATTERNS = 1, /* float [n_heads, n, past + n], of the last run_layer */
    OUT_Z = 2,        /* float [n_layers, n_heads, d_head]: head outputs after edits, last token */
    OUT_RESIDUAL = 3, /* float [n_layers + 1, d_model]: the embedding, then after each block, last token */
};

enum {
    MAX_LAYERS = 128,
    MAX_HEADS = 256,
    MAX_HEAD_WIDTH = 256,
    MAX_WIDTH = 32768, /* of d_model, d_ff and n_heads * d_head */
    MAX_VOCAB = 262144,
    MAX_TOKENS = 1024,
    MAX_SLOTS = 16,
    MAX_ADAPTERS = 32,
    MAX_RANK = 256,
    LOGIT_ROWS = 8,
};

/* Set the shapes and take the memory of a run: d_head, d_model and d_ff are multiples of 4. */
EXPORT int model_open(int n_layers, int n_heads, int n_kv_heads, int d_head, int d_model, int d_ff,
                      int n_vocab, float rms_eps, int max_tokens, int n_slots);
/* Take memory for one tensor (layer is 0 for the first three kinds); rows and cols must be the model's. */
EXPORT int tensor_reserve(int kind, int layer, int format, int rows, int cols);
EXPORT void *tensor_address(int kind, int layer);
EXPORT int tensor_commit(int kind, int layer);
EXPORT int model_seal(void);

/* Open the next adapter: y += scale * B (A x) on each projection that gets a rank. It has the number of sealed ones. */
EXPORT int adapter_open(float scale);
EXPORT int adapter_reserve(int adapter, int layer, int projection, int rank);
EXPORT void *adapter_address(int adapter, int layer, int projection, int side);
EXPORT int adapter_seal(int adapter);

EXPORT void *input_address(int input);
EXPORT void *output_address(int output);

/* Begin to push n tokens (IN_IDS) through the model, after the `past` tokens that `slot` keeps.
 * adapter: its number, or -1 for none. Heads at `heads_place`: z' = scale * z + offset, before W_O.
 * Steering at `steering_place`: the attention output of `steering_layer` gets + scale * vector. */
EXPORT int run_begin(int slot, int n, int past, int adapter, int heads_place, int steering_place,
                     int steering_layer, float steering_scale);
EXPORT int run_layer(int layer);
/* End the run: the slot now keeps past + n tokens (or `past`, if something computed is not finite). */
EXPORT int run_finish(void);
/* Compute the logits of tokens first .. first + count - 1 of the finished run; count <= LOGIT_ROWS. */
EXPORT int run_logits(int first, int count);

#endif
