// SPDX-License-Identifier: Apache-2.0
//
// Sixteen floats in an AVX-512 register, for vector-inl.h.

struct Simd {
  using F = __m512;
  static constexpr size_t kLanes = 16;
  static constexpr size_t kTileRows = 6;  // 6 rows * 4 sums + 4 keys or values of 32 registers
  static constexpr size_t kTileVectors = 4;

  static OMG_INLINE F load(const float* x) { return _mm512_loadu_ps(x); }
  static OMG_INLINE void store(float* x, F v) { _mm512_storeu_ps(x, v); }
  static OMG_INLINE F load_f16(const uint16_t* x) {
    return _mm512_cvtph_ps(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(x)));
  }
  static OMG_INLINE F load_i8(const int8_t* x) {
    const __m128i codes = _mm_loadu_si128(reinterpret_cast<const __m128i*>(x));
    return _mm512_cvtepi32_ps(_mm512_cvtepi8_epi32(codes));
  }
  static OMG_INLINE F load_low_nibbles(const uint8_t* x) {
    const __m128i pairs = _mm_loadu_si128(reinterpret_cast<const __m128i*>(x));
    return _mm512_cvtepi32_ps(_mm512_and_si512(_mm512_cvtepu8_epi32(pairs), _mm512_set1_epi32(15)));
  }
  static OMG_INLINE F load_high_nibbles(const uint8_t* x) {
    const __m128i pairs = _mm_loadu_si128(reinterpret_cast<const __m128i*>(x));
    return _mm512_cvtepi32_ps(_mm512_srli_epi32(_mm512_cvtepu8_epi32(pairs), 4));
  }
  static OMG_INLINE void prefetch(const void* p) {
    _mm_prefetch(static_cast<const char*>(p), _MM_HINT_T0);
  }
  static OMG_INLINE void store_f16(uint16_t* x, F v) {
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(x),
                        _mm512_cvtps_ph(v, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC));
  }
  static OMG_INLINE uint16_t to_f16(float x) {
    return static_cast<uint16_t>(
        _mm_extract_epi16(_mm_cvtps_ph(_mm_set_ss(x), _MM_FROUND_TO_NEAREST_INT), 0));
  }
  static OMG_INLINE F set(float x) { return _mm512_set1_ps(x); }
  static OMG_INLINE F add(F a, F b) { return _mm512_add_ps(a, b); }
  static OMG_INLINE F sub(F a, F b) { return _mm512_sub_ps(a, b); }
  static OMG_INLINE F mul(F a, F b) { return _mm512_mul_ps(a, b); }
  static OMG_INLINE F div(F a, F b) { return _mm512_div_ps(a, b); }
  static OMG_INLINE F fma(F a, F b, F c) { return _mm512_fmadd_ps(a, b, c); }
  static OMG_INLINE F min(F a, F b) { return _mm512_min_ps(a, b); }
  static OMG_INLINE F max(F a, F b) { return _mm512_max_ps(a, b); }
  static OMG_INLINE F round(F a) {
    return _mm512_roundscale_ps(a, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
  }
  static OMG_INLINE F scale_by_power_of_two(F a, F n) { return _mm512_scalef_ps(a, n); }
  static OMG_INLINE float reduce_add(F a) { return _mm512_reduce_add_ps(a); }
  static OMG_INLINE float reduce_max(F a) { return _mm512_reduce_max_ps(a); }
};
