// Vectors of floats, as wide as the instruction set that this file is compiled for, and the two kinds of numbers that
// the codec multiplies: float, and bfloat16 where the processor multiplies it (AVX512_BF16).
//
// Most of it uses GCC's and Clang's vector extensions, on every processor; only what they cannot express is written per
// instruction set.
#pragma once

#include <cstdint>
#include <cstring>

#if defined(__AVX512F__) || defined(__AVX2__)
#include <immintrin.h>
#elif defined(__ARM_NEON)
#include <arm_neon.h>
#endif

namespace codec {

#if defined(__AVX512F__)
constexpr int kLanes = 16;
#elif defined(__AVX2__)
constexpr int kLanes = 8;
#else
constexpr int kLanes = 4;
#endif

// How many sums a tile may have so that all of them stay in registers.
#if defined(__AVX512F__) || defined(__aarch64__)
constexpr int kSums = 24;
#else
constexpr int kSums = 12;
#endif

typedef float Vector __attribute__((vector_size(kLanes * sizeof(float)), aligned(4), may_alias));
typedef std::int32_t Integers __attribute__((vector_size(kLanes * sizeof(std::int32_t))));

inline Vector load(const float* from) { return *reinterpret_cast<const Vector*>(from); }
inline void store(float* to, Vector v) { *reinterpret_cast<Vector*>(to) = v; }
inline Vector all(float x) { return Vector{} + x; }

inline Vector multiply_add(Vector a, Vector b, Vector sum) {
#if defined(__AVX512F__)
  return _mm512_fmadd_ps(a, b, sum);
#elif defined(__AVX2__) && defined(__FMA__)
  return _mm256_fmadd_ps(a, b, sum);
#elif defined(__aarch64__)
  return vfmaq_f32(sum, a, b);
#else
  return a * b + sum;
#endif
}

inline float sum_of(Vector v) {
  float sum = 0;
  for (int i = 0; i < kLanes; ++i) sum += v[i];
  return sum;
}

inline Vector where(Integers condition, Vector yes, Vector no) {
  return (Vector)(((Integers)yes & condition) | ((Integers)no & ~condition));
}

// e^x, relative error below 2e-7. x is clamped to -87..88.
// e^x = 2^n e^r with |r| <= ln 2 / 2; the series of e^r up to r^7.
inline Vector exponential(Vector x) {
  x = where(x > all(88.f), all(88.f), where(x < all(-87.f), all(-87.f), x));
  const Vector shift = all(12582912.f);  // 1.5 * 2^23: adding it leaves the nearest whole number in the low bits
  const Vector shifted = multiply_add(x, all(1.44269504f), shift);
  const Vector n = shifted - shift;
  Vector r = multiply_add(n, all(-0.693359375f), x);  // ln 2 in two parts, so that no precision is lost
  r = multiply_add(n, all(2.12194440e-4f), r);
  Vector series = all(1.f / 5040);
  series = multiply_add(series, r, all(1.f / 720));
  series = multiply_add(series, r, all(1.f / 120));
  series = multiply_add(series, r, all(1.f / 24));
  series = multiply_add(series, r, all(1.f / 6));
  series = multiply_add(series, r, all(0.5f));
  series = multiply_add(series, r, all(1.f));
  series = multiply_add(series, r, all(1.f));
  return (Vector)((Integers)series + (((Integers)shifted - (Integers)shift) << 23));
}

inline Vector sigmoid(Vector x) { return all(1.f) / (all(1.f) + exponential(-x)); }
inline Vector hyperbolic_tangent(Vector x) { return all(2.f) / (all(1.f) + exponential(-2.f * x)) - all(1.f); }

// The exponential linear unit of EnCodec's decoder (Clevert et al. 2015, arXiv:1511.07289, alpha = 1).
inline Vector elu(Vector x) { return where(x > all(0.f), x, exponential(x) - all(1.f)); }

// One number of a matrix is a T. kGroup of them are adjacent, and one instruction multiplies and sums them.
template <class T>
struct Number;

template <>
struct Number<float> {
  static constexpr int kGroup = 1;
  static float from(float x) { return x; }
  static float value(float x) { return x; }
  static void store(float* to, Vector v) { codec::store(to, v); }
  static Vector repeat(const float* group) { return all(*group); }
  static Vector multiply_add(Vector repeated, const float* weights, Vector sum) {
    return codec::multiply_add(repeated, load(weights), sum);
  }
};

struct Bfloat16 {
  std::uint16_t bits;
};

#if defined(__AVX512BF16__) && defined(__AVX512F__) && defined(__AVX512VL__)
#define CODEC_HAS_BFLOAT16 1

template <>
struct Number<Bfloat16> {
  static constexpr int kGroup = 2;
  static Bfloat16 from(float x) {  // to the nearest, ties to even
    std::uint32_t bits;
    std::memcpy(&bits, &x, 4);
    return {static_cast<std::uint16_t>((bits + 0x7fff + ((bits >> 16) & 1)) >> 16)};
  }
  static float value(Bfloat16 x) {
    const std::uint32_t bits = static_cast<std::uint32_t>(x.bits) << 16;
    float result;
    std::memcpy(&result, &bits, 4);
    return result;
  }
  static void store(Bfloat16* to, Vector v) {
    const __m256bh narrow = _mm512_cvtneps_pbh(v);
    std::memcpy(to, &narrow, sizeof narrow);
  }
  static Vector repeat(const Bfloat16* group) {
    std::int32_t pair;
    std::memcpy(&pair, group, 4);
    return (Vector)_mm512_set1_epi32(pair);
  }
  static Vector multiply_add(Vector repeated, const Bfloat16* weights, Vector sum) {
    const __m512i loaded = _mm512_loadu_si512(weights);
    return _mm512_dpbf16_ps(sum, (__m512bh)repeated, (__m512bh)loaded);
  }
};
#endif

}  // namespace codec
