// One head of one row: appending to the KV cache, and attention over it.
//
// Keys are interleaved in groups of 16 positions, so that multiplying the query's numbers with whole registers gives 16
// scores; values are stored one position after another. Attention is one pass with an online softmax: it keeps the
// largest score so far, and rescales the sums when a larger one comes (Milakov and Gimelshein 2018, arXiv:1805.02867).
#pragma once
#include <cstring>

#include "maths.h"

namespace musicgen {
namespace {

// The group of 16 positions that `position` belongs to.
template <class KvType>
inline KvType* kv_group(KvCache kv, int layer, int head, int position, int padded) {
  uint8_t* block = kv.data + layer * kv.layer_bytes + position / kKvBlock * kv.block_bytes + head * kv.head_bytes;
  return reinterpret_cast<KvType*>(block) + position % kKvBlock / kLanes * (2 * kLanes * padded);
}

// Writes a key and a value, `width` numbers each, at `position`.
template <class KvType>
inline void append_kv(KvCache kv, int layer, int head, int position, int width, int padded, const float* key,
                      const float* value) {
  KvType* keys = kv_group<KvType>(kv, layer, head, position, padded);
  KvType* values = keys + padded * kLanes + position % kLanes * padded;
  keys += position % kLanes;
  KvType narrow[kLanes];
  for (int i = 0; i < width; i += kLanes) {
    const int count = smaller(kLanes, width - i);
    Lanes::store(narrow, within_half(Lanes::first(count, Lanes::load(key + i), Lanes::zero())));
    for (int lane = 0; lane < count; ++lane) keys[(i + lane) * kLanes] = narrow[lane];
    Lanes::store(values + i, within_half(Lanes::first(count, Lanes::load(value + i), Lanes::zero())));
  }
}

// out[0..width) = attention of `query` over positions 0..length-1. Parts = padded width / 16. `later`: the first keys
// that are read after this call. The next keys and values are prefetched evenly while the current ones are multiplied.
template <class KvType, int Parts>
inline void attend_parts(KvCache kv, int layer, int head, int length, int width, const float* query, float* out,
                         const KvType* later) {
  constexpr int kPadded = Parts * kLanes;
  constexpr int kLine = 64 / sizeof(KvType);
  Lanes::Floats gathered[Parts];
  for (Lanes::Floats& part : gathered) part = Lanes::zero();
  Lanes::Floats weight_sum = Lanes::zero();
  float most = -3e38f;
  const KvType* keys = kv_group<KvType>(kv, layer, head, 0, kPadded);
  for (int begin = 0; begin < length; begin += kLanes) {
    const KvType* next = begin + kLanes < length ? kv_group<KvType>(kv, layer, head, begin + kLanes, kPadded) : later;
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
    const KvType* values = keys + kPadded * kLanes;
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

template <class KvType>
inline void attend(KvCache kv, int layer, int head, int length, int width, int padded, const float* query, float* out,
                   KvCache later) {
  const KvType* next = kv_group<KvType>(later, layer, head, 0, padded);
  alignas(64) float scaled[kHeadWidth] = {};
  const float scale = 1.0f / __builtin_sqrtf(static_cast<float>(width));
  for (int i = 0; i < width; ++i) scaled[i] = query[i] * scale;
  switch (padded / kLanes) {
    case 1: return attend_parts<KvType, 1>(kv, layer, head, length, width, scaled, out, next);
    case 2: return attend_parts<KvType, 2>(kv, layer, head, length, width, scaled, out, next);
    case 4: return attend_parts<KvType, 4>(kv, layer, head, length, width, scaled, out, next);
    default: return attend_parts<KvType, 8>(kv, layer, head, length, width, scaled, out, next);
  }
}

}  // namespace
}  // namespace musicgen
