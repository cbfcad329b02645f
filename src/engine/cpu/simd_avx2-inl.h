// SPDX-License-Identifier: Apache-2.0
//
// Eight floats in an AVX register, for vector-inl.h.

struct Simd {
  using F = __m256;
  static constexpr size_t kLanes = 8;
  static constexpr size_t kTileRows = 6;  // 6 rows * 2 sums + 2 keys or values of 16 registers
  static constexpr size_t kTileVectors = 2;

  static OMG_INLINE F load(const float* x) { return _mm256_loadu_ps(x); }
  static OMG_INLINE void store(float* x, F v) { _mm256_storeu_ps(x, v); }
  static OMG_INLINE F load_f16(const uint16_t* x) {
    return _mm256_cvtph_ps(_mm_loadu_si128(reinterpret_cast<const __m128i*>(x)));
  }
  static OMG_INLINE F load_i8(const int8_t* x) {
    const __m128i codes = _mm_loadl_epi64(reinterpret_cast<const __m128i*>(x));
    return _mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(codes));
  }
  static OMG_INLINE F load_low_nibbles(const uint8_t* x) {
    const __m128i pairs = _mm_loadl_epi64(reinterpret_cast<const __m128i*>(x));
    return _mm256_cvtepi32_ps(_mm256_and_si256(_mm256_cvtepu8_epi32(pairs), _mm256_set1_epi32(15)));
  }
  static OMG_INLINE F load_high_nibbles(const uint8_t* x) {
    const __m128i pairs = _mm_loadl_epi64(reinterpret_cast<const __m128i*>(x));
    return _mm256_cvtepi32_ps(_mm256_srli_epi32(_mm256_cvtepu8_epi32(pairs), 4));
  }
  static OMG_INLINE void prefetch(const void* p) {
    _mm_prefetch(static_cast<const char*>(p), _MM_HINT_T0);
  }
  static OMG_INLINE void store_f16(uint16_t* x, F v) {
    _mm_storeu_si128(reinterpret_cast<__m128i*>(x), _mm256_cvtps_ph(v, _MM_FROUND_TO_NEAREST_INT));
  }
  static OMG_INLINE uint16_t to_f16(float x) {
    return static_cast<uint16_t>(
        _mm_extract_epi16(_mm_cvtps_ph(_mm_set_ss(x), _MM_FROUND_TO_NEAREST_INT), 0));
  }
  static OMG_INLINE F set(float x) { return _mm256_set1_ps(x); }
  static OMG_INLINE F add(F a, F b) { return _mm256_add_ps(a, b); }
  static OMG_INLINE F sub(F a, F b) { return _mm256_sub_ps(a, b); }
  static OMG_INLINE F mul(F a, F b) { return _mm256_mul_ps(a, b); }
  static OMG_INLINE F div(F a, F b) { return _mm256_div_ps(a, b); }
  static OMG_INLINE F fma(F a, F b, F c) { return _mm256_fmadd_ps(a, b, c); }
  static OMG_INLINE F min(F a, F b) { return _mm256_min_ps(a, b); }
  static OMG_INLINE F max(F a, F b) { return _mm256_max_ps(a, b); }
  static OMG_INLINE F round(F a) {
    return _mm256_round_ps(a, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
  }
  /// n is whole and in [-126, 127].
  static OMG_INLINE F scale_by_power_of_two(F a, F n) {
    const __m256i exponent = _mm256_slli_epi32(_mm256_cvtps_epi32(n), 23);
    return _mm256_castsi256_ps(_mm256_add_epi32(_mm256_castps_si256(a), exponent));
  }
  static OMG_INLINE float reduce_add(F a) {
    __m128 sum = _mm_add_ps(_mm256_castps256_ps128(a), _mm256_extractf128_ps(a, 1));
    sum = _mm_add_ps(sum, _mm_movehl_ps(sum, sum));
    return _mm_cvtss_f32(_mm_add_ss(sum, _mm_movehdup_ps(sum)));
  }
  static OMG_INLINE float reduce_max(F a) {
    __m128 top = _mm_max_ps(_mm256_castps256_ps128(a), _mm256_extractf128_ps(a, 1));
    top = _mm_max_ps(top, _mm_movehl_ps(top, top));
    return _mm_cvtss_f32(_mm_max_ss(top, _mm_movehdup_ps(top)));
  }
};
