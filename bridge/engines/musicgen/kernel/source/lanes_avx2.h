// Sixteen floats in two AVX2 registers; integer products by vpmaddubsw, exact: it takes |weight| and the input with the
// weight's sign, at most 127 x 127 x 2 together, which 16 bits hold.
#pragma once
#include <immintrin.h>

#include "model.h"

namespace musicgen {
namespace {

struct Lanes {
  struct Floats {
    __m256 a, b;
  };
  struct Ints {
    __m256i a, b;
  };
  struct Bytes {
    __m256i a, b, size_a, size_b;
  };
  using Nibbles = Ints;
  using Signed = Ints;
  struct Bfloats {
    Floats even, odd;
  };
  static constexpr int kBlocks = 1;
  static constexpr int kRowsAtOnce = 4;  // 4 x 2 sums of 16 registers
  static constexpr int kByteOffset = 0;

  static Floats zero() { return {_mm256_setzero_ps(), _mm256_setzero_ps()}; }
  static Floats set(float x) { return {_mm256_set1_ps(x), _mm256_set1_ps(x)}; }
  static Floats load(const float* p) { return {_mm256_loadu_ps(p), _mm256_loadu_ps(p + 8)}; }
  static Floats load(const uint16_t* p) {
    const __m128i* q = reinterpret_cast<const __m128i*>(p);
    return {_mm256_cvtph_ps(_mm_loadu_si128(q)), _mm256_cvtph_ps(_mm_loadu_si128(q + 1))};
  }
  static Floats load(const int8_t* p) {
    const __m128i bytes = _mm_loadu_si128(reinterpret_cast<const __m128i*>(p));
    return {_mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(bytes)),
            _mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(_mm_srli_si128(bytes, 8)))};
  }
  static void store(float* p, Floats x) {
    _mm256_storeu_ps(p, x.a);
    _mm256_storeu_ps(p + 8, x.b);
  }
  static void store(uint16_t* p, Floats x) {
    __m128i* q = reinterpret_cast<__m128i*>(p);
    _mm_storeu_si128(q, _mm256_cvtps_ph(x.a, _MM_FROUND_TO_NEAREST_INT));
    _mm_storeu_si128(q + 1, _mm256_cvtps_ph(x.b, _MM_FROUND_TO_NEAREST_INT));
  }
  static Floats add(Floats x, Floats y) { return {_mm256_add_ps(x.a, y.a), _mm256_add_ps(x.b, y.b)}; }
  static Floats sub(Floats x, Floats y) { return {_mm256_sub_ps(x.a, y.a), _mm256_sub_ps(x.b, y.b)}; }
  static Floats mul(Floats x, Floats y) { return {_mm256_mul_ps(x.a, y.a), _mm256_mul_ps(x.b, y.b)}; }
  static Floats fma(Floats x, Floats y, Floats z) {
    return {_mm256_fmadd_ps(x.a, y.a, z.a), _mm256_fmadd_ps(x.b, y.b, z.b)};
  }
  static Floats max(Floats x, Floats y) { return {_mm256_max_ps(x.a, y.a), _mm256_max_ps(x.b, y.b)}; }
  static Floats min(Floats x, Floats y) { return {_mm256_min_ps(x.a, y.a), _mm256_min_ps(x.b, y.b)}; }
  static Floats abs(Floats x) {
    const __m256 sign = _mm256_set1_ps(-0.0f);
    return {_mm256_andnot_ps(sign, x.a), _mm256_andnot_ps(sign, x.b)};
  }
  static float sum(Floats x) {
    const __m256 eight = _mm256_add_ps(x.a, x.b);
    __m128 four = _mm_add_ps(_mm256_castps256_ps128(eight), _mm256_extractf128_ps(eight, 1));
    four = _mm_add_ps(four, _mm_movehl_ps(four, four));
    return _mm_cvtss_f32(_mm_add_ss(four, _mm_movehdup_ps(four)));
  }
  static float largest(Floats x) {
    const __m256 eight = _mm256_max_ps(x.a, x.b);
    __m128 four = _mm_max_ps(_mm256_castps256_ps128(eight), _mm256_extractf128_ps(eight, 1));
    four = _mm_max_ps(four, _mm_movehl_ps(four, four));
    return _mm_cvtss_f32(_mm_max_ss(four, _mm_movehdup_ps(four)));
  }
  static Floats first(int count, Floats x, Floats rest) {
    const __m256i number = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);
    const __m256i a = _mm256_cmpgt_epi32(_mm256_set1_epi32(count), number);
    const __m256i b = _mm256_cmpgt_epi32(_mm256_set1_epi32(count - 8), number);
    return {_mm256_blendv_ps(rest.a, x.a, _mm256_castsi256_ps(a)),
            _mm256_blendv_ps(rest.b, x.b, _mm256_castsi256_ps(b))};
  }

  static Ints set_ints(int32_t x) { return {_mm256_set1_epi32(x), _mm256_set1_epi32(x)}; }
  static Ints bits(Floats x) { return {_mm256_castps_si256(x.a), _mm256_castps_si256(x.b)}; }
  static Floats from_bits(Ints x) { return {_mm256_castsi256_ps(x.a), _mm256_castsi256_ps(x.b)}; }
  static Ints add(Ints x, Ints y) { return {_mm256_add_epi32(x.a, y.a), _mm256_add_epi32(x.b, y.b)}; }
  static Ints sub(Ints x, Ints y) { return {_mm256_sub_epi32(x.a, y.a), _mm256_sub_epi32(x.b, y.b)}; }
  static Ints to_exponent(Ints x) { return {_mm256_slli_epi32(x.a, 23), _mm256_slli_epi32(x.b, 23)}; }
  static Floats to_floats(Ints x) { return {_mm256_cvtepi32_ps(x.a), _mm256_cvtepi32_ps(x.b)}; }
  static int32_t sum(Ints x) {
    const __m256i eight = _mm256_add_epi32(x.a, x.b);
    __m128i four = _mm_add_epi32(_mm256_castsi256_si128(eight), _mm256_extracti128_si256(eight, 1));
    four = _mm_add_epi32(four, _mm_shuffle_epi32(four, 0x4e));
    return _mm_cvtsi128_si32(_mm_add_epi32(four, _mm_shuffle_epi32(four, 0xb1)));
  }
  static void store_bytes(int8_t* p, Ints x) {
    // packs within each half of a register: put the halves in order first
    const __m256i mixed = _mm256_packs_epi32(x.a, x.b);
    const __m256i words = _mm256_permute4x64_epi64(mixed, 0xd8);
    const __m128i bytes = _mm_packs_epi16(_mm256_castsi256_si128(words), _mm256_extracti128_si256(words, 1));
    _mm_storeu_si128(reinterpret_cast<__m128i*>(p), bytes);
  }

  static Bytes load_bytes(const uint8_t* p) {
    const __m256i* q = reinterpret_cast<const __m256i*>(p);
    const __m256i offset = _mm256_set1_epi8(-128);
    const __m256i a = _mm256_xor_si256(_mm256_load_si256(q), offset);
    const __m256i b = _mm256_xor_si256(_mm256_load_si256(q + 1), offset);
    return {a, b, _mm256_abs_epi8(a), _mm256_abs_epi8(b)};
  }
  static Ints dot(Ints sums, Bytes weights, int32_t four) {
    const __m256i inputs = _mm256_set1_epi32(four), ones = _mm256_set1_epi16(1);
    const __m256i a = _mm256_maddubs_epi16(weights.size_a, _mm256_sign_epi8(inputs, weights.a));
    const __m256i b = _mm256_maddubs_epi16(weights.size_b, _mm256_sign_epi8(inputs, weights.b));
    return {_mm256_add_epi32(sums.a, _mm256_madd_epi16(a, ones)), _mm256_add_epi32(sums.b, _mm256_madd_epi16(b, ones))};
  }
  static Signed load_signed(const int8_t* p) {
    const __m256i* q = reinterpret_cast<const __m256i*>(p);
    return {_mm256_load_si256(q), _mm256_load_si256(q + 1)};
  }
  static Ints dot(Ints sums, int32_t stored, Signed numbers) {
    const __m256i weights = _mm256_xor_si256(_mm256_set1_epi32(stored), _mm256_set1_epi8(-128));
    const __m256i size = _mm256_abs_epi8(weights), ones = _mm256_set1_epi16(1);
    const __m256i a = _mm256_maddubs_epi16(size, _mm256_sign_epi8(numbers.a, weights));
    const __m256i b = _mm256_maddubs_epi16(size, _mm256_sign_epi8(numbers.b, weights));
    return {_mm256_add_epi32(sums.a, _mm256_madd_epi16(a, ones)), _mm256_add_epi32(sums.b, _mm256_madd_epi16(b, ones))};
  }
  static void store_fours(int8_t* p, Ints a, Ints b, Ints c, Ints d) {
    __m256i* q = reinterpret_cast<__m256i*>(p);
    _mm256_store_si256(q, fours(a.a, b.a, c.a, d.a));
    _mm256_store_si256(q + 1, fours(a.b, b.b, c.b, d.b));
  }
  static void transpose_fours(const uint8_t* from, uint8_t* to) {
    const __m128i four = _mm_setr_epi8(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15);
    const __m256i order = _mm256_broadcastsi128_si256(four);
    for (int i = 0; i < 2; ++i)
      _mm256_store_si256(reinterpret_cast<__m256i*>(to) + i,
                         _mm256_shuffle_epi8(_mm256_load_si256(reinterpret_cast<const __m256i*>(from) + i), order));
  }
  static void load_nibbles(const uint8_t* p, Nibbles& low, Nibbles& high) {
    const __m256i* q = reinterpret_cast<const __m256i*>(p);
    const __m256i a = _mm256_load_si256(q), b = _mm256_load_si256(q + 1), mask = _mm256_set1_epi8(15);
    low = {_mm256_and_si256(a, mask), _mm256_and_si256(b, mask)};
    high = {_mm256_and_si256(_mm256_srli_epi16(a, 4), mask), _mm256_and_si256(_mm256_srli_epi16(b, 4), mask)};
  }
  static Ints dot_nibbles(Ints sums, Nibbles weights, int32_t four) {
    const __m256i inputs = _mm256_set1_epi32(four), ones = _mm256_set1_epi16(1);
    const __m256i a = _mm256_madd_epi16(_mm256_maddubs_epi16(weights.a, inputs), ones);
    const __m256i b = _mm256_madd_epi16(_mm256_maddubs_epi16(weights.b, inputs), ones);
    return {_mm256_add_epi32(sums.a, a), _mm256_add_epi32(sums.b, b)};
  }

  static Bfloats load_bfloats(const uint8_t* p) {
    const __m256i* q = reinterpret_cast<const __m256i*>(p);
    const __m256i a = _mm256_load_si256(q), b = _mm256_load_si256(q + 1);
    const __m256i odd = _mm256_set1_epi32(static_cast<int32_t>(0xffff0000u));
    return {{_mm256_castsi256_ps(_mm256_slli_epi32(a, 16)), _mm256_castsi256_ps(_mm256_slli_epi32(b, 16))},
            {_mm256_castsi256_ps(_mm256_and_si256(a, odd)), _mm256_castsi256_ps(_mm256_and_si256(b, odd))}};
  }
  static Floats dot(Floats sums, const Bfloats& weights, int32_t two) {
    const __m256i inputs = _mm256_set1_epi32(two);
    const __m256 even = _mm256_castsi256_ps(_mm256_slli_epi32(inputs, 16));
    const __m256 odd =
        _mm256_castsi256_ps(_mm256_and_si256(inputs, _mm256_set1_epi32(static_cast<int32_t>(0xffff0000u))));
    sums = fma(weights.even, {even, even}, sums);
    return fma(weights.odd, {odd, odd}, sums);
  }

 private:
  static __m256i fours(__m256i a, __m256i b, __m256i c, __m256i d) {
    const __m256i byte = _mm256_set1_epi32(255);
    const __m256i low = _mm256_or_si256(_mm256_and_si256(a, byte), _mm256_slli_epi32(_mm256_and_si256(b, byte), 8));
    const __m256i high = _mm256_or_si256(_mm256_and_si256(c, byte), _mm256_slli_epi32(d, 8));
    return _mm256_or_si256(low, _mm256_slli_epi32(high, 16));
  }
};

}  // namespace
}  // namespace musicgen
