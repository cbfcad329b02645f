// SPDX-License-Identifier: Apache-2.0
//
// Matrix products on packed panels, written once over a small set of register operations (`Ops`)
// and compiled for each instruction set: a unit opens its target region, includes its ops_*-inl.h
// and then this file, inside its own namespace. A register holds kRows of the panel's 16 rows.
//
// weight = S u - Z with Z = S zero_point + M, so a block of 32 columns adds
//   S a (sum of u q) - Z (a sum of q)
// to a row, where q are the int8 activations of a token and a their scale: eight dot-product
// instructions and four others for 16 x 32 multiplications on AVX-512, two thirds of the peak.
// Every result is summed block after block in this order, whatever N is: that makes a token's
// result independent of the batch to the bit.
//
// No include guard, no includes of its own.

/// Compile-time facts of a type, from its CodeInfo.
template <uint32_t Bits, int ZeroPoint, ScaleKind Kind, const int8_t* Table = nullptr>
struct Codec {
  static constexpr uint32_t kBits = Bits;
  static constexpr ScaleKind kKind = Kind;
  static constexpr const int8_t* kTable = Table;
  static constexpr bool kHalves =
      Kind == ScaleKind::kSuperHalves || Kind == ScaleKind::kSuperMinHalves;
  static constexpr bool kMin = Kind == ScaleKind::kHalfMin || Kind == ScaleKind::kSuperMin ||
                               Kind == ScaleKind::kSuperMinHalves;
  static constexpr bool kSuper =
      kHalves || Kind == ScaleKind::kSuper || Kind == ScaleKind::kSuperMin;
  /// Codes above 127 do not fit the signed or saturating products of some instruction sets, which
  /// then work with code - 128.
  static constexpr bool kWide = ZeroPoint == 128;
  static constexpr bool kSigned = kWide && Ops::kSignedWide;
  static constexpr int kZeroPoint = kSigned ? 0 : ZeroPoint;
  static constexpr int kZeroShift = std::countr_zero(static_cast<unsigned>(ZeroPoint | 256));
  static_assert(ZeroPoint == 0 || ZeroPoint == 1 << kZeroShift);
  /// Dot products start from minus zero point * sum of the activations: exact, and one operation
  /// less a block than to subtract it as a float.
  static constexpr bool kStartsBelow = kZeroPoint != 0 && Ops::kIntegerZeroPoint;
  /// The largest code: what decides how many products fit 16 bits.
  static constexpr int kMaxCode =
      kWide ? 255 : (Table != nullptr ? 2 * ZeroPoint : (1 << Bits) - 1);
};

struct MatmulCode {
  using V = Ops::V;  // bytes or 32-bit sums
  using F = Ops::F;
  static constexpr size_t kRows = Ops::kRows;
  static constexpr size_t kVector = kRows * 4;  // bytes of a register
  static constexpr size_t kParts = kPanelRows / kRows;

  /// One panel's pointers for one part (kRows rows) of it.
  struct Part {
    const uint8_t* codes;
    const std::byte* scales;
    const std::byte* super;
  };

  /// The eight quads of a block as one byte per code.
  template <class T>
  static OMG_INLINE void decode(const uint8_t* block, V w[8]) {
    if constexpr (T::kBits == 8) {
      for (size_t q = 0; q < 8; ++q) w[q] = Ops::load(block + 64 * q);
    } else {
      constexpr size_t kPairStart = T::kBits >= 4 ? 256 : 0;
      constexpr bool kHasPairs = T::kBits == 2 || T::kBits == 3 || T::kBits == 6;
      constexpr size_t kBitStart = kPairStart + (kHasPairs ? 128 : 0);
      if constexpr (T::kBits >= 4) {
        for (size_t v = 0; v < 4; ++v) {
          const V both = Ops::load(block + 64 * v);
          w[v] = Ops::bits_and(both, Ops::bytes(15));
          w[v + 4] = Ops::bits_and(Ops::template right<4>(both), Ops::bytes(15));
        }
      }
      if constexpr (kHasPairs) {
        constexpr int kTo = T::kBits == 6 ? 4 : 0;  // where the pair's bits go
        for (size_t v = 0; v < 2; ++v) {
          const V four = Ops::load(block + kPairStart + 64 * v);
          const V mask = Ops::bytes(3 << kTo);
          const V pairs[4] = {
              Ops::bits_and(move<0, kTo>(four), mask), Ops::bits_and(move<2, kTo>(four), mask),
              Ops::bits_and(move<4, kTo>(four), mask), Ops::bits_and(move<6, kTo>(four), mask)};
          for (size_t j = 0; j < 4; ++j) {
            w[4 * v + j] = T::kBits == 6 ? Ops::bits_or(w[4 * v + j], pairs[j]) : pairs[j];
          }
        }
      }
      if constexpr (T::kBits == 3 || T::kBits == 5) {
        constexpr int kTo = T::kBits == 3 ? 2 : 4;
        const V eight = Ops::load(block + kBitStart);
        const V mask = Ops::bytes(1 << kTo);
        const V bits[8] = {
            Ops::bits_and(move<0, kTo>(eight), mask), Ops::bits_and(move<1, kTo>(eight), mask),
            Ops::bits_and(move<2, kTo>(eight), mask), Ops::bits_and(move<3, kTo>(eight), mask),
            Ops::bits_and(move<4, kTo>(eight), mask), Ops::bits_and(move<5, kTo>(eight), mask),
            Ops::bits_and(move<6, kTo>(eight), mask), Ops::bits_and(move<7, kTo>(eight), mask)};
        for (size_t q = 0; q < 8; ++q) w[q] = Ops::bits_or(w[q], bits[q]);
      }
    }
    if constexpr (T::kTable != nullptr) {
      uint8_t values[16];
      for (size_t i = 0; i < 16; ++i) {
        values[i] = static_cast<uint8_t>(T::kTable[i] + T::kZeroPoint);
      }
      const V table = Ops::table(values);
      for (size_t q = 0; q < 8; ++q) w[q] = Ops::look_up(table, w[q]);
    } else if constexpr (T::kSigned) {
      for (size_t q = 0; q < 8; ++q) w[q] = Ops::bits_xor(w[q], Ops::bytes(128));
    }
  }

  /// Bits moved from position From to position To within each byte; the others are garbage.
  template <int From, int To>
  static OMG_INLINE V move(V v) {
    if constexpr (From > To) return Ops::template right<From - To>(v);
    if constexpr (From < To) return Ops::template left<To - From>(v);
    return v;
  }

  /// S and M of each half block (equal where the type has no halves).
  template <class T>
  static OMG_INLINE void load_scales(const Part& part, size_t b, F scale[2], F min[2]) {
    const std::byte* scales = part.scales + b * scale_bytes_per_block(T::kKind);
    if constexpr (T::kSuper) {
      const std::byte* super = part.super + b / 8 * super_bytes(T::kKind);
      const F d = Ops::load_f16(super);
      scale[0] = Ops::mul(d, Ops::load_i8(scale_at<T>(part, scales, 0)));
      scale[1] = T::kHalves ? Ops::mul(d, Ops::load_i8(scale_at<T>(part, scales, 16))) : scale[0];
      if constexpr (T::kMin) {
        constexpr size_t kMins = T::kHalves ? 32 : 16;
        const F dmin = Ops::load_f16(super + 2 * kPanelRows);
        min[0] = Ops::mul(dmin, Ops::load_i8(scale_at<T>(part, scales, kMins)));
        min[1] = T::kHalves ? Ops::mul(dmin, Ops::load_i8(scale_at<T>(part, scales, kMins + 16)))
                            : min[0];
      }
    } else {
      scale[0] = T::kKind == ScaleKind::kBfloat ? Ops::load_bf16(scales) : Ops::load_f16(scales);
      scale[1] = scale[0];
      if constexpr (T::kMin) {
        min[0] = Ops::sub(Ops::set(0.0f), Ops::load_f16(scales + 2 * kPanelRows));
        min[1] = min[0];
      }
    }
  }
  /// Sub-scales are bytes: a part's rows start at a different offset than in 16-bit fields.
  template <class T>
  static OMG_INLINE const std::byte* scale_at(const Part&, const std::byte* scales, size_t offset) {
    return scales + offset;
  }

  template <class T>
  static OMG_INLINE Part part_of(const std::byte* panel, const PanelSections& sections, size_t p) {
    const size_t row = p * kRows;
    return {reinterpret_cast<const uint8_t*>(panel + sections.codes) + 4 * row,
            panel + sections.scales + row * (T::kSuper ? 1 : 2), panel + 2 * row};
  }

  /// Far enough ahead to hide a trip to memory (~100 ns at ~10 bytes/ns), near enough to stay in
  /// L1.
  static constexpr size_t kPrefetchBytes = 4096;

  /// What will be read some blocks later, in the three sections of this panel and then of the next:
  /// no prefetcher of the hardware knows where those begin.
  template <class T>
  struct Ahead {
    static constexpr size_t kBlocks = kPrefetchBytes / code_bytes_per_block(T::kBits);
    Part at;
    Part next;
    size_t left;  // blocks of this panel

    OMG_INLINE Ahead(const Part& part, size_t blocks, size_t panel_stride)
        : at(moved(part, std::min(kBlocks, blocks))),
          next{part.codes + panel_stride, part.scales + panel_stride, part.super + panel_stride},
          left(blocks - std::min(kBlocks, blocks)) {}
    OMG_INLINE void fetch() {
      if (left-- == 0) at = next;
      OMG_UNROLL
      for (size_t line = 0; line < T::kBits; ++line) Ops::prefetch(at.codes + 64 * line);
      Ops::prefetch(at.scales);
      if constexpr (T::kSuper) Ops::prefetch(at.super);
      at = moved(at, 1);
    }
    static OMG_INLINE Part moved(const Part& part, size_t blocks) {
      return {part.codes + blocks * code_bytes_per_block(T::kBits),
              part.scales + blocks * scale_bytes_per_block(T::kKind),
              part.super + blocks * super_bytes(T::kKind) / 8};
    }
  };

  /// N tokens against one part, int8 activations.
  template <class T, size_t N>
  static OMG_INLINE void tile_int8(const Part& part, size_t blocks, const ActivationBlock* x,
                                   size_t stride, size_t panel_stride, F sums[N]) {
    Ahead<T> ahead(part, blocks, panel_stride);
    OMG_UNROLL
    for (size_t n = 0; n < N; ++n) sums[n] = Ops::set(0.0f);
    for (size_t b = 0; b < blocks; ++b) {
      V w[8];
      decode<T>(part.codes + b * code_bytes_per_block(T::kBits), w);
      // Narrower registers go through a panel several times, and find it in the cache.
      if constexpr (kParts == 1) ahead.fetch();
      F scale[2];
      F offset[2] = {Ops::set(0.0f), Ops::set(0.0f)};
      load_scales<T>(part, b, scale, offset);
      if constexpr (T::kZeroPoint != 0 && !T::kStartsBelow) {
        const F zero_point = Ops::set(static_cast<float>(T::kZeroPoint));
        for (size_t h = 0; h < 2; ++h) offset[h] = Ops::fma(scale[h], zero_point, offset[h]);
      }
      constexpr size_t kGroup =
          N % Ops::kGroupTokens == 0 ? Ops::kGroupTokens : std::min<size_t>(N, 4);
      static_assert(N % kGroup == 0);
      OMG_UNROLL
      for (size_t n = 0; n < N; n += kGroup) {
        // Hidden from the optimiser, which would otherwise keep a pointer to every operand of
        // every token in memory: each is an increment and a load per block.
        const ActivationBlock* tokens[kGroup];
        OMG_UNROLL
        for (size_t i = 0; i < kGroup; ++i) {
          tokens[i] = x + (n + i) * stride + b;
          __asm__("" : "+r"(tokens[i]));
        }
        if constexpr (T::kHalves) {
          add_halves<T, kGroup>(w, tokens, scale, offset, sums + n);
        } else {
          add_whole<T, kGroup>(w, tokens, scale[0], offset[0], sums + n);
        }
      }
    }
  }

  /// One block of the tokens of a group.
  template <class T, size_t Group>
  static OMG_INLINE void add_whole(const V* w, const ActivationBlock* const* tokens, F scale,
                                   F offset, F* sums) {
    V products[Group];
    Ops::template dots<T, 8, Group>(w, tokens, 0, products);
    OMG_UNROLL
    for (size_t i = 0; i < Group; ++i) {
      sums[i] = Ops::fma(Ops::to_float(products[i]), Ops::mul(scale, Ops::set(tokens[i]->scale)),
                         sums[i]);
      if constexpr ((T::kZeroPoint != 0 && !T::kStartsBelow) || T::kMin) {
        sums[i] = Ops::fnma(offset, Ops::set(tokens[i]->scaled_sum), sums[i]);
      }
    }
  }

  /// The same for types with a scale per 16 columns, one half after the other.
  template <class T, size_t Group>
  static OMG_INLINE void add_halves(const V* w, const ActivationBlock* const* tokens,
                                    const F scale[2], const F offset[2], F* sums) {
    OMG_UNROLL
    for (size_t h = 0; h < 2; ++h) {
      V products[Group];
      Ops::template dots<T, 4, Group>(w + 4 * h, tokens, h, products);
      OMG_UNROLL
      for (size_t i = 0; i < Group; ++i) {
        const ActivationBlock& token = *tokens[i];
        sums[i] = Ops::fma(Ops::to_float(products[i]), Ops::mul(scale[h], Ops::set(token.scale)),
                           sums[i]);
        if constexpr ((T::kZeroPoint != 0 && !T::kStartsBelow) || T::kMin) {
          sums[i] = Ops::fnma(offset[h], Ops::set(token.scaled_half_sums[h]), sums[i]);
        }
      }
    }
  }

  /// N tokens against one part, float activations: weights come back exactly as dequantised.
  template <class T, size_t N>
  static OMG_INLINE void tile_float(const Part& part, size_t blocks, const float* x, size_t stride,
                                    F sums[N]) {
    OMG_UNROLL
    for (size_t n = 0; n < N; ++n) sums[n] = Ops::set(0.0f);
    for (size_t b = 0; b < blocks; ++b) {
      V w[8];
      decode<T>(part.codes + b * code_bytes_per_block(T::kBits), w);
      F scale[2];
      F min[2] = {Ops::set(0.0f), Ops::set(0.0f)};
      load_scales<T>(part, b, scale, min);
      const F zero_point = Ops::set(static_cast<float>(T::kZeroPoint));
      for (size_t q = 0; q < 8; ++q) {
        for (size_t i = 0; i < 4; ++i) {
          const F code = Ops::template byte_to_float<T::kSigned>(w[q], i);
          F weight = Ops::mul(scale[q / 4], Ops::sub(code, zero_point));
          if constexpr (T::kMin) weight = Ops::sub(weight, min[q / 4]);
          OMG_UNROLL
          for (size_t n = 0; n < N; ++n) {
            sums[n] = Ops::fma(weight, Ops::set(x[n * stride + 32 * b + 4 * q + i]), sums[n]);
          }
        }
      }
    }
  }

  static OMG_INLINE void write(const F* sums, size_t n, size_t rows, float* out,
                               size_t out_stride) {
    OMG_UNROLL
    for (size_t i = 0; i < n; ++i) {
      if (rows >= kRows) {
        Ops::store(out + i * out_stride, sums[i]);
      } else {
        float buffer[kRows];
        Ops::store(buffer, sums[i]);
        std::memcpy(out + i * out_stride, buffer, rows * sizeof(float));
      }
    }
  }

  /// Where a product works: tokens [token, token + N), rows [row, row + kRows) of which `rows`
  /// exist.
  struct Place {
    const ActivationsView& x;
    size_t token;
    float* out;  // of the first token and row
    size_t out_stride;
    size_t rows;
  };

  template <class T>
  struct QuantizedTile {
    static constexpr size_t kMaxTokens = Ops::kTileTokens;
    PanelSections sections;
    size_t blocks;
    size_t panel_stride;  // in bytes
    QuantizedTile(const PackedMatrix& matrix)
        : sections(panel_sections(code_info(matrix.type), matrix.columns)),
          blocks(matrix.columns / kActivationBlock),
          panel_stride(matrix.panel_stride_bytes) {}
    template <size_t N>
    void run(const std::byte* panel, size_t p, const Place& place) const {
      F sums[N];
      tile_int8<T, N>(part_of<T>(panel, sections, p), blocks, place.x.quant_row(place.token),
                      place.x.block_stride, panel_stride, sums);
      write(sums, N, place.rows, place.out, place.out_stride);
    }
  };

  template <class T>
  struct ExactTile : QuantizedTile<T> {
    using QuantizedTile<T>::QuantizedTile;
    template <size_t N>
    void run(const std::byte* panel, size_t p, const Place& place) const {
      F sums[N];
      tile_float<T, N>(part_of<T>(panel, this->sections, p), this->blocks, place.x.row(place.token),
                       place.x.stride, sums);
      write(sums, N, place.rows, place.out, place.out_stride);
    }
  };

  /// Tokens worked on before going to the next panel: their activations (2 bytes a column in int8,
  /// 4 in float) should stay in a second-level cache of 1 MiB with room for the weights.
  static constexpr size_t kGroupBytes = 384 * 1024;
  static size_t group_tokens(size_t columns, size_t bytes_per_column) {
    return std::max<size_t>(1, kGroupBytes / (columns * bytes_per_column + 1) / 24) * 24;
  }

  template <class Tile>
  static void run_tiles(const Tile& tile, const PackedMatrix& matrix, const ActivationsView& x,
                        float* out, size_t out_stride, size_t panel_begin, size_t panel_end) {
    const size_t group = group_tokens(matrix.columns, 2);
    for (size_t first = 0; first < x.tokens; first += group) {
      const size_t last = std::min(first + group, x.tokens);
      for (size_t panel = panel_begin; panel < panel_end; ++panel) {
        const std::byte* data = matrix.data.data() + panel * matrix.panel_stride_bytes;
        for (size_t p = 0; p < kParts; ++p) {
          const size_t row = panel * kPanelRows + p * kRows;
          if (row >= matrix.rows) break;
          Place place{x, first, out + first * out_stride + row, out_stride, matrix.rows - row};
          while (place.token < last) {
            const size_t done = run_some(tile, data, p, place, last - place.token);
            place.token += done;
            place.out += done * out_stride;
          }
        }
      }
    }
  }

  /// The largest tile that fits `tokens`; returns how many it took.
  template <class Tile>
  static OMG_INLINE size_t run_some(const Tile& tile, const std::byte* panel, size_t p,
                                    const Place& place, size_t tokens) {
    if constexpr (Tile::kMaxTokens >= 12) {
      if (tokens >= 12) return tile.template run<12>(panel, p, place), 12;
    }
    if constexpr (Tile::kMaxTokens >= 8) {
      if (tokens >= 8) return tile.template run<8>(panel, p, place), 8;
    }
    if (tokens >= 4) return tile.template run<4>(panel, p, place), 4;
    if (tokens >= 2) return tile.template run<2>(panel, p, place), 2;
    return tile.template run<1>(panel, p, place), 1;
  }

  template <class T>
  static void run_quantized(const PackedMatrix& matrix, const ActivationsView& x,
                            ActivationForm form, float* out, size_t out_stride, size_t panel_begin,
                            size_t panel_end) {
    if (form == ActivationForm::kInt8) {
      // With kOwnInt8 the unit has other code for these, and does not come here.
      if constexpr (!Ops::kOwnInt8) {
        run_tiles(QuantizedTile<T>(matrix), matrix, x, out, out_stride, panel_begin, panel_end);
      }
    } else {
      run_tiles(ExactTile<T>(matrix), matrix, x, out, out_stride, panel_begin, panel_end);
    }
  }

  static void matmul(const PackedMatrix& matrix, const ActivationsView& x, ActivationForm form,
                     float* out, size_t out_stride, size_t begin, size_t end) {
    using K = ScaleKind;
    switch (matrix.type) {
      case WeightType::kF32:
        return FloatCode::run<WeightType::kF32>(matrix, x, out, out_stride, begin, end);
      case WeightType::kF16:
        return FloatCode::run<WeightType::kF16>(matrix, x, out, out_stride, begin, end);
      case WeightType::kBF16:
        return FloatCode::run<WeightType::kBF16>(matrix, x, out, out_stride, begin, end);
#define OMG_TYPE(name, ...) \
  case WeightType::name:    \
    return run_quantized<Codec<__VA_ARGS__>>(matrix, x, form, out, out_stride, begin, end);
        OMG_QUANTIZED_TYPES(OMG_TYPE)
#undef OMG_TYPE
    }
  }

  static void quantize_activations(const ActivationsView& x, size_t token_begin, size_t token_end) {
    for (size_t token = token_begin; token < token_end; ++token) {
      const float* row = x.row(token);
      ActivationBlock* blocks = x.quant_row(token);
      for (size_t b = 0; b < x.blocks; ++b) {
        const size_t count = std::min(kActivationBlock, x.columns - b * kActivationBlock);
        if (count == kActivationBlock) {
          quantize_block(row + b * kActivationBlock, blocks[b]);
        } else {
          float padded[kActivationBlock] = {};
          std::memcpy(padded, row + b * kActivationBlock, count * sizeof(float));
          quantize_block(padded, blocks[b]);
        }
      }
    }
  }

  static OMG_INLINE void quantize_block(const float* x, ActivationBlock& block) {
    const float largest = Ops::largest_magnitude(x);
    const bool is_finite = largest <= std::numeric_limits<float>::max();
    const bool is_zero = !(largest >= 1e-30f) || !is_finite;
    const float scale =
        is_finite ? (is_zero ? 0.0f : largest / 127.0f) : std::numeric_limits<float>::quiet_NaN();
    int32_t sums[2];
    Ops::round_to_int8(x, is_zero ? 0.0f : 127.0f / largest, block.quants, sums);
    // Zero times infinity is converted to the least integer, whose negative there is not.
    if (!is_finite) sums[0] = sums[1] = 0;
    block.scale = scale;
    block.minus_sum = -sums[0] - sums[1];
    block.scaled_sum = scale * static_cast<float>(sums[0] + sums[1]);
    for (size_t h = 0; h < 2; ++h) {
      block.minus_half_sums[h] = -sums[h];
      block.scaled_half_sums[h] = scale * static_cast<float>(sums[h]);
    }
    block.unused = 0;
  }
};
