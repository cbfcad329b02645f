// SPDX-License-Identifier: Apache-2.0
//
// One float at a time in portable C++, for vector-inl.h: the reference of the vector kernels.

struct Simd {
  using F = float;
  static constexpr size_t kLanes = 1;
  static constexpr size_t kTileRows = 1;
  static constexpr size_t kTileVectors = 4;

  static OMG_INLINE F load(const float* x) { return *x; }
  static OMG_INLINE void store(float* x, F v) { *x = v; }
  static OMG_INLINE F load_f16(const uint16_t* x) { return f16_to_f32(*x); }
  static OMG_INLINE F load_i8(const int8_t* x) { return *x; }
  static OMG_INLINE F load_low_nibbles(const uint8_t* x) { return static_cast<float>(*x & 15); }
  static OMG_INLINE F load_high_nibbles(const uint8_t* x) { return static_cast<float>(*x >> 4); }
  static OMG_INLINE void prefetch(const void* p) { __builtin_prefetch(p); }
  static OMG_INLINE void store_f16(uint16_t* x, F v) { *x = f32_to_f16(v); }
  static OMG_INLINE uint16_t to_f16(float x) { return f32_to_f16(x); }
  static OMG_INLINE F set(float x) { return x; }
  static OMG_INLINE F add(F a, F b) { return a + b; }
  static OMG_INLINE F sub(F a, F b) { return a - b; }
  static OMG_INLINE F mul(F a, F b) { return a * b; }
  static OMG_INLINE F div(F a, F b) { return a / b; }
  static OMG_INLINE F fma(F a, F b, F c) { return a * b + c; }
  static OMG_INLINE F min(F a, F b) { return a < b ? a : b; }
  static OMG_INLINE F max(F a, F b) { return a > b ? a : b; }
  static OMG_INLINE F round(F a) { return std::nearbyint(a); }
  static OMG_INLINE F scale_by_power_of_two(F a, F n) { return std::ldexp(a, static_cast<int>(n)); }
  static OMG_INLINE float reduce_add(F a) { return a; }
  static OMG_INLINE float reduce_max(F a) { return a; }
};
