// SPDX-License-Identifier: Apache-2.0
//
// Products of quantised weights with int8 activations on Armv8 with I8MM, for four tokens and more.
// smmla multiplies two rows of 8 columns with two tokens: 32 products, twice as many as sdot. What
// it wants is not what a panel has (quads of 4 columns of 4 rows): two quads have to be zipped, and
// the activations of two tokens. Done for each tile of 4 rows that would eat up the gain (36
// instructions instead of 32 for 4 rows x 4 tokens x 32 columns). So a panel is decoded and zipped
// once for all tokens of a group, 256 columns at a time, and a tile is 8 rows x 4 tokens: 32 smmla,
// 16 loads of weights and 16 loads and zips of activations a block, where sdot takes 64.
//
// Sums stay as smmla makes them, [row 0 token 0, row 0 token 1, row 1 token 0, row 1 token 1], and
// scales are laid out to fit. Every sum takes the steps of matmul-inl.h in their order, so that the
// tokens that remain behind the last four can go there: equal to the bit.
// Included behind matmul-inl.h.

/// Up to 256 columns of a panel's 16 rows as smmla reads them.
template <class T>
struct PairSlab {
  using V = Ops::V;
  using F = Ops::F;
  static constexpr size_t kBlocks = 8;
  static constexpr size_t kHalves = T::kHalves ? 2 : 1;
  static constexpr size_t kPairs = kPanelRows / 2;
  static constexpr bool kHasOffset = T::kZeroPoint != 0 || T::kMin;
  struct Block {
    V codes[4][kPairs];  // [8 columns][two rows]
    F scales[kHalves][kPairs];
    F offsets[kHalves][kPairs];  // zero point and minimum
  };
  Block blocks[kBlocks];

  [[gnu::noinline]] void decode(const std::byte* panel, const PanelSections& sections, size_t first,
                                size_t count) {
    for (size_t b = 0; b < count; ++b) {
      for (size_t p = 0; p < MatmulCode::kParts; ++p) {
        decode_part(MatmulCode::part_of<T>(panel, sections, p), first + b, p, blocks[b]);
      }
    }
  }

 private:
  static OMG_INLINE void decode_part(const MatmulCode::Part& part, size_t index, size_t p,
                                     Block& block) {
    const uint8_t* codes = part.codes + index * code_bytes_per_block(T::kBits);
    Ops::prefetch(codes + MatmulCode::kPrefetchBytes);
    V w[8];
    MatmulCode::decode<T>(codes, w);
    OMG_UNROLL
    for (size_t j = 0; j < 4; ++j) {
      const uint32x4_t left = vreinterpretq_u32_u8(w[2 * j]);
      const uint32x4_t right = vreinterpretq_u32_u8(w[2 * j + 1]);
      block.codes[j][2 * p] = vreinterpretq_u8_u32(vzip1q_u32(left, right));
      block.codes[j][2 * p + 1] = vreinterpretq_u8_u32(vzip2q_u32(left, right));
    }
    F scale[2];
    F offset[2] = {Ops::set(0.0f), Ops::set(0.0f)};
    MatmulCode::load_scales<T>(part, index, scale, offset);
    for (size_t h = 0; h < kHalves; ++h) {
      if constexpr (T::kZeroPoint != 0) {
        offset[h] = Ops::fma(scale[h], Ops::set(static_cast<float>(T::kZeroPoint)), offset[h]);
      }
      block.scales[h][2 * p] = vzip1q_f32(scale[h], scale[h]);
      block.scales[h][2 * p + 1] = vzip2q_f32(scale[h], scale[h]);
      block.offsets[h][2 * p] = vzip1q_f32(offset[h], offset[h]);
      block.offsets[h][2 * p + 1] = vzip2q_f32(offset[h], offset[h]);
    }
  }
};

struct PairCode {
  using V = Ops::V;
  using F = Ops::F;
  static constexpr size_t kTokens = 4;  // of a tile
  static constexpr size_t kTilePairs = 4;
  static constexpr size_t kTiles = kPanelRows / 2 / kTilePairs;
  /// Tokens whose sums of a panel are kept at hand: 64 bytes each.
  static constexpr size_t kMaxGroup = 384;

  /// Of two tokens and 8 rows.
  struct Sums {
    F of[kTokens / 2][kTilePairs];
  };

  static OMG_INLINE F two_floats(float a, float b) {
    const float32x2_t two = {a, b};
    return vcombine_f32(two, two);
  }

  /// Four tokens, whose first block is `x`, times rows [8 tile, 8 tile + 8) of a slab.
  template <class T>
  [[gnu::noinline]] static void run_tile(const PairSlab<T>& slab, size_t count, size_t tile,
                                         const ActivationBlock* x, size_t stride, Sums& sums) {
    Sums total = sums;
    for (size_t b = 0; b < count; ++b) {
      const auto& block = slab.blocks[b];
      const ActivationBlock* tokens[kTokens] = {x + b, x + stride + b, x + 2 * stride + b,
                                                x + 3 * stride + b};
      OMG_UNROLL
      for (size_t h = 0; h < PairSlab<T>::kHalves; ++h) {
        int32x4_t dots[kTokens / 2][kTilePairs];
        OMG_UNROLL
        for (size_t n = 0; n < kTokens / 2; ++n) {
          for (size_t r = 0; r < kTilePairs; ++r) dots[n][r] = vdupq_n_s32(0);
        }
        constexpr size_t kSixteens = T::kHalves ? 1 : 2;
        OMG_UNROLL
        for (size_t s = h; s < h + kSixteens; ++s) {
          add_products(block.codes[2 * s] + tile * kTilePairs,
                       block.codes[2 * s + 1] + tile * kTilePairs, tokens, 16 * s, dots);
        }
        OMG_UNROLL
        for (size_t n = 0; n < kTokens / 2; ++n) {
          const ActivationBlock* two = tokens[2 * n];
          const ActivationBlock* other = tokens[2 * n + 1];
          const F scale = two_floats(two->scale, other->scale);
          const F sum = T::kHalves
                            ? two_floats(two->scaled_half_sums[h], other->scaled_half_sums[h])
                            : two_floats(two->scaled_sum, other->scaled_sum);
          OMG_UNROLL
          for (size_t r = 0; r < kTilePairs; ++r) {
            F& row = total.of[n][r];
            row = Ops::fma(vcvtq_f32_s32(dots[n][r]),
                           Ops::mul(block.scales[h][tile * kTilePairs + r], scale), row);
            if constexpr (PairSlab<T>::kHasOffset) {
              row = Ops::fnma(block.offsets[h][tile * kTilePairs + r], sum, row);
            }
          }
        }
      }
    }
    sums = total;
  }

  /// Sixteen columns from `first` on: 8 of them are in each of `left` and `right`.
  static OMG_INLINE void add_products(const V* left, const V* right,
                                      const ActivationBlock* const* tokens, size_t first,
                                      int32x4_t (*dots)[kTilePairs]) {
    OMG_UNROLL
    for (size_t n = 0; n < kTokens / 2; ++n) {
      const int64x2_t one = vreinterpretq_s64_s8(vld1q_s8(tokens[2 * n]->quants + first));
      const int64x2_t two = vreinterpretq_s64_s8(vld1q_s8(tokens[2 * n + 1]->quants + first));
      const int8x16_t low = vreinterpretq_s8_s64(vzip1q_s64(one, two));
      const int8x16_t high = vreinterpretq_s8_s64(vzip2q_s64(one, two));
      OMG_UNROLL
      for (size_t r = 0; r < kTilePairs; ++r) {
        dots[n][r] = vmmlaq_s32(dots[n][r], vreinterpretq_s8_u8(left[r]), low);
        dots[n][r] = vmmlaq_s32(dots[n][r], vreinterpretq_s8_u8(right[r]), high);
      }
    }
  }

  /// Out of smmla's order: `rows` rows of four tokens.
  static void write(const Sums* tiles, size_t rows, float* out, size_t out_stride) {
    for (size_t n = 0; n < kTokens / 2; ++n) {
      float values[2][kPanelRows];
      for (size_t tile = 0; tile < kTiles; ++tile) {
        for (size_t r = 0; r < kTilePairs; r += 2) {
          const F first = tiles[tile].of[n][r];
          const F second = tiles[tile].of[n][r + 1];
          const size_t row = 2 * (tile * kTilePairs + r);
          vst1q_f32(values[0] + row, vuzp1q_f32(first, second));
          vst1q_f32(values[1] + row, vuzp2q_f32(first, second));
        }
      }
      std::memcpy(out + 2 * n * out_stride, values[0], rows * sizeof(float));
      std::memcpy(out + (2 * n + 1) * out_stride, values[1], rows * sizeof(float));
    }
  }

  /// x.tokens is a multiple of four.
  template <class T>
  static void multiply(const PackedMatrix& matrix, const ActivationsView& x, float* out,
                       size_t out_stride, size_t panel_begin, size_t panel_end) {
    const PanelSections sections = panel_sections(code_info(matrix.type), matrix.columns);
    const size_t blocks = matrix.columns / kActivationBlock;
    const size_t group = std::min(kMaxGroup, MatmulCode::group_tokens(matrix.columns, 2));
    PairSlab<T> slab;
    Sums sums[kMaxGroup / kTokens][kTiles];
    for (size_t first = 0; first < x.tokens; first += group) {
      const size_t fours = std::min(group, x.tokens - first) / kTokens;
      for (size_t panel = panel_begin; panel < panel_end; ++panel) {
        const std::byte* data = matrix.data.data() + panel * matrix.panel_stride_bytes;
        std::memset(sums, 0, fours * sizeof sums[0]);
        for (size_t b = 0; b < blocks; b += slab.kBlocks) {
          const size_t count = std::min(slab.kBlocks, blocks - b);
          slab.decode(data, sections, b, count);
          for (size_t t = 0; t < fours; ++t) {
            const ActivationBlock* tokens = x.quant_row(first + kTokens * t) + b;
            for (size_t tile = 0; tile < kTiles; ++tile) {
              run_tile(slab, count, tile, tokens, x.block_stride, sums[t][tile]);
            }
          }
        }
        const size_t row = panel * kPanelRows;
        for (size_t t = 0; t < fours; ++t) {
          write(sums[t], std::min(kPanelRows, matrix.rows - row),
                out + (first + kTokens * t) * out_stride + row, out_stride);
        }
      }
    }
  }

  static void multiply_fours(const PackedMatrix& matrix, const ActivationsView& x, float* out,
                             size_t out_stride, size_t begin, size_t end) {
    using K = ScaleKind;
    switch (matrix.type) {
#define OMG_TYPE(name, ...) \
  case WeightType::name:    \
    return multiply<Codec<__VA_ARGS__>>(matrix, x, out, out_stride, begin, end);
      OMG_QUANTIZED_TYPES(OMG_TYPE)
#undef OMG_TYPE
      default:
        return;
    }
  }

  static void matmul(const PackedMatrix& matrix, const ActivationsView& x, ActivationForm form,
                     float* out, size_t out_stride, size_t begin, size_t end) {
    size_t done = 0;
    if (form == ActivationForm::kInt8) {
      done = x.tokens / kTokens * kTokens;
      if (done > 0) multiply_fours(matrix, x.slice(0, done), out, out_stride, begin, end);
    }
    if (done == x.tokens) return;
    MatmulCode::matmul(matrix, x.slice(done, x.tokens - done), form, out + done * out_stride,
                       out_stride, begin, end);
  }
};
