// Cross-attention to a short text, with two matrices multiplied into the text beforehand.
//
// A head's score of a token is (Q x) . k = x . (Q^T k), and what its share p of the token adds to the row is
// O (p v) = p (O v). Q^T k and O v are computed once, by listen(); a step then reads two rows of `hidden` numbers for
// each head and token instead of Q and O: in int8, 1024 wide, with 12 tokens 0.46 MB a layer instead of 2.1. The idea
// is that of DeepSeek-V2 (arXiv:2405.04434, section 2.1.2), which multiplies the other way round.
//
// In float32 and bfloat16 keys and values are floats and halves. In int8 they are bytes with a scale for each head and
// token, in the steps of Int8, and what they are multiplied with is rounded as any input of a matrix: `x` with a scale
// for 256 numbers, the shares with one for each head.
#pragma once
#include "matmul.h"

namespace musicgen {
namespace {

constexpr int kPaddedTokens = (kAbsorbed + kLanes - 1) / kLanes * kLanes;
constexpr int kHalfStep = kStepBytes / 2;  // 16 outputs, or tokens, and 4 inputs

// Of a head in a layer: scales of its keys, then of its values.
inline float* absorbed_scales(const Absorbed& text, int layer, int head) {
  return reinterpret_cast<float*>(text.data + layer * text.layer_bytes) + 2 * head * text.padded;
}

// Of a head in a layer: [padded / 16]{ [hidden][16 tokens] }, or for bytes { [hidden / 4][16 tokens][4] }.
template <class T>
inline T* absorbed_keys(const Absorbed& text, int layer, int head, int hidden) {
  return reinterpret_cast<T*>(text.data + layer * text.layer_bytes + text.keys_at) +
         static_cast<size_t>(head) * text.padded * hidden;
}

// Of a tile of outputs in a layer: [head][tokens]{ [kTile] }, or for bytes [head][fours of tokens]{ [kTile][4] }.
template <class T>
inline T* absorbed_values(const Absorbed& text, int layer, int tile) {
  return reinterpret_cast<T*>(text.data + layer * text.layer_bytes + text.values_at) +
         static_cast<size_t>(tile) * text.pairs * kTile;
}

// Tokens for which a head has room among the values: bytes lie in fours.
inline int kept_tokens(const Absorbed& text) { return text.pairs / text.heads; }

// What bytes take of the room for all heads' shares: a head's scale, then a byte a token.
inline size_t share_bytes(const Absorbed& text) { return sizeof(float) + static_cast<size_t>(kept_tokens(text)); }

// x . keys of 16 tokens from floats, without the keys' scales.
template <class T>
inline Lanes::Floats score_tokens(const T* keys, const float* x, Inputs, int hidden) {
  constexpr int kAhead = kAheadOfFew / static_cast<int>(sizeof(T));
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
      __builtin_prefetch(step + kAheadOfFew);
      __builtin_prefetch(step + kAheadOfFew + kHalfStep);
      total[0] = Lanes::dot(total[0], Lanes::load_bytes(step), load_int(bytes + k));
      total[1] = Lanes::dot(total[1], Lanes::load_bytes(step + kHalfStep), load_int(bytes + k + 4));
    }
    const Lanes::Floats whole = Lanes::to_floats(Lanes::add(total[0], total[1]));
    sum = Lanes::fma(whole, Lanes::set(inputs.scales[group * kPassRows]), sum);
  }
  return sum;
}

// Keeps `scores`, the shares of a head times the scales of its values.
template <class T>
inline void keep_shares(const T*, const Absorbed& text, int head, const float* scores, float* shares) {
  std::memcpy(shares + head * text.tokens, scores, static_cast<size_t>(text.tokens) * sizeof(float));
}

inline void keep_shares(const int8_t*, const Absorbed& text, int head, const float* scores, float* shares) {
  uint8_t* to = reinterpret_cast<uint8_t*>(shares) + head * share_bytes(text);
  float most = 0;
  for (int token = 0; token < text.tokens; ++token) most = scores[token] > most ? scores[token] : most;
  // a row that is NaN stays so
  const float scale = scores[0] == scores[0] ? most / 127.0f : scores[0], inverse = most > 0 ? 127.0f / most : 0;
  std::memcpy(to, &scale, sizeof scale);
  for (int token = 0; token < kept_tokens(text); ++token)
    to[sizeof scale + token] =
        token < text.tokens && most > 0 ? static_cast<uint8_t>(scores[token] * inverse + 0.5f) : uint8_t{0};
}

// How much a head hears of each token. `x` is normalised; `inputs`: the same for Int8.
template <class T>
inline void attend_absorbed(const Absorbed& text, int layer, int head, int hidden, const float* x, Inputs inputs,
                            float* shares) {
  const float* scales = absorbed_scales(text, layer, head);
  const T* keys = absorbed_keys<T>(text, layer, head, hidden);
  float scores[kPaddedTokens];
  const Lanes::Floats nothing = Lanes::set(-3e38f);
  Lanes::Floats most = nothing;
  for (int first = 0; first < text.tokens; first += kLanes, keys += kLanes * hidden) {
    const Lanes::Floats scaled = Lanes::mul(score_tokens(keys, x, inputs, hidden), Lanes::load(scales + first));
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
  keep_shares(keys, text, head, scores, shares);
}

// The outputs of a tile: what all heads hear of all tokens.
template <class T>
inline void sum_values(const Absorbed& text, const T* values, const float* shares, Lanes::Floats (&out)[2]) {
  constexpr int kAhead = kAheadOfFew / static_cast<int>(sizeof(T));
  Lanes::Floats sum[2][2] = {{Lanes::zero(), Lanes::zero()}, {Lanes::zero(), Lanes::zero()}};
  for (int pair = 0; pair < text.pairs; pair += 2, values += 2 * kTile) {
    for (size_t line = 0; line < sizeof(T); ++line)
      __builtin_prefetch(reinterpret_cast<const char*>(values + kAhead) + line * 64);
    for (int odd = 0; odd < smaller(2, text.pairs - pair); ++odd)
      for (int half = 0; half < 2; ++half)
        sum[odd][half] = Lanes::fma(Lanes::load(values + odd * kTile + half * kLanes), Lanes::set(shares[pair + odd]),
                                    sum[odd][half]);
  }
  for (int half = 0; half < 2; ++half) out[half] = Lanes::add(sum[0][half], sum[1][half]);
}

inline void sum_values(const Absorbed& text, const int8_t* values, const float* shares, Lanes::Floats (&out)[2]) {
  const uint8_t* step = reinterpret_cast<const uint8_t*>(values);
  const uint8_t* share = reinterpret_cast<const uint8_t*>(shares);
  out[0] = out[1] = Lanes::zero();
  for (int head = 0; head < text.heads; ++head, share += share_bytes(text)) {
    float scale;
    std::memcpy(&scale, share, sizeof scale);
    int32_t sum = 0;
    for (int token = 0; token < text.tokens; ++token) sum += share[sizeof scale + token];
    Lanes::Ints total[2] = {Lanes::set_ints(-Lanes::kByteOffset * sum), Lanes::set_ints(-Lanes::kByteOffset * sum)};
    for (int token = 0; token < text.tokens; token += 4, step += kStepBytes) {
      __builtin_prefetch(step + kAheadOfFew);
      __builtin_prefetch(step + kAheadOfFew + kHalfStep);
      const int32_t four = load_int(share + sizeof scale + token);
      for (int half = 0; half < 2; ++half)
        total[half] = Lanes::dot(total[half], Lanes::load_bytes(step + half * kHalfStep), four);
    }
    for (int half = 0; half < 2; ++half)
      out[half] = Lanes::fma(Lanes::to_floats(total[half]), Lanes::set(scale), out[half]);
  }
}

// x[0..count) += the outputs of a tile.
template <class T>
inline void add_absorbed(const Absorbed& text, int layer, int tile, const float* shares, float* x, int count) {
  Lanes::Floats sum[2];
  sum_values(text, absorbed_values<T>(text, layer, tile), shares, sum);
  for (int half = 0; half * kLanes < count; ++half)
    Lanes::store(x + half * kLanes, Lanes::add(Lanes::load(x + half * kLanes), sum[half]));
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
// as int8 weights are: 128 larger
inline void keep_numbers(int8_t* to, Lanes::Floats x) {
  const Lanes::Floats rounded = Lanes::add(x, Lanes::set(12582912.0f));  // see exponential()
  Lanes::store_bytes(to, Lanes::sub(Lanes::bits(rounded), Lanes::set_ints(0x4b400000)));
  for (int i = 0; i < kLanes; ++i) to[i] = static_cast<int8_t>(to[i] ^ 0x80);
}

// Where a number of a token stands among the keys of 16 tokens, and an output's among the values of a head.
template <class T>
inline int place_of_key(const T*, int input, int token) { return input * kLanes + token; }
inline int place_of_key(const int8_t*, int input, int token) {
  return (input / 4 * kLanes + token) * 4 + input % 4;
}
template <class T>
inline int place_of_value(const T*, int output, int token) { return token * kTile + output; }
inline int place_of_value(const int8_t*, int output, int token) {
  return (token / 4 * kTile + output) * 4 + token % 4;
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
// [tokens from `first` on][stride], `width` numbers each; `made` is room for [hidden rounded up to tiles][16], `room`
// for what is multiplied.
template <class Format>
inline void absorb(const Absorbed& text, int layer_number, const Layer& layer, int head, int first, int width,
                   const float* keys, const float* values, int stride, Inputs room, float* made) {
  using T = typename Format::Absorbed;
  const int hidden = layer.cross_q.inputs, tokens = smaller(kLanes, text.tokens - first);
  constexpr int kInputs = 8, kSteps = kInputs / Format::kDepth;  // sums that do not wait for each other
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
  const Lanes::Floats inverse = inverse_scales<T>(made, hidden, scales);
  T* to = absorbed_keys<T>(text, layer_number, head, hidden) + static_cast<size_t>(first) * hidden;
  T narrow[kLanes];
  for (int i = 0; i < hidden; ++i) {
    keep_numbers(narrow, Lanes::mul(Lanes::load(made + i * kLanes), inverse));
    for (int token = 0; token < kLanes; ++token) to[place_of_key(to, i, token)] = narrow[token];
  }

  // O v: a product with the inputs of this head alone, `made` is [token][across] now
  const int across = (hidden + kTile - 1) / kTile * kTile, kept = smaller(kLanes, kept_tokens(text) - first);
  for (int token = 0; token < tokens; ++token) Format::prepare(room, token, tokens, values + token * stride, width);
  std::memset(made, 0, static_cast<size_t>(across) * kLanes * sizeof(float));
  for (int tile = 0; tile * kTile < hidden; ++tile) {
    const uint8_t* step = layer.cross_out.tiles + static_cast<size_t>(tile) * layer.cross_out.tile_bytes +
                          static_cast<size_t>(head * width / Format::kDepth) * kStepBytes;
    for (int row = 0; row < tokens;)
      row += multiply_most<Format, 0>(step, room, 0, row, tokens, width, made + tile * kTile, across, step);
  }
  scales += text.padded;
  for (int token = 0; token < kept; ++token) {  // those behind the last one are zeros
    Lanes::Floats largest = Lanes::zero();
    for (int output = 0; output < across; output += kLanes) {
      float* sum = made + token * across + output;
      if constexpr (Format::kScaled)
        Lanes::store(sum, Lanes::mul(Lanes::load(sum), Lanes::load(layer.cross_out.scales + output)));
      largest = Lanes::max(largest, Lanes::abs(Lanes::load(sum)));
    }
    alignas(64) float scale_of_it[kLanes];
    Lanes::store(scale_of_it, scales_of(static_cast<const T*>(nullptr), Lanes::set(Lanes::largest(largest))));
    scales[token] = scale_of_it[0];
    const Lanes::Floats inverse_of_it = Lanes::set(1.0f / scale_of_it[0]);
    for (int output = 0; output < across; output += kLanes) {
      T* of_head = absorbed_values<T>(text, layer_number, output / kTile);
      of_head += static_cast<size_t>(head * kept_tokens(text)) * kTile;
      keep_numbers(narrow, Lanes::mul(Lanes::load(made + token * across + output), inverse_of_it));
      for (int i = 0; i < kLanes; ++i) of_head[place_of_value(of_head, output % kTile + i, first + token)] = narrow[i];
    }
  }
}

}  // namespace
}  // namespace musicgen
