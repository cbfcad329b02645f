// SPDX-License-Identifier: Apache-2.0
//
// Products with F32, F16 and BF16 weights, written over `Ops` like matmul-inl.h. A tile of parts
// (kRows rows each) and tokens is held in registers: each broadcast activation serves all parts,
// each weight all tokens. Columns go in slices: a sum is one chain of fma over a slice, and the
// slices' sums are added in order, whatever the tile, so that a token's result does not depend on
// the batch. What 12 tokens read of a slice (12 KiB) stays in the first-level cache for all parts.
//
// No include guard, no includes of its own.

struct FloatCode {
  using F = Ops::F;
  static constexpr size_t kRows = Ops::kRows;
  static constexpr size_t kParts = kPanelRows / kRows;
  static constexpr size_t kSlice = 256;
  static_assert(kSlice % 2 == 0);

  /// One product's arguments.
  struct Product {
    const PackedMatrix& matrix;
    const ActivationsView& x;
    float* out;
    size_t out_stride;
  };

  /// Where a tile works: parts [part, part + count), tokens from `token` on, columns [begin, end).
  struct Place {
    size_t part;
    size_t count;
    size_t token;
    size_t begin;
    size_t end;
  };

  template <WeightType Type>
  static constexpr size_t kColumnBytes = kPanelRows * (Type == WeightType::kF32 ? 4 : 2);
  /// Between the parts of a panel: BF16 has pairs of columns side by side.
  template <WeightType Type>
  static constexpr size_t kPartBytes = kRows * (Type == WeightType::kF16 ? 2 : 4);

  /// Weights of columns `column` (even) and the next.
  template <WeightType Type>
  static OMG_INLINE void load_two(const std::byte* part, size_t column, F w[2]) {
    const std::byte* from = part + column * kColumnBytes<Type>;
    if constexpr (Type == WeightType::kF32) {
      w[0] = Ops::load_floats(reinterpret_cast<const float*>(from));
      w[1] = Ops::load_floats(reinterpret_cast<const float*>(from) + kPanelRows);
    } else if constexpr (Type == WeightType::kF16) {
      w[0] = Ops::load_f16(from);
      w[1] = Ops::load_f16(from + kColumnBytes<Type>);
    } else {
      Ops::load_bf16_pairs(from, w);
    }
  }
  template <WeightType Type>
  static OMG_INLINE F load_last(const std::byte* part, size_t column) {
    if constexpr (Type == WeightType::kBF16) {  // beside it in its pair stands a zero
      F w[2];
      load_two<Type>(part, column, w);
      return w[0];
    } else if constexpr (Type == WeightType::kF16) {
      return Ops::load_f16(part + column * kColumnBytes<Type>);
    } else {
      return Ops::load_floats(reinterpret_cast<const float*>(part + column * kColumnBytes<Type>));
    }
  }

  /// Token n's activation, `Column` columns on. Rows are addressed as base, base + stride and
  /// base + 2 stride, which x86 does in one operand: with a pointer for each of 12 tokens, there
  /// are more pointers than registers.
  template <size_t Column>
  static OMG_INLINE F activation(const float* const* bases, ptrdiff_t stride, size_t n) {
    const float* base = bases[n / 3] + Column;
    return n % 3 == 0 ? Ops::broadcast(base)
                      : (n % 3 == 1 ? Ops::template broadcast<1>(base, stride)
                                    : Ops::template broadcast<2>(base, stride));
  }

  template <WeightType Type, size_t Parts, size_t N>
  static void tile(const Product& product, const Place& place) {
    const std::byte* weights[Parts];
    OMG_UNROLL
    for (size_t p = 0; p < Parts; ++p) {
      // Parts that do not exist repeat the last one, and are not written.
      const size_t part = place.part + std::min(p, place.count - 1);
      weights[p] = product.matrix.data.data() + part / kParts * product.matrix.panel_stride_bytes +
                   part % kParts * kPartBytes<Type>;
    }
    const auto stride = static_cast<ptrdiff_t>(product.x.stride * sizeof(float));
    const float* bases[(N + 2) / 3];
    OMG_UNROLL
    for (size_t i = 0; i < (N + 2) / 3; ++i) {
      bases[i] = product.x.row(place.token + 3 * i) + place.begin;
      __asm__("" : "+r"(bases[i]));
    }
    F sums[Parts][N];
    OMG_UNROLL
    for (size_t p = 0; p < Parts; ++p) {
      OMG_UNROLL
      for (size_t n = 0; n < N; ++n) sums[p][n] = Ops::set(0.0f);
    }
    size_t column = place.begin;
    for (; column + 2 <= place.end; column += 2) {
      F w[Parts][2];
      OMG_UNROLL
      for (size_t p = 0; p < Parts; ++p) load_two<Type>(weights[p], column, w[p]);
      OMG_UNROLL
      for (size_t n = 0; n < N; ++n) {
        const F x = activation<0>(bases, stride, n);
        OMG_UNROLL
        for (size_t p = 0; p < Parts; ++p) sums[p][n] = Ops::fma(w[p][0], x, sums[p][n]);
      }
      OMG_UNROLL
      for (size_t n = 0; n < N; ++n) {
        const F x = activation<1>(bases, stride, n);
        OMG_UNROLL
        for (size_t p = 0; p < Parts; ++p) sums[p][n] = Ops::fma(w[p][1], x, sums[p][n]);
      }
      OMG_UNROLL
      for (size_t i = 0; i < (N + 2) / 3; ++i) {
        bases[i] += 2;
        __asm__("" : "+r"(bases[i]));  // else GCC 12 keeps all of them in one vector register
      }
    }
    if (column < place.end) {
      OMG_UNROLL
      for (size_t n = 0; n < N; ++n) {
        const F x = activation<0>(bases, stride, n);
        OMG_UNROLL
        for (size_t p = 0; p < Parts; ++p) {
          sums[p][n] = Ops::fma(load_last<Type>(weights[p], column), x, sums[p][n]);
        }
      }
    }
    OMG_UNROLL
    for (size_t p = 0; p < Parts; ++p) {
      if (p < place.count) write<N>(sums[p], product, place, place.part + p);
    }
  }

  /// Sets the results of a part after the first slice, adds to them after the others.
  template <size_t N>
  static OMG_INLINE void write(const F* sums, const Product& product, const Place& place,
                               size_t part) {
    const size_t row = part * kRows;
    const size_t rows = std::min(kRows, product.matrix.rows - row);
    OMG_UNROLL
    for (size_t n = 0; n < N; ++n) {
      float* out = product.out + (place.token + n) * product.out_stride + row;
      if (rows == kRows) {
        Ops::store(out, place.begin == 0 ? sums[n] : Ops::add(Ops::load_floats(out), sums[n]));
        continue;
      }
      float buffer[kRows] = {};
      std::memcpy(buffer, out, rows * sizeof(float));
      const F sum = place.begin == 0 ? sums[n] : Ops::add(Ops::load_floats(buffer), sums[n]);
      Ops::store(buffer, sum);
      std::memcpy(out, buffer, rows * sizeof(float));
    }
  }

  /// A single token has few chains of fma for their latency of 4, so it takes more parts at once.
  static constexpr size_t kFewTokenParts = std::max<size_t>(4, Ops::kFloatTileParts);

  template <WeightType Type>
  static void run_tokens(const Product& product, Place place, size_t part_end, size_t token_end) {
    while (place.token < token_end) {
      const size_t left = token_end - place.token;
      place.count = std::min(part_end - place.part, Ops::kFloatTileParts);
      if (left >= Ops::kFloatTileTokens) {
        tile<Type, Ops::kFloatTileParts, Ops::kFloatTileTokens>(product, place);
        place.token += Ops::kFloatTileTokens;
      } else if (left >= 4) {
        tile<Type, Ops::kFloatTileParts, 4>(product, place);
        place.token += 4;
      } else if (left >= 2) {
        tile<Type, Ops::kFloatTileParts, 2>(product, place);
        place.token += 2;
      } else {
        tile<Type, Ops::kFloatTileParts, 1>(product, place);
        place.token += 1;
      }
    }
  }

  template <WeightType Type>
  static void run(const PackedMatrix& matrix, const ActivationsView& x, float* out,
                  size_t out_stride, size_t panel_begin, size_t panel_end) {
    const Product product{matrix, x, out, out_stride};
    const size_t part_begin = panel_begin * kParts;
    const size_t part_end = std::min(panel_end * kParts, (matrix.rows + kRows - 1) / kRows);
    if (x.tokens == 1) {  // bound by memory: every part's weights in one stream
      for (size_t part = part_begin; part < part_end; part += kFewTokenParts) {
        for (size_t begin = 0; begin < matrix.columns; begin += kSlice) {
          const size_t end = std::min(begin + kSlice, matrix.columns);
          tile<Type, kFewTokenParts, 1>(
              product, {part, std::min(part_end - part, kFewTokenParts), 0, begin, end});
        }
      }
      return;
    }
    for (size_t begin = 0; begin < matrix.columns; begin += kSlice) {
      const size_t end = std::min(begin + kSlice, matrix.columns);
      for (size_t token = 0; token < x.tokens; token += Ops::kFloatTileTokens) {
        const size_t last = std::min(token + Ops::kFloatTileTokens, x.tokens);
        for (size_t part = part_begin; part < part_end; part += Ops::kFloatTileParts) {
          run_tokens<Type>(product, {part, 0, token, begin, end}, part_end, last);
        }
      }
    }
  }
};
