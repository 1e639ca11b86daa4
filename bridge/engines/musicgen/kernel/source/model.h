// What the kernel works on: sizes, packed weights, rows with their past. Plain data, shared by every instruction set.
//
// Nothing here has code that a compiler would emit once for all object files: those are built with different -m flags,
// and the linker would be free to give an old processor the copy made for a new one.
#pragma once
#include <cstddef>
#include <cstdint>

namespace musicgen {

constexpr int kLanes = 16;        // floats worked on at once, whatever the registers are
constexpr int kTile = 32;         // outputs of a matrix whose weights lie together
constexpr int kPassRows = 32;     // rows that go through the layers together; more are taken in several passes
constexpr int kGroupBytes = 256;  // prepared inputs of one row that lie together
constexpr int kHeadWidth = 128;   // widest head
constexpr int kAbsorbed = 24;     // tokens of the longest text that is absorbed, see absorbed.h

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
  Matrix cross_kv;  // likewise by head: key, value; read by begin() alone
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

// Keys and values of one sequence, halves, or floats in kFloat32:
// [layer][kPastBlock positions][head][16 positions]{ key [padded_head][16], value [16][padded_head] }.
// What one head reads of a block lies together, and memory is touched as the sequence grows.
constexpr int kPastBlock = 64;

struct Past {
  uint8_t* data;
  size_t layer_bytes, block_bytes, head_bytes;
};

// A text that a row hears, with the matrices around it multiplied in; absorbed.h says what lies where.
struct Absorbed {
  uint8_t* data;  // null: there is none
  size_t layer_bytes, keys_at, values_at;
  int32_t tokens, padded, heads, pairs;  // padded: up to whole lanes; pairs of a head and a token, see absorbed.h
};

// Inputs of a matrix in the form its weights want: [group][row][kGroupBytes], with a scale and a sum per group and row
// where they are integers.
struct Inputs {
  uint8_t* bytes;
  float* scales;  // [group][kPassRows]
  int32_t* sums;
};

struct Row {
  Past past;
  int32_t position;
  const int32_t* codes;    // (codebooks), or null:
  const float* embedding;  // (hidden), without position
  Past memory;             // keys and values; data is null: nothing to hear, or:
  int32_t memory_length;
  Absorbed absorbed;
  float* scores;  // (codebooks * vocabulary), or null
};

// One thread's own room.
struct Scratch {
  Inputs inputs;
  float* values;         // [kPassRows][widest output of one head, rounded up to tiles]
  float* normed;         // (hidden)
  Inputs normed_inputs;  // the same for Int8, one row
  float* made;           // (hidden rounded up to tiles and kLanes more, kLanes)
};

struct Pass {
  int32_t count, hearing_count, absorbed_count, scored_count;
  Row rows[kPassRows];
  // numbers of rows: those that hear by keys and values, those whose text is absorbed
  int32_t all[kPassRows], hearing[kPassRows], absorbed[kPassRows], scored[kPassRows];
};

class Threads;

struct Decoder {
  Weights weights;
  const float* positions;  // (max_steps, hidden)
  Threads* threads;
  Pass pass;
  // rooms shared by the threads, [kPassRows][...]
  float *x, *attended, *inner;
  Inputs inputs;
  Scratch* scratch;  // one per thread
  // what begin() computes, see listen()
  const float* memory;
  int32_t memory_first;
  Past memory_past;
  Absorbed absorbed;  // data is null: keys and values go to memory_past
};

// What one instruction set offers, by precision. Each is called on every thread at once.
struct Kernels {
  const char* name;
  void (*step[kPrecisions])(Decoder&, int thread);    // one pass through all layers
  void (*listen[kPrecisions])(Decoder&, int thread);  // keys and values of a memory
};

extern const Kernels kPortable;
#if defined(__x86_64__)
extern const Kernels kAvx2, kAvx512, kAvx512Bf16;
#endif

}  // namespace musicgen
