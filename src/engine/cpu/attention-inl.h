// SPDX-License-Identifier: Apache-2.0
//
// Attention over the paged cache, for one instruction set as vector-inl.h is. Positions are taken
// 64 at a time: scores of all rows, their weights, the weighted values. With many rows the keys and
// values are widened to floats once for all; with few (one token) they are widened in registers,
// which gives the same numbers, and what the next step reads is fetched meanwhile.
//
// A row's operations depend on its position alone: steps and segments are counted from the
// sequence's start, and a position that a row does not see adds zeros.

struct AttentionCode {
  using F = Simd::F;
  static constexpr size_t kLanes = Simd::kLanes;
  static constexpr size_t kStep = kAttentionStep;
  static constexpr size_t kVectors = Simd::kTileVectors;
  /// Below every score, and finite: the difference of two of them is no NaN.
  static constexpr float kNothing = -3e38f;
  static constexpr float kLog2E = 1.44269504f;
  /// Rows that share what is widened in registers.
  static constexpr size_t kDirectRows = std::min<size_t>(4, Simd::kTileRows);

  /// 2^x for x <= 0 within 2 ulp; below -125 it is 2^-125. The polynomial is the minimax one of
  /// degree 6 on [-1/2, 1/2], whose error is 2e-9.
  static OMG_INLINE F exp2(F x) {
    x = Simd::max(x, Simd::set(-125.0f));
    const F n = Simd::round(x);
    const F r = Simd::sub(x, n);
    F p = Simd::set(1.534581242594868e-4f);
    p = Simd::fma(p, r, Simd::set(1.3399930903688073e-3f));
    p = Simd::fma(p, r, Simd::set(9.618489071726799e-3f));
    p = Simd::fma(p, r, Simd::set(5.550328642129898e-2f));
    p = Simd::fma(p, r, Simd::set(2.4022646248340607e-1f));
    p = Simd::fma(p, r, Simd::set(6.931471824645996e-1f));
    p = Simd::fma(p, r, Simd::set(1.0f));
    return Simd::scale_by_power_of_two(p, n);
  }

  /// Keys or values of a step's two blocks, and those of the next step.
  struct Source {
    const std::byte* half[2];
    size_t stride;              // bytes between rows
    const float* scales;        // of both blocks, one behind the other
    size_t runs;                // of 32 numbers that share a scale
    const std::byte* ahead[2];  // null: nothing to fetch
  };

  struct Rows {
    size_t begin, end;
  };

  // --- Scores ----------------------------------------------------------------------------------

  /// Scores of `Count` rows against the step's keys, each a chain of fma in the order of d.
  template <KvType Type, size_t Count>
  static void score_rows(const AttentionScratch& work, const Source& keys, uint32_t key_length,
                         size_t row) {
    const float* queries[Count];
    OMG_UNROLL
    for (size_t r = 0; r < Count; ++r) queries[r] = work.queries + (row + r) * key_length;
    for (size_t column = 0; column < kStep; column += kVectors * kLanes) {
      const std::byte* base[kVectors];
      const float* scales[kVectors];
      OMG_UNROLL
      for (size_t v = 0; v < kVectors; ++v) {
        const size_t half = (column + v * kLanes) / kKvTile;
        const size_t place = (column + v * kLanes) % kKvTile;
        base[v] = keys.half[half] + CacheCode::offset_in_run<Type>(place);
        scales[v] = keys.scales + half * keys.runs * kKvTile + place;
      }
      F sum[Count][kVectors];
      OMG_UNROLL
      for (size_t r = 0; r < Count; ++r) {
        OMG_UNROLL
        for (size_t v = 0; v < kVectors; ++v) sum[r][v] = Simd::set(0.0f);
      }
      const bool fetch = column == 0 && keys.ahead[0];
      for (size_t d = 0; d < key_length; ++d) {
        F key[kVectors];
        OMG_UNROLL
        for (size_t v = 0; v < kVectors; ++v) {
          const size_t place = (column + v * kLanes) % kKvTile;
          key[v] = CacheCode::load<Type>(base[v] + d * keys.stride, place);
          if constexpr (kv_has_scales(Type)) {
            key[v] = Simd::mul(key[v], Simd::load(scales[v] + d / kKvRun * kKvTile));
          }
        }
        if (fetch) {
          Simd::prefetch(keys.ahead[0] + d * keys.stride);
          Simd::prefetch(keys.ahead[1] + d * keys.stride);
        }
        OMG_UNROLL
        for (size_t r = 0; r < Count; ++r) {
          const F query = Simd::set(queries[r][d]);
          OMG_UNROLL
          for (size_t v = 0; v < kVectors; ++v) sum[r][v] = Simd::fma(query, key[v], sum[r][v]);
        }
      }
      OMG_UNROLL
      for (size_t r = 0; r < Count; ++r) {
        OMG_UNROLL
        for (size_t v = 0; v < kVectors; ++v) {
          Simd::store(work.weights + (row + r) * kStep + column + v * kLanes, sum[r][v]);
        }
      }
    }
  }

  // --- Weights ---------------------------------------------------------------------------------

  /// Positions [low, high) of a step that a token sees.
  struct Visible {
    size_t low, high;
  };
  static OMG_INLINE Visible visible(const AttentionTile& tile, uint32_t token, uint32_t start) {
    const uint32_t position = tile.first_position + token;
    const uint32_t oldest =
        tile.window != 0 && position >= tile.window ? position - tile.window + 1 : 0;
    return {oldest > start ? oldest - start : 0, std::min<size_t>(position - start + 1, kStep)};
  }

  static OMG_INLINE float maximum(const float* scores) {
    F largest = Simd::load(scores);
    for (size_t i = kLanes; i < kStep; i += kLanes) {
      largest = Simd::max(largest, Simd::load(scores + i));
    }
    return Simd::reduce_max(largest);
  }

  /// Turns scores into weights: a pass for the new maxima, one over rows for what earlier sums
  /// shrink to, and one for the weights and their totals.
  static void soften(const AttentionTile& tile, const AttentionScratch& work, float* maxima,
                     Rows rows, uint32_t start) {
    const auto first = static_cast<uint32_t>(rows.begin) / tile.groups;
    size_t row = rows.begin;
    for (uint32_t token = first; row < rows.end; ++token) {
      const Visible seen = visible(tile, token, start);
      for (size_t group = 0; group < tile.groups; ++group, ++row) {
        float* scores = work.weights + row * kStep;
        if (tile.softcap > 0) cap(tile.softcap, scores);
        for (size_t i = 0; i < seen.low; ++i) scores[i] = kNothing;
        for (size_t i = seen.high; i < kStep; ++i) scores[i] = kNothing;
        work.peaks[row] = std::max(maxima[row], maximum(scores));
      }
    }
    for (row = rows.begin / kLanes * kLanes; row < rows.end; row += kLanes) {
      const F peak = Simd::load(work.peaks + row);
      Simd::store(work.shrinks + row, exp2(Simd::sub(Simd::load(maxima + row), peak)));
    }
    row = rows.begin;
    for (uint32_t token = first; row < rows.end; ++token) {
      const Visible seen = visible(tile, token, start);
      for (size_t group = 0; group < tile.groups; ++group, ++row) weigh(work, maxima, row, seen);
    }
  }

  static OMG_INLINE void weigh(const AttentionScratch& work, float* maxima, size_t row,
                               Visible seen) {
    float* weights = work.weights + row * kStep;
    maxima[row] = work.peaks[row];
    const F peak = Simd::set(work.peaks[row]);
    F total = Simd::set(0.0f);
    if (seen.low == 0 && seen.high == kStep) {
      for (size_t i = 0; i < kStep; i += kLanes) {
        const F weight = exp2(Simd::sub(Simd::load(weights + i), peak));
        Simd::store(weights + i, weight);
        total = Simd::add(total, weight);
      }
    } else {
      for (size_t i = 0; i < kStep; i += kLanes) {
        Simd::store(weights + i, exp2(Simd::sub(Simd::load(weights + i), peak)));
      }
      for (size_t i = 0; i < seen.low; ++i) weights[i] = 0;
      for (size_t i = seen.high; i < kStep; ++i) weights[i] = 0;
      for (size_t i = 0; i < kStep; i += kLanes) total = Simd::add(total, Simd::load(weights + i));
    }
    float* totals = work.lane_totals + row * kLanes;
    Simd::store(totals, Simd::fma(Simd::load(totals), Simd::set(work.shrinks[row]), total));
  }

  /// Scores come divided by the cap; they leave as exponents of two.
  static OMG_INLINE void cap(float softcap, float* scores) {
    const F factor = Simd::set(softcap * kLog2E);
    for (size_t i = 0; i < kStep; i += kLanes) {
      Simd::store(scores + i, Simd::mul(VectorCode::tanh(Simd::load(scores + i)), factor));
    }
  }

  // --- Weighted values -------------------------------------------------------------------------

  template <KvType Type, size_t Count, size_t Vectors>
  static OMG_INLINE void add_columns(const AttentionScratch& work, const Source& values,
                                     float* sums, size_t row, size_t column, Visible range) {
    // Known when this is compiled if a pass is whole runs.
    const size_t first_place = Vectors * kLanes % kKvRun == 0 ? 0 : column % kKvRun;
    const float* weights[Count];
    F sum[Count][Vectors];
    OMG_UNROLL
    for (size_t r = 0; r < Count; ++r) {
      weights[r] = work.weights + (row + r) * kStep;
      const F shrink = Simd::set(work.shrinks[row + r]);
      OMG_UNROLL
      for (size_t v = 0; v < Vectors; ++v) {
        const float* earlier = sums + (row + r) * work.width + column + v * kLanes;
        sum[r][v] = Simd::mul(Simd::load(earlier), shrink);
      }
    }
    for (size_t half = 0; half < 2; ++half) {
      const size_t first = half * kKvTile;
      const size_t low = std::max(range.low, first);
      const size_t high = std::min(range.high, first + kKvTile);
      const std::byte* ahead = column == 0 ? values.ahead[half] : nullptr;
      for (size_t i = low; i < high; ++i) {
        const size_t offset = (i - first) * values.stride;
        const std::byte* base = values.half[half] + offset;
        F value[Vectors];
        OMG_UNROLL
        for (size_t v = 0; v < Vectors; ++v) {
          const size_t run = (column + v * kLanes) / kKvRun;
          const size_t place = (first_place + v * kLanes) % kKvRun;
          const size_t begin = run * kv_code_bytes(Type, kKvRun);
          value[v] =
              CacheCode::load<Type>(base + begin + CacheCode::offset_in_run<Type>(place), place);
          if constexpr (kv_has_scales(Type)) {
            value[v] = Simd::mul(value[v], Simd::set(values.scales[i * values.runs + run]));
          }
        }
        if (ahead) {
          for (size_t line = 0; line < values.stride; line += 64) {
            Simd::prefetch(ahead + offset + line);
          }
        }
        OMG_UNROLL
        for (size_t r = 0; r < Count; ++r) {
          const F weight = Simd::set(weights[r][i]);
          OMG_UNROLL
          for (size_t v = 0; v < Vectors; ++v) sum[r][v] = Simd::fma(weight, value[v], sum[r][v]);
        }
      }
    }
    OMG_UNROLL
    for (size_t r = 0; r < Count; ++r) {
      OMG_UNROLL
      for (size_t v = 0; v < Vectors; ++v) {
        Simd::store(sums + (row + r) * work.width + column + v * kLanes, sum[r][v]);
      }
    }
  }

  /// sums += weights * values for `Count` rows, over the positions that any of them sees.
  template <KvType Type, size_t Count>
  static void add_rows(const AttentionTile& tile, const AttentionScratch& work,
                       const Source& values, float* sums, size_t row, uint32_t start) {
    const uint32_t first = static_cast<uint32_t>(row) / tile.groups;
    const uint32_t last = static_cast<uint32_t>(row + Count - 1) / tile.groups;
    const Visible range = {visible(tile, first, start).low, visible(tile, last, start).high};
    size_t column = 0;
    for (; column + kVectors * kLanes <= work.width; column += kVectors * kLanes) {
      add_columns<Type, Count, kVectors>(work, values, sums, row, column, range);
    }
    for (; column < work.width; column += kLanes) {
      add_columns<Type, Count, 1>(work, values, sums, row, column, range);
    }
  }

  // --- A step ----------------------------------------------------------------------------------

  template <KvType Type, size_t Most>
  static void score_all(const AttentionTile& tile, const AttentionScratch& work, Source keys,
                        Rows rows) {
    for (size_t row = rows.begin; row < rows.end;) {
      const size_t count = even_share<Most>(rows.end - row);
      const uint32_t length = tile.key_length;
      if (count == 1) score_rows<Type, 1>(work, keys, length, row);
      if constexpr (Most > 1) {
        if (count == 2) score_rows<Type, 2>(work, keys, length, row);
        if (count == 3) score_rows<Type, 3>(work, keys, length, row);
        if (count == 4) score_rows<Type, 4>(work, keys, length, row);
      }
      if constexpr (Most > 4) {
        if (count == 5) score_rows<Type, 5>(work, keys, length, row);
        if (count == 6) score_rows<Type, 6>(work, keys, length, row);
      }
      row += count;
      keys.ahead[0] = nullptr;
    }
  }

  template <KvType Type, size_t Most>
  static void add_all(const AttentionTile& tile, const AttentionScratch& work, Source values,
                      float* sums, Rows rows, uint32_t start) {
    for (size_t row = rows.begin; row < rows.end;) {
      const size_t count = even_share<Most>(rows.end - row);
      if (count == 1) add_rows<Type, 1>(tile, work, values, sums, row, start);
      if constexpr (Most > 1) {
        if (count == 2) add_rows<Type, 2>(tile, work, values, sums, row, start);
        if (count == 3) add_rows<Type, 3>(tile, work, values, sums, row, start);
        if (count == 4) add_rows<Type, 4>(tile, work, values, sums, row, start);
      }
      if constexpr (Most > 4) {
        if (count == 5) add_rows<Type, 5>(tile, work, values, sums, row, start);
        if (count == 6) add_rows<Type, 6>(tile, work, values, sums, row, start);
      }
      row += count;
      values.ahead[0] = values.ahead[1] = nullptr;
    }
  }

  /// How many of `rows` rows to take so that none of the groups is much smaller than the others.
  template <size_t Most>
  static OMG_INLINE size_t even_share(size_t rows) {
    static_assert(Most == 1 || Most == 4 || Most == 6);
    if (rows >= 2 * Most) return Most;
    return rows > Most ? (rows + 1) / 2 : rows;
  }

  /// The cache's blocks of positions [start, start + 64); the second may be absent, and is then the
  /// first again, whose scores nobody sees.
  struct StepBlocks {
    const std::byte* keys[2];
    const std::byte* values[2];
  };
  static OMG_INLINE StepBlocks step_blocks(const AttentionTile& tile, uint32_t start,
                                           uint32_t newest) {
    StepBlocks result;
    const uint32_t* blocks = tile.blocks + start / kKvTile;
    for (size_t half = 0; half < 2; ++half) {
      const size_t block = start + half * kKvTile <= newest ? blocks[half] : blocks[0];
      result.keys[half] = tile.keys + block * tile.key_block_stride;
      result.values[half] = tile.values + block * tile.value_block_stride;
    }
    return result;
  }

  template <KvType Type>
  static void step_widened(const AttentionTile& tile, const AttentionScratch& work,
                           AttentionPart& part, Rows rows, uint32_t start, uint32_t newest) {
    const StepBlocks blocks = step_blocks(tile, start, newest);
    const uint32_t filled = std::min<uint32_t>(newest - start + 1, kStep);
    for (uint32_t half = 0; half < 2; ++half) {
      CacheCode::widen_keys<Type>(blocks.keys[half], tile.key_length, work.block + half * kKvTile,
                                  kStep);
    }
    const auto* key_bytes = reinterpret_cast<const std::byte*>(work.block);
    const Source keys = {{key_bytes, key_bytes + kKvTile * sizeof(float)},
                         kStep * sizeof(float),
                         work.key_scales,
                         0,
                         {nullptr, nullptr}};
    score_all<KvType::kF32, Simd::kTileRows>(tile, work, keys, rows);
    soften(tile, work, part.maxima, rows, start);
    for (uint32_t half = 0; half < 2 && half * kKvTile < filled; ++half) {
      CacheCode::widen_values<Type>(blocks.values[half], tile.value_length,
                                    std::min(filled - half * kKvTile, kKvTile), work.width,
                                    work.block + half * kKvTile * work.width);
    }
    const auto* value_bytes = reinterpret_cast<const std::byte*>(work.block);
    const Source values = {{value_bytes, value_bytes + kKvTile * work.width * sizeof(float)},
                           work.width * sizeof(float),
                           work.value_scales,
                           0,
                           {nullptr, nullptr}};
    add_all<KvType::kF32, Simd::kTileRows>(tile, work, values, part.sums, rows, start);
  }

  template <KvType Type>
  static void step_direct(const AttentionTile& tile, const AttentionScratch& work,
                          AttentionPart& part, Rows rows, uint32_t start, uint32_t newest) {
    const StepBlocks blocks = step_blocks(tile, start, newest);
    const bool last = newest - start < kStep;
    const StepBlocks ahead = last ? StepBlocks{} : step_blocks(tile, start + kStep, newest);
    const size_t key_row = kv_code_bytes(Type, kKvTile);
    const size_t value_row = kv_code_bytes(Type, kv_value_width(Type, tile.value_length));
    const size_t key_runs = kv_runs(tile.key_length);
    const size_t value_runs = kv_runs(tile.value_length);
    if constexpr (kv_has_scales(Type)) {
      for (size_t half = 0; half < 2; ++half) {
        const std::byte* scales = blocks.keys[half] + tile.key_length * key_row;
        CacheCode::widen(reinterpret_cast<const uint16_t*>(scales), key_runs * kKvTile,
                         work.key_scales + half * key_runs * kKvTile);
        scales = blocks.values[half] + kKvTile * value_row;
        CacheCode::widen(reinterpret_cast<const uint16_t*>(scales), value_runs * kKvTile,
                         work.value_scales + half * value_runs * kKvTile);
      }
    }
    const Source keys = {{blocks.keys[0], blocks.keys[1]},
                         key_row,
                         work.key_scales,
                         key_runs,
                         {ahead.keys[0], ahead.keys[1]}};
    score_all<Type, kDirectRows>(tile, work, keys, rows);
    soften(tile, work, part.maxima, rows, start);
    const Source values = {{blocks.values[0], blocks.values[1]},
                           value_row,
                           work.value_scales,
                           value_runs,
                           {ahead.values[0], ahead.values[1]}};
    add_all<Type, kDirectRows>(tile, work, values, part.sums, rows, start);
  }

  /// Below this many rows the same numbers are widened in registers several times rather than once
  /// through memory.
  static constexpr size_t kFewRows = 8;

  static OMG_INLINE void step(const AttentionTile& tile, const AttentionScratch& work,
                              AttentionPart& part, Rows rows, uint32_t start, uint32_t newest) {
    const bool few = rows.end - rows.begin <= kFewRows;
    switch (tile.type) {
      case KvType::kF32:
        few ? step_direct<KvType::kF32>(tile, work, part, rows, start, newest)
            : step_widened<KvType::kF32>(tile, work, part, rows, start, newest);
        break;
      case KvType::kF16:
        few ? step_direct<KvType::kF16>(tile, work, part, rows, start, newest)
            : step_widened<KvType::kF16>(tile, work, part, rows, start, newest);
        break;
      case KvType::kQ8_0:
        few ? step_direct<KvType::kQ8_0>(tile, work, part, rows, start, newest)
            : step_widened<KvType::kQ8_0>(tile, work, part, rows, start, newest);
        break;
      case KvType::kQ4_0:
        few ? step_direct<KvType::kQ4_0>(tile, work, part, rows, start, newest)
            : step_widened<KvType::kQ4_0>(tile, work, part, rows, start, newest);
        break;
    }
  }

  // --- A segment, and all ----------------------------------------------------------------------

  /// Queries times the scale, and times what makes exponents of two of them (a cap comes between).
  static void scale_queries(const AttentionTile& tile, const AttentionScratch& work) {
    const float factor = tile.softcap > 0 ? tile.scale / tile.softcap : tile.scale * kLog2E;
    for (size_t row = 0; row < size_t{tile.tokens} * tile.groups; ++row) {
      const float* query = tile.queries + row / tile.groups * tile.query_stride +
                           row % tile.groups * tile.key_length;
      float* scaled = work.queries + row * tile.key_length;
      for (uint32_t d = 0; d < tile.key_length; ++d) scaled[d] = query[d] * factor;
    }
  }

  static void clear(AttentionPart& part, size_t width, size_t rows) {
    std::memset(part.sums, 0, rows * width * sizeof(float));
    for (size_t row = 0; row < up_to_16(rows); ++row) {
      part.maxima[row] = kNothing;
      part.totals[row] = 0;
    }
  }

  static void segment(const AttentionTile& tile, const AttentionScratch& work, uint32_t index,
                      AttentionPart& part) {
    const size_t all = size_t{tile.tokens} * tile.groups;
    clear(part, work.width, all);
    std::memset(work.lane_totals, 0, all * kLanes * sizeof(float));
    for (size_t row = 0; row < up_to_16(all); ++row) work.peaks[row] = kNothing;
    const uint32_t newest = tile.first_position + tile.tokens - 1;
    const uint32_t oldest = tile.window != 0 && tile.first_position >= tile.window
                                ? tile.first_position - tile.window + 1
                                : 0;
    const auto step_size = static_cast<uint32_t>(kStep);
    const uint32_t begin = std::max(index * kAttentionSegment, oldest / step_size * step_size);
    const uint32_t last = std::min(newest, index * kAttentionSegment + (kAttentionSegment - 1));
    for (uint32_t start = begin; start <= last; start += step_size) {
      // Tokens before the step see none of it, nor do those whose window begins behind it.
      const uint32_t first = start > tile.first_position ? start - tile.first_position : 0;
      uint32_t end = tile.tokens;
      if (tile.window != 0) {
        const uint64_t behind = uint64_t{start} + kStep + tile.window - 1;
        if (behind - tile.first_position < end) {
          end = static_cast<uint32_t>(behind - tile.first_position);
        }
      }
      step(tile, work, part, {size_t{first} * tile.groups, size_t{end} * tile.groups}, start,
           newest);
    }
    for (size_t row = 0; row < all; ++row) {
      part.totals[row] = Simd::reduce_add(Simd::load(work.lane_totals + row * kLanes));
    }
  }

  /// joined += part, both brought to the larger of their maxima.
  static void join(const AttentionPart& part, size_t width, size_t rows, AttentionPart& joined) {
    for (size_t row = 0; row < rows; ++row) {
      const float maximum = std::max(joined.maxima[row], part.maxima[row]);
      alignas(64) float shrinks[2 * kLanes];
      Simd::store(shrinks, exp2(Simd::set(joined.maxima[row] - maximum)));
      Simd::store(shrinks + kLanes, exp2(Simd::set(part.maxima[row] - maximum)));
      const F old_shrink = Simd::set(shrinks[0]);
      const F new_shrink = Simd::set(shrinks[kLanes]);
      float* sums = joined.sums + row * width;
      const float* more = part.sums + row * width;
      for (size_t i = 0; i < width; i += kLanes) {
        const F old_sum = Simd::mul(Simd::load(sums + i), old_shrink);
        Simd::store(sums + i, Simd::fma(Simd::load(more + i), new_shrink, old_sum));
      }
      joined.totals[row] = joined.totals[row] * shrinks[0] + part.totals[row] * shrinks[kLanes];
      joined.maxima[row] = maximum;
    }
  }

  static void write(const AttentionTile& tile, const AttentionScratch& work,
                    const AttentionPart& joined) {
    for (size_t row = 0; row < size_t{tile.tokens} * tile.groups; ++row) {
      const float* sums = joined.sums + row * work.width;
      float* out =
          tile.out + row / tile.groups * tile.out_stride + row % tile.groups * tile.value_length;
      const float factor = 1.0f / joined.totals[row];
      for (uint32_t d = 0; d < tile.value_length; ++d) out[d] = sums[d] * factor;
    }
  }

  static void attention(const AttentionTile& tile) {
    const AttentionScratch work(tile.scratch, tile.key_length, tile.value_length);
    const size_t rows = size_t{tile.tokens} * tile.groups;
    scale_queries(tile, work);
    AttentionPart part(work.part, work.width, rows);
    AttentionPart joined(work.joined, work.width, rows);
    clear(joined, work.width, rows);
    const uint32_t newest = tile.first_position + tile.tokens - 1;
    const uint32_t oldest = tile.window != 0 && tile.first_position >= tile.window
                                ? tile.first_position - tile.window + 1
                                : 0;
    for (uint32_t index = oldest / kAttentionSegment; index <= newest / kAttentionSegment;
         ++index) {
      segment(tile, work, index, part);
      join(part, work.width, rows, joined);
    }
    write(tile, work, joined);
  }

  static void attention_segment(const AttentionTile& tile, uint32_t index, float* memory) {
    const AttentionScratch work(tile.scratch, tile.key_length, tile.value_length);
    scale_queries(tile, work);
    AttentionPart part(memory, work.width, size_t{tile.tokens} * tile.groups);
    segment(tile, work, index, part);
  }

  static void attention_join(const AttentionTile& tile, const float* parts, size_t stride,
                             uint32_t segments) {
    const AttentionScratch work(tile.scratch, tile.key_length, tile.value_length);
    const size_t rows = size_t{tile.tokens} * tile.groups;
    AttentionPart joined(work.joined, work.width, rows);
    clear(joined, work.width, rows);
    for (uint32_t index = 0; index < segments; ++index) {
      const AttentionPart part(const_cast<float*>(parts) + index * stride, work.width, rows);
      join(part, work.width, rows, joined);
    }
    write(tile, work, joined);
  }
};

static constexpr VectorKernels vector_table(Isa isa) {
  return {isa,
          VectorCode::rms_norm,
          VectorCode::layer_norm,
          VectorCode::add,
          VectorCode::scale,
          VectorCode::add_scaled,
          VectorCode::silu_gate,
          VectorCode::gelu_gate,
          VectorCode::softcap,
          CacheCode::store_keys,
          CacheCode::store_values,
          AttentionCode::attention,
          AttentionCode::attention_segment,
          AttentionCode::attention_join};
}
