// SPDX-License-Identifier: Apache-2.0
//
// Four floats in an Armv8 register, for vector-inl.h.

struct Simd {
  using F = float32x4_t;
  static constexpr size_t kLanes = 4;
  static constexpr size_t kTileRows = 6;  // 6 rows * 4 sums + 4 keys or values of 32 registers
  static constexpr size_t kTileVectors = 4;

  static OMG_INLINE F load(const float* x) { return vld1q_f32(x); }
  static OMG_INLINE void store(float* x, F v) { vst1q_f32(x, v); }
  static OMG_INLINE F load_f16(const uint16_t* x) {
    return vcvt_f32_f16(vreinterpret_f16_u16(vld1_u16(x)));
  }
  /// Four bytes; the loads below take no more either.
  static OMG_INLINE uint8x8_t load_bytes(const void* x) {
    uint32_t four;
    std::memcpy(&four, x, sizeof four);
    return vreinterpret_u8_u32(vdup_n_u32(four));
  }
  static OMG_INLINE F load_i8(const int8_t* x) {
    const int16x8_t codes = vmovl_s8(vreinterpret_s8_u8(load_bytes(x)));
    return vcvtq_f32_s32(vmovl_s16(vget_low_s16(codes)));
  }
  static OMG_INLINE F to_floats(uint8x8_t codes) {
    return vcvtq_f32_u32(vmovl_u16(vget_low_u16(vmovl_u8(codes))));
  }
  static OMG_INLINE F load_low_nibbles(const uint8_t* x) {
    return to_floats(vand_u8(load_bytes(x), vdup_n_u8(15)));
  }
  static OMG_INLINE F load_high_nibbles(const uint8_t* x) {
    return to_floats(vshr_n_u8(load_bytes(x), 4));
  }
  static OMG_INLINE void prefetch(const void* p) { __builtin_prefetch(p); }
  static OMG_INLINE void store_f16(uint16_t* x, F v) {
    vst1_u16(x, vreinterpret_u16_f16(vcvt_f16_f32(v)));
  }
  static OMG_INLINE uint16_t to_f16(float x) { return f32_to_f16(x); }
  static OMG_INLINE F set(float x) { return vdupq_n_f32(x); }
  static OMG_INLINE F add(F a, F b) { return vaddq_f32(a, b); }
  static OMG_INLINE F sub(F a, F b) { return vsubq_f32(a, b); }
  static OMG_INLINE F mul(F a, F b) { return vmulq_f32(a, b); }
  static OMG_INLINE F div(F a, F b) { return vdivq_f32(a, b); }
  static OMG_INLINE F fma(F a, F b, F c) { return vfmaq_f32(c, a, b); }
  static OMG_INLINE F min(F a, F b) { return vminq_f32(a, b); }
  static OMG_INLINE F max(F a, F b) { return vmaxq_f32(a, b); }
  static OMG_INLINE F round(F a) { return vrndnq_f32(a); }
  /// n is whole and in [-126, 127].
  static OMG_INLINE F scale_by_power_of_two(F a, F n) {
    const int32x4_t exponent = vshlq_n_s32(vcvtnq_s32_f32(n), 23);
    return vreinterpretq_f32_s32(vaddq_s32(vreinterpretq_s32_f32(a), exponent));
  }
  static OMG_INLINE float reduce_add(F a) { return vaddvq_f32(a); }
  static OMG_INLINE float reduce_max(F a) { return vmaxvq_f32(a); }
};
