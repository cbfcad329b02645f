// SPDX-License-Identifier: Apache-2.0
//
// Products of quantised weights with int8 activations in AVX2, for every batch size. Without VNNI
// a product of 32 bytes is vpmaddubsw (ports 0 and 1) and vpaddw (0, 1, 5), so three ports bound it
// to 1.5 products a cycle, and everything else has to be kept away from them:
//
// - 16-bit sums run over as many quads as fit: a "run". 15 * 127 * 2 * 8 < 32767: all of a block
//   for 4 bits, half of it for 5, a quarter for 6. Codes of 8 bits are two nibbles: two runs. (To
//   move the signs to the activations and to widen each product costs as many instructions, three
//   of them on two ports.)
// - What ends a run is vpmaddwd. It can multiply with a K-quant's sub-scale as well as with 1.
// - A panel is decoded once for all tokens of a group, 256 columns at a time, to bytes in L1.
// - A tile is 16 rows x 6 tokens: 12 runs, 2 registers of codes, a broadcast and a product fill 16
//   registers, and a broadcast serves two products. Sums are in memory between blocks.
// - Zero points and minima are a small product of floats of their own after each 256 columns.
//
// A token's result is made by the same operations in the same order in tiles of all sizes.
// Included behind matmul-inl.h.

/// How the products of a block are summed.
template <size_t Run, size_t Runs, bool Split, bool Integer>
struct Shape {
  static constexpr size_t kRun = Run;    // products summed in 16 bits
  static constexpr size_t kRuns = Runs;  // of a block
  static constexpr size_t kProducts = Run * Runs;
  static constexpr bool kSplit = Split;      // codes of 8 bits as low and high nibbles
  static constexpr bool kInteger = Integer;  // sub-scales are integers and multiply the runs
};

template <class T>
constexpr size_t run_length() {
  constexpr int kLargest = T::kMaxCode > 127 ? 15 : T::kMaxCode;
  constexpr int kFit = 32767 / (2 * 127 * kLargest);
  if (T::kHalves) return kFit >= 4 ? 4 : 2;
  return kFit >= 8 ? 8 : (kFit >= 4 ? 4 : 2);
}

template <class T>
using ShapeOf = Shape<run_length<T>(), (T::kMaxCode > 127 ? 16 : 8) / run_length<T>(),
                      (T::kMaxCode > 127), T::kSuper>;

/// Up to 256 columns of a panel's 16 rows, ready to be multiplied. Of each pair, [0] is of rows 0
/// to 7 and [1] of rows 8 to 15.
template <class S>
struct Slab {
  static constexpr size_t kBlocks = 8;
  using V = Ops::V;
  using F = Ops::F;
  struct Block {
    V codes[S::kProducts][2];
    V factors[S::kInteger ? S::kRuns : 1][2];  // sub-scales, twice 16 bits for each row
    F scales[2];                               // where they are floats
  };
  Block blocks[kBlocks];
  F offsets[kBlocks][2][2];  // [block][half][part]: zero point and minimum as a float
  F super[2];                // d, where sub-scales are integers
};

/// Fills slabs of one type.
template <class T>
struct SlabDecoder {
  using S = ShapeOf<T>;
  using V = Ops::V;
  using F = Ops::F;

  [[gnu::noinline]] static void decode(const std::byte* panel, const PanelSections& sections,
                                       size_t first, size_t count, Slab<S>& slab) {
    for (size_t p = 0; p < 2; ++p) slab.super[p] = super_scale(panel, sections, p, first);
    for (size_t b = 0; b < count; ++b) {
      OMG_UNROLL
      for (size_t p = 0; p < 2; ++p) {
        const auto part = MatmulCode::part_of<T>(panel, sections, p);
        prefetch(part, first + b, p);
        auto& block = slab.blocks[b];
        V codes[S::kProducts];
        decode_codes(part, first + b, codes);
        OMG_UNROLL
        for (size_t k = 0; k < S::kProducts; ++k) block.codes[k][p] = codes[k];
        if constexpr (S::kInteger) {
          for (size_t r = 0; r < S::kRuns; ++r) block.factors[r][p] = factor(part, first + b, r);
        }
        F offsets[2];
        block.scales[p] = scale_and_offsets(part, first + b, offsets);
        slab.offsets[b][0][p] = offsets[0];
        slab.offsets[b][1][p] = offsets[1];
      }
    }
  }

  /// The next lines of codes; part 0 those of the first half of a block, part 1 the others.
  static OMG_INLINE void prefetch(const MatmulCode::Part& part, size_t index, size_t p) {
    const uint8_t* ahead =
        part.codes + index * code_bytes_per_block(T::kBits) + MatmulCode::kPrefetchBytes;
    OMG_UNROLL
    for (size_t line = p; line < T::kBits; line += 2) {
      _mm_prefetch(reinterpret_cast<const char*>(ahead + 64 * line), _MM_HINT_T0);
    }
  }

  static OMG_INLINE void decode_codes(const MatmulCode::Part& part, size_t index,
                                      V codes[S::kProducts]) {
    MatmulCode::decode<T>(part.codes + index * code_bytes_per_block(T::kBits), codes);
    if constexpr (S::kSplit) {
      OMG_UNROLL
      for (size_t q = 0; q < 8; ++q) {
        codes[q + 8] = Ops::bits_and(Ops::right<4>(codes[q]), Ops::bytes(15));
        codes[q] = Ops::bits_and(codes[q], Ops::bytes(15));
      }
    }
  }

  /// What run r of a block is multiplied with: its sub-scales, or what makes up for the split.
  static OMG_INLINE V factor(const MatmulCode::Part& part, size_t index, size_t r) {
    if constexpr (!S::kInteger) return _mm256_set1_epi16(S::kSplit && r == 1 ? 16 : 1);
    const std::byte* scales = part.scales + index * scale_bytes_per_block(T::kKind);
    const bool is_second = T::kHalves && r >= S::kRuns / 2;
    const V sub_scales = twice(scales + (is_second ? 16 : 0));
    return S::kSplit && r == 1 ? _mm256_slli_epi16(sub_scales, 4) : sub_scales;
  }

  /// d of a super-block, where sub-scales are integers.
  static OMG_INLINE F super_scale(const std::byte* panel, const PanelSections& sections, size_t p,
                                  size_t index) {
    if constexpr (!S::kInteger) return Ops::set(1.0f);
    const auto part = MatmulCode::part_of<T>(panel, sections, p);
    return Ops::load_f16(part.super + index / 8 * super_bytes(T::kKind));
  }

  static OMG_INLINE F scale_and_offsets(const MatmulCode::Part& part, size_t index, F offset[2]) {
    F scale[2];
    offset[0] = offset[1] = Ops::set(0.0f);
    MatmulCode::load_scales<T>(part, index, scale, offset);
    if constexpr (T::kZeroPoint != 0) {
      const F zero_point = Ops::set(static_cast<float>(T::kZeroPoint));
      for (size_t h = 0; h < 2; ++h) offset[h] = Ops::fma(scale[h], zero_point, offset[h]);
    }
    return scale[0];
  }

  /// Eight signed bytes, each to two equal lanes of 16 bits.
  static OMG_INLINE V twice(const std::byte* p) {
    int64_t eight;
    std::memcpy(&eight, p, 8);
    const V to_high = _mm256_setr_epi8(-1, 0, -1, 0, -1, 1, -1, 1, -1, 2, -1, 2, -1, 3, -1, 3,  //
                                       -1, 4, -1, 4, -1, 5, -1, 5, -1, 6, -1, 6, -1, 7, -1, 7);
    return _mm256_srai_epi16(_mm256_shuffle_epi8(_mm256_set1_epi64x(eight), to_high), 8);
  }
};

/// One token times up to 256 columns straight from the panel: what is decoded for one token only
/// need not be stored. The same operations as SlabTile's.
template <class T>
struct OneToken {
  using S = ShapeOf<T>;
  using D = SlabDecoder<T>;
  using V = Ops::V;
  using F = Ops::F;

  [[gnu::noinline]] static void run(const std::byte* panel, const PanelSections& sections,
                                    size_t first, size_t count, const ActivationBlock* x,
                                    F sums[2]) {
    F products[2] = {Ops::set(0.0f), Ops::set(0.0f)};
    if constexpr (!S::kInteger) products[0] = sums[0], products[1] = sums[1];
    F offsets[Slab<S>::kBlocks][2][2];  // [block][part][half]
    for (size_t b = 0; b < count; ++b) {
      OMG_UNROLL
      for (size_t p = 0; p < 2; ++p) {
        const auto part = MatmulCode::part_of<T>(panel, sections, p);
        D::prefetch(part, first + b, p);
        const F scale = D::scale_and_offsets(part, first + b, offsets[b][p]);
        F product = Ops::to_float(dot(part, first + b, x[b].quants));
        if constexpr (!S::kInteger) product = Ops::mul(product, scale);
        products[p] = Ops::fma(product, Ops::set(x[b].scale), products[p]);
      }
    }
    OMG_UNROLL
    for (size_t p = 0; p < 2; ++p) {
      F total = products[p];
      if constexpr (S::kInteger) {
        total = Ops::fma(products[p], D::super_scale(panel, sections, p, first), sums[p]);
      }
      for (size_t b = 0; b < count; ++b) {
        if constexpr (T::kHalves) {
          total = Ops::fnma(Ops::set(x[b].scaled_half_sums[0]), offsets[b][p][0], total);
          total = Ops::fnma(Ops::set(x[b].scaled_half_sums[1]), offsets[b][p][1], total);
        } else {
          total = Ops::fnma(Ops::set(x[b].scaled_sum), offsets[b][p][0], total);
        }
      }
      sums[p] = total;
    }
  }

 private:
  static OMG_INLINE V dot(const MatmulCode::Part& part, size_t index, const int8_t* x) {
    V codes[S::kProducts];
    D::decode_codes(part, index, codes);
    V sum;
    OMG_UNROLL
    for (size_t r = 0; r < S::kRuns; ++r) {
      V run;
      OMG_UNROLL
      for (size_t k = 0; k < S::kRun; ++k) {
        int32_t four;
        std::memcpy(&four, x + 4 * ((r * S::kRun + k) % 8), 4);
        const V product = _mm256_maddubs_epi16(codes[r * S::kRun + k], _mm256_set1_epi32(four));
        run = k == 0 ? product : _mm256_add_epi16(run, product);
      }
      const V wide = _mm256_madd_epi16(run, D::factor(part, index, r));
      sum = r == 0 ? wide : _mm256_add_epi32(sum, wide);
    }
    return sum;
  }
};

/// N tokens times a slab.
template <class S, size_t N>
struct SlabTile {
  using V = Ops::V;
  using F = Ops::F;

  /// `x`: the first token's first block. `sums`: what the rows' sums are so far.
  [[gnu::noinline]] static void run(const Slab<S>& slab, size_t count, const ActivationBlock* x,
                                    size_t stride, bool has_halves, F sums[N][2]) {
    F products[N][2];
    F(*into)[2] = S::kInteger ? products : sums;
    if constexpr (S::kInteger) {
      OMG_UNROLL
      for (size_t n = 0; n < N; ++n) products[n][0] = products[n][1] = Ops::set(0.0f);
    }
    for (size_t b = 0; b < count; ++b) multiply(slab.blocks[b], x + b, stride, into);
    add_offsets(slab, count, x, stride, has_halves, products, sums);
  }

 private:
  static OMG_INLINE void multiply(const Slab<S>::Block& block, const ActivationBlock* x,
                                  size_t stride, F (*sums)[2]) {
    const ActivationBlock* tokens[N];
    OMG_UNROLL
    for (size_t n = 0; n < N; ++n) tokens[n] = x + n * stride;
    V wide[S::kRuns == 1 ? 1 : N][2];
    OMG_UNROLL
    for (size_t r = 0; r < S::kRuns; ++r) {
      V run[N][2];
      OMG_UNROLL
      for (size_t k = 0; k < S::kRun; ++k) {
        const size_t quad = (r * S::kRun + k) % 8;
        const V codes[2] = {block.codes[r * S::kRun + k][0], block.codes[r * S::kRun + k][1]};
        OMG_UNROLL
        for (size_t n = 0; n < N; ++n) {
          const auto& four = *reinterpret_cast<const Four*>(tokens[n]->quants + 4 * quad);
          k == 0 ? first_products(four, codes, run[n]) : add_products(four, codes, run[n]);
        }
      }
      OMG_UNROLL
      for (size_t n = 0; n < N; ++n) {
        for (size_t p = 0; p < 2; ++p) {
          const V factor = S::kInteger ? block.factors[S::kInteger ? r : 0][p]
                                       : _mm256_set1_epi16(S::kSplit && r == 1 ? 16 : 1);
          V sum = _mm256_madd_epi16(run[n][p], factor);
          if (r > 0) sum = _mm256_add_epi32(sum, wide[n][p]);
          if (r + 1 < S::kRuns) {
            wide[n][p] = sum;
          } else {
            F product = Ops::to_float(sum);
            if constexpr (!S::kInteger) product = Ops::mul(product, block.scales[p]);
            sums[n][p] = Ops::fma(product, Ops::set(tokens[n]->scale), sums[n][p]);
          }
        }
      }
    }
  }

  using Four [[gnu::may_alias]] = int32_t;
  // As assembler because GCC 12 otherwise keeps sums in memory and loads what it has.
  static OMG_INLINE void first_products(const Four& four, const V codes[2], V run[2]) {
    V x;
    __asm__ volatile(
        "vpbroadcastd %3, %2\n\t"
        "vpmaddubsw %2, %4, %0\n\t"
        "vpmaddubsw %2, %5, %1"
        : "=&x"(run[0]), "=&x"(run[1]), "=&x"(x)
        : "m"(four), "x"(codes[0]), "x"(codes[1]));
  }
  static OMG_INLINE void add_products(const Four& four, const V codes[2], V run[2]) {
    V x;
    V product;
    __asm__ volatile(
        "vpbroadcastd %4, %2\n\t"
        "vpmaddubsw %2, %5, %3\n\t"
        "vpmaddubsw %2, %6, %2\n\t"
        "vpaddw %3, %0, %0\n\t"
        "vpaddw %2, %1, %1"
        : "+x"(run[0]), "+x"(run[1]), "=&x"(x), "=&x"(product)
        : "m"(four), "x"(codes[0]), "x"(codes[1]));
  }

  static OMG_INLINE void add_offsets(const Slab<S>& slab, size_t count, const ActivationBlock* x,
                                     size_t stride, bool has_halves, const F (*products)[2],
                                     F (*sums)[2]) {
    F total[N][2];
    OMG_UNROLL
    for (size_t n = 0; n < N; ++n) {
      for (size_t p = 0; p < 2; ++p) {
        total[n][p] =
            S::kInteger ? Ops::fma(products[n][p], slab.super[p], sums[n][p]) : sums[n][p];
      }
    }
    if (has_halves) {
      for (size_t b = 0; b < count; ++b) {
        for (size_t h = 0; h < 2; ++h) {
          OMG_UNROLL
          for (size_t n = 0; n < N; ++n) {
            const F sum = Ops::set(x[n * stride + b].scaled_half_sums[h]);
            total[n][0] = Ops::fnma(sum, slab.offsets[b][h][0], total[n][0]);
            total[n][1] = Ops::fnma(sum, slab.offsets[b][h][1], total[n][1]);
          }
        }
      }
    } else {
      for (size_t b = 0; b < count; ++b) {
        OMG_UNROLL
        for (size_t n = 0; n < N; ++n) {
          const F sum = Ops::set(x[n * stride + b].scaled_sum);
          total[n][0] = Ops::fnma(sum, slab.offsets[b][0][0], total[n][0]);
          total[n][1] = Ops::fnma(sum, slab.offsets[b][0][1], total[n][1]);
        }
      }
    }
    OMG_UNROLL
    for (size_t n = 0; n < N; ++n) {
      sums[n][0] = total[n][0];
      sums[n][1] = total[n][1];
    }
  }
};

struct Int8Code {
  using F = Ops::F;
  static constexpr size_t kTileTokens = 6;
  /// Tokens whose sums of a panel are kept at hand: 64 bytes each.
  static constexpr size_t kMaxGroup = 384;

  /// The tiles of one slab: as few as can be, of as equal sizes as can be.
  template <class S>
  static void run_tiles(const Slab<S>& slab, size_t count, const ActivationBlock* x, size_t stride,
                        bool has_halves, size_t tokens, F (*sums)[2]) {
    size_t tiles = (tokens + kTileTokens - 1) / kTileTokens;
    for (; tiles > 0; --tiles) {
      const size_t n = (tokens + tiles - 1) / tiles;
      switch (n) {
        case 6:
          SlabTile<S, 6>::run(slab, count, x, stride, has_halves, sums);
          break;
        case 5:
          SlabTile<S, 5>::run(slab, count, x, stride, has_halves, sums);
          break;
        case 4:
          SlabTile<S, 4>::run(slab, count, x, stride, has_halves, sums);
          break;
        case 3:
          SlabTile<S, 3>::run(slab, count, x, stride, has_halves, sums);
          break;
        case 2:
          SlabTile<S, 2>::run(slab, count, x, stride, has_halves, sums);
          break;
        default:
          SlabTile<S, 1>::run(slab, count, x, stride, has_halves, sums);
          break;
      }
      x += n * stride;
      sums += n;
      tokens -= n;
    }
  }

  template <class T>
  static void multiply(const PackedMatrix& matrix, const ActivationsView& x, float* out,
                       size_t out_stride, size_t panel_begin, size_t panel_end) {
    using S = ShapeOf<T>;
    const PanelSections sections = panel_sections(code_info(matrix.type), matrix.columns);
    const size_t blocks = matrix.columns / kActivationBlock;
    const size_t group = std::min(kMaxGroup, MatmulCode::group_tokens(matrix.columns, 2));
    Slab<S> slab;
    F sums[kMaxGroup][2];
    for (size_t first = 0; first < x.tokens; first += group) {
      const size_t tokens = std::min(group, x.tokens - first);
      for (size_t panel = panel_begin; panel < panel_end; ++panel) {
        const std::byte* data = matrix.data.data() + panel * matrix.panel_stride_bytes;
        for (size_t t = 0; t < tokens; ++t) sums[t][0] = sums[t][1] = Ops::set(0.0f);
        for (size_t b = 0; b < blocks; b += Slab<S>::kBlocks) {
          const size_t count = std::min(Slab<S>::kBlocks, blocks - b);
          if (tokens == 1) {
            OneToken<T>::run(data, sections, b, count, x.quant_row(first) + b, sums[0]);
            continue;
          }
          SlabDecoder<T>::decode(data, sections, b, count, slab);
          run_tiles(slab, count, x.quant_row(first) + b, x.block_stride, T::kHalves, tokens, sums);
        }
        const size_t row = panel * kPanelRows;
        const size_t rows = std::min(kPanelRows, matrix.rows - row);
        float* to = out + first * out_stride + row;
        for (size_t t = 0; t < tokens; ++t) {
          std::memcpy(to + t * out_stride, sums[t], rows * sizeof(float));
        }
      }
    }
  }

  static void matmul(const PackedMatrix& matrix, const ActivationsView& x, ActivationForm form,
                     float* out, size_t out_stride, size_t begin, size_t end) {
    if (form == ActivationForm::kFloat) {
      return MatmulCode::matmul(matrix, x, form, out, out_stride, begin, end);
    }
    using K = ScaleKind;
    switch (matrix.type) {
#define OMG_TYPE(name, ...) \
  case WeightType::name:    \
    return multiply<Codec<__VA_ARGS__>>(matrix, x, out, out_stride, begin, end);
      OMG_QUANTIZED_TYPES(OMG_TYPE)
#undef OMG_TYPE
      default:
        return MatmulCode::matmul(matrix, x, form, out, out_stride, begin, end);
    }
  }
};
