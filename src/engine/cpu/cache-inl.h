// SPDX-License-Identifier: Apache-2.0
//
// Numbers into a block of the KV cache and out of it again (kernels/kv_type.h has the layout), for
// one instruction set as vector-inl.h is. No include guard, no includes of its own.

struct CacheCode {
  using F = Simd::F;
  static constexpr size_t kLanes = Simd::kLanes;
  static constexpr float kMaxF16 = 65504.0f;

  static OMG_INLINE float saturate(float x) { return std::min(std::max(x, -kMaxF16), kMaxF16); }
  static OMG_INLINE F saturate_all(F x) {
    return Simd::min(Simd::max(x, Simd::set(-kMaxF16)), Simd::set(kMaxF16));
  }

  /// `n` numbers in binary16.
  static OMG_INLINE void narrow(const float* x, size_t n, uint16_t* out) {
    size_t i = 0;
    for (; i + kLanes <= n; i += kLanes) Simd::store_f16(out + i, saturate_all(Simd::load(x + i)));
    for (; i < n; ++i) out[i] = Simd::to_f16(saturate(x[i]));
  }
  /// `n` numbers of binary16, a multiple of kLanes.
  static OMG_INLINE void widen(const uint16_t* x, size_t n, float* out) {
    for (size_t i = 0; i < n; i += kLanes) Simd::store(out + i, Simd::load_f16(x + i));
  }

  /// A run of numbers that share a scale; codes past its end stand for zero.
  struct Run {
    uint8_t codes[kKvRun];
    uint16_t scale;
  };

  /// The extreme of `n` <= 32 numbers takes the last level: 127 or -127 of q8_0, -8 of q4_0, which
  /// has no 8. A scale that binary16 rounds down so far that the extreme would be cut by more than
  /// half a level (a subnormal, then) is taken one larger.
  template <KvType Type>
  static OMG_INLINE Run quantize(const float* x, size_t n) {
    constexpr float kLevels = Type == KvType::kQ8_0 ? 127.0f : 8.0f;
    constexpr float kHighest = Type == KvType::kQ8_0 ? 127.0f : 7.0f;
    constexpr float kLowest = -kLevels;
    alignas(64) float values[kKvRun] = {};
    std::memcpy(values, x, n * sizeof(float));
    float largest = 0;
    float smallest = 0;
    for (size_t i = 0; i < kKvRun; ++i) {
      values[i] = saturate(values[i]);
      largest = std::max(largest, values[i]);
      smallest = std::min(smallest, values[i]);
    }
    const float extent = std::max(largest, -smallest);
    const bool flip = Type == KvType::kQ4_0 && largest > -smallest;
    Run run;
    run.scale = Simd::to_f16(extent / kLevels);
    if (f16_to_f32(run.scale) * (kLevels + 0.5f) < extent) ++run.scale;
    float scale = f16_to_f32(run.scale);
    if (flip) {
      run.scale |= 0x8000;
      scale = -scale;
    }
    const float inverse = scale != 0 ? 1.0f / scale : 0.0f;
    for (size_t i = 0; i < kKvRun; ++i) {
      const float level = std::nearbyint(values[i] * inverse);
      const float kept = level > kLowest ? (level < kHighest ? level : kHighest) : kLowest;
      const int code = static_cast<int>(kept) + (Type == KvType::kQ4_0 ? 8 : 0);
      run.codes[i] = static_cast<uint8_t>(code);
    }
    return run;
  }

  // --- Writing ---------------------------------------------------------------------------------

  template <KvType Type>
  static void store_quantized_keys(const float* keys, size_t stride, uint32_t tokens,
                                   uint32_t key_length, uint32_t first, std::byte* block) {
    auto* codes = reinterpret_cast<uint8_t*>(block);
    auto* scales = reinterpret_cast<uint16_t*>(block + key_length * kv_code_bytes(Type, kKvTile));
    for (uint32_t t = 0; t < tokens; ++t) {
      const uint32_t position = first + t;
      for (uint32_t d = 0; d < key_length; d += kKvRun) {
        const uint32_t count = std::min(kKvRun, key_length - d);
        const Run run = quantize<Type>(keys + t * stride + d, count);
        scales[d / kKvRun * kKvTile + position] = run.scale;
        for (uint32_t i = 0; i < count; ++i) {
          if constexpr (Type == KvType::kQ8_0) {
            codes[(d + i) * kKvTile + position] = run.codes[i];
          } else {
            uint8_t& pair = codes[(d + i) * (kKvTile / 2) + position % 16];
            pair = static_cast<uint8_t>(position < 16 ? (pair & 0xf0) | run.codes[i]
                                                      : (pair & 0x0f) | run.codes[i] << 4);
          }
        }
      }
    }
  }

  static void store_keys(const float* keys, size_t stride, uint32_t tokens, uint32_t key_length,
                         uint32_t first, KvType type, std::byte* block) {
    switch (type) {
      case KvType::kF32:
        for (uint32_t d = 0; d < key_length; ++d) {
          for (uint32_t t = 0; t < tokens; ++t) {
            reinterpret_cast<float*>(block)[d * kKvTile + first + t] = keys[t * stride + d];
          }
        }
        break;
      case KvType::kF16:
        for (uint32_t t = 0; t < tokens; ++t) {
          uint16_t halves[64];
          for (uint32_t d = 0; d < key_length; d += 64) {
            const uint32_t count = std::min(64u, key_length - d);
            narrow(keys + t * stride + d, count, halves);
            auto* out = reinterpret_cast<uint16_t*>(block) + d * kKvTile + first + t;
            for (uint32_t i = 0; i < count; ++i) out[i * kKvTile] = halves[i];
          }
        }
        break;
      case KvType::kQ8_0:
        store_quantized_keys<KvType::kQ8_0>(keys, stride, tokens, key_length, first, block);
        break;
      case KvType::kQ4_0:
        store_quantized_keys<KvType::kQ4_0>(keys, stride, tokens, key_length, first, block);
        break;
    }
  }

  template <KvType Type>
  static void store_quantized_values(const float* values, size_t stride, uint32_t tokens,
                                     uint32_t value_length, uint32_t first, std::byte* block) {
    const size_t runs = kv_runs(value_length);
    const size_t row_bytes = kv_code_bytes(Type, runs * kKvRun);
    auto* codes = reinterpret_cast<uint8_t*>(block);
    auto* scales = reinterpret_cast<uint16_t*>(block + kKvTile * row_bytes);
    for (uint32_t t = 0; t < tokens; ++t) {
      const size_t position = first + t;
      for (size_t r = 0; r < runs; ++r) {
        const size_t count = std::min<size_t>(kKvRun, value_length - r * kKvRun);
        const Run run = quantize<Type>(values + t * stride + r * kKvRun, count);
        scales[position * runs + r] = run.scale;
        uint8_t* out = codes + position * row_bytes + r * kv_code_bytes(Type, kKvRun);
        if constexpr (Type == KvType::kQ8_0) {
          std::memcpy(out, run.codes, kKvRun);
        } else {
          for (size_t i = 0; i < kKvRun / 2; ++i) {
            out[i] = static_cast<uint8_t>(run.codes[i] | run.codes[i + kKvRun / 2] << 4);
          }
        }
      }
    }
  }

  static void store_values(const float* values, size_t stride, uint32_t tokens,
                           uint32_t value_length, uint32_t first, KvType type, std::byte* block) {
    if (type == KvType::kQ8_0) {
      store_quantized_values<KvType::kQ8_0>(values, stride, tokens, value_length, first, block);
      return;
    }
    if (type == KvType::kQ4_0) {
      store_quantized_values<KvType::kQ4_0>(values, stride, tokens, value_length, first, block);
      return;
    }
    const size_t width = kv_value_width(type, value_length);
    for (uint32_t t = 0; t < tokens; ++t) {
      const float* row = values + t * stride;
      std::byte* out = block + (first + t) * kv_code_bytes(type, width);
      if (type == KvType::kF32) {
        std::memcpy(out, row, value_length * sizeof(float));
      } else {
        narrow(row, value_length, reinterpret_cast<uint16_t*>(out));
      }
      std::memset(out + kv_code_bytes(type, value_length), 0,
                  kv_code_bytes(type, width - value_length));
    }
  }

  // --- Reading ---------------------------------------------------------------------------------

  /// Where number i of 32 that stand together begins.
  template <KvType Type>
  static constexpr size_t offset_in_run(size_t i) {
    return Type == KvType::kQ4_0 ? i % 16 : kv_code_bytes(Type, i);
  }

  /// kLanes numbers from `p` on, before their scale: the i-th of their run and those after it.
  template <KvType Type>
  static OMG_INLINE F load(const std::byte* p, size_t i) {
    if constexpr (Type == KvType::kF32) {
      return Simd::load(reinterpret_cast<const float*>(p));
    } else if constexpr (Type == KvType::kF16) {
      return Simd::load_f16(reinterpret_cast<const uint16_t*>(p));
    } else if constexpr (Type == KvType::kQ8_0) {
      return Simd::load_i8(reinterpret_cast<const int8_t*>(p));
    } else {
      const auto* pairs = reinterpret_cast<const uint8_t*>(p);
      const F code = i < 16 ? Simd::load_low_nibbles(pairs) : Simd::load_high_nibbles(pairs);
      return Simd::sub(code, Simd::set(8.0f));
    }
  }

  /// A block's keys as floats: 32 of each row of out[key_length][stride].
  template <KvType Type>
  static void widen_keys(const std::byte* block, uint32_t key_length, float* out, size_t stride) {
    constexpr size_t kRowBytes = kv_code_bytes(Type, kKvTile);
    const auto* scales = reinterpret_cast<const uint16_t*>(block + key_length * kRowBytes);
    for (size_t i = 0; i < kKvTile; i += kLanes) {
      for (uint32_t begin = 0; begin < key_length; begin += kKvRun) {
        const uint32_t end = std::min(begin + kKvRun, key_length);
        F scale = Simd::set(1.0f);
        if constexpr (kv_has_scales(Type)) scale = Simd::load_f16(scales + begin + i);
        for (uint32_t d = begin; d < end; ++d) {
          F key = load<Type>(block + d * kRowBytes + offset_in_run<Type>(i), i);
          if constexpr (kv_has_scales(Type)) key = Simd::mul(key, scale);
          Simd::store(out + d * stride + i, key);
        }
      }
    }
  }

  /// A block's values of the first `positions` as floats: out[positions][width], of which the cache
  /// may hold more a position.
  template <KvType Type>
  static void widen_values(const std::byte* block, uint32_t value_length, uint32_t positions,
                           size_t width, float* out) {
    const size_t row_bytes = kv_code_bytes(Type, kv_value_width(Type, value_length));
    const size_t runs = kv_runs(value_length);
    const auto* scales = reinterpret_cast<const uint16_t*>(block + kKvTile * row_bytes);
    for (uint32_t p = 0; p < positions; ++p) {
      for (size_t i = 0; i < width; i += kLanes) {
        const size_t run = i / kKvRun;
        const std::byte* codes = block + p * row_bytes + run * kv_code_bytes(Type, kKvRun);
        F value = load<Type>(codes + offset_in_run<Type>(i % kKvRun), i % kKvRun);
        if constexpr (kv_has_scales(Type)) {
          value = Simd::mul(value, Simd::set(f16_to_f32(scales[p * runs + run])));
        }
        Simd::store(out + p * width + i, value);
      }
    }
  }
};
