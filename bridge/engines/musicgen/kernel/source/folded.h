// Folded cross-attention: for a short text, the query and output matrices are folded into its keys and values.
//
// A head's score of a token is (Q x) . k = x . (Q^T k), and a token with the attention probability p adds
// O (p v) = p (O v) to the row. prefill_cross() computes Q^T k and O v once; a step then reads two rows of `hidden`
// numbers for each head and token instead of Q and O: in int8, 1024 wide, with 12 tokens 0.46 MB per layer instead of
// 2.1. The idea is that of DeepSeek-V2 (arXiv:2405.04434, section 2.1.2), which absorbs the matrices into each other
// where this folds them into the text.
//
// In float32 and bfloat16 the folded keys and values are floats and halves. In int8 they are bytes with a scale for
// each head and token, in the steps of Int8, and what they are multiplied with is quantised like any input of a matrix:
// `x` with a scale for 256 numbers, the probabilities with one for each head.
#pragma once
#include "matmul.h"

namespace musicgen {
namespace {

constexpr int kPaddedTokens = (kFoldedTokens + kLanes - 1) / kLanes * kLanes;
constexpr int kHalfStep = kStepBytes / 2;  // 16 outputs, or tokens, and 4 inputs

// Of one head in one layer: the scales of its keys, then those of its values.
inline float* folded_scales(const FoldedText& text, int layer, int head) {
  return reinterpret_cast<float*>(text.data + layer * text.layer_bytes) + 2 * head * text.padded;
}

// Of one head in one layer: [padded / 16]{ [hidden][16 tokens] }, or for bytes { [hidden / 4][16 tokens][4] }.
template <class T>
inline T* folded_keys(const FoldedText& text, int layer, int head, int hidden) {
  return reinterpret_cast<T*>(text.data + layer * text.layer_bytes + text.keys_at) +
         static_cast<size_t>(head) * text.padded * hidden;
}

// Of one tile of outputs in one layer: [head][tokens]{ [kTile] }, or for bytes [head][tokens / 4]{ [kTile][4] }.
template <class T>
inline T* folded_values(const FoldedText& text, int layer, int tile) {
  return reinterpret_cast<T*>(text.data + layer * text.layer_bytes + text.values_at) +
         static_cast<size_t>(tile) * text.pairs * kTile;
}

// Tokens of a head among the values, padding included: bytes are stored in groups of four tokens.
inline int value_tokens(const FoldedText& text) { return text.pairs / text.heads; }

// Size of one head's quantised probabilities: their scale, then one byte per token.
inline size_t prob_bytes(const FoldedText& text) { return sizeof(float) + static_cast<size_t>(value_tokens(text)); }

// x . keys of 16 tokens, not yet multiplied with the keys' scales.
template <class T>
inline Lanes::Floats score_tokens(const T* keys, const float* x, Inputs, int hidden) {
  constexpr int kAhead = kAheadOfPair / static_cast<int>(sizeof(T));
  Lanes::Floats sum[4] = {Lanes::zero(), Lanes::zero(), Lanes::zero(), Lanes::zero()};
  for (int i = 0; i < hidden; i += 4, keys += 4 * kLanes) {
    for (size_t line = 0; line < sizeof(T); ++line)
      __builtin_prefetch(reinterpret_cast<const char*>(keys + kAhead) + line * 64);
    for (int j = 0; j < 4; ++j) sum[j] = Lanes::fma(Lanes::load(keys + j * kLanes), Lanes::set(x[i + j]), sum[j]);
  }
  return Lanes::add(Lanes::add(sum[0], sum[1]), Lanes::add(sum[2], sum[3]));
}

inline Lanes::Floats score_tokens(const int8_t* keys, const float*, Inputs inputs, int hidden) {
  const uint8_t* step = reinterpret_cast<const uint8_t*>(keys);
  Lanes::Floats sum = Lanes::zero();
  for (int group = 0; group * Int8::kInputs < hidden; ++group) {
    const int count = smaller(Int8::kInputs, hidden - group * Int8::kInputs);
    const uint8_t* bytes = inputs.bytes + static_cast<size_t>(group) * kGroupBytes;
    Lanes::Ints total[2] = {Lanes::set_ints(-Lanes::kByteOffset * inputs.sums[group * kPassRows]), Lanes::set_ints(0)};
    for (int k = 0; k < count; k += 8, step += 2 * kHalfStep) {
      __builtin_prefetch(step + kAheadOfPair);
      __builtin_prefetch(step + kAheadOfPair + kHalfStep);
      total[0] = Lanes::dot(total[0], Lanes::load_bytes(step), load_int(bytes + k));
      total[1] = Lanes::dot(total[1], Lanes::load_bytes(step + kHalfStep), load_int(bytes + k + 4));
    }
    const Lanes::Floats whole = Lanes::to_floats(Lanes::add(total[0], total[1]));
    sum = Lanes::fma(whole, Lanes::set(inputs.scales[group * kPassRows]), sum);
  }
  return sum;
}

// Stores `scores`, the attention probabilities of a head times the scales of its values, for sum_values().
template <class T>
inline void store_probs(const T*, const FoldedText& text, int head, const float* scores, float* probs) {
  std::memcpy(probs + head * text.tokens, scores, static_cast<size_t>(text.tokens) * sizeof(float));
}

inline void store_probs(const int8_t*, const FoldedText& text, int head, const float* scores, float* probs) {
  uint8_t* to = reinterpret_cast<uint8_t*>(probs) + head * prob_bytes(text);
  float most = 0;
  for (int token = 0; token < text.tokens; ++token) most = scores[token] > most ? scores[token] : most;
  // a NaN row stays NaN
  const float scale = scores[0] == scores[0] ? most / 127.0f : scores[0], inverse = most > 0 ? 127.0f / most : 0;
  std::memcpy(to, &scale, sizeof scale);
  for (int token = 0; token < value_tokens(text); ++token)
    to[sizeof scale + token] =
        token < text.tokens && most > 0 ? static_cast<uint8_t>(scores[token] * inverse + 0.5f) : uint8_t{0};
}

// The attention probabilities of one head over the tokens. `x` is normalised; `inputs`: the same, quantised for Int8.
template <class T>
inline void attend_folded(const FoldedText& text, int layer, int head, int hidden, const float* x, Inputs inputs,
                          float* probs) {
  const float* scales = folded_scales(text, layer, head);
  const T* keys = folded_keys<T>(text, layer, head, hidden);
  float scores[kPaddedTokens];
  const Lanes::Floats masked = Lanes::set(-3e38f);
  Lanes::Floats most = masked;
  for (int first = 0; first < text.tokens; first += kLanes, keys += kLanes * hidden) {
    const Lanes::Floats scaled = Lanes::mul(score_tokens(keys, x, inputs, hidden), Lanes::load(scales + first));
    const Lanes::Floats score = Lanes::first(smaller(kLanes, text.tokens - first), scaled, masked);
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
    const Lanes::Floats prob = Lanes::mul(Lanes::load(scores + first), inverse);
    Lanes::store(scores + first, Lanes::mul(prob, Lanes::load(scales + text.padded + first)));
  }
  store_probs(keys, text, head, scores, probs);
}

// The outputs of a tile: the values of all tokens, weighted by all heads' probabilities.
template <class T>
inline void sum_values(const FoldedText& text, const T* values, const float* probs, Lanes::Floats (&out)[2]) {
  constexpr int kAhead = kAheadOfPair / static_cast<int>(sizeof(T));
  Lanes::Floats sum[2][2] = {{Lanes::zero(), Lanes::zero()}, {Lanes::zero(), Lanes::zero()}};
  for (int pair = 0; pair < text.pairs; pair += 2, values += 2 * kTile) {
    for (size_t line = 0; line < sizeof(T); ++line)
      __builtin_prefetch(reinterpret_cast<const char*>(values + kAhead) + line * 64);
    for (int odd = 0; odd < smaller(2, text.pairs - pair); ++odd)
      for (int half = 0; half < 2; ++half)
        sum[odd][half] = Lanes::fma(Lanes::load(values + odd * kTile + half * kLanes), Lanes::set(probs[pair + odd]),
                                    sum[odd][half]);
  }
  for (int half = 0; half < 2; ++half) out[half] = Lanes::add(sum[0][half], sum[1][half]);
}

inline void sum_values(const FoldedText& text, const int8_t* values, const float* probs, Lanes::Floats (&out)[2]) {
  const uint8_t* step = reinterpret_cast<const uint8_t*>(values);
  const uint8_t* prob = reinterpret_cast<const uint8_t*>(probs);
  out[0] = out[1] = Lanes::zero();
  for (int head = 0; head < text.heads; ++head, prob += prob_bytes(text)) {
    float scale;
    std::memcpy(&scale, prob, sizeof scale);
    int32_t sum = 0;
    for (int token = 0; token < text.tokens; ++token) sum += prob[sizeof scale + token];
    Lanes::Ints total[2] = {Lanes::set_ints(-Lanes::kByteOffset * sum), Lanes::set_ints(-Lanes::kByteOffset * sum)};
    for (int token = 0; token < text.tokens; token += 4, step += kStepBytes) {
      __builtin_prefetch(step + kAheadOfPair);
      __builtin_prefetch(step + kAheadOfPair + kHalfStep);
      const int32_t four = load_int(prob + sizeof scale + token);
      for (int half = 0; half < 2; ++half)
        total[half] = Lanes::dot(total[half], Lanes::load_bytes(step + half * kHalfStep), four);
    }
    for (int half = 0; half < 2; ++half)
      out[half] = Lanes::fma(Lanes::to_floats(total[half]), Lanes::set(scale), out[half]);
  }
}

// x[0..count) += the outputs of one tile.
template <class T>
inline void add_folded(const FoldedText& text, int layer, int tile, const float* probs, float* x, int count) {
  Lanes::Floats sum[2];
  sum_values(text, folded_values<T>(text, layer, tile), probs, sum);
  for (int half = 0; half * kLanes < count; ++half)
    Lanes::store(x + half * kLanes, Lanes::add(Lanes::load(x + half * kLanes), sum[half]));
}

// Rounds values of a magnitude of up to 2^22 to the nearest whole numbers; see exponential().
inline Lanes::Ints nearest(Lanes::Floats x) {
  return Lanes::sub(Lanes::bits(Lanes::add(x, Lanes::set(12582912.0f))), Lanes::set_ints(0x4b400000));
}

// The scale for numbers whose largest magnitude is `largest`. It is never zero. Encoder states are finite: the caller
// checks them.
inline Lanes::Floats byte_scale(Lanes::Floats largest) {
  return Lanes::mul(Lanes::max(largest, Lanes::set(1e-30f)), Lanes::set(1.0f / 127.0f));
}
inline Lanes::Floats scales_of(const float*, Lanes::Floats) { return Lanes::set(1.0f); }
inline Lanes::Floats scales_of(const uint16_t*, Lanes::Floats) { return Lanes::set(1.0f); }
inline Lanes::Floats scales_of(const int8_t*, Lanes::Floats largest) { return byte_scale(largest); }

// 1 / x, one number after another.
inline Lanes::Floats inverse_of(Lanes::Floats x) {
  float each[kLanes];
  Lanes::store(each, x);
  for (float& one : each) one = 1.0f / one;
  return Lanes::load(each);
}

// Stores four times sixteen numbers that are already divided by their scales: the first sixteen at `to`, the next ones
// `stride` numbers further on. Bytes are interleaved in fours and 128 larger, like int8 weights. Only the first `count`
// of the four are valid.
inline void store_four(float* to, int stride, int count, const Lanes::Floats (&x)[4]) {
  for (int i = 0; i < count; ++i) Lanes::store(to + i * stride, x[i]);
}
inline void store_four(uint16_t* to, int stride, int count, const Lanes::Floats (&x)[4]) {
  for (int i = 0; i < count; ++i) Lanes::store(to + i * stride, within_half(x[i]));
}
inline void store_four(int8_t* to, int, int count, const Lanes::Floats (&x)[4]) {
  Lanes::Ints whole[4];
  for (int i = 0; i < 4; ++i)
    whole[i] = Lanes::add(i < count ? nearest(x[i]) : Lanes::set_ints(0), Lanes::set_ints(128));
  Lanes::store_fours(to, whole[0], whole[1], whole[2], whole[3]);
}

// Offset of `token` and `output` within a head's values of a tile; for bytes, of the four tokens that begin with
// `token`.
template <class T>
inline int value_offset(const T*, int output, int token) {
  return token * kTile + output;
}
inline int value_offset(const int8_t*, int output, int token) { return (token / 4 * kTile + output) * 4; }

// product[hidden][16 tokens] = Q^T k of one head. `column`: k of each token times the scales of Q's outputs,
// [width][16 tokens].
template <class Format>
inline void multiply_keys(const Matrix& query, int head, int width, const float (&column)[kHeadWidth][kLanes],
                          float* product) {
  constexpr int kInputs = 8, kSteps = kInputs / Format::kDepth;  // sums that do not depend on each other
  const auto place = [](int output, int k) {                     // in `weights`: one step after another
    return (k / Format::kDepth * kTile + output) * Format::kDepth + k % Format::kDepth;
  };
  alignas(64) float weights[kTile * kInputs];
  const int wide = (width + kTile - 1) / kTile * kTile;
  std::memset(product, 0, static_cast<size_t>(query.inputs) * kLanes * sizeof(float));
  for (int part = 0; part < wide; part += kTile) {
    const uint8_t* step = query.tiles + static_cast<size_t>((head * wide + part) / kTile) * query.tile_bytes;
    const int outputs = smaller(kTile, width - part);
    for (int input = 0; input < query.inputs; input += kInputs) {
      for (int i = 0; i < kSteps; ++i, step += kStepBytes) Format::unpack(step, weights + i * kTile * Format::kDepth);
      Lanes::Floats sum[kInputs];
      for (int k = 0; k < kInputs; ++k) sum[k] = Lanes::load(product + (input + k) * kLanes);
      for (int output = 0; output < outputs; ++output)
        for (int k = 0; k < kInputs; ++k)
          sum[k] = Lanes::fma(Lanes::set(weights[place(output, k)]), Lanes::load(column[part + output]), sum[k]);
      for (int k = 0; k < kInputs; ++k) Lanes::store(product + (input + k) * kLanes, sum[k]);
    }
  }
}

// The same in integers, with `column` rounded to bytes. One product sums the weights of four outputs here, not of four
// inputs.
template <>
inline void multiply_keys<Int8>(const Matrix& query, int head, int width, const float (&column)[kHeadWidth][kLanes],
                                float* product) {
  constexpr int kInputs = 8;
  alignas(64) int8_t tokens[kHeadWidth * kLanes];             // [width / 4][16 tokens][4]
  alignas(64) uint8_t weights[kInputs / 4 * kHeadWidth * 4];  // [inputs / 4][width / 4][4 inputs][4]
  Lanes::Floats largest = Lanes::zero();
  for (int i = 0; i < width; ++i) largest = Lanes::max(largest, Lanes::abs(Lanes::load(column[i])));
  const Lanes::Floats scale = byte_scale(largest), inverse = inverse_of(scale);
  Lanes::Ints offset = Lanes::set_ints(0);  // because weights are stored 128 larger
  for (int i = 0; i < width; i += 4) {
    Lanes::Ints whole[4];
    for (int j = 0; j < 4; ++j) whole[j] = nearest(Lanes::mul(Lanes::load(column[i + j]), inverse));
    Lanes::store_fours(tokens + i * kLanes, whole[0], whole[1], whole[2], whole[3]);
    offset = Lanes::dot(offset, static_cast<int32_t>(0x80808080u), Lanes::load_signed(tokens + i * kLanes));
  }
  const int wide = (width + kTile - 1) / kTile * kTile;
  const uint8_t* tile = query.tiles + static_cast<size_t>(head * wide / kTile) * query.tile_bytes;
  for (int input = 0; input < query.inputs; input += kInputs) {
    for (int four = 0; four < kInputs / 4; ++four)
      for (int block = 0; block < width / kLanes; ++block) {
        const uint8_t* of_tile = tile + static_cast<size_t>(block * kLanes / kTile) * query.tile_bytes;
        Lanes::transpose_fours(of_tile + (input / 4 + four) * kStepBytes + block * kLanes % kTile * 4,
                               weights + (four * width + block * kLanes) * 4);
      }
    Lanes::Ints sum[kInputs];
    for (Lanes::Ints& each : sum) each = Lanes::sub(Lanes::set_ints(0), offset);
    for (int i = 0; i < width; i += 4) {
      const Lanes::Signed numbers = Lanes::load_signed(tokens + i * kLanes);
      for (int k = 0; k < kInputs; ++k)
        sum[k] = Lanes::dot(sum[k], load_int(weights + (k / 4 * width + i + k % 4) * 4), numbers);
    }
    for (int k = 0; k < kInputs; ++k)
      Lanes::store(product + (input + k) * kLanes, Lanes::mul(Lanes::to_floats(sum[k]), scale));
  }
}

// Folds the two matrices into one head's keys and values of up to 16 tokens, and stores the result. `keys` and
// `values`: [tokens from `first` on][stride], `width` numbers each. `product` and `scratch` are scratch memory,
// `product` of [hidden rounded up to tiles, and 16][16], `scratch` for the prepared values.
template <class Format>
inline void fold(const FoldedText& text, int layer_number, const Layer& layer, int head, int first, int width,
                 const float* keys, const float* values, int stride, Inputs scratch, float* product) {
  using T = typename Format::FoldedType;
  const int hidden = layer.cross_q.inputs, tokens = smaller(kLanes, text.tokens - first);
  alignas(64) float column[kHeadWidth][kLanes] = {};
  float* scales = folded_scales(text, layer_number, head) + first;

  const int wide = (width + kTile - 1) / kTile * kTile;
  const float scale = 1.0f / __builtin_sqrtf(static_cast<float>(width));
  for (int i = 0; i < width; ++i)
    for (int token = 0; token < tokens; ++token)
      column[i][token] = keys[token * stride + i] * scale * Format::scale(layer.cross_q, head * wide + i);
  multiply_keys<Format>(layer.cross_q, head, width, column, product);
  Lanes::Floats largest = Lanes::zero();
  for (int i = 0; i < hidden; ++i) largest = Lanes::max(largest, Lanes::abs(Lanes::load(product + i * kLanes)));
  const Lanes::Floats key_scales = scales_of(static_cast<const T*>(nullptr), largest);
  Lanes::store(scales, key_scales);
  const Lanes::Floats inverse = inverse_of(key_scales);
  T* to = folded_keys<T>(text, layer_number, head, hidden) + static_cast<size_t>(first) * hidden;
  for (int i = 0; i < hidden; i += 4) {
    Lanes::Floats four[4];
    for (int j = 0; j < 4; ++j) four[j] = Lanes::mul(Lanes::load(product + (i + j) * kLanes), inverse);
    store_four(to + i * kLanes, kLanes, 4, four);
  }

  // O v: a product with the inputs of this head alone; from here on `product` is [token][row_stride]
  const int outputs = (hidden + kTile - 1) / kTile * kTile, stored = smaller(kLanes, value_tokens(text) - first);
  const int row_stride = outputs + kLanes;  // rows 4 kB apart would compete for the same cache sets
  for (int token = 0; token < tokens; ++token) Format::prepare(scratch, token, tokens, values + token * stride, width);
  std::memset(product, 0, static_cast<size_t>(row_stride) * kLanes * sizeof(float));
  for (int tile = 0; tile * kTile < hidden; ++tile) {
    const uint8_t* step = layer.cross_out.tiles + static_cast<size_t>(tile) * layer.cross_out.tile_bytes +
                          static_cast<size_t>(head * width / Format::kDepth) * kStepBytes;
    // a head reads little of each tile: the next one is prefetched
    const uint8_t* next = step + layer.cross_out.tile_bytes;
    float* sums = product + tile * kTile;
    int row = multiply_most<Format, kOfPair>(step, scratch, 0, 0, tokens, width, sums, row_stride, next);
    while (row < tokens)
      row += multiply_most<Format, kNothing>(step, scratch, 0, row, tokens, width, sums, row_stride, next);
  }
  scales += text.padded;
  float inverses[kLanes];
  for (int token = 0; token < stored; ++token) {  // padding tokens are zeros
    Lanes::Floats most = Lanes::zero();
    for (int output = 0; output < outputs; output += kLanes) {
      float* sum = product + token * row_stride + output;
      if constexpr (Format::kScaled)
        Lanes::store(sum, Lanes::mul(Lanes::load(sum), Lanes::load(layer.cross_out.scales + output)));
      most = Lanes::max(most, Lanes::abs(Lanes::load(sum)));
    }
    alignas(64) float token_scale[kLanes];
    Lanes::store(token_scale, scales_of(static_cast<const T*>(nullptr), Lanes::set(Lanes::largest(most))));
    scales[token] = token_scale[0];
    inverses[token] = 1.0f / token_scale[0];
  }
  for (int output = 0; output < outputs; output += kLanes) {
    T* of_head = folded_values<T>(text, layer_number, output / kTile);
    of_head += static_cast<size_t>(head * value_tokens(text)) * kTile;
    for (int token = 0; token < stored; token += 4) {
      const int count = smaller(4, stored - token);
      Lanes::Floats four[4];
      for (int j = 0; j < count; ++j)
        four[j] = Lanes::mul(Lanes::load(product + (token + j) * row_stride + output), Lanes::set(inverses[token + j]));
      store_four(of_head + value_offset(of_head, output % kTile, first + token), kTile, count, four);
    }
  }
}

}  // namespace
}  // namespace musicgen
