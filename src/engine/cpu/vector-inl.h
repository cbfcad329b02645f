// SPDX-License-Identifier: Apache-2.0
//
// Vector code of kernels/vector.h, written once over a small set of register operations (`Simd`)
// and compiled for each instruction set: a unit opens its target region, includes its simd_*-inl.h
// and then this file, inside its own namespace. No include guard, no includes of its own.

struct VectorCode {
  using F = Simd::F;
  static constexpr size_t kLanes = Simd::kLanes;
  static constexpr size_t kTile = 32;  // positions of a cache block
  static constexpr size_t kTileVectors = kTile / kLanes;

  static OMG_INLINE F load_part(const float* x, size_t n) {
    alignas(64) float buffer[kLanes] = {};
    std::memcpy(buffer, x, n * sizeof(float));
    return Simd::load(buffer);
  }
  static OMG_INLINE void store_part(float* x, F value, size_t n) {
    alignas(64) float buffer[kLanes];
    Simd::store(buffer, value);
    std::memcpy(x, buffer, n * sizeof(float));
  }

  /// e^x within 2 ulp for x in [-87, 88], clamped beyond. Cody-Waite reduction, then the Taylor
  /// polynomial of degree 7 on [-ln2/2, ln2/2], whose error is below 2^-25.
  static OMG_INLINE F exp(F x) {
    x = Simd::min(Simd::max(x, Simd::set(-87.0f)), Simd::set(88.0f));
    const F n = Simd::round(Simd::mul(x, Simd::set(1.44269504f)));
    F r = Simd::fma(n, Simd::set(-0.693359375f), x);
    r = Simd::fma(n, Simd::set(2.12194440e-4f), r);
    F p = Simd::set(1.0f / 5040);
    p = Simd::fma(p, r, Simd::set(1.0f / 720));
    p = Simd::fma(p, r, Simd::set(1.0f / 120));
    p = Simd::fma(p, r, Simd::set(1.0f / 24));
    p = Simd::fma(p, r, Simd::set(1.0f / 6));
    p = Simd::fma(p, r, Simd::set(0.5f));
    p = Simd::fma(p, r, Simd::set(1.0f));
    p = Simd::fma(p, r, Simd::set(1.0f));
    return Simd::scale_by_power_of_two(p, n);
  }

  /// tanh(x) = 1 - 2 / (e^2x + 1), whose absolute error near 0 (6e-8) is what callers need.
  static OMG_INLINE F tanh(F x) {
    const F e = exp(Simd::mul(x, Simd::set(2.0f)));
    return Simd::sub(Simd::set(1.0f), Simd::div(Simd::set(2.0f), Simd::add(e, Simd::set(1.0f))));
  }
  static OMG_INLINE F silu(F x) {
    const F e = exp(Simd::sub(Simd::set(0.0f), x));
    return Simd::div(x, Simd::add(Simd::set(1.0f), e));
  }
  /// Hendrycks and Gimpel 2016 (arXiv:1606.08415): x/2 (1 + tanh(sqrt(2/pi) (x + 0.044715 x³))),
  /// as x / (1 + e^-2u), which keeps small results exact.
  static OMG_INLINE F gelu(F x) {
    const F cube = Simd::mul(Simd::mul(x, x), x);
    const F u = Simd::mul(Simd::fma(cube, Simd::set(0.044715f), x), Simd::set(0.79788456f));
    return Simd::div(x, Simd::add(Simd::set(1.0f), exp(Simd::mul(u, Simd::set(-2.0f)))));
  }

  /// Calls op(begin, count) for each register's worth of [0, n).
  template <class Op>
  static OMG_INLINE void for_each_vector(size_t n, Op op) {
    size_t i = 0;
    for (; i + kLanes <= n; i += kLanes) op(i, kLanes);
    if (i < n) op(i, n - i);
  }
  static OMG_INLINE F get(const float* x, size_t i, size_t n) {
    return n == kLanes ? Simd::load(x + i) : load_part(x + i, n);
  }
  static OMG_INLINE void put(float* x, size_t i, size_t n, F value) {
    n == kLanes ? Simd::store(x + i, value) : store_part(x + i, value, n);
  }

  static void rms_norm(const float* x, const float* weight, float epsilon, size_t n, float* out) {
    F squares = Simd::set(0.0f);
    for_each_vector(n, [&](size_t i, size_t count) OMG_INLINE_LAMBDA {
      const F value = get(x, i, count);
      squares = Simd::fma(value, value, squares);
    });
    const float mean = Simd::reduce_add(squares) / static_cast<float>(n);
    const F factor = Simd::set(1.0f / std::sqrt(mean + epsilon));
    for_each_vector(n, [&](size_t i, size_t count) OMG_INLINE_LAMBDA {
      F value = Simd::mul(get(x, i, count), factor);
      if (weight) value = Simd::mul(value, get(weight, i, count));
      put(out, i, count, value);
    });
  }

  static void layer_norm(const float* x, const float* weight, const float* bias, float epsilon,
                         size_t n, float* out) {
    F sum = Simd::set(0.0f);
    for_each_vector(n, [&](size_t i, size_t count)
                           OMG_INLINE_LAMBDA { sum = Simd::add(sum, get(x, i, count)); });
    const float mean = Simd::reduce_add(sum) / static_cast<float>(n);
    double squares = 0;  // lanes past n would count (0 - mean)², so the tail is summed apart
    F partial = Simd::set(0.0f);
    for_each_vector(n, [&](size_t i, size_t count) OMG_INLINE_LAMBDA {
      if (count == kLanes) {
        const F difference = Simd::sub(Simd::load(x + i), Simd::set(mean));
        partial = Simd::fma(difference, difference, partial);
      } else {
        for (size_t j = i; j < i + count; ++j) {
          squares += static_cast<double>(x[j] - mean) * (x[j] - mean);
        }
      }
    });
    squares += Simd::reduce_add(partial);
    const F factor =
        Simd::set(1.0f / std::sqrt(static_cast<float>(squares / static_cast<double>(n)) + epsilon));
    for_each_vector(n, [&](size_t i, size_t count) OMG_INLINE_LAMBDA {
      F value = Simd::mul(Simd::sub(get(x, i, count), Simd::set(mean)), factor);
      value = Simd::mul(value, get(weight, i, count));
      if (bias) value = Simd::add(value, get(bias, i, count));
      put(out, i, count, value);
    });
  }

  static void add(const float* x, size_t n, float* y) {
    for_each_vector(n, [&](size_t i, size_t count) OMG_INLINE_LAMBDA {
      put(y, i, count, Simd::add(get(x, i, count), get(y, i, count)));
    });
  }
  static void scale(float factor, size_t n, float* y) {
    for_each_vector(n, [&](size_t i, size_t count) OMG_INLINE_LAMBDA {
      put(y, i, count, Simd::mul(get(y, i, count), Simd::set(factor)));
    });
  }
  static void add_scaled(float weight, const float* x, size_t n, float* y) {
    for_each_vector(n, [&](size_t i, size_t count) OMG_INLINE_LAMBDA {
      put(y, i, count, Simd::fma(get(x, i, count), Simd::set(weight), get(y, i, count)));
    });
  }
  static void silu_gate(const float* gate, const float* up, size_t n, float* out) {
    for_each_vector(n, [&](size_t i, size_t count) OMG_INLINE_LAMBDA {
      F value = silu(get(gate, i, count));
      if (up) value = Simd::mul(value, get(up, i, count));
      put(out, i, count, value);
    });
  }
  static void gelu_gate(const float* gate, const float* up, size_t n, float* out) {
    for_each_vector(n, [&](size_t i, size_t count) OMG_INLINE_LAMBDA {
      F value = gelu(get(gate, i, count));
      if (up) value = Simd::mul(value, get(up, i, count));
      put(out, i, count, value);
    });
  }
  static void softcap(float cap, size_t n, float* y) {
    for_each_vector(n, [&](size_t i, size_t count) OMG_INLINE_LAMBDA {
      const F value = tanh(Simd::div(get(y, i, count), Simd::set(cap)));
      put(y, i, count, Simd::mul(value, Simd::set(cap)));
    });
  }

  static constexpr float kMaxF16 = 65504.0f;
  static OMG_INLINE float saturate(float x) { return std::min(std::max(x, -kMaxF16), kMaxF16); }

  static void store_keys(const float* keys, size_t stride, uint32_t tokens, uint32_t key_length,
                         uint32_t first, KvType type, std::byte* block) {
    for (uint32_t d = 0; d < key_length; ++d) {
      for (uint32_t t = 0; t < tokens; ++t) {
        const float value = keys[t * stride + d];
        const size_t index = d * kTile + first + t;
        if (type == KvType::kF32) {
          reinterpret_cast<float*>(block)[index] = value;
        } else {
          reinterpret_cast<uint16_t*>(block)[index] = Simd::to_f16(saturate(value));
        }
      }
    }
  }

  static void store_values(const float* values, size_t stride, uint32_t tokens,
                           uint32_t value_length, uint32_t first, KvType type, std::byte* block) {
    for (uint32_t t = 0; t < tokens; ++t) {
      const float* row = values + t * stride;
      const size_t start = size_t{first + t} * value_length;
      if (type == KvType::kF32) {
        std::memcpy(reinterpret_cast<float*>(block) + start, row, value_length * sizeof(float));
        continue;
      }
      auto* out = reinterpret_cast<uint16_t*>(block) + start;
      uint32_t d = 0;
      for (; d + kLanes <= value_length; d += kLanes) {
        const F value =
            Simd::min(Simd::max(Simd::load(row + d), Simd::set(-kMaxF16)), Simd::set(kMaxF16));
        Simd::store_f16(out + d, value);
      }
      for (; d < value_length; ++d) out[d] = Simd::to_f16(saturate(row[d]));
    }
  }

  // --- Attention -------------------------------------------------------------------------------

  /// A tile's working memory, carved out of AttentionTile::scratch.
  struct Work {
    float* keys;         // [key_length][32]
    float* values;       // [32][value_width]
    float* rows;         // [kMaxAttentionRows][value_width]: sums of values, not yet divided
    float* queries;      // [kMaxAttentionRows][key_length], scaled
    float* weights;      // [kRowGroup][32]: scores, then their exponentials
    float* maxima;       // [kMaxAttentionRows]
    float* sums;         // [kMaxAttentionRows]
    size_t value_width;  // value_length rounded up to 16
  };

  static Work carve(const AttentionTile& tile) {
    Work work;
    float* next = tile.scratch;
    const auto take = [&](size_t floats) {
      float* start = next;
      next += (floats + 15) / 16 * 16;
      return start;
    };
    work.value_width = (tile.value_length + 15) / 16 * 16;
    work.keys = take(size_t{tile.key_length} * kTile);
    work.values = take(kTile * work.value_width);
    work.rows = take(kMaxAttentionRows * work.value_width);
    work.queries = take(size_t{kMaxAttentionRows} * tile.key_length);
    work.weights = take(kRowGroupMax * kTile);
    work.maxima = take(kMaxAttentionRows);
    work.sums = take(kMaxAttentionRows);
    return work;
  }

  /// Copies `n` cached numbers (a multiple of 16, or any with a scalar tail) to floats.
  static OMG_INLINE void widen(const std::byte* source, KvType type, size_t n, float* out) {
    if (type == KvType::kF32) {
      std::memcpy(out, source, n * sizeof(float));
      return;
    }
    const auto* halves = reinterpret_cast<const uint16_t*>(source);
    size_t i = 0;
    for (; i + kLanes <= n; i += kLanes) Simd::store(out + i, Simd::load_f16(halves + i));
    for (; i < n; ++i) out[i] = f16_to_f32(halves[i]);
  }

  /// Scores of `Rows` rows against the 32 keys, each a chain of fma in the order of d.
  template <size_t Rows>
  static OMG_INLINE void scores(const Work& work, size_t row, uint32_t key_length) {
    F sum[Rows][kTileVectors];
    for (size_t r = 0; r < Rows; ++r) {
      for (size_t v = 0; v < kTileVectors; ++v) sum[r][v] = Simd::set(0.0f);
    }
    const float* queries = work.queries + row * key_length;
    for (uint32_t d = 0; d < key_length; ++d) {
      F key[kTileVectors];
      for (size_t v = 0; v < kTileVectors; ++v) {
        key[v] = Simd::load(work.keys + d * kTile + v * kLanes);
      }
      for (size_t r = 0; r < Rows; ++r) {
        const F query = Simd::set(queries[r * key_length + d]);
        for (size_t v = 0; v < kTileVectors; ++v) sum[r][v] = Simd::fma(query, key[v], sum[r][v]);
      }
    }
    for (size_t r = 0; r < Rows; ++r) {
      for (size_t v = 0; v < kTileVectors; ++v) {
        Simd::store(work.weights + r * kTile + v * kLanes, sum[r][v]);
      }
    }
  }

  /// Turns one row's scores into weights, with [low, high) of the tile visible, and rescales what
  /// the row has summed so far.
  static OMG_INLINE void weigh(const Work& work, float* weights, size_t row, size_t low,
                               size_t high, float cap) {
    if (low >= high) {
      std::memset(weights, 0, kTile * sizeof(float));
      return;
    }
    if (cap > 0) softcap(cap, kTile, weights);
    for (size_t i = 0; i < low; ++i) weights[i] = -HUGE_VALF;
    for (size_t i = high; i < kTile; ++i) weights[i] = -HUGE_VALF;
    F largest = Simd::load(weights);
    for (size_t v = 1; v < kTileVectors; ++v) {
      largest = Simd::max(largest, Simd::load(weights + v * kLanes));
    }
    const float maximum = std::max(work.maxima[row], Simd::reduce_max(largest));
    for (size_t v = 0; v < kTileVectors; ++v) {
      const F score = Simd::load(weights + v * kLanes);
      Simd::store(weights + v * kLanes, exp(Simd::sub(score, Simd::set(maximum))));
    }
    for (size_t i = 0; i < low; ++i) weights[i] = 0;
    for (size_t i = high; i < kTile; ++i) weights[i] = 0;
    F total = Simd::load(weights);
    for (size_t v = 1; v < kTileVectors; ++v) {
      total = Simd::add(total, Simd::load(weights + v * kLanes));
    }
    float shrink = 1.0f;
    if (maximum > work.maxima[row]) {
      shrink = std::exp(work.maxima[row] - maximum);  // 0 for the first visible tile
      scale(shrink, work.value_width, work.rows + row * work.value_width);
    }
    work.sums[row] = work.sums[row] * shrink + Simd::reduce_add(total);
    work.maxima[row] = maximum;
  }

  /// rows += weights * values over positions [0, high) of the tile.
  template <size_t Rows>
  static OMG_INLINE void accumulate(const Work& work, size_t row, size_t high) {
    constexpr size_t kVectors = Simd::kValueVectors;
    for (size_t d = 0; d < work.value_width; d += kVectors * kLanes) {
      const size_t vectors = std::min(kVectors, (work.value_width - d) / kLanes);
      if (vectors == kVectors) {
        accumulate_columns<Rows, kVectors>(work, row, high, d);
      } else {
        for (size_t v = 0; v < vectors; ++v) {
          accumulate_columns<Rows, 1>(work, row, high, d + v * kLanes);
        }
      }
    }
  }

  template <size_t Rows, size_t Vectors>
  static OMG_INLINE void accumulate_columns(const Work& work, size_t row, size_t high, size_t d) {
    F sum[Rows][Vectors];
    float* rows = work.rows + row * work.value_width + d;
    for (size_t r = 0; r < Rows; ++r) {
      for (size_t v = 0; v < Vectors; ++v) {
        sum[r][v] = Simd::load(rows + r * work.value_width + v * kLanes);
      }
    }
    for (size_t i = 0; i < high; ++i) {
      F value[Vectors];
      for (size_t v = 0; v < Vectors; ++v) {
        value[v] = Simd::load(work.values + i * work.value_width + d + v * kLanes);
      }
      for (size_t r = 0; r < Rows; ++r) {
        const F weight = Simd::set(work.weights[r * kTile + i]);
        for (size_t v = 0; v < Vectors; ++v) sum[r][v] = Simd::fma(weight, value[v], sum[r][v]);
      }
    }
    for (size_t r = 0; r < Rows; ++r) {
      for (size_t v = 0; v < Vectors; ++v) {
        Simd::store(rows + r * work.value_width + v * kLanes, sum[r][v]);
      }
    }
  }

  /// One group of rows against one block of the cache whose first position is `start`.
  template <size_t Rows>
  static OMG_INLINE void attend_rows(const AttentionTile& tile, const Work& work, size_t row,
                                     uint32_t start) {
    scores<Rows>(work, row, tile.key_length);
    size_t last = 0;
    for (size_t r = 0; r < Rows; ++r) {
      const uint32_t position =
          tile.first_position + static_cast<uint32_t>((row + r) / tile.groups);
      const uint32_t oldest =
          tile.window != 0 && position >= tile.window ? position - tile.window + 1 : 0;
      const size_t low = oldest > start ? std::min<size_t>(oldest - start, kTile) : 0;
      const size_t high = position >= start ? std::min<size_t>(position - start + 1, kTile) : 0;
      weigh(work, work.weights + r * kTile, row + r, low, high, tile.softcap);
      if (low < high) last = std::max(last, high);
    }
    accumulate<Rows>(work, row, last);
  }

  static constexpr size_t kRowGroupMax = 8;

  static void attention(const AttentionTile& tile) {
    const Work work = carve(tile);
    const size_t rows = size_t{tile.tokens} * tile.groups;
    for (size_t row = 0; row < rows; ++row) {
      const float* query = tile.queries + row / tile.groups * tile.query_stride +
                           row % tile.groups * tile.key_length;
      float* scaled = work.queries + row * tile.key_length;
      for (uint32_t d = 0; d < tile.key_length; ++d) scaled[d] = query[d] * tile.scale;
      work.maxima[row] = -HUGE_VALF;
      work.sums[row] = 0;
      std::memset(work.rows + row * work.value_width, 0, work.value_width * sizeof(float));
    }
    const uint32_t newest = tile.first_position + tile.tokens - 1;
    const uint32_t oldest = tile.window != 0 && tile.first_position >= tile.window
                                ? tile.first_position - tile.window + 1
                                : 0;
    for (uint32_t index = oldest / kTile; index <= newest / kTile; ++index) {
      const uint32_t start = index * static_cast<uint32_t>(kTile);
      const uint32_t filled = std::min<uint32_t>(kTile, newest - start + 1);
      load_block(tile, work, tile.blocks[index], filled);
      size_t row = 0;
      for (; row + Simd::kRowGroup <= rows; row += Simd::kRowGroup) {
        attend_rows<Simd::kRowGroup>(tile, work, row, start);
      }
      // One token of a model with grouped heads has as many rows as a group: often 4, 7 or 8.
      if constexpr (Simd::kRowGroup > 4) {
        for (; row + 4 <= rows; row += 4) attend_rows<4>(tile, work, row, start);
      }
      if constexpr (Simd::kRowGroup > 2) {
        for (; row + 2 <= rows; row += 2) attend_rows<2>(tile, work, row, start);
      }
      for (; row < rows; ++row) attend_rows<1>(tile, work, row, start);
    }
    for (size_t row = 0; row < rows; ++row) {
      const float* sums = work.rows + row * work.value_width;
      float* out =
          tile.out + row / tile.groups * tile.out_stride + row % tile.groups * tile.value_length;
      const float factor = 1.0f / work.sums[row];
      for (uint32_t d = 0; d < tile.value_length; ++d) out[d] = sums[d] * factor;
    }
  }

  static OMG_INLINE void load_block(const AttentionTile& tile, const Work& work, uint32_t block,
                                    uint32_t filled) {
    widen(tile.keys + block * tile.key_block_stride, tile.type, size_t{tile.key_length} * kTile,
          work.keys);
    const std::byte* values = tile.values + block * tile.value_block_stride;
    if (work.value_width == tile.value_length) {
      widen(values, tile.type, size_t{filled} * tile.value_length, work.values);
      return;
    }
    for (uint32_t i = 0; i < filled; ++i) {
      float* row = work.values + i * work.value_width;
      widen(values + i * tile.value_length * kv_bytes(tile.type), tile.type, tile.value_length,
            row);
      std::memset(row + tile.value_length, 0,
                  (work.value_width - tile.value_length) * sizeof(float));
    }
  }

  static constexpr VectorKernels table(Isa isa) {
    return {isa,       rms_norm,  layer_norm, add,        scale,        add_scaled,
            silu_gate, gelu_gate, softcap,    store_keys, store_values, attention};
  }
};
