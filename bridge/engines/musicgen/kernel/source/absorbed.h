// Cross-attention to a short text, with two matrices multiplied into the text beforehand.
//
// A head's score of a token is (Q x) . k = x . (Q^T k), and what its share p of the token adds to the row is
// O (p v) = p (O v). Q^T k and O v are computed once, by listen(); a step then reads two rows of `hidden` numbers for
// each head and token instead of Q and O: in int8, 1024 wide, with 12 tokens 0.46 MB a layer instead of 2.1. The idea
// is that of DeepSeek-V2 (arXiv:2405.04434, section 2.1.2), which multiplies the other way round.
//
// A row's `x` stays in floats here; keys and values are halves, or integers with a scale for each head and token.
#pragma once
#include "formats.h"

namespace musicgen {
namespace {

constexpr int kPaddedTokens = (kAbsorbed + kLanes - 1) / kLanes * kLanes;

// Of a head in a layer: scales of its keys, then of its values.
inline float* absorbed_scales(const Absorbed& text, int layer, int head) {
  return reinterpret_cast<float*>(text.data + layer * text.layer_bytes) + 2 * head * text.padded;
}

// Of a head in a layer: [padded / 16]{ [hidden][16 tokens] }.
template <class T>
inline T* absorbed_keys(const Absorbed& text, int layer, int head, int hidden) {
  return reinterpret_cast<T*>(text.data + layer * text.layer_bytes + text.keys_at) +
         static_cast<size_t>(head) * text.padded * hidden;
}

// Of a tile of outputs in a layer: [head][tokens]{ [kTile] }.
template <class T>
inline T* absorbed_values(const Absorbed& text, int layer, int tile) {
  return reinterpret_cast<T*>(text.data + layer * text.layer_bytes + text.values_at) +
         static_cast<size_t>(tile) * text.pairs * kTile;
}

template <class T>
inline void fetch_lines(const T* from) {
  for (size_t line = 0; line < sizeof(T); ++line) __builtin_prefetch(reinterpret_cast<const char*>(from) + line * 64);
}

// shares[head * tokens ..] = how much the head hears of each token, times the scale of its value. `x` is normalised.
template <class T>
inline void attend_absorbed(const Absorbed& text, int layer, int head, int hidden, const float* x, float* shares) {
  constexpr int kAhead = kAheadOfFew / static_cast<int>(sizeof(T));
  const float* scales = absorbed_scales(text, layer, head);
  const T* keys = absorbed_keys<T>(text, layer, head, hidden);
  float scores[kPaddedTokens];
  const Lanes::Floats nothing = Lanes::set(-3e38f);
  Lanes::Floats most = nothing;
  for (int first = 0; first < text.tokens; first += kLanes) {
    Lanes::Floats sum[4] = {Lanes::zero(), Lanes::zero(), Lanes::zero(), Lanes::zero()};
    for (int i = 0; i < hidden; i += 4, keys += 4 * kLanes) {
      fetch_lines(keys + kAhead);
      for (int j = 0; j < 4; ++j) sum[j] = Lanes::fma(Lanes::load(keys + j * kLanes), Lanes::set(x[i + j]), sum[j]);
    }
    const Lanes::Floats all = Lanes::add(Lanes::add(sum[0], sum[1]), Lanes::add(sum[2], sum[3]));
    const Lanes::Floats scaled = Lanes::mul(all, Lanes::load(scales + first));
    const Lanes::Floats score = Lanes::first(smaller(kLanes, text.tokens - first), scaled, nothing);
    most = Lanes::max(most, score);
    Lanes::store(scores + first, score);
  }
  const Lanes::Floats largest = Lanes::set(Lanes::largest(most));
  Lanes::Floats total = Lanes::zero();
  for (int first = 0; first < text.tokens; first += kLanes) {
    const Lanes::Floats weight = exponential(Lanes::sub(Lanes::load(scores + first), largest));
    const Lanes::Floats counted = Lanes::first(smaller(kLanes, text.tokens - first), weight, Lanes::zero());
    total = Lanes::add(total, counted);
    Lanes::store(scores + first, counted);
  }
  const Lanes::Floats inverse = Lanes::set(1.0f / Lanes::sum(total));
  for (int first = 0; first < text.tokens; first += kLanes) {
    const Lanes::Floats share = Lanes::mul(Lanes::load(scores + first), inverse);
    Lanes::store(scores + first, Lanes::mul(share, Lanes::load(scales + text.padded + first)));
  }
  std::memcpy(shares + head * text.tokens, scores, static_cast<size_t>(text.tokens) * sizeof(float));
}

// x[0..count) += the outputs of a tile: what all heads hear of all tokens.
template <class T>
inline void add_absorbed(const Absorbed& text, int layer, int tile, const float* shares, float* x, int count) {
  constexpr int kAhead = kAheadOfFew / static_cast<int>(sizeof(T));
  const T* values = absorbed_values<T>(text, layer, tile);
  Lanes::Floats sum[2][2] = {{Lanes::zero(), Lanes::zero()}, {Lanes::zero(), Lanes::zero()}};
  for (int pair = 0; pair < text.pairs; pair += 2, values += 2 * kTile) {
    fetch_lines(values + kAhead);
    for (int odd = 0; odd < smaller(2, text.pairs - pair); ++odd)
      for (int half = 0; half < 2; ++half)
        sum[odd][half] = Lanes::fma(Lanes::load(values + odd * kTile + half * kLanes), Lanes::set(shares[pair + odd]),
                                    sum[odd][half]);
  }
  for (int half = 0; half * kLanes < count; ++half)
    Lanes::store(x + half * kLanes,
                 Lanes::add(Lanes::load(x + half * kLanes), Lanes::add(sum[0][half], sum[1][half])));
}

// How numbers are kept: divided by their scale.
inline Lanes::Floats scales_of(const float*, Lanes::Floats) { return Lanes::set(1.0f); }
inline Lanes::Floats scales_of(const uint16_t*, Lanes::Floats) { return Lanes::set(1.0f); }
inline Lanes::Floats scales_of(const int8_t*, Lanes::Floats largest) {
  // nothing is divided by zero; a text that is not finite never comes here
  return Lanes::mul(Lanes::max(largest, Lanes::set(1e-30f)), Lanes::set(1.0f / 127.0f));
}
inline void keep_numbers(float* to, Lanes::Floats x) { Lanes::store(to, x); }
inline void keep_numbers(uint16_t* to, Lanes::Floats x) { Lanes::store(to, within_half(x)); }
inline void keep_numbers(int8_t* to, Lanes::Floats x) {
  const Lanes::Floats rounded = Lanes::add(x, Lanes::set(12582912.0f));  // see exponential()
  Lanes::store_bytes(to, Lanes::sub(Lanes::bits(rounded), Lanes::set_ints(0x4b400000)));
}

// The inverses of what the numbers of each token, made[0..count)[16 tokens], are divided by; the scales go to `scales`.
template <class T>
inline Lanes::Floats inverse_scales(const float* made, int count, float* scales) {
  Lanes::Floats largest = Lanes::zero();
  for (int i = 0; i < count; ++i) largest = Lanes::max(largest, Lanes::abs(Lanes::load(made + i * kLanes)));
  Lanes::store(scales, scales_of(static_cast<const T*>(nullptr), largest));
  float inverse[kLanes];
  for (int token = 0; token < kLanes; ++token) inverse[token] = 1.0f / scales[token];
  return Lanes::load(inverse);
}

// Multiplies what one head makes of up to 16 tokens with the two matrices, and keeps it: `keys` and `values` are
// [tokens from `first` on][stride], `width` numbers each; `made` is room for [hidden rounded up to tiles][16].
template <class Format>
inline void absorb(const Absorbed& text, int layer_number, const Layer& layer, int head, int first, int width,
                   const float* keys, const float* values, int stride, float* made) {
  using T = typename Format::Absorbed;
  const int hidden = layer.cross_q.inputs, tokens = smaller(kLanes, text.tokens - first);
  constexpr int kInputs = 8, kSteps = kInputs / Format::kDepth;  // sums that do not wait for each other
  constexpr int kOutputs = kLanes / 2;                           // likewise
  const auto place = [](int output, int k) {  // in `weights`, which are steps behind each other
    return (k / Format::kDepth * kTile + output) * Format::kDepth + k % Format::kDepth;
  };
  alignas(64) float column[kHeadWidth][kLanes] = {}, weights[kTile * kInputs];
  float* scales = absorbed_scales(text, layer_number, head) + first;

  const int wide = (width + kTile - 1) / kTile * kTile;
  const float scale = 1.0f / __builtin_sqrtf(static_cast<float>(width));
  for (int i = 0; i < width; ++i)
    for (int token = 0; token < tokens; ++token)
      column[i][token] = keys[token * stride + i] * scale * Format::scale(layer.cross_q, head * wide + i);
  std::memset(made, 0, static_cast<size_t>(hidden) * kLanes * sizeof(float));
  for (int part = 0; part < wide; part += kTile) {
    const uint8_t* step =
        layer.cross_q.tiles + static_cast<size_t>((head * wide + part) / kTile) * layer.cross_q.tile_bytes;
    const int outputs = smaller(kTile, width - part);
    for (int input = 0; input < hidden; input += kInputs) {
      for (int i = 0; i < kSteps; ++i, step += kStepBytes) Format::unpack(step, weights + i * kTile * Format::kDepth);
      Lanes::Floats sum[kInputs];
      for (int k = 0; k < kInputs; ++k) sum[k] = Lanes::load(made + (input + k) * kLanes);
      for (int output = 0; output < outputs; ++output)
        for (int k = 0; k < kInputs; ++k) {
          sum[k] = Lanes::fma(Lanes::set(weights[place(output, k)]), Lanes::load(column[part + output]), sum[k]);
        }
      for (int k = 0; k < kInputs; ++k) Lanes::store(made + (input + k) * kLanes, sum[k]);
    }
  }
  Lanes::Floats inverse = inverse_scales<T>(made, hidden, scales);
  T* to = absorbed_keys<T>(text, layer_number, head, hidden) + static_cast<size_t>(first) * hidden;
  for (int i = 0; i < hidden; ++i) keep_numbers(to + i * kLanes, Lanes::mul(Lanes::load(made + i * kLanes), inverse));

  for (int i = 0; i < width; ++i)
    for (int token = 0; token < tokens; ++token) column[i][token] = values[token * stride + i];
  for (int tile = 0; tile * kTile < hidden; ++tile) {
    const uint8_t* step = layer.cross_out.tiles + static_cast<size_t>(tile) * layer.cross_out.tile_bytes +
                          static_cast<size_t>(head * width / Format::kDepth) * kStepBytes;
    std::memset(made + tile * kTile * kLanes, 0, kTile * kLanes * sizeof(float));
    for (int i = 0; i < width; i += kInputs) {
      for (int k = 0; k < kSteps; ++k, step += kStepBytes) Format::unpack(step, weights + k * kTile * Format::kDepth);
      for (int first_output = 0; first_output < kTile; first_output += kOutputs) {
        Lanes::Floats sum[kOutputs];
        for (int output = 0; output < kOutputs; ++output)
          sum[output] = Lanes::load(made + (tile * kTile + first_output + output) * kLanes);
        for (int k = 0; k < kInputs; ++k)
          for (int output = 0; output < kOutputs; ++output) {
            const float weight = weights[place(first_output + output, k)];
            sum[output] = Lanes::fma(Lanes::set(weight), Lanes::load(column[i + k]), sum[output]);
          }
        for (int output = 0; output < kOutputs; ++output)
          Lanes::store(made + (tile * kTile + first_output + output) * kLanes, sum[output]);
      }
    }
    for (int output = 0; output < kTile; ++output) {
      float* sum = made + (tile * kTile + output) * kLanes;
      const Lanes::Floats scale_of_it = Lanes::set(Format::scale(layer.cross_out, tile * kTile + output));
      Lanes::store(sum, Lanes::mul(Lanes::load(sum), scale_of_it));
    }
  }
  inverse = inverse_scales<T>(made, hidden, scales + text.padded);
  for (int tile = 0; tile * kTile < hidden; ++tile) {
    T* pair = absorbed_values<T>(text, layer_number, tile) + static_cast<size_t>(head * text.tokens + first) * kTile;
    for (int output = 0; output < kTile; ++output) {
      T narrow[kLanes];
      keep_numbers(narrow, Lanes::mul(Lanes::load(made + (tile * kTile + output) * kLanes), inverse));
      for (int token = 0; token < tokens; ++token) pair[token * kTile + output] = narrow[token];
    }
  }
}

}  // namespace
}  // namespace musicgen
