// SPDX-License-Identifier: Apache-2.0
//
// Where things are in a packed panel: 16 rows of one weight matrix, interleaved for vector code. A
// "block" is 32 columns of the 16 rows; a "quad" is 4 consecutive columns, the unit that int8 dot
// product instructions sum into a 32-bit lane, so that lane r belongs to row r.
//
// Quantised types: [super section][scale section][code section], each 64-byte aligned.
//   super   per 256 columns: d of 16 rows (binary16), then dmin of 16 rows if the type has minima
//   scale   per block, by ScaleKind:
//             kHalf, kBfloat    d[16], 16 bits each
//             kHalfMin          d[16], m[16], 16 bits each
//             kSuper            scale[16], 8 bits each
//             kSuperMin         scale[16], min[16]
//             kSuperHalves      scale of columns 0-15 [16], of columns 16-31 [16]
//             kSuperMinHalves   the two scales, then the two minima
//   code    per block, in bit planes of 64-byte vectors whose byte 4 r + i belongs to row r and
//           column i of a quad:
//             nibbles (4, 5, 6 bits)  4 vectors; low halves of v: quad v, high halves: quad v + 4
//             pairs   (2, 3, 6 bits)  2 vectors; bits 2 j of v: quad 4 v + j
//             bits    (3, 5 bits)     1 vector;  bit j: quad j
//             bytes   (8 bits)        8 vectors; v: quad v
//           5 = nibble | bit << 4, 6 = nibble | pair << 4, 3 = pair | bit << 2.
//
// F32, F16: per column 16 rows. BF16: per two columns 16 rows of (first, second) in 32 bits, as
// bfloat16 dot product instructions want them; an odd last column has a zero beside it.
#pragma once

#include <cstddef>

#include "engine/kernels/matmul.h"
#include "formats/quant/block_codes.h"

namespace omg {

constexpr size_t code_bytes_per_block(uint32_t bits) {
  return bits * 64;
}

constexpr size_t scale_bytes_per_block(ScaleKind kind) {
  switch (kind) {
    case ScaleKind::kHalf:
    case ScaleKind::kBfloat:
    case ScaleKind::kSuperMin:
    case ScaleKind::kSuperHalves:
      return 32;
    case ScaleKind::kHalfMin:
    case ScaleKind::kSuperMinHalves:
      return 64;
    case ScaleKind::kSuper:
      return 16;
  }
  return 0;
}

constexpr size_t super_bytes(ScaleKind kind) {
  switch (kind) {
    case ScaleKind::kSuper:
    case ScaleKind::kSuperHalves:
      return 32;
    case ScaleKind::kSuperMin:
    case ScaleKind::kSuperMinHalves:
      return 64;
    default:
      return 0;
  }
}

/// Byte offsets within a panel of a quantised matrix.
struct PanelSections {
  size_t scales;
  size_t codes;
  size_t end;
};

constexpr PanelSections panel_sections(const CodeInfo& info, size_t columns) {
  const auto align = [](size_t bytes) { return (bytes + 63) / 64 * 64; };
  const size_t blocks = columns / kActivationBlock;
  PanelSections sections{};
  sections.scales = align((blocks + 7) / 8 * super_bytes(info.scale_kind));
  sections.codes = sections.scales + align(blocks * scale_bytes_per_block(info.scale_kind));
  sections.end = sections.codes + blocks * code_bytes_per_block(info.bits);
  return sections;
}

/// One row's 32 codes and scales back out of a panel.
BlockCodes packed_block(const PackedMatrix& matrix, size_t row, size_t block);
/// One weight of a float matrix.
float packed_float(const PackedMatrix& matrix, size_t row, size_t column);

}  // namespace omg
