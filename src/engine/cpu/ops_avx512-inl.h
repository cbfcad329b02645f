// SPDX-License-Identifier: Apache-2.0
//
// Register operations of matmul-inl.h in AVX-512 with VNNI: all 16 rows of a panel in one register.

struct Ops {
  using V = __m512i;
  using F = __m512;
  static constexpr size_t kRows = 16;
  static constexpr bool kSignedWide = false;  // vpdpbusd takes codes up to 255
  static constexpr bool kIntegerZeroPoint = true;
  /// 12 sums + 8 quads of codes + scales, offsets and temporaries fill the 32 registers.
  static constexpr size_t kTileTokens = 12;
  /// Tokens whose sums of a block are in the making together, so that the latency of 5 does not
  /// stall: measured 2.8 products/ns with 4, 2.95 with 6, 3.05 with 12.
  static constexpr size_t kGroupTokens = 6;
  static constexpr bool kOwnInt8 = false;

  /// Parts and tokens of a float tile: their sums, the parts' weights and one activation.
  static constexpr size_t kFloatTileParts = 2;
  static constexpr size_t kFloatTileTokens = 12;

  static OMG_INLINE V load(const uint8_t* p) { return _mm512_loadu_si512(p); }
  static OMG_INLINE V bytes(int b) { return _mm512_set1_epi8(static_cast<char>(b)); }
  static OMG_INLINE V bits_and(V a, V b) { return _mm512_and_si512(a, b); }
  static OMG_INLINE V bits_or(V a, V b) { return _mm512_or_si512(a, b); }
  static OMG_INLINE V bits_xor(V a, V b) { return _mm512_xor_si512(a, b); }
  template <int N>
  static OMG_INLINE V right(V a) {
    return _mm512_srli_epi16(a, N);
  }
  template <int N>
  static OMG_INLINE V left(V a) {
    return _mm512_slli_epi16(a, N);
  }
  static OMG_INLINE V table(const uint8_t values[16]) {
    return _mm512_broadcast_i32x4(_mm_loadu_si128(reinterpret_cast<const __m128i*>(values)));
  }
  static OMG_INLINE V look_up(V t, V index) { return _mm512_shuffle_epi8(t, index); }
  static OMG_INLINE void prefetch(const void* p) {
    _mm_prefetch(static_cast<const char*>(p), _MM_HINT_T0);
  }

  using Four [[gnu::may_alias]] = int32_t;
  /// Sums of the products of Quads quads with the activations of Group tokens, in the half of a
  /// block that is asked for. As assembler because GCC 12 loads each broadcast on its own, copies
  /// each sum, and puts the chains one behind the other: 1.5 times slower, measured.
  template <class T, size_t Quads, size_t Group>
  static OMG_INLINE void dots(const V* w, const ActivationBlock* const* x, size_t half, V* out) {
    OMG_UNROLL
    for (size_t i = 0; i < Group; ++i) {
      if constexpr (T::kStartsBelow) {
        const int32_t& minus = Quads == 8 ? x[i]->minus_sum : x[i]->minus_half_sums[half];
        __asm__ volatile("vpbroadcastd %1, %0" : "=v"(out[i]) : "m"(minus));
        out[i] = _mm512_slli_epi32(out[i], T::kZeroShift);
      } else {
        __asm__ volatile("vpxord %0, %0, %0" : "=v"(out[i]));
      }
    }
    OMG_UNROLL
    for (size_t q = 0; q < Quads; ++q) {
      OMG_UNROLL
      for (size_t i = 0; i < Group; ++i) {
        const int8_t* quad = x[i]->quants + 16 * half + 4 * q;
        __asm__ volatile("vpdpbusd %2%{1to16%}, %1, %0"
                         : "+v"(out[i])
                         : "v"(w[q]), "m"(*reinterpret_cast<const Four*>(quad)));
      }
    }
  }

  static OMG_INLINE F to_float(V a) { return _mm512_cvtepi32_ps(a); }
  template <bool Signed>
  static OMG_INLINE F byte_to_float(V a, size_t i) {
    const V shifted = _mm512_srl_epi32(a, _mm_cvtsi32_si128(static_cast<int>(8 * i)));
    return _mm512_cvtepi32_ps(_mm512_and_si512(shifted, _mm512_set1_epi32(255)));
  }
  static OMG_INLINE F set(float x) { return _mm512_set1_ps(x); }
  /// A float for all rows; with a stride in bytes, of the row that many strides on.
  static OMG_INLINE F broadcast(const float* p) {
    F value;
    __asm__ volatile("vbroadcastss %1, %0" : "=v"(value) : "m"(*p));
    return value;
  }
  template <int Strides>
  static OMG_INLINE F broadcast(const float* p, ptrdiff_t stride) {
    F value;
    __asm__ volatile("vbroadcastss (%1,%2,%c3), %0"
                     : "=v"(value)
                     : "r"(p), "r"(stride), "i"(Strides));
    return value;
  }
  static OMG_INLINE F add(F a, F b) { return _mm512_add_ps(a, b); }
  static OMG_INLINE F sub(F a, F b) { return _mm512_sub_ps(a, b); }
  static OMG_INLINE F mul(F a, F b) { return _mm512_mul_ps(a, b); }
  static OMG_INLINE F fma(F a, F b, F c) { return _mm512_fmadd_ps(a, b, c); }
  static OMG_INLINE F fnma(F a, F b, F c) { return _mm512_fnmadd_ps(a, b, c); }
  static OMG_INLINE F load_floats(const float* p) { return _mm512_loadu_ps(p); }
  static OMG_INLINE void store(float* p, F a) { _mm512_storeu_ps(p, a); }
  static OMG_INLINE F load_f16(const std::byte* p) {
    return _mm512_cvtph_ps(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(p)));
  }
  static OMG_INLINE F load_bf16(const std::byte* p) {
    const __m256i halves = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(p));
    return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(halves), 16));
  }
  static OMG_INLINE void load_bf16_pairs(const std::byte* p, F w[2]) {
    const V both = _mm512_loadu_si512(p);
    w[0] = _mm512_castsi512_ps(_mm512_slli_epi32(both, 16));
    w[1] = _mm512_castsi512_ps(_mm512_and_si512(both, _mm512_set1_epi32(-65536)));
  }
  static OMG_INLINE F load_i8(const std::byte* p) {
    return _mm512_cvtepi32_ps(
        _mm512_cvtepi8_epi32(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p))));
  }

  static OMG_INLINE float largest_magnitude(const float* x) {
    const F a = _mm512_abs_ps(_mm512_loadu_ps(x));
    const F b = _mm512_abs_ps(_mm512_loadu_ps(x + 16));
    return _mm512_reduce_max_ps(_mm512_max_ps(a, b));
  }
  static OMG_INLINE void round_to_int8(const float* x, float factor, int8_t* out, int32_t sums[2]) {
    for (size_t h = 0; h < 2; ++h) {
      const V rounded = _mm512_cvtps_epi32(_mm512_mul_ps(_mm512_loadu_ps(x + 16 * h), set(factor)));
      _mm_storeu_si128(reinterpret_cast<__m128i*>(out + 16 * h), _mm512_cvtsepi32_epi8(rounded));
      sums[h] = _mm512_reduce_add_epi32(rounded);
    }
  }
};
