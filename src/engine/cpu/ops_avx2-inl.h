// SPDX-License-Identifier: Apache-2.0
//
// Register operations of matmul-inl.h in AVX2: 8 rows of a panel in a register. Products with int8
// activations are not among them: they have a structure of their own in int8_avx2-inl.h.

struct Ops {
  using V = __m256i;
  using F = __m256;
  static constexpr size_t kRows = 8;
  static constexpr bool kSignedWide = false;
  static constexpr bool kIntegerZeroPoint = false;
  static constexpr size_t kTileTokens = 4;  // 16 registers
  static constexpr size_t kGroupTokens = 1;
  static constexpr bool kOwnInt8 = true;  // int8_avx2-inl.h

  /// Parts and tokens of a float tile: their sums, the parts' weights and one activation.
  static constexpr size_t kFloatTileParts = 2;
  static constexpr size_t kFloatTileTokens = 6;

  static OMG_INLINE V load(const uint8_t* p) {
    return _mm256_loadu_si256(reinterpret_cast<const __m256i*>(p));
  }
  static OMG_INLINE V bytes(int b) { return _mm256_set1_epi8(static_cast<char>(b)); }
  static OMG_INLINE V bits_and(V a, V b) { return _mm256_and_si256(a, b); }
  static OMG_INLINE V bits_or(V a, V b) { return _mm256_or_si256(a, b); }
  static OMG_INLINE V bits_xor(V a, V b) { return _mm256_xor_si256(a, b); }
  template <int N>
  static OMG_INLINE V right(V a) {
    return _mm256_srli_epi16(a, N);
  }
  template <int N>
  static OMG_INLINE V left(V a) {
    return _mm256_slli_epi16(a, N);
  }
  static OMG_INLINE V table(const uint8_t values[16]) {
    return _mm256_broadcastsi128_si256(_mm_loadu_si128(reinterpret_cast<const __m128i*>(values)));
  }
  static OMG_INLINE V look_up(V t, V index) { return _mm256_shuffle_epi8(t, index); }
  static OMG_INLINE void prefetch(const void* p) {
    _mm_prefetch(static_cast<const char*>(p), _MM_HINT_T0);
    _mm_prefetch(static_cast<const char*>(p) + 128, _MM_HINT_T0);
  }

  /// Named by code that is not instantiated here.
  template <class T, size_t Quads, size_t Group>
  static void dots(const V* w, const ActivationBlock* const* x, size_t half, V* out);

  static OMG_INLINE F to_float(V a) { return _mm256_cvtepi32_ps(a); }
  template <bool Signed>
  static OMG_INLINE F byte_to_float(V a, size_t i) {
    if constexpr (Signed) {
      const V high = _mm256_sll_epi32(a, _mm_cvtsi32_si128(static_cast<int>(24 - 8 * i)));
      return _mm256_cvtepi32_ps(_mm256_srai_epi32(high, 24));
    } else {
      const V shifted = _mm256_srl_epi32(a, _mm_cvtsi32_si128(static_cast<int>(8 * i)));
      return _mm256_cvtepi32_ps(_mm256_and_si256(shifted, _mm256_set1_epi32(255)));
    }
  }
  static OMG_INLINE F set(float x) { return _mm256_set1_ps(x); }
  /// A float for all rows; with a stride in bytes, of the row that many strides on.
  static OMG_INLINE F broadcast(const float* p) {
    F value;
    __asm__ volatile("vbroadcastss %1, %0" : "=x"(value) : "m"(*p));
    return value;
  }
  template <int Strides>
  static OMG_INLINE F broadcast(const float* p, ptrdiff_t stride) {
    F value;
    __asm__ volatile("vbroadcastss (%1,%2,%c3), %0"
                     : "=x"(value)
                     : "r"(p), "r"(stride), "i"(Strides));
    return value;
  }
  static OMG_INLINE F add(F a, F b) { return _mm256_add_ps(a, b); }
  static OMG_INLINE F sub(F a, F b) { return _mm256_sub_ps(a, b); }
  static OMG_INLINE F mul(F a, F b) { return _mm256_mul_ps(a, b); }
  static OMG_INLINE F fma(F a, F b, F c) { return _mm256_fmadd_ps(a, b, c); }
  static OMG_INLINE F fnma(F a, F b, F c) { return _mm256_fnmadd_ps(a, b, c); }
  static OMG_INLINE F load_floats(const float* p) { return _mm256_loadu_ps(p); }
  static OMG_INLINE void store(float* p, F a) { _mm256_storeu_ps(p, a); }
  static OMG_INLINE F load_f16(const std::byte* p) {
    return _mm256_cvtph_ps(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p)));
  }
  static OMG_INLINE F load_bf16(const std::byte* p) {
    const __m128i halves = _mm_loadu_si128(reinterpret_cast<const __m128i*>(p));
    return _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_cvtepu16_epi32(halves), 16));
  }
  static OMG_INLINE void load_bf16_pairs(const std::byte* p, F w[2]) {
    const V both = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(p));
    w[0] = _mm256_castsi256_ps(_mm256_slli_epi32(both, 16));
    w[1] = _mm256_castsi256_ps(_mm256_and_si256(both, _mm256_set1_epi32(-65536)));
  }
  static OMG_INLINE F load_i8(const std::byte* p) {
    return _mm256_cvtepi32_ps(
        _mm256_cvtepi8_epi32(_mm_loadl_epi64(reinterpret_cast<const __m128i*>(p))));
  }

  static OMG_INLINE float largest_magnitude(const float* x) {
    const F sign = _mm256_set1_ps(-0.0f);
    F most = _mm256_andnot_ps(sign, _mm256_loadu_ps(x));
    for (size_t i = 8; i < 32; i += 8) {
      most = _mm256_max_ps(most, _mm256_andnot_ps(sign, _mm256_loadu_ps(x + i)));
    }
    __m128 top = _mm_max_ps(_mm256_castps256_ps128(most), _mm256_extractf128_ps(most, 1));
    top = _mm_max_ps(top, _mm_movehl_ps(top, top));
    return _mm_cvtss_f32(_mm_max_ss(top, _mm_movehdup_ps(top)));
  }
  static OMG_INLINE void round_to_int8(const float* x, float factor, int8_t* out, int32_t sums[2]) {
    for (size_t h = 0; h < 2; ++h) {
      const V a = _mm256_cvtps_epi32(_mm256_mul_ps(_mm256_loadu_ps(x + 16 * h), set(factor)));
      const V b = _mm256_cvtps_epi32(_mm256_mul_ps(_mm256_loadu_ps(x + 16 * h + 8), set(factor)));
      const __m128i low =
          _mm_packs_epi32(_mm256_castsi256_si128(a), _mm256_extracti128_si256(a, 1));
      const __m128i high =
          _mm_packs_epi32(_mm256_castsi256_si128(b), _mm256_extracti128_si256(b, 1));
      _mm_storeu_si128(reinterpret_cast<__m128i*>(out + 16 * h), _mm_packs_epi16(low, high));
      const V both = _mm256_add_epi32(a, b);
      __m128i sum = _mm_add_epi32(_mm256_castsi256_si128(both), _mm256_extracti128_si256(both, 1));
      sum = _mm_add_epi32(sum, _mm_shuffle_epi32(sum, 0x4e));
      sums[h] = _mm_cvtsi128_si32(_mm_add_epi32(sum, _mm_shuffle_epi32(sum, 0xb1)));
    }
  }
};
