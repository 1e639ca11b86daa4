// The four precisions: how inputs are prepared for each, and how a few rows are multiplied with one group of a tile.
//
// A group of a tile is the weights of 32 outputs and kInputs inputs, in steps; a step is two blocks of 16 outputs, 64
// bytes each. Sums of a row are built in the same order however many rows there are: its numbers do not depend on them.
#pragma once
#include <cstring>

#include "maths.h"

namespace musicgen {
namespace {

constexpr int kStepBytes = 128;
// How weights are prefetched while a group is multiplied, and how many bytes ahead. With up to two rows: shortly before
// they are needed, into the first-level cache. With more rows, which take longer: further ahead, into the second level,
// which can have more fetches in flight. Measured.
enum Fetch { kNothing, kOfPair, kOfFew, kOfMany };
constexpr int kAheadOfPair = 4096, kAheadOfFew = 8192, kAheadOfMany = 16384;

// Prefetches, in one step of a group, a part of the later weights: two cache lines, or with kOfMany one.
template <Fetch Of>
inline void fetch_share(const uint8_t*& ahead) {
  if constexpr (Of == kOfPair) {
    __builtin_prefetch(ahead);
    __builtin_prefetch(ahead + 64);
  } else if constexpr (Of == kOfFew) {
    __builtin_prefetch(ahead, 0, 2);
    __builtin_prefetch(ahead + 64, 0, 2);
  } else if constexpr (Of == kOfMany) {
    __builtin_prefetch(ahead, 0, 2);
  }
  ahead += Of == kOfMany ? 64 : 128;
}

inline int32_t load_int(const uint8_t* p) {
  int32_t x;
  std::memcpy(&x, p, sizeof x);
  return x;
}

// Quantises kInputs values at a time with one scale: the largest becomes 127. When all are NaN (layer_norm() makes all
// NaN if one is), the scale is NaN too, and so is the product: max() returns its second operand for a NaN. The integers
// stay small.
template <int Group>
inline void quantise(Inputs inputs, int row, int rows, const float* values, int count) {
  const Lanes::Floats shift = Lanes::set(12582912.0f);  // see exponential()
  const Lanes::Floats least = Lanes::set(12582912.0f - 127.0f);
  for (int group = 0; group * Group < count; ++group) {
    const float* from = values + group * Group;
    const int size = smaller(Group, count - group * Group);
    Lanes::Floats most = Lanes::zero();
    for (int k = 0; k < size; k += kLanes) most = Lanes::max(most, Lanes::abs(Lanes::load(from + k)));
    const float scale = Lanes::largest(most) / 127.0f;
    const Lanes::Floats inverse = Lanes::set(scale > 0.0f ? 1.0f / scale : 0.0f);
    Lanes::Ints sum = Lanes::set_ints(0);
    int8_t* to = reinterpret_cast<int8_t*>(inputs.bytes) + (static_cast<size_t>(group) * rows + row) * kGroupBytes;
    for (int k = 0; k < size; k += kLanes) {
      const Lanes::Floats rounded = Lanes::max(Lanes::fma(Lanes::load(from + k), inverse, shift), least);
      const Lanes::Ints whole = Lanes::sub(Lanes::bits(rounded), Lanes::set_ints(0x4b400000));
      sum = Lanes::add(sum, whole);
      Lanes::store_bytes(to + k, whole);
    }
    inputs.scales[group * kPassRows + row] = scale;
    inputs.sums[group * kPassRows + row] = Lanes::sum(sum);
  }
}

struct Float32 {
  using KvType = float;      // in the KV cache
  using FoldedType = float;  // in a folded text
  static constexpr bool kFolds = true;
  static constexpr int kDepth = 1;  // inputs in a step
  static constexpr int kInputs = 64;
  static constexpr size_t kGroupSize(int inputs) { return static_cast<size_t>(inputs) * kStepBytes; }
  static constexpr bool kScaled = false;

  // The weights of a step as numbers, [kTile outputs][kDepth], without the scale of their output.
  static void unpack(const uint8_t* step, float* weights) { std::memcpy(weights, step, kStepBytes); }
  static float scale(const Matrix&, int) { return 1.0f; }

  static void prepare(Inputs inputs, int row, int rows, const float* values, int count) {
    for (int k = 0; k < count; k += kInputs)
      std::memcpy(inputs.bytes + (static_cast<size_t>(k / kInputs) * rows + row) * kGroupBytes, values + k,
                  static_cast<size_t>(smaller(kInputs, count - k)) * sizeof(float));
  }

  template <int Rows, int Blocks, Fetch Of>
  static void multiply(const uint8_t* weights, const uint8_t* inputs, const float*, const int32_t*, int count,
                       float* sums, int stride, const uint8_t* ahead) {
    Lanes::Floats total[Rows][Blocks];
    for (int row = 0; row < Rows; ++row)
      for (int b = 0; b < Blocks; ++b) total[row][b] = Lanes::load(sums + row * stride + b * kLanes);
    for (int k = 0; k < count; ++k, weights += kStepBytes) {
      fetch_share<Of>(ahead);
      Lanes::Floats w[Blocks];
      for (int b = 0; b < Blocks; ++b) w[b] = Lanes::load(reinterpret_cast<const float*>(weights) + b * kLanes);
      for (int row = 0; row < Rows; ++row) {
        float value;
        std::memcpy(&value, inputs + row * kGroupBytes + k * 4, sizeof value);
        for (int b = 0; b < Blocks; ++b) total[row][b] = Lanes::fma(w[b], Lanes::set(value), total[row][b]);
      }
    }
    for (int row = 0; row < Rows; ++row)
      for (int b = 0; b < Blocks; ++b) Lanes::store(sums + row * stride + b * kLanes, total[row][b]);
  }
};

struct Bfloat16 {
  using KvType = uint16_t;
  using FoldedType = uint16_t;
  static constexpr bool kFolds = true;
  static constexpr int kDepth = 2;
  static constexpr int kInputs = 128;
  static constexpr size_t kGroupSize(int inputs) { return static_cast<size_t>(inputs) / 2 * kStepBytes; }
  static constexpr bool kScaled = false;

  static void unpack(const uint8_t* step, float* weights) {
    for (int i = 0; i < kTile * kDepth; ++i) {
      uint16_t half;
      std::memcpy(&half, step + 2 * i, sizeof half);
      const uint32_t bits = static_cast<uint32_t>(half) << 16;
      std::memcpy(weights + i, &bits, sizeof bits);
    }
  }
  static float scale(const Matrix&, int) { return 1.0f; }

  static void prepare(Inputs inputs, int row, int rows, const float* values, int count) {
    for (int k = 0; k < count; ++k) {
      uint32_t bits;
      std::memcpy(&bits, values + k, sizeof bits);
      const uint16_t nearest = static_cast<uint16_t>((bits + 0x7fff + ((bits >> 16) & 1)) >> 16);
      std::memcpy(inputs.bytes + (static_cast<size_t>(k / kInputs) * rows + row) * kGroupBytes + k % kInputs * 2,
                  &nearest, sizeof nearest);
    }
  }

  template <int Rows, int Blocks, Fetch Of>
  static void multiply(const uint8_t* weights, const uint8_t* inputs, const float*, const int32_t*, int count,
                       float* sums, int stride, const uint8_t* ahead) {
    Lanes::Floats total[Rows][Blocks];
    for (int row = 0; row < Rows; ++row)
      for (int b = 0; b < Blocks; ++b) total[row][b] = Lanes::load(sums + row * stride + b * kLanes);
    for (int k = 0; k < count; k += 2, weights += kStepBytes) {
      fetch_share<Of>(ahead);
      Lanes::Bfloats w[Blocks];
      for (int b = 0; b < Blocks; ++b) w[b] = Lanes::load_bfloats(weights + b * 64);
      for (int row = 0; row < Rows; ++row) {
        const int32_t two = load_int(inputs + row * kGroupBytes + k * 2);
        for (int b = 0; b < Blocks; ++b) total[row][b] = Lanes::dot(total[row][b], w[b], two);
      }
    }
    for (int row = 0; row < Rows; ++row)
      for (int b = 0; b < Blocks; ++b) Lanes::store(sums + row * stride + b * kLanes, total[row][b]);
  }
};

struct Int8 {
  using KvType = uint16_t;
  using FoldedType = int8_t;
  static constexpr bool kFolds = true;
  static constexpr int kDepth = 4;
  static constexpr int kInputs = 256;
  static constexpr size_t kGroupSize(int inputs) { return static_cast<size_t>(inputs) / 4 * kStepBytes; }
  static constexpr bool kScaled = true;

  static float scale(const Matrix& matrix, int output) { return matrix.scales[output]; }

  static void prepare(Inputs inputs, int row, int rows, const float* values, int count) {
    quantise<kInputs>(inputs, row, rows, values, count);
  }

  template <int Rows, int Blocks, Fetch Of>
  static void multiply(const uint8_t* weights, const uint8_t* inputs, const float* scales, const int32_t* input_sums,
                       int count, float* sums, int stride, const uint8_t* ahead) {
    Lanes::Ints total[Rows][Blocks];
    for (int row = 0; row < Rows; ++row)
      for (int b = 0; b < Blocks; ++b) total[row][b] = Lanes::set_ints(-Lanes::kByteOffset * input_sums[row]);
    for (int k = 0; k < count; k += 4, weights += kStepBytes) {
      fetch_share<Of>(ahead);
      Lanes::Bytes w[Blocks];
      for (int b = 0; b < Blocks; ++b) w[b] = Lanes::load_bytes(weights + b * 64);
      for (int row = 0; row < Rows; ++row) {
        const int32_t four = load_int(inputs + row * kGroupBytes + k);
        for (int b = 0; b < Blocks; ++b) total[row][b] = Lanes::dot(total[row][b], w[b], four);
      }
    }
    for (int row = 0; row < Rows; ++row)
      for (int b = 0; b < Blocks; ++b) {
        float* sum = sums + row * stride + b * kLanes;
        Lanes::store(sum, Lanes::fma(Lanes::to_floats(total[row][b]), Lanes::set(scales[row]), Lanes::load(sum)));
      }
  }
};

// A group begins with its 32 scales, so that both the scales and the steps of the second block follow those of the
// first at a distance of 64 bytes. A step holds 8 inputs: 4 in the low halves of its bytes, the next 4 in the high
// ones.
struct Int4 {
  using KvType = uint16_t;
  using FoldedType = int8_t;
  static constexpr bool kFolds = false;  // four bits are too few to be rounded twice
  static constexpr int kInputs = 64;
  static constexpr size_t kGroupSize(int inputs) {
    return kTile * sizeof(float) + static_cast<size_t>(inputs) / 8 * kStepBytes;
  }
  static constexpr bool kScaled = false;

  static void prepare(Inputs inputs, int row, int rows, const float* values, int count) {
    quantise<kInputs>(inputs, row, rows, values, count);
  }

  template <int Rows, int Blocks, Fetch Of>
  static void multiply(const uint8_t* weights, const uint8_t* inputs, const float* scales, const int32_t* input_sums,
                       int count, float* sums, int stride, const uint8_t* ahead) {
    const float* weight_scales = reinterpret_cast<const float*>(weights);
    weights += kTile * sizeof(float);
    Lanes::Ints total[Rows][Blocks];
    for (int row = 0; row < Rows; ++row)
      for (int b = 0; b < Blocks; ++b) total[row][b] = Lanes::set_ints(-8 * input_sums[row]);
    for (int k = 0; k < count; k += 8, weights += kStepBytes) {
      fetch_share<Of>(ahead);
      Lanes::Nibbles low[Blocks], high[Blocks];
      for (int b = 0; b < Blocks; ++b) Lanes::load_nibbles(weights + b * 64, low[b], high[b]);
      for (int row = 0; row < Rows; ++row) {
        const int32_t first = load_int(inputs + row * kGroupBytes + k);
        const int32_t second = load_int(inputs + row * kGroupBytes + k + 4);
        for (int b = 0; b < Blocks; ++b)
          total[row][b] = Lanes::dot_nibbles(Lanes::dot_nibbles(total[row][b], low[b], first), high[b], second);
      }
    }
    for (int row = 0; row < Rows; ++row)
      for (int b = 0; b < Blocks; ++b) {
        float* sum = sums + row * stride + b * kLanes;
        const Lanes::Floats scale = Lanes::mul(Lanes::load(weight_scales + b * kLanes), Lanes::set(scales[row]));
        Lanes::store(sum, Lanes::fma(Lanes::to_floats(total[row][b]), scale, Lanes::load(sum)));
      }
  }
};

}  // namespace
}  // namespace musicgen
