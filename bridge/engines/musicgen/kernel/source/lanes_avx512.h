// Sixteen floats in one AVX-512 register; integer products by VNNI; bfloat16 products where the processor has them.
#pragma once
#include <immintrin.h>

#include "model.h"

namespace musicgen {
namespace {

struct Lanes {
  using Floats = __m512;
  using Ints = __m512i;
  using Bytes = __m512i;                   // 16 outputs x 4 weights
  using Nibbles = __m512i;                 // likewise, 0..15 each
  using Signed = __m512i;                  // 16 x 4 numbers, not 128 larger
  using Bfloats = __m512i;                 // 16 outputs x 2 weights
  static constexpr int kBlocks = 2;        // blocks of 16 outputs that one loop works on
  static constexpr int kRowsAtOnce = 8;    // 2 x 8 sums of 32 registers
  static constexpr int kByteOffset = 128;  // vpdpbusd takes the stored weights, which are this much larger, as they are

  static Floats zero() { return _mm512_setzero_ps(); }
  static Floats set(float x) { return _mm512_set1_ps(x); }
  static Floats load(const float* p) { return _mm512_loadu_ps(p); }
  static Floats load(const uint16_t* p) {
    return _mm512_cvtph_ps(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(p)));
  }
  static Floats load(const int8_t* p) {
    return _mm512_cvtepi32_ps(_mm512_cvtepi8_epi32(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p))));
  }
  static void store(float* p, Floats x) { _mm512_storeu_ps(p, x); }
  static void store(uint16_t* p, Floats x) {
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(p), _mm512_cvtps_ph(x, _MM_FROUND_TO_NEAREST_INT));
  }
  static Floats add(Floats a, Floats b) { return _mm512_add_ps(a, b); }
  static Floats sub(Floats a, Floats b) { return _mm512_sub_ps(a, b); }
  static Floats mul(Floats a, Floats b) { return _mm512_mul_ps(a, b); }
  static Floats fma(Floats a, Floats b, Floats c) { return _mm512_fmadd_ps(a, b, c); }
  static Floats max(Floats a, Floats b) { return _mm512_max_ps(a, b); }
  static Floats min(Floats a, Floats b) { return _mm512_min_ps(a, b); }
  static Floats abs(Floats a) { return _mm512_abs_ps(a); }
  static float sum(Floats a) { return _mm512_reduce_add_ps(a); }
  static float largest(Floats a) { return _mm512_reduce_max_ps(a); }
  // the first `count` of a, then `rest`
  static Floats first(int count, Floats a, Floats rest) {
    return _mm512_mask_blend_ps(static_cast<__mmask16>((1u << count) - 1u), rest, a);
  }

  static Ints set_ints(int32_t x) { return _mm512_set1_epi32(x); }
  static Ints bits(Floats a) { return _mm512_castps_si512(a); }
  static Floats from_bits(Ints a) { return _mm512_castsi512_ps(a); }
  static Ints add(Ints a, Ints b) { return _mm512_add_epi32(a, b); }
  static Ints sub(Ints a, Ints b) { return _mm512_sub_epi32(a, b); }
  static Ints to_exponent(Ints a) { return _mm512_slli_epi32(a, 23); }
  static Floats to_floats(Ints a) { return _mm512_cvtepi32_ps(a); }
  static int32_t sum(Ints a) { return _mm512_reduce_add_epi32(a); }
  static void store_bytes(int8_t* p, Ints a) {
    _mm_storeu_si128(reinterpret_cast<__m128i*>(p), _mm512_cvtepi32_epi8(a));
  }

  static Bytes load_bytes(const uint8_t* p) { return _mm512_load_si512(p); }
  static Ints dot(Ints sums, Bytes weights, int32_t four) {
    return _mm512_dpbusd_epi32(sums, weights, _mm512_set1_epi32(four));
  }
  // 16 x 4 numbers with the same four stored weights
  static Signed load_signed(const int8_t* p) { return _mm512_load_si512(p); }
  static Ints dot(Ints sums, int32_t stored, Signed numbers) {
    return _mm512_dpbusd_epi32(sums, _mm512_set1_epi32(stored), numbers);
  }
  // the low bytes, those of one lane next to each other
  static void store_fours(int8_t* p, Ints a, Ints b, Ints c, Ints d) {
    const __m512i byte = _mm512_set1_epi32(255);
    const __m512i low = _mm512_or_si512(_mm512_and_si512(a, byte), _mm512_slli_epi32(_mm512_and_si512(b, byte), 8));
    const __m512i high = _mm512_or_si512(_mm512_and_si512(c, byte), _mm512_slli_epi32(d, 8));
    _mm512_store_si512(p, _mm512_or_si512(low, _mm512_slli_epi32(high, 16)));
  }
  // transposes each 4 x 4 of 64 bytes
  static void transpose_fours(const uint8_t* from, uint8_t* to) {
    const __m128i order = _mm_setr_epi8(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15);
    _mm512_store_si512(to, _mm512_shuffle_epi8(_mm512_load_si512(from), _mm512_broadcast_i32x4(order)));
  }
  // the low and the high half of every byte
  static void load_nibbles(const uint8_t* p, Nibbles& low, Nibbles& high) {
    const __m512i both = _mm512_load_si512(p), mask = _mm512_set1_epi8(15);
    low = _mm512_and_si512(both, mask);
    high = _mm512_and_si512(_mm512_srli_epi16(both, 4), mask);
  }
  static Ints dot_nibbles(Ints sums, Nibbles weights, int32_t four) { return dot(sums, weights, four); }

  static Bfloats load_bfloats(const uint8_t* p) { return _mm512_load_si512(p); }
#if defined(__AVX512BF16__)
  static Floats dot(Floats sums, Bfloats weights, int32_t two) {
    return _mm512_dpbf16_ps(sums, reinterpret_cast<__m512bh>(weights),
                            reinterpret_cast<__m512bh>(_mm512_set1_epi32(two)));
  }
#else
  static Floats dot(Floats sums, Bfloats weights, int32_t two) {
    const __m512i inputs = _mm512_set1_epi32(two), odd = _mm512_set1_epi32(static_cast<int32_t>(0xffff0000u));
    sums = _mm512_fmadd_ps(_mm512_castsi512_ps(_mm512_slli_epi32(weights, 16)),
                           _mm512_castsi512_ps(_mm512_slli_epi32(inputs, 16)), sums);
    return _mm512_fmadd_ps(_mm512_castsi512_ps(_mm512_and_si512(weights, odd)),
                           _mm512_castsi512_ps(_mm512_and_si512(inputs, odd)), sums);
  }
#endif
};

}  // namespace
}  // namespace musicgen
