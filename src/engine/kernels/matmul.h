// SPDX-License-Identifier: Apache-2.0
//
// Matrix products of packed weights with activations: out[t][r] = sum_c weight[r][c] * x[t][c].
// This is where nearly all of the time goes. One packed layout per weight type serves every
// instruction set and every batch size: 16 rows are interleaved, so that a register holds one
// position of many rows. A row's result does not depend on the batch it is computed in, to the bit.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "engine/kernels/aligned_memory.h"
#include "engine/kernels/isa.h"
#include "engine/kernels/parallel.h"
#include "formats/weight_type.h"

namespace omg {

/// Rows of a panel, the unit in which work on a matrix is split between threads.
inline constexpr size_t kPanelRows = 16;
/// Activations are quantised in blocks of this many columns.
inline constexpr size_t kActivationBlock = 32;

/// A weight matrix in the kernels' layout; the arena that it was packed into owns the bytes.
/// Immutable once packed.
struct PackedMatrix {
  WeightType type = WeightType::kF32;
  size_t rows = 0;     // outputs
  size_t columns = 0;  // inputs
  size_t panel_stride_bytes = 0;
  std::span<const std::byte> data;

  size_t panels() const { return (rows + kPanelRows - 1) / kPanelRows; }
};

/// What a matrix takes once it is packed.
uint64_t packed_bytes(WeightType type, size_t rows, size_t columns);

/// Packs `rows` rows of `columns` weights each, as they stand in a model file, into memory of
/// `arena`. Rows of the last panel that do not exist are zero.
PackedMatrix pack_matrix(WeightType type, std::span<const std::byte> bytes, size_t rows,
                         size_t columns, Arena& arena, Parallel& parallel);

/// One row back as floats, equal to dequantize() of the original: for embedding tables that are
/// also the output head. `out` has `columns` elements.
void unpack_row(const PackedMatrix& matrix, size_t row, std::span<float> out);

/// Thirty-two activations in int8, with all that a product with any weight type needs of them: one
/// cache line. Value i is scale * quants[i].
struct alignas(64) ActivationBlock {
  int8_t quants[32];
  float scale;
  int32_t minus_sum;           // of the quants: what a zero point is multiplied with
  int32_t minus_half_sums[2];  // of the first and the last 16
  float scaled_sum;            // scale * sum: what a minimum is multiplied with
  float scaled_half_sums[2];
  float unused;
};
static_assert(sizeof(ActivationBlock) == 64);

/// Tokens whose activations stand side by side for products with many tokens at once.
inline constexpr size_t kTileTokens = 6;

/// The same thirty-two columns of six tokens, interleaved so that a product with all of them reads
/// one run of bytes.
struct alignas(64) ActivationTile {
  int32_t quads[8][kTileTokens];  // four int8 of one token each
  float scale[8];                 // six, and zeros, as for tokens that do not exist
  int16_t minus_half_sums[2][8];  // six, and anything
};
static_assert(sizeof(ActivationTile) == 256);

/// Activations of some tokens in the forms that products read: floats always, int8 blocks when the
/// weights are quantised. A view: who made it owns the memory.
struct ActivationsView {
  size_t tokens = 0;
  size_t columns = 0;
  size_t stride = 0;  // floats between rows, a multiple of 16
  float* floats = nullptr;
  size_t blocks = 0;  // per token; the last one padded with zeros
  /// Blocks between tokens: odd, so that the tokens of a tile, whose blocks of one number are read
  /// together, do not fall into one set of a cache.
  size_t block_stride = 0;
  ActivationBlock* quants = nullptr;  // [token][block]
  /// [token / kTileTokens][block], for instruction sets that use them. The last one may be
  /// partly filled. Null in a slice that begins within a tile.
  ActivationTile* tiles = nullptr;

  float* row(size_t token) const { return floats + token * stride; }
  ActivationBlock* quant_row(size_t token) const { return quants + token * block_stride; }
  ActivationTile* tile_row(size_t tile) const { return tiles + tile * block_stride; }
  /// Tokens [begin, begin + count).
  ActivationsView slice(size_t begin, size_t count) const;
};

/// Owns the memory of up to `max_tokens` tokens of up to `max_columns`; movable.
struct Activations : ActivationsView {
  Activations(size_t max_tokens, size_t max_columns);
  /// Sets tokens and columns for what is filled next.
  void reshape(size_t new_tokens, size_t new_columns);

 private:
  AlignedBytes storage_;
  size_t max_tokens_;
  size_t max_columns_;
};

/// What a matrix product reads.
enum class ActivationForm { kFloat, kInt8 };

/// The form that products with this weight type want when activations may be quantised.
ActivationForm preferred_form(WeightType type);

/// Functions of one instruction set; found by matmul_kernels(), never changed.
struct MatmulKernels {
  Isa isa;
  /// Fills the int8 blocks of tokens [begin, end) from floats: scale = max |x| / 127 (0 for a block
  /// of zeros), rounded to nearest even.
  void (*quantize_activations)(const ActivationsView& x, size_t token_begin, size_t token_end);
  /// out[t * out_stride + r] for all tokens of x and the rows of panels [panel_begin, panel_end);
  /// rows past matrix.rows are not written.
  void (*matmul)(const PackedMatrix& matrix, const ActivationsView& x, ActivationForm form,
                 float* out, size_t out_stride, size_t panel_begin, size_t panel_end);
};

const MatmulKernels& matmul_kernels(Isa isa);

}  // namespace omg
