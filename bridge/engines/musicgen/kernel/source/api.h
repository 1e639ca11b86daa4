// The library's interface: plain C. No exception leaves it: every function catches what is thrown inside and returns a
// code. One thread at a time may call with one decoder; a second one gets MUSICGEN_BUSY.
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
  MUSICGEN_BAD_ROW = 2,       // a row that is not there
  MUSICGEN_BAD_POSITION = 3,  // a position beyond max_steps
  MUSICGEN_BAD_CODE = 4,      // a code outside 0..vocabulary
  MUSICGEN_BAD_TENSOR = 5,
  MUSICGEN_NO_NUMBERS = 6,  // scores that are NaN or infinite
  MUSICGEN_BUSY = 7,        // another thread is inside a call with the same decoder
  MUSICGEN_BAD_CALL = 8,    // a null pointer or a negative count
  MUSICGEN_FAILED = 9,      // an exception that has no code of its own
};

typedef struct {
  int32_t layers, hidden, heads, ffn, vocabulary, codebooks, cross;
} musicgen_shape;

// One row of a step. Rows of one step may be successive positions of one sequence: each hears those up to its own.
typedef struct {
  int32_t row, position;   // whose past, and where in it
  int32_t hears;           // 1: what listen() gave this row is attended to
  int32_t scores;          // where its scores go, or -1
  const int32_t* codes;    // (codebooks), or null:
  const float* embedding;  // (hidden), position not yet added
} musicgen_row;

// A decoder without weights. `precision`: 0 float32, 1 bfloat16, 2 int8, 3 int4. `isa`: a name, or empty for the best
// that this processor has. Null when it cannot be; `error` then says why.
MUSICGEN_API void* musicgen_open(const musicgen_shape* shape, int32_t precision, int32_t rows, int32_t max_steps,
                                 int32_t threads, const char* isa, char* error, size_t error_bytes);
MUSICGEN_API void musicgen_close(void* decoder);
MUSICGEN_API const char* musicgen_isa(const void* decoder);

// The packed weights: to be filled by pack(), or read from disk as they were written.
MUSICGEN_API void* musicgen_weights(void* decoder, size_t* bytes);
MUSICGEN_API int32_t musicgen_pack(void* decoder, int32_t tensor, int32_t layer, const float* values);

// What codes stand for, (codebooks * (vocabulary + 1), hidden); part of the weights.
MUSICGEN_API const float* musicgen_embeddings(const void* decoder);

// Keys and values of `memory` (length, hidden) for `row`.
MUSICGEN_API int32_t musicgen_listen(void* decoder, int32_t row, const float* memory, int32_t length);

// `scores`: (slots, codebooks * vocabulary).
MUSICGEN_API int32_t musicgen_step(void* decoder, int32_t count, const musicgen_row* rows, float* scores);

// How codes are drawn; sampling.py says what each number does. temperature 0: the likeliest; top_k, top_p 0: of all.
typedef struct {
  float guidance, temperature, penalty, top_p;
  int32_t top_k;
} musicgen_sampling;

// Draws a code out of the scores (vocabulary) of the row that hears the prompt and, or null, of the one that does not.
// `used`: (vocabulary), which codes the penalty is for, or null. Any thread may call it.
MUSICGEN_API int32_t musicgen_draw(const musicgen_sampling* how, const float* heard, const float* unheard,
                                   const uint8_t* used, double uniform, int32_t vocabulary, int32_t* code);

// What is read and drawn for one request: columns, each with a code of every codebook.
typedef struct {
  int32_t rows[2];       // the one that hears the prompt, and the one that does not, or -1
  int32_t positions[2];  // in their pasts; they go up
  int32_t hears[2];
  int32_t column;  // which is read next; goes up
  int32_t drawn;   // those up to this one have been drawn before, and are read again; goes up
  int32_t last;    // the last there is to draw
  int32_t failed;  // becomes 1 when the scores are no numbers
  musicgen_sampling sampling;
  int32_t* columns;       // (last + 1, codebooks)
  const uint8_t* open;    // the same: which codes are to be drawn
  const double* uniform;  // (last, codebooks), random numbers
  uint8_t* used;          // (codebooks, vocabulary), or null: there is no penalty
} musicgen_request;

// Up to `steps` steps of all requests, each drawing what the next one reads; at least one. Ends after the first that
// ends a request or fails it, or after which one of the words `stops` is not 0. `scores`: room for those of all rows.
MUSICGEN_API int32_t musicgen_play(void* decoder, int32_t count, musicgen_request* requests, int32_t steps,
                                   const int32_t* const* stops, int32_t stop_count, float* scores);

// Sizes in bytes of musicgen_shape, musicgen_row, musicgen_sampling and musicgen_request, and the number of tensors, in
// this order; `sizes` has room for MUSICGEN_ABI of them. A caller compares them with its own when it loads the library.
#define MUSICGEN_ABI 5
MUSICGEN_API void musicgen_abi(int32_t* sizes);

#if defined(MUSICGEN_FAULTS)
// Built for tests only: the next call throws, as it does when memory runs out (1) or for another reason (2).
MUSICGEN_API void musicgen_fail_next(int32_t how);
#endif

#if defined(__cplusplus)
}
#endif
