// SPDX-License-Identifier: Apache-2.0
//
// Products of many tokens in int8 for AVX-512: prompts, and users by the dozen. Codes of two panels
// are taken apart to memory once for all tokens, 512 columns at a time (20 KiB, for the first-level
// cache), and multiplied in tiles of 2 panels x 6 tokens: each broadcast of activations serves two
// panels, and 12 dot products are in the making (their latency of 5, two begun in each cycle, wants
// 10). In matmul-inl.h's tile of 1 panel x 12 tokens every dot product loads an operand, which
// leaves the load ports no time for what comes from the second-level cache.
//
// What is added to a sum, and in which order, is the same as there.
//
// No include guard, no includes of its own.

struct PromptCode : MatmulCode {
  static constexpr size_t kBlocks = 16;  // of 32 columns, taken apart at once
  static constexpr size_t kPanels = 2;

  template <class T>
  static constexpr size_t kScales = T::kHalves ? 2 : 1;

  /// One block of two panels, taken apart.
  template <class T>
  struct alignas(64) WeightBlock {
    uint8_t codes[8][kPanels][kVector];
    /// S of each half, then M where the type has it.
    float scales[kScales<T> * (T::kMin ? 2 : 1)][kPanels][kRows];
  };

  /// Two panels and the results they give. Where there is no second panel, it repeats the first and
  /// is not written.
  template <class T>
  struct PanelPair {
    Part parts[kPanels];
    __mmask16 rows[kPanels];  // that exist

    PanelPair(const PackedMatrix& matrix, const PanelSections& sections, size_t panel,
              size_t panel_end) {
      for (size_t p = 0; p < kPanels; ++p) {
        const size_t own = std::min(panel + p, panel_end - 1);
        parts[p] = part_of<T>(matrix.data.data() + own * matrix.panel_stride_bytes, sections, 0);
        const size_t left = matrix.rows - own * kPanelRows;
        rows[p] = static_cast<__mmask16>(panel + p != own ? 0
                                         : left >= kRows  ? 0xffff
                                                          : (1u << left) - 1);
      }
    }
  };

  /// What comes next from memory, asked for a little at a time while tiles are computed.
  struct Ahead {
    const uint8_t* codes[kPanels];
    size_t lines;  // left, of each panel
    size_t step;   // lines at once

    OMG_INLINE void fetch() {
      if (lines == 0) return;
      for (size_t i = 0; i < step; ++i) {
        _mm_prefetch(reinterpret_cast<const char*>(codes[0] + 64 * i), _MM_HINT_T1);
        _mm_prefetch(reinterpret_cast<const char*>(codes[1] + 64 * i), _MM_HINT_T1);
      }
      codes[0] += 64 * step;
      codes[1] += 64 * step;
      lines -= std::min(lines, step);
    }
  };

  template <class T>
  static OMG_INLINE void take_apart(const PanelPair<T>& pair, size_t first, size_t blocks,
                                    WeightBlock<T>* out) {
    for (size_t p = 0; p < kPanels; ++p) {
      const Part& part = pair.parts[p];
      for (size_t b = 0; b < blocks; ++b) {
        V codes[8];
        decode<T>(part.codes + (first + b) * code_bytes_per_block(T::kBits), codes);
        OMG_UNROLL
        for (size_t q = 0; q < 8; ++q) _mm512_store_si512(out[b].codes[q][p], codes[q]);
        F scale[2];
        F min[2];
        load_scales<T>(part, first + b, scale, min);
        for (size_t h = 0; h < kScales<T>; ++h) {
          _mm512_store_ps(out[b].scales[h][p], scale[h]);
          if constexpr (T::kMin) _mm512_store_ps(out[b].scales[kScales<T> + h][p], min[h]);
        }
      }
    }
  }

  /// What a tile's tokens bring to a block beside their quants, eight lanes of which six are used.
  template <class T>
  struct TokenSums {
    alignas(32) int32_t starts[kScales<T>][8];  // of dot products
    alignas(32) float minus_scaled[kScales<T>][8];

    OMG_INLINE explicit TokenSums(const ActivationTile& x) {
      __m256i sums[2] = {half(x, 0), half(x, 1)};
      if constexpr (!T::kHalves) sums[0] = _mm256_add_epi32(sums[0], sums[1]);
      for (size_t h = 0; h < kScales<T>; ++h) {
        if constexpr (T::kStartsBelow) {
          _mm256_store_si256(reinterpret_cast<__m256i*>(starts[h]),
                             _mm256_slli_epi32(sums[h], T::kZeroShift));
        }
        if constexpr (T::kMin) {
          _mm256_store_ps(minus_scaled[h],
                          _mm256_mul_ps(_mm256_cvtepi32_ps(sums[h]), _mm256_loadu_ps(x.scale)));
        }
      }
    }
    static OMG_INLINE __m256i half(const ActivationTile& x, size_t h) {
      return _mm256_cvtepi16_epi32(
          _mm_loadu_si128(reinterpret_cast<const __m128i*>(x.minus_half_sums[h])));
    }
  };

  static OMG_INLINE V load_here(const uint8_t* p) {
    V value;
    __asm__ volatile("vmovdqa64 %1, %0" : "=v"(value) : "m"(*reinterpret_cast<const V*>(p)));
    return value;
  }

  /// Quads [first, first + Quads) of a block of both panels. Assembler for the order of the loads
  /// and the chains, as in Ops::dots().
  template <class T, size_t Quads, size_t N>
  static OMG_INLINE void dot_quads(const WeightBlock<T>& w, const ActivationTile& x, size_t half,
                                   const TokenSums<T>& sums, V dots[kPanels][N]) {
    OMG_UNROLL
    for (size_t t = 0; t < N; ++t) {
      if constexpr (T::kStartsBelow) {
        __asm__ volatile("vpbroadcastd %1, %0" : "=v"(dots[0][t]) : "m"(sums.starts[half][t]));
        dots[1][t] = dots[0][t];
      } else {
        __asm__ volatile("vpxord %0, %0, %0" : "=v"(dots[0][t]));
        __asm__ volatile("vpxord %0, %0, %0" : "=v"(dots[1][t]));
      }
    }
    OMG_UNROLL
    for (size_t i = 0; i < Quads; ++i) {
      const size_t q = 4 * half + i;
      const V w0 = load_here(w.codes[q][0]);
      const V w1 = load_here(w.codes[q][1]);
      OMG_UNROLL
      for (size_t t = 0; t < N; ++t) {
        V four;
        __asm__ volatile("vpbroadcastd %1, %0" : "=v"(four) : "m"(x.quads[q][t]));
        __asm__ volatile("vpdpbusd %2, %1, %0" : "+v"(dots[0][t]) : "v"(w0), "v"(four));
        __asm__ volatile("vpdpbusd %2, %1, %0" : "+v"(dots[1][t]) : "v"(w1), "v"(four));
      }
    }
  }

  /// Where a tile's results are.
  struct Results {
    float* out;  // of the first token and row
    size_t stride;
    size_t tokens;  // that exist; the lanes of others are computed and not written
    bool is_first;  // nothing has been added up yet

    OMG_INLINE void prefetch() const {
      for (size_t t = 0; t < tokens; ++t) {
        _mm_prefetch(reinterpret_cast<const char*>(out + t * stride), _MM_HINT_T0);
        _mm_prefetch(reinterpret_cast<const char*>(out + t * stride + kPanelRows), _MM_HINT_T0);
      }
    }
  };

  /// Adds the products of some blocks to the results of the first N tokens of a tile.
  template <class T, size_t N>
  static void add_tile(const WeightBlock<T>* weights, const ActivationTile* x, size_t blocks,
                       const PanelPair<T>& pair, const Results& results, Ahead& ahead) {
    F sums[kPanels][N];
    OMG_UNROLL
    for (size_t t = 0; t < N; ++t) {
      sums[0][t] = sums[1][t] = _mm512_setzero_ps();
      if (!results.is_first && t < results.tokens) {
        const float* at = results.out + t * results.stride;
        sums[0][t] = _mm512_maskz_loadu_ps(pair.rows[0], at);
        sums[1][t] = _mm512_maskz_loadu_ps(pair.rows[1], at + kPanelRows);
      }
    }
    for (size_t b = 0; b < blocks; ++b) {
      const WeightBlock<T>& w = weights[b];
      const ActivationTile& tile = x[b];
      const TokenSums<T> token_sums(tile);
      OMG_UNROLL
      for (size_t h = 0; h < kScales<T>; ++h) {
        V dots[kPanels][N];
        dot_quads<T, 8 / kScales<T>, N>(w, tile, h, token_sums, dots);
        const F scale[kPanels] = {_mm512_load_ps(w.scales[h][0]), _mm512_load_ps(w.scales[h][1])};
        OMG_UNROLL
        for (size_t t = 0; t < N; ++t) {
          const F token = Ops::broadcast(&tile.scale[t]);
          OMG_UNROLL
          for (size_t p = 0; p < kPanels; ++p) {
            sums[p][t] = Ops::fma(Ops::to_float(dots[p][t]), Ops::mul(scale[p], token), sums[p][t]);
          }
        }
        if constexpr (T::kMin) {
          const F min[kPanels] = {_mm512_load_ps(w.scales[kScales<T> + h][0]),
                                  _mm512_load_ps(w.scales[kScales<T> + h][1])};
          OMG_UNROLL
          for (size_t t = 0; t < N; ++t) {
            const F token = Ops::broadcast(&token_sums.minus_scaled[h][t]);
            OMG_UNROLL
            for (size_t p = 0; p < kPanels; ++p) sums[p][t] = Ops::fma(min[p], token, sums[p][t]);
          }
        }
      }
      ahead.fetch();
    }
    OMG_UNROLL
    for (size_t t = 0; t < N; ++t) {
      if (t < results.tokens) {
        float* at = results.out + t * results.stride;
        _mm512_mask_storeu_ps(at, pair.rows[0], sums[0][t]);
        _mm512_mask_storeu_ps(at + kPanelRows, pair.rows[1], sums[1][t]);
      }
    }
  }

  /// A product in tiles, the last of which may not be full.
  template <class T>
  struct Product {
    const PackedMatrix& matrix;
    const ActivationsView& x;
    float* out;
    size_t out_stride;
    size_t panel_end;
    PanelSections sections;
    size_t blocks;  // of all columns

    Product(const PackedMatrix& m, const ActivationsView& view, float* results, size_t stride,
            size_t end)
        : matrix(m),
          x(view),
          out(results),
          out_stride(stride),
          panel_end(end),
          sections(panel_sections(code_info(m.type), m.columns)),
          blocks(m.columns / kActivationBlock) {}

    /// Two panels, tiles [tile_begin, tile_end), up to kBlocks blocks from `first` on.
    void run(size_t panel, size_t first, size_t tile_begin, size_t tile_end) const {
      WeightBlock<T> weights[kBlocks];
      const PanelPair<T> pair(matrix, sections, panel, panel_end);
      const size_t count = std::min(kBlocks, blocks - first);
      take_apart<T>(pair, first, count, weights);
      constexpr size_t kCodeBytes = code_bytes_per_block(T::kBits);
      Ahead ahead{{pair.parts[0].codes + (first + count) * kCodeBytes,
                   pair.parts[1].codes + (first + count) * kCodeBytes},
                  std::min(kBlocks, blocks - first - count) * kCodeBytes / 64,
                  T::kBits / std::min<size_t>(T::kBits, tile_end - tile_begin)};
      Results results = at(panel, tile_begin, first);
      results.prefetch();
      for (size_t tile = tile_begin; tile < tile_end; ++tile) {
        const Results next = at(panel, std::min(tile + 1, tile_end - 1), first);
        next.prefetch();
        const ActivationTile* activations = x.tile_row(tile) + first;
        if (results.tokens > 4) {
          add_tile<T, 6>(weights, activations, count, pair, results, ahead);
        } else {
          add_tile<T, 4>(weights, activations, count, pair, results, ahead);
        }
        results = next;
      }
    }
    Results at(size_t panel, size_t tile, size_t first_block) const {
      const size_t token = tile * kTileTokens;
      return {out + token * out_stride + panel * kPanelRows, out_stride,
              std::min(kTileTokens, x.tokens - token), first_block == 0};
    }
  };

  /// Tiles whose activations in 16 blocks (4 KiB each) stay in the second-level cache (1 MiB),
  /// beside their results for some panels (8 panels of 504 tokens: 252 KiB).
  static constexpr size_t kMostTiles = 96;
  static constexpr size_t kMostPanels = 8;
  /// With up to so many blocks of tiles (256 KiB) all columns stay there, and each panel is read as
  /// one stream.
  static constexpr size_t kFewBlocks = 1024;

  template <class T>
  static void run_prompt(const PackedMatrix& matrix, const ActivationsView& x, float* out,
                         size_t out_stride, size_t panel_begin, size_t panel_end) {
    const Product<T> product(matrix, x, out, out_stride, panel_end);
    const size_t tiles = (x.tokens + kTileTokens - 1) / kTileTokens;
    const size_t most_panels = tiles * product.blocks <= kFewBlocks ? kPanels : kMostPanels;
    for (size_t tile = 0; tile < tiles; tile += kMostTiles) {
      const size_t last_tile = std::min(tile + kMostTiles, tiles);
      for (size_t first = panel_begin; first < panel_end; first += most_panels) {
        const size_t last = std::min(first + most_panels, panel_end);
        for (size_t b = 0; b < product.blocks; b += kBlocks) {
          for (size_t panel = first; panel < last; panel += kPanels) {
            product.run(panel, b, tile, last_tile);
          }
        }
      }
    }
  }

  /// Fewer tokens than this do not pay for codes that go through memory.
  static constexpr size_t kLeastTokens = 24;

  /// As MatmulCode::matmul().
  static void matmul(const PackedMatrix& matrix, const ActivationsView& x, ActivationForm form,
                     float* out, size_t out_stride, size_t begin, size_t end) {
    if (form == ActivationForm::kFloat || !x.tiles || x.tokens < kLeastTokens) {
      return MatmulCode::matmul(matrix, x, form, out, out_stride, begin, end);
    }
    using K = ScaleKind;
    switch (matrix.type) {
#define OMG_TYPE(name, ...) \
  case WeightType::name:    \
    return run_prompt<Codec<__VA_ARGS__>>(matrix, x, out, out_stride, begin, end);
      OMG_QUANTIZED_TYPES(OMG_TYPE)
#undef OMG_TYPE
      default:
        return MatmulCode::matmul(matrix, x, form, out, out_stride, begin, end);
    }
  }

  static void quantize_activations(const ActivationsView& x, size_t token_begin, size_t token_end) {
    if (!x.tiles || x.tokens < kLeastTokens) {
      return MatmulCode::quantize_activations(x, token_begin, token_end);
    }
    for (size_t begin = token_begin; begin < token_end;) {
      const size_t tile = begin / kTileTokens;
      const size_t end = std::min((tile + 1) * kTileTokens, token_end);
      MatmulCode::quantize_activations(x, begin, end);
      // Not what happens to be there: arithmetic with denormal numbers takes 150 cycles.
      const size_t lanes = end == x.tokens ? end - tile * kTileTokens : kTileTokens;
      for (size_t b = 0; b < x.blocks; ++b) {
        ActivationTile& to = x.tile_row(tile)[b];
        for (size_t token = begin; token < end; ++token) {
          const ActivationBlock& from = x.quant_row(token)[b];
          const size_t t = token % kTileTokens;
          OMG_UNROLL
          for (size_t q = 0; q < 8; ++q) std::memcpy(&to.quads[q][t], from.quants + 4 * q, 4);
          to.scale[t] = from.scale;
          to.minus_half_sums[0][t] = static_cast<int16_t>(from.minus_half_sums[0]);
          to.minus_half_sums[1][t] = static_cast<int16_t>(from.minus_half_sums[1]);
        }
        for (size_t t = lanes; t < 8; ++t) to.scale[t] = 0;
      }
      begin = end;
    }
  }
};
