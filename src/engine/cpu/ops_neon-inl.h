// SPDX-License-Identifier: Apache-2.0
//
// Register operations of matmul-inl.h in Advanced SIMD: 4 rows of a panel in a register. All codes
// are taken as signed bytes. The unit that includes this first says with OMG_NEON_DOTPROD whether
// there is an instruction that sums four products into 32 bits; without it, products are summed in
// 16 bits for as many quads as cannot overflow.

struct Ops {
  using V = uint8x16_t;
  using F = float32x4_t;
  static constexpr size_t kRows = 4;
  static constexpr bool kSignedWide = true;
  static constexpr bool kIntegerZeroPoint = false;
  static constexpr size_t kTileTokens = 8;  // 8 sums, 8 quads, 4 dots and 8 activations of 32
  static constexpr size_t kGroupTokens = 4;
  static constexpr bool kOwnInt8 = false;

  static constexpr size_t kFloatTileParts = 4;
  static constexpr size_t kFloatTileTokens = 6;

  static OMG_INLINE V load(const uint8_t* p) { return vld1q_u8(p); }
  static OMG_INLINE V bytes(int b) { return vdupq_n_u8(static_cast<uint8_t>(b)); }
  static OMG_INLINE V bits_and(V a, V b) { return vandq_u8(a, b); }
  static OMG_INLINE V bits_or(V a, V b) { return vorrq_u8(a, b); }
  static OMG_INLINE V bits_xor(V a, V b) { return veorq_u8(a, b); }
  template <int N>
  static OMG_INLINE V right(V a) {
    return vshrq_n_u8(a, N);
  }
  template <int N>
  static OMG_INLINE V left(V a) {
    return vshlq_n_u8(a, N);
  }
  static OMG_INLINE V table(const uint8_t values[16]) { return vld1q_u8(values); }
  static OMG_INLINE V look_up(V t, V index) { return vqtbl1q_u8(t, index); }
  static OMG_INLINE void prefetch(const void* p) { __builtin_prefetch(p); }

#if OMG_NEON_DOTPROD
  /// Sums of the products of Quads quads with the activations of Group tokens, in a half of a
  /// block.
  template <class T, size_t Quads, size_t Group>
  static OMG_INLINE void dots(const V* w, const ActivationBlock* const* x, size_t half, V* out) {
    OMG_UNROLL
    for (size_t i = 0; i < Group; ++i) {
      int32x4_t sum = vdupq_n_s32(0);
      OMG_UNROLL
      for (size_t q = 0; q < Quads; q += 4) {
        const int8x16_t four = vld1q_s8(x[i]->quants + 16 * half + 4 * q);
        sum = vdotq_laneq_s32(sum, vreinterpretq_s8_u8(w[q]), four, 0);
        sum = vdotq_laneq_s32(sum, vreinterpretq_s8_u8(w[q + 1]), four, 1);
        sum = vdotq_laneq_s32(sum, vreinterpretq_s8_u8(w[q + 2]), four, 2);
        sum = vdotq_laneq_s32(sum, vreinterpretq_s8_u8(w[q + 3]), four, 3);
      }
      out[i] = vreinterpretq_u8_s32(sum);
    }
  }
#else
  template <int MaxCode, size_t Quads>
  static OMG_INLINE V dot(const V* w, const int8_t* x) {
    // Every 16-bit sum takes one product a quad; a signed code is 128 in magnitude at most.
    constexpr int kLargest = MaxCode > 128 ? 128 : MaxCode;
    constexpr size_t kFit = 32767 / (127 * kLargest);
    constexpr size_t kRun = kFit < Quads ? kFit : Quads;
    static_assert(kRun >= 1);
    int32x4_t sum = vdupq_n_s32(0);
    int16x8_t low = vdupq_n_s16(0);
    int16x8_t high = vdupq_n_s16(0);
    OMG_UNROLL
    for (size_t q = 0; q < Quads; ++q) {
      int32_t four;
      std::memcpy(&four, x + 4 * q, 4);
      const int8x16_t activations = vreinterpretq_s8_s32(vdupq_n_s32(four));
      const int8x16_t codes = vreinterpretq_s8_u8(w[q]);
      low = vmlal_s8(low, vget_low_s8(codes), vget_low_s8(activations));
      high = vmlal_high_s8(high, codes, activations);
      if (q % kRun == kRun - 1 || q == Quads - 1) {
        sum = vaddq_s32(sum, vpaddq_s32(vpaddlq_s16(low), vpaddlq_s16(high)));
        low = high = vdupq_n_s16(0);
      }
    }
    return vreinterpretq_u8_s32(sum);
  }
  template <class T, size_t Quads, size_t Group>
  static OMG_INLINE void dots(const V* w, const ActivationBlock* const* x, size_t half, V* out) {
    OMG_UNROLL
    for (size_t i = 0; i < Group; ++i)
      out[i] = dot<T::kMaxCode, Quads>(w, x[i]->quants + 16 * half);
  }
#endif

  static OMG_INLINE F to_float(V a) { return vcvtq_f32_s32(vreinterpretq_s32_u8(a)); }
  template <bool Signed>
  static OMG_INLINE F byte_to_float(V a, size_t i) {
    const int shift = static_cast<int>(8 * i);
    if constexpr (Signed) {
      const int32x4_t high = vshlq_s32(vreinterpretq_s32_u8(a), vdupq_n_s32(24 - shift));
      return vcvtq_f32_s32(vshrq_n_s32(high, 24));
    } else {
      const uint32x4_t low = vshlq_u32(vreinterpretq_u32_u8(a), vdupq_n_s32(-shift));
      return vcvtq_f32_u32(vandq_u32(low, vdupq_n_u32(255)));
    }
  }
  static OMG_INLINE F set(float x) { return vdupq_n_f32(x); }
  /// A float for all rows; with a stride in bytes, of the row that many strides on.
  static OMG_INLINE F broadcast(const float* p) { return vld1q_dup_f32(p); }
  template <int Strides>
  static OMG_INLINE F broadcast(const float* p, ptrdiff_t stride) {
    return vld1q_dup_f32(
        reinterpret_cast<const float*>(reinterpret_cast<const std::byte*>(p) + Strides * stride));
  }
  static OMG_INLINE F add(F a, F b) { return vaddq_f32(a, b); }
  static OMG_INLINE F sub(F a, F b) { return vsubq_f32(a, b); }
  static OMG_INLINE F mul(F a, F b) { return vmulq_f32(a, b); }
  static OMG_INLINE F fma(F a, F b, F c) { return vfmaq_f32(c, a, b); }
  static OMG_INLINE F fnma(F a, F b, F c) { return vfmsq_f32(c, a, b); }
  static OMG_INLINE F load_floats(const float* p) { return vld1q_f32(p); }
  static OMG_INLINE void store(float* p, F a) { vst1q_f32(p, a); }
  static OMG_INLINE uint16x4_t load_halves(const std::byte* p) {
    return vld1_u16(reinterpret_cast<const uint16_t*>(p));
  }
  static OMG_INLINE F load_f16(const std::byte* p) {
    return vcvt_f32_f16(vreinterpret_f16_u16(load_halves(p)));
  }
  static OMG_INLINE F load_bf16(const std::byte* p) {
    return vreinterpretq_f32_u32(vshll_n_u16(load_halves(p), 16));
  }
  static OMG_INLINE void load_bf16_pairs(const std::byte* p, F w[2]) {
    const uint32x4_t both = vld1q_u32(reinterpret_cast<const uint32_t*>(p));
    w[0] = vreinterpretq_f32_u32(vshlq_n_u32(both, 16));
    w[1] = vreinterpretq_f32_u32(vandq_u32(both, vdupq_n_u32(0xffff0000)));
  }
  static OMG_INLINE F load_i8(const std::byte* p) {
    uint32_t four;
    std::memcpy(&four, p, 4);
    const int16x8_t wide = vmovl_s8(vreinterpret_s8_u32(vdup_n_u32(four)));
    return vcvtq_f32_s32(vmovl_s16(vget_low_s16(wide)));
  }

  static OMG_INLINE float largest_magnitude(const float* x) {
    F most = vabsq_f32(vld1q_f32(x));
    for (size_t i = 4; i < 32; i += 4) most = vmaxq_f32(most, vabsq_f32(vld1q_f32(x + i)));
    return vmaxvq_f32(most);
  }
  static OMG_INLINE void round_to_int8(const float* x, float factor, int8_t* out, int32_t sums[2]) {
    for (size_t h = 0; h < 2; ++h) {
      int32x4_t rounded[4];
      for (size_t i = 0; i < 4; ++i) {
        rounded[i] = vcvtnq_s32_f32(vmulq_n_f32(vld1q_f32(x + 16 * h + 4 * i), factor));
      }
      const int16x8_t low = vcombine_s16(vqmovn_s32(rounded[0]), vqmovn_s32(rounded[1]));
      const int16x8_t high = vcombine_s16(vqmovn_s32(rounded[2]), vqmovn_s32(rounded[3]));
      vst1q_s8(out + 16 * h, vcombine_s8(vqmovn_s16(low), vqmovn_s16(high)));
      sums[h] = vaddvq_s32(
          vaddq_s32(vaddq_s32(rounded[0], rounded[1]), vaddq_s32(rounded[2], rounded[3])));
    }
  }
};
