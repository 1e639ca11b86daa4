// One head of one row: what it puts into its past, and what it attends to there.
//
// Keys lie 16 positions beside each other, so that 16 scores come of multiplying the query's numbers with whole
// registers; values lie one position after another. Past is gone through once: the largest score so far is kept, and
// what was gathered is made smaller when a larger one comes (Milakov and Gimelshein 2018, arXiv:1805.02867).
#pragma once
#include <cstring>

#include "maths.h"

namespace musicgen {
namespace {

// The 16 positions around `position`.
template <class Kept>
inline Kept* sixteen(Past past, int layer, int head, int position, int padded) {
  uint8_t* block =
      past.data + layer * past.layer_bytes + position / kPastBlock * past.block_bytes + head * past.head_bytes;
  return reinterpret_cast<Kept*>(block) + position % kPastBlock / kLanes * (2 * kLanes * padded);
}

// Writes key and value, `width` numbers each, at `position`.
template <class Kept>
inline void keep(Past past, int layer, int head, int position, int width, int padded, const float* key,
                 const float* value) {
  Kept* keys = sixteen<Kept>(past, layer, head, position, padded);
  Kept* values = keys + padded * kLanes + position % kLanes * padded;
  keys += position % kLanes;
  Kept narrow[kLanes];
  for (int i = 0; i < width; i += kLanes) {
    const int count = smaller(kLanes, width - i);
    Lanes::store(narrow, within_half(Lanes::first(count, Lanes::load(key + i), Lanes::zero())));
    for (int lane = 0; lane < count; ++lane) keys[(i + lane) * kLanes] = narrow[lane];
    Lanes::store(values + i, within_half(Lanes::first(count, Lanes::load(value + i), Lanes::zero())));
  }
}

// out[0..width) = attention of `query` over positions 0..length-1. Parts = padded width / 16. `later`: the first keys
// of who attends next. What comes next is fetched evenly while this is worked on.
template <class Kept, int Parts>
inline void attend_parts(Past past, int layer, int head, int length, int width, const float* query, float* out,
                         const Kept* later) {
  constexpr int kPadded = Parts * kLanes;
  constexpr int kLine = 64 / sizeof(Kept);
  Lanes::Floats gathered[Parts];
  for (Lanes::Floats& part : gathered) part = Lanes::zero();
  Lanes::Floats weight_sum = Lanes::zero();
  float most = -3e38f;
  const Kept* keys = sixteen<Kept>(past, layer, head, 0, kPadded);
  for (int begin = 0; begin < length; begin += kLanes) {
    const Kept* next = begin + kLanes < length ? sixteen<Kept>(past, layer, head, begin + kLanes, kPadded) : later;
    Lanes::Floats score[4] = {Lanes::zero(), Lanes::zero(), Lanes::zero(), Lanes::zero()};
    for (int i = 0; i < kPadded; i += 4) {
      for (int line = 0; line < 4 * kLanes; line += kLine) __builtin_prefetch(next + i * kLanes + line, 0, 2);
      for (int j = 0; j < 4; ++j)
        score[j] = Lanes::fma(Lanes::load(keys + (i + j) * kLanes), Lanes::set(query[i + j]), score[j]);
    }
    const int count = smaller(kLanes, length - begin);
    const Lanes::Floats scores = Lanes::first(
        count, Lanes::add(Lanes::add(score[0], score[1]), Lanes::add(score[2], score[3])), Lanes::set(-3e38f));
    const float largest = Lanes::largest(scores);
    if (largest > most) {
      const Lanes::Floats less = exponential(Lanes::set(most - largest));
      for (Lanes::Floats& part : gathered) part = Lanes::mul(part, less);
      weight_sum = Lanes::mul(weight_sum, less);
      most = largest;
    }
    const Lanes::Floats weights = Lanes::first(count, exponential(Lanes::sub(scores, Lanes::set(most))), Lanes::zero());
    weight_sum = Lanes::add(weight_sum, weights);
    float weight[kLanes];
    Lanes::store(weight, weights);
    const Kept* values = keys + kPadded * kLanes;
    for (int position = 0; position < count; ++position, values += kPadded) {
      for (int line = 0; line < kPadded; line += kLine)
        __builtin_prefetch(next + (kLanes + position) * kPadded + line, 0, 2);
      for (int part = 0; part < Parts; ++part)
        gathered[part] = Lanes::fma(Lanes::load(values + part * kLanes), Lanes::set(weight[position]), gathered[part]);
    }
    keys = next;
  }
  const Lanes::Floats inverse = Lanes::set(1.0f / Lanes::sum(weight_sum));
  if (width == kPadded) {
    for (int part = 0; part < Parts; ++part) Lanes::store(out + part * kLanes, Lanes::mul(gathered[part], inverse));
    return;
  }
  float whole[kPadded];
  for (int part = 0; part < Parts; ++part) Lanes::store(whole + part * kLanes, Lanes::mul(gathered[part], inverse));
  std::memcpy(out, whole, static_cast<size_t>(width) * sizeof(float));
}

template <class Kept>
inline void attend(Past past, int layer, int head, int length, int width, int padded, const float* query, float* out,
                   Past later) {
  const Kept* next = sixteen<Kept>(later, layer, head, 0, padded);
  alignas(64) float scaled[kHeadWidth] = {};
  const float scale = 1.0f / __builtin_sqrtf(static_cast<float>(width));
  for (int i = 0; i < width; ++i) scaled[i] = query[i] * scale;
  switch (padded / kLanes) {
    case 1: return attend_parts<Kept, 1>(past, layer, head, length, width, scaled, out, next);
    case 2: return attend_parts<Kept, 2>(past, layer, head, length, width, scaled, out, next);
    case 4: return attend_parts<Kept, 4>(past, layer, head, length, width, scaled, out, next);
    default: return attend_parts<Kept, 8>(past, layer, head, length, width, scaled, out, next);
  }
}

}  // namespace
}  // namespace musicgen
