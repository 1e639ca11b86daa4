// Sixteen floats in GCC's and Clang's vector type, which compiles to whatever the processor has; on Arm, NEON.
#pragma once
#include <cstring>

#include "model.h"

namespace musicgen {
namespace {

struct Lanes {
  using RawFloats = float __attribute__((vector_size(64)));
  using RawInts = int32_t __attribute__((vector_size(64)));
  struct Floats {
    RawFloats v;
  };
  struct Ints {
    RawInts v;
  };
  struct Bytes {
    RawInts part[4];
  };
  using Nibbles = Bytes;
  struct Signed {
    RawInts part[4];
  };
  struct Bfloats {
    Floats even, odd;
  };
  static constexpr int kBlocks = 1;
  static constexpr int kRowsAtOnce = 2;
  static constexpr int kByteOffset = 0;

  static Floats zero() { return {RawFloats{}}; }
  static Floats set(float x) { return {RawFloats{} + x}; }
  static Floats load(const float* p) {
    Floats x;
    std::memcpy(&x.v, p, sizeof x.v);
    return x;
  }
  // Shifting a half's exponent and mantissa to those of a float makes it 2^112 times too small; multiplying puts that
  // right, for subnormal numbers as well. Infinities come out wrong, but store() writes none.
  static Floats load(const uint16_t* p) {
    uint16_t __attribute__((vector_size(32))) half;
    std::memcpy(&half, p, sizeof half);
    const RawInts wide = __builtin_convertvector(half, RawInts);
    const RawFloats size = from_bits({(wide & 0x7fff) << 13}).v * 0x1p112f;
    return from_bits({bits({size}).v | ((wide & 0x8000) << 16)});
  }
  static Floats load(const int8_t* p) {
    int8_t __attribute__((vector_size(16))) bytes;
    std::memcpy(&bytes, p, sizeof bytes);
    return {__builtin_convertvector(bytes, RawFloats)};
  }
  static void store(float* p, Floats x) { std::memcpy(p, &x.v, sizeof x.v); }
  static void store(uint16_t* p, Floats x) {
    for (int i = 0; i < kLanes; ++i) p[i] = half(x.v[i]);
  }
  static Floats add(Floats a, Floats b) { return {a.v + b.v}; }
  static Floats sub(Floats a, Floats b) { return {a.v - b.v}; }
  static Floats mul(Floats a, Floats b) { return {a.v * b.v}; }
  static Floats fma(Floats a, Floats b, Floats c) { return {a.v * b.v + c.v}; }
  static Floats max(Floats a, Floats b) { return {a.v > b.v ? a.v : b.v}; }
  static Floats min(Floats a, Floats b) { return {a.v < b.v ? a.v : b.v}; }
  static Floats abs(Floats a) { return from_bits({bits(a).v & 0x7fffffff}); }
  static float sum(Floats a) {
    float half[8];
    for (int i = 0; i < 8; ++i) half[i] = a.v[i] + a.v[i + 8];
    for (int width = 4; width > 0; width /= 2)
      for (int i = 0; i < width; ++i) half[i] += half[i + width];
    return half[0];
  }
  static float largest(Floats a) {
    float most = a.v[0];
    for (int i = 1; i < kLanes; ++i) most = a.v[i] > most ? a.v[i] : most;
    return most;
  }
  static Floats first(int count, Floats a, Floats rest) {
    const RawInts number = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};
    return {number < count ? a.v : rest.v};
  }

  static Ints set_ints(int32_t x) { return {RawInts{} + x}; }
  static Ints bits(Floats a) {
    Ints x;
    std::memcpy(&x, &a, sizeof x);
    return x;
  }
  static Floats from_bits(Ints a) {
    Floats x;
    std::memcpy(&x, &a, sizeof x);
    return x;
  }
  static Ints add(Ints a, Ints b) { return {a.v + b.v}; }
  static Ints sub(Ints a, Ints b) { return {a.v - b.v}; }
  static Ints to_exponent(Ints a) { return {a.v << 23}; }
  static Floats to_floats(Ints a) { return {__builtin_convertvector(a.v, RawFloats)}; }
  static int32_t sum(Ints a) {
    int32_t total = 0;
    for (int i = 0; i < kLanes; ++i) total += a.v[i];
    return total;
  }
  static void store_bytes(int8_t* p, Ints a) {
    for (int i = 0; i < kLanes; ++i) p[i] = static_cast<int8_t>(a.v[i]);
  }

  static Bytes load_bytes(const uint8_t* p) {
    const RawInts all = load_ints(p);
    return {{(all & 255) - 128, ((all >> 8) & 255) - 128, ((all >> 16) & 255) - 128, ((all >> 24) & 255) - 128}};
  }
  static Ints dot(Ints sums, const Bytes& weights, int32_t four) {
    for (int i = 0; i < 4; ++i) sums.v += weights.part[i] * static_cast<int8_t>(static_cast<uint32_t>(four) >> (8 * i));
    return sums;
  }
  static Signed load_signed(const int8_t* p) {
    const RawInts all = load_ints(reinterpret_cast<const uint8_t*>(p));
    return {{(all << 24) >> 24, (all << 16) >> 24, (all << 8) >> 24, all >> 24}};
  }
  static Ints dot(Ints sums, int32_t stored, const Signed& numbers) {
    for (int i = 0; i < 4; ++i) {
      const int32_t weight = static_cast<int32_t>((static_cast<uint32_t>(stored) >> (8 * i)) & 255) - 128;
      sums.v += numbers.part[i] * weight;
    }
    return sums;
  }
  static void store_fours(int8_t* p, Ints a, Ints b, Ints c, Ints d) {
    const RawInts fours = (a.v & 255) | (b.v & 255) << 8 | (c.v & 255) << 16 | d.v << 24;
    std::memcpy(p, &fours, sizeof fours);
  }
  static void transpose_fours(const uint8_t* from, uint8_t* to) {
    for (int i = 0; i < 64; ++i) to[i] = from[i / 16 * 16 + i % 4 * 4 + i % 16 / 4];
  }
  static void load_nibbles(const uint8_t* p, Nibbles& low, Nibbles& high) {
    const RawInts all = load_ints(p);
    for (int i = 0; i < 4; ++i) {
      low.part[i] = (all >> (8 * i)) & 15;
      high.part[i] = (all >> (8 * i + 4)) & 15;
    }
  }
  static Ints dot_nibbles(Ints sums, const Nibbles& weights, int32_t four) { return dot(sums, weights, four); }

  static Bfloats load_bfloats(const uint8_t* p) {
    const RawInts all = load_ints(p);
    return {from_bits({all << 16}), from_bits({all & static_cast<int32_t>(0xffff0000u)})};
  }
  static Floats dot(Floats sums, const Bfloats& weights, int32_t two) {
    const uint32_t pair = static_cast<uint32_t>(two);
    const Ints even = set_ints(static_cast<int32_t>(pair << 16));
    const Ints odd = set_ints(static_cast<int32_t>(pair & 0xffff0000u));
    return fma(weights.odd, from_bits(odd), fma(weights.even, from_bits(even), sums));
  }

 private:
  static RawInts load_ints(const uint8_t* p) {
    RawInts x;
    std::memcpy(&x, p, sizeof x);
    return x;
  }
  // nearest, ties to even; |x| <= 65504
  static uint16_t half(float x) {
    uint32_t bits;
    std::memcpy(&bits, &x, sizeof bits);
    const uint32_t sign = (bits >> 16) & 0x8000, size = bits & 0x7fffffff;
    if (size < 0x38800000) {  // too small for a half's exponent: counts of 2^-24
      float steps;
      std::memcpy(&steps, &size, sizeof steps);
      steps = steps * 0x1p24f + 12582912.0f;  // 1.5 * 2^23: the sum is rounded to a whole number
      std::memcpy(&bits, &steps, sizeof bits);
      return static_cast<uint16_t>(sign | (bits - 0x4b400000u));
    }
    if (size > 0x477fefff) return static_cast<uint16_t>(sign | 0x7bff);
    return static_cast<uint16_t>(sign | ((size - 0x38000000u + 0xfff + ((size >> 13) & 1)) >> 13));
  }
};

}  // namespace
}  // namespace musicgen
