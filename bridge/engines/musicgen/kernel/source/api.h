// The library's interface: plain C. No exception leaves it: every function catches what is thrown inside and returns a
// code. A decoder may be used by one thread at a time; a second thread gets MUSICGEN_BUSY.
#pragma once
#include <stddef.h>
#include <stdint.h>

#if defined(__cplusplus)
extern "C" {
#endif

#define MUSICGEN_API __attribute__((visibility("default")))

enum {
  MUSICGEN_DONE = 0,
  MUSICGEN_NO_MEMORY = 1,
  MUSICGEN_BAD_ROW = 2,       // there is no such row
  MUSICGEN_BAD_POSITION = 3,  // the position is beyond max_steps
  MUSICGEN_BAD_CODE = 4,      // the code is outside 0..vocabulary
  MUSICGEN_BAD_TENSOR = 5,
  MUSICGEN_NO_NUMBERS = 6,  // the scores are NaN or infinite
  MUSICGEN_BUSY = 7,        // another thread is inside a call with the same decoder
  MUSICGEN_BAD_CALL = 8,    // a null pointer or a negative count
  MUSICGEN_FAILED = 9,      // an exception that has no code of its own
};

typedef struct {
  int32_t layers, hidden, heads, ffn, vocabulary, codebooks, cross;
} musicgen_shape;

// One row of a step. The rows of one step may be successive positions of one sequence: each attends to the positions up
// to its own.
typedef struct {
  int32_t row, position;   // which KV cache, and the position in it
  int32_t cross;           // 1: cross-attention to what prefill_cross() computed for this row; 0: none
  int32_t scores;          // the slot of `scores` that gets its scores, or -1
  const int32_t* codes;    // (codebooks), or null:
  const float* embedding;  // (hidden), without the position
} musicgen_row;

// Opens a decoder without weights. `precision`: 0 float32, 1 bfloat16, 2 int8, 3 int4. `isa`: the name of an
// instruction set, or empty for the best one of this processor. Returns null when that fails; `error` then says why.
MUSICGEN_API void* musicgen_open(const musicgen_shape* shape, int32_t precision, int32_t rows, int32_t max_steps,
                                 int32_t threads, const char* isa, char* error, size_t error_bytes);
MUSICGEN_API void musicgen_close(void* decoder);
MUSICGEN_API const char* musicgen_isa(const void* decoder);

// The packed weights. The caller fills them with musicgen_pack(), or with a copy that was written to disk before.
MUSICGEN_API void* musicgen_weights(void* decoder, size_t* bytes);
MUSICGEN_API int32_t musicgen_pack(void* decoder, int32_t tensor, int32_t layer, const float* values);

// The embedding table, (codebooks * (vocabulary + 1), hidden); a part of the weights.
MUSICGEN_API const float* musicgen_embeddings(const void* decoder);

// Computes the cross-attention's keys and values of `encoder_states` (length, hidden) for `row`.
MUSICGEN_API int32_t musicgen_prefill_cross(void* decoder, int32_t row, const float* encoder_states, int32_t length);

// Runs one step of `count` rows. `scores`: (slots, codebooks * vocabulary).
MUSICGEN_API int32_t musicgen_step(void* decoder, int32_t count, const musicgen_row* rows, float* scores);

// How codes are drawn; sampling.py says what each number does. temperature 0: the likeliest code; top_k, top_p 0: off.
typedef struct {
  float guidance, temperature, penalty, top_p;
  int32_t top_k;
} musicgen_sampling;

// Draws a code from the conditional scores (vocabulary) and, with guidance, the unconditional ones, else null. `used`:
// (vocabulary), the codes that the penalty applies to, or null. Any thread may call it.
MUSICGEN_API int32_t musicgen_draw(const musicgen_sampling* how, const float* conditional, const float* unconditional,
                                   const uint8_t* used, double uniform, int32_t vocabulary, int32_t* code);

// One request: the columns that it reads and draws, each with a code of every codebook.
typedef struct {
  int32_t rows[2];       // the conditional one, and the unconditional one or -1
  int32_t positions[2];  // in their KV caches; the call increases them
  int32_t cross[2];
  int32_t column;  // the next one to read; the call increases it
  int32_t drawn;   // the last one drawn so far: columns up to it are only read again; the call increases it
  int32_t last;    // the last one to draw
  int32_t failed;  // set to 1 when the scores are NaN or infinite
  musicgen_sampling sampling;
  int32_t* columns;       // (last + 1, codebooks)
  const uint8_t* open;    // (last + 1, codebooks): the codes that are drawn, not given
  const double* uniform;  // (last, codebooks): random numbers, 0 <= u < 1
  uint8_t* used;          // (codebooks, vocabulary), or null without a penalty
} musicgen_request;

// Runs up to `steps` steps of all requests, at least one; each step draws what the next one reads. Returns after the
// first step that completes a request or makes it fail, or after which one of the words `stops` is not 0. `scores` is
// workspace for the scores of all rows.
MUSICGEN_API int32_t musicgen_run_steps(void* decoder, int32_t count, musicgen_request* requests, int32_t steps,
                                        const int32_t* const* stops, int32_t stop_count, float* scores);

// Sizes in bytes of musicgen_shape, musicgen_row, musicgen_sampling and musicgen_request, and the number of tensors, in
// this order; `sizes` holds MUSICGEN_ABI of them. A caller compares them with its own when it loads the library.
#define MUSICGEN_ABI 5
MUSICGEN_API void musicgen_abi(int32_t* sizes);

#if defined(MUSICGEN_FAULTS)
// Built for tests only: the next call throws, as it does when memory runs out (1) or for another reason (2).
MUSICGEN_API void musicgen_fail_next(int32_t how);
#endif

#if defined(__cplusplus)
}
#endif
