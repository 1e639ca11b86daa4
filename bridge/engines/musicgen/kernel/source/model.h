// What the kernel works on: sizes, packed weights, rows with their KV caches. Plain data, shared by every instruction
// set.
//
// Nothing here has code that a compiler would emit once for all object files: those are built with different -m flags,
// and the linker could give an old processor the copy that was compiled for a new one.
#pragma once
#include <cstddef>
#include <cstdint>

namespace musicgen {

constexpr int kLanes = 16;         // floats worked on at once, whatever the width of the registers
constexpr int kTile = 32;          // outputs of a matrix whose weights are stored together
constexpr int kPassRows = 32;      // rows that go through the layers together; more rows take several passes
constexpr int kGroupBytes = 256;   // prepared inputs of one row that are stored together
constexpr int kHeadWidth = 128;    // widest head
constexpr int kFoldedTokens = 24;  // tokens of the longest text whose cross-attention is folded, see folded.h

enum Precision : int32_t { kFloat32 = 0, kBfloat16 = 1, kInt8 = 2, kInt4 = 3, kPrecisions = 4 };

struct Shape {
  int32_t layers, hidden, heads, ffn, vocabulary, codebooks, cross;
};

// outputs x inputs, packed in tiles of kTile outputs; README.md draws a tile.
struct Matrix {
  uint8_t* tiles;
  float* scales;  // one per output, kInt8 alone
  int32_t outputs, inputs;
  size_t tile_bytes;
};

struct Norm {
  float *weight, *bias;
};

struct Layer {
  Norm self_norm, cross_norm, ffn_norm;
  Matrix qkv;  // outputs sorted by head: its query, key, value, then zeros up to a whole tile
  Matrix self_out;
  Matrix cross_q;  // likewise by head
  Matrix cross_out;
  Matrix fc1, fc2;
  Matrix cross_kv;  // likewise by head: key, value; read by prefill_cross() alone
};

struct Weights {
  Shape shape;
  int32_t precision;
  int32_t head, padded_head;  // width of a head, and the same up to 16, 32, 64 or 128
  Layer* layers;
  Norm norm;
  float* embed;  // (codebooks * (vocabulary + 1), hidden)
  Matrix heads;  // (codebooks * vocabulary, hidden)
};

// The KV cache of one sequence, halves, or floats in kFloat32:
// [layer][kKvBlock positions][head][16 positions]{ key [padded_head][16], value [16][padded_head] }.
// What one head reads of a block is contiguous, and memory pages are first touched as the sequence grows.
constexpr int kKvBlock = 64;

struct KvCache {
  uint8_t* data;
  size_t layer_bytes, block_bytes, head_bytes;
};

// A text with the query and output matrices of the cross-attention folded in; folded.h describes the layout.
struct FoldedText {
  uint8_t* data;  // null: none
  size_t layer_bytes, keys_at, values_at;
  int32_t tokens, padded, heads, pairs;  // padded: tokens up to whole lanes; pairs: (head, token)
};

// Inputs of a matrix in the form that its weights are multiplied with: [group][row][kGroupBytes], and for integers a
// scale and a sum per group and row.
struct Inputs {
  uint8_t* bytes;
  float* scales;  // [group][kPassRows]
  int32_t* sums;
};

struct Row {
  KvCache kv;
  int32_t position;
  const int32_t* codes;    // (codebooks), or null:
  const float* embedding;  // (hidden), without position
  KvCache cross_kv;        // data is null: no cross-attention, or a folded one
  int32_t cross_length;
  FoldedText folded;
  float* scores;  // (codebooks * vocabulary), or null
};

// Scratch memory of one thread.
struct Scratch {
  Inputs inputs;
  float* values;         // [kPassRows][widest output of one head, rounded up to tiles]
  float* normed;         // (hidden)
  Inputs normed_inputs;  // the same for Int8, one row
  float* product;        // (hidden rounded up to tiles and kLanes more, kLanes)
};

struct Pass {
  int32_t count, cross_count, folded_count, scored_count;
  Row rows[kPassRows];
  // indices of rows: all; those with keys and values to cross-attend to; those with a folded text; those with scores
  int32_t all[kPassRows], cross[kPassRows], folded[kPassRows], scored[kPassRows];
};

class Threads;

struct Decoder {
  Weights weights;
  const float* positions;  // (max_steps, hidden)
  Threads* threads;
  Pass pass;
  // workspace shared by the threads, [kPassRows][...]
  float *x, *attended, *inner;
  Inputs inputs;
  Scratch* scratch;  // one per thread
  // for prefill_cross()
  const float* encoder_states;
  int32_t first_state;
  KvCache cross_kv;
  FoldedText folded;  // data is null: keys and values go to cross_kv
};

// What one instruction set offers, by precision. Each is called on every thread at once.
struct Kernels {
  const char* name;
  void (*step[kPrecisions])(Decoder&, int thread);           // one pass through all layers
  void (*prefill_cross[kPrecisions])(Decoder&, int thread);  // keys and values of encoder states
};

extern const Kernels kPortable;
#if defined(__x86_64__)
extern const Kernels kAvx2, kAvx512, kAvx512Bf16;
#endif

}  // namespace musicgen
