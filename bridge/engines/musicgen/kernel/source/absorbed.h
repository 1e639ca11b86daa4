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
  constexpr int kAhead = kAheadOfPair / static_cast<int>(sizeof(T));
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
      __builtin_prefetch(step + kAheadOfPair);
      __builtin_prefetch(step + kAheadOfPair + kHalfStep);
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

// The nearest whole numbers, of values up to 2^22; see exponential().
inline Lanes::Ints nearest(Lanes::Floats x) {
  return Lanes::sub(Lanes::bits(Lanes::add(x, Lanes::set(12582912.0f))), Lanes::set_ints(0x4b400000));
}

// What numbers whose largest is so large are divided by, to be kept. Nothing is divided by zero; a text that is not
// finite never comes here.
inline Lanes::Floats byte_scale(Lanes::Floats largest) {
  return Lanes::mul(Lanes::max(largest, Lanes::set(1e-30f)), Lanes::set(1.0f / 127.0f));
}
inline Lanes::Floats scales_of(const float*, Lanes::Floats) { return Lanes::set(1.0f); }
inline Lanes::Floats scales_of(const uint16_t*, Lanes::Floats) { return Lanes::set(1.0f); }
inline Lanes::Floats scales_of(const int8_t*, Lanes::Floats largest) { return byte_scale(largest); }

// One after another.
inline Lanes::Floats inverse_of(Lanes::Floats x) {
  float each[kLanes];
  Lanes::store(each, x);
  for (float& one : each) one = 1.0f / one;
  return Lanes::load(each);
}

// Keeps four times sixteen numbers, divided by their scales: `to` is where the first sixteen lie, the next ones so many
// numbers behind it; bytes lie in fours, 128 larger as int8 weights are. Of the four, `count` are there.
inline void keep_four(float* to, int stride, int count, const Lanes::Floats (&x)[4]) {
  for (int i = 0; i < count; ++i) Lanes::store(to + i * stride, x[i]);
}
inline void keep_four(uint16_t* to, int stride, int count, const Lanes::Floats (&x)[4]) {
  for (int i = 0; i < count; ++i) Lanes::store(to + i * stride, within_half(x[i]));
}
inline void keep_four(int8_t* to, int, int count, const Lanes::Floats (&x)[4]) {
  Lanes::Ints whole[4];
  for (int i = 0; i < 4; ++i)
    whole[i] = Lanes::add(i < count ? nearest(x[i]) : Lanes::set_ints(0), Lanes::set_ints(128));
  Lanes::store_fours(to, whole[0], whole[1], whole[2], whole[3]);
}

// Where four tokens, or the first of them, begin among the values of a head.
template <class T>
inline int place_of_value(const T*, int output, int token) {
  return token * kTile + output;
}
inline int place_of_value(const int8_t*, int output, int token) { return (token / 4 * kTile + output) * 4; }

// made[hidden][16 tokens] = Q^T k of a head. `column`: k of each token times what Q's outputs are scaled with,
// [width][16 tokens].
template <class Format>
inline void multiply_keys(const Matrix& query, int head, int width, const float (&column)[kHeadWidth][kLanes],
                          float* made) {
  constexpr int kInputs = 8, kSteps = kInputs / Format::kDepth;  // sums that do not wait for each other
  const auto place = [](int output, int k) {                     // in `weights`, which are steps behind each other
    return (k / Format::kDepth * kTile + output) * Format::kDepth + k % Format::kDepth;
  };
  alignas(64) float weights[kTile * kInputs];
  const int wide = (width + kTile - 1) / kTile * kTile;
  std::memset(made, 0, static_cast<size_t>(query.inputs) * kLanes * sizeof(float));
  for (int part = 0; part < wide; part += kTile) {
    const uint8_t* step = query.tiles + static_cast<size_t>((head * wide + part) / kTile) * query.tile_bytes;
    const int outputs = smaller(kTile, width - part);
    for (int input = 0; input < query.inputs; input += kInputs) {
      for (int i = 0; i < kSteps; ++i, step += kStepBytes) Format::unpack(step, weights + i * kTile * Format::kDepth);
      Lanes::Floats sum[kInputs];
      for (int k = 0; k < kInputs; ++k) sum[k] = Lanes::load(made + (input + k) * kLanes);
      for (int output = 0; output < outputs; ++output)
        for (int k = 0; k < kInputs; ++k)
          sum[k] = Lanes::fma(Lanes::set(weights[place(output, k)]), Lanes::load(column[part + output]), sum[k]);
      for (int k = 0; k < kInputs; ++k) Lanes::store(made + (input + k) * kLanes, sum[k]);
    }
  }
}

// The same in whole numbers, `column` rounded to bytes. What is multiplied at a time are four outputs' weights here,
// not four inputs'.
template <>
inline void multiply_keys<Int8>(const Matrix& query, int head, int width, const float (&column)[kHeadWidth][kLanes],
                                float* made) {
  constexpr int kInputs = 8;
  alignas(64) int8_t tokens[kHeadWidth * kLanes];             // [width / 4][16 tokens][4]
  alignas(64) uint8_t weights[kInputs / 4 * kHeadWidth * 4];  // [inputs / 4][width / 4][4 inputs][4]
  Lanes::Floats largest = Lanes::zero();
  for (int i = 0; i < width; ++i) largest = Lanes::max(largest, Lanes::abs(Lanes::load(column[i])));
  const Lanes::Floats scale = byte_scale(largest), inverse = inverse_of(scale);
  Lanes::Ints too_much = Lanes::set_ints(0);  // as weights are stored 128 larger
  for (int i = 0; i < width; i += 4) {
    Lanes::Ints whole[4];
    for (int j = 0; j < 4; ++j) whole[j] = nearest(Lanes::mul(Lanes::load(column[i + j]), inverse));
    Lanes::store_fours(tokens + i * kLanes, whole[0], whole[1], whole[2], whole[3]);
    too_much = Lanes::dot(too_much, static_cast<int32_t>(0x80808080u), Lanes::load_signed(tokens + i * kLanes));
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
    for (Lanes::Ints& each : sum) each = Lanes::sub(Lanes::set_ints(0), too_much);
    for (int i = 0; i < width; i += 4) {
      const Lanes::Signed numbers = Lanes::load_signed(tokens + i * kLanes);
      for (int k = 0; k < kInputs; ++k)
        sum[k] = Lanes::dot(sum[k], load_int(weights + (k / 4 * width + i + k % 4) * 4), numbers);
    }
    for (int k = 0; k < kInputs; ++k)
      Lanes::store(made + (input + k) * kLanes, Lanes::mul(Lanes::to_floats(sum[k]), scale));
  }
}

// Multiplies what one head makes of up to 16 tokens with the two matrices, and keeps it: `keys` and `values` are
// [tokens from `first` on][stride], `width` numbers each; `made` is room for [hidden rounded up to tiles, and 16][16],
// `room` for what is multiplied.
template <class Format>
inline void absorb(const Absorbed& text, int layer_number, const Layer& layer, int head, int first, int width,
                   const float* keys, const float* values, int stride, Inputs room, float* made) {
  using T = typename Format::Absorbed;
  const int hidden = layer.cross_q.inputs, tokens = smaller(kLanes, text.tokens - first);
  alignas(64) float column[kHeadWidth][kLanes] = {};
  float* scales = absorbed_scales(text, layer_number, head) + first;

  const int wide = (width + kTile - 1) / kTile * kTile;
  const float scale = 1.0f / __builtin_sqrtf(static_cast<float>(width));
  for (int i = 0; i < width; ++i)
    for (int token = 0; token < tokens; ++token)
      column[i][token] = keys[token * stride + i] * scale * Format::scale(layer.cross_q, head * wide + i);
  multiply_keys<Format>(layer.cross_q, head, width, column, made);
  Lanes::Floats largest = Lanes::zero();
  for (int i = 0; i < hidden; ++i) largest = Lanes::max(largest, Lanes::abs(Lanes::load(made + i * kLanes)));
  const Lanes::Floats key_scales = scales_of(static_cast<const T*>(nullptr), largest);
  Lanes::store(scales, key_scales);
  const Lanes::Floats inverse = inverse_of(key_scales);
  T* to = absorbed_keys<T>(text, layer_number, head, hidden) + static_cast<size_t>(first) * hidden;
  for (int i = 0; i < hidden; i += 4) {
    Lanes::Floats four[4];
    for (int j = 0; j < 4; ++j) four[j] = Lanes::mul(Lanes::load(made + (i + j) * kLanes), inverse);
    keep_four(to + i * kLanes, kLanes, 4, four);
  }

  // O v: a product with the inputs of this head alone, `made` is [token][apart] now
  const int across = (hidden + kTile - 1) / kTile * kTile, kept = smaller(kLanes, kept_tokens(text) - first);
  const int apart = across + kLanes;  // 4 kB apart they would want the same places in the cache
  for (int token = 0; token < tokens; ++token) Format::prepare(room, token, tokens, values + token * stride, width);
  std::memset(made, 0, static_cast<size_t>(apart) * kLanes * sizeof(float));
  for (int tile = 0; tile * kTile < hidden; ++tile) {
    const uint8_t* step = layer.cross_out.tiles + static_cast<size_t>(tile) * layer.cross_out.tile_bytes +
                          static_cast<size_t>(head * width / Format::kDepth) * kStepBytes;
    const uint8_t* next = step + layer.cross_out.tile_bytes;  // a head has little of each tile: it is fetched before
    float* sums = made + tile * kTile;
    int row = multiply_most<Format, kOfPair>(step, room, 0, 0, tokens, width, sums, apart, next);
    while (row < tokens) row += multiply_most<Format, kNothing>(step, room, 0, row, tokens, width, sums, apart, next);
  }
  scales += text.padded;
  float inverses[kLanes];
  for (int token = 0; token < kept; ++token) {  // those behind the last one are zeros
    Lanes::Floats most = Lanes::zero();
    for (int output = 0; output < across; output += kLanes) {
      float* sum = made + token * apart + output;
      if constexpr (Format::kScaled)
        Lanes::store(sum, Lanes::mul(Lanes::load(sum), Lanes::load(layer.cross_out.scales + output)));
      most = Lanes::max(most, Lanes::abs(Lanes::load(sum)));
    }
    alignas(64) float scale_of_it[kLanes];
    Lanes::store(scale_of_it, scales_of(static_cast<const T*>(nullptr), Lanes::set(Lanes::largest(most))));
    scales[token] = scale_of_it[0];
    inverses[token] = 1.0f / scale_of_it[0];
  }
  for (int output = 0; output < across; output += kLanes) {
    T* of_head = absorbed_values<T>(text, layer_number, output / kTile);
    of_head += static_cast<size_t>(head * kept_tokens(text)) * kTile;
    for (int token = 0; token < kept; token += 4) {
      const int count = smaller(4, kept - token);
      Lanes::Floats four[4];
      for (int j = 0; j < count; ++j)
        four[j] = Lanes::mul(Lanes::load(made + (token + j) * apart + output), Lanes::set(inverses[token + j]));
      keep_four(of_head + place_of_value(of_head, output % kTile, first + token), kTile, count, four);
    }
  }
}

}  // namespace
}  // namespace musicgen
