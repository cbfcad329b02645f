// SPDX-License-Identifier: Apache-2.0
//
// Packing of weights into panels, and single rows back out of them.
#include <algorithm>
#include <cassert>
#include <cstring>

#include "base/float16.h"
#include "engine/kernels/matmul.h"
#include "engine/kernels/pack_panel.h"
#include "engine/kernels/packed_layout.h"

namespace omg {
namespace {

size_t panel_bytes(WeightType type, size_t columns) {
  switch (type) {
    case WeightType::kF32:
      return columns * kPanelRows * 4;
    case WeightType::kF16:
      return (columns * kPanelRows * 2 + 63) / 64 * 64;
    case WeightType::kBF16:
      return (columns + 1) / 2 * kPanelRows * 4;
    default:
      return panel_sections(code_info(type), columns).end;
  }
}

uint32_t get_code(const uint8_t* vectors, uint32_t bits, size_t r, size_t c) {
  const size_t quad = c / 4;
  const size_t byte = 4 * r + c % 4;
  if (bits == 8) return vectors[64 * quad + byte];
  uint32_t code = 0;
  uint32_t shift = 0;
  if (bits >= 4) {
    code = vectors[64 * (quad % 4) + byte] >> (quad / 4 * 4) & 15;
    shift = 4;
    vectors += 256;
  }
  if (bits == 2 || bits == 3 || bits == 6) {
    code |= static_cast<uint32_t>(vectors[64 * (quad / 4) + byte] >> (quad % 4 * 2) & 3) << shift;
    shift += 2;
    vectors += 128;
  }
  if (bits == 3 || bits == 5) {
    code |= static_cast<uint32_t>(vectors[byte] >> quad & 1) << shift;
  }
  return code;
}

}  // namespace

uint64_t packed_bytes(WeightType type, size_t rows, size_t columns) {
  return uint64_t{(rows + kPanelRows - 1) / kPanelRows} * panel_bytes(type, columns);
}

PackedMatrix pack_matrix(WeightType type, std::span<const std::byte> bytes, size_t rows,
                         size_t columns, Arena& arena, Parallel& parallel) {
  const size_t row_size = rows == 0 ? 0 : bytes.size() / rows;
  assert(row_bytes(type, columns) == row_size);
  PackedMatrix matrix;
  matrix.type = type;
  matrix.rows = rows;
  matrix.columns = columns;
  matrix.panel_stride_bytes = panel_bytes(type, columns);
  const std::span<std::byte> data = arena.take(matrix.panels() * matrix.panel_stride_bytes);
  parallel.run(matrix.panels(), 4, [&](size_t begin, size_t end, size_t) {
    for (size_t panel = begin; panel < end; ++panel) {
      const std::byte* sources[kPanelRows] = {};
      for (size_t r = 0; r < std::min(kPanelRows, rows - panel * kPanelRows); ++r) {
        sources[r] = bytes.data() + (panel * kPanelRows + r) * row_size;
      }
      pack_panel(type, sources, columns, data.data() + panel * matrix.panel_stride_bytes);
    }
  });
  matrix.data = data;
  return matrix;
}

BlockCodes packed_block(const PackedMatrix& matrix, size_t row, size_t block) {
  const CodeInfo& info = code_info(matrix.type);
  const PanelSections sections = panel_sections(info, matrix.columns);
  const std::byte* panel = matrix.data.data() + row / kPanelRows * matrix.panel_stride_bytes;
  const std::byte* super = panel + block / 8 * super_bytes(info.scale_kind);
  const std::byte* scales =
      panel + sections.scales + block * scale_bytes_per_block(info.scale_kind);
  const size_t r = row % kPanelRows;
  const auto half = [](const std::byte* base, size_t index) {
    uint16_t value;
    std::memcpy(&value, base + index * 2, 2);
    return value;
  };
  BlockCodes out;
  const ScaleKind kind = info.scale_kind;
  const std::byte* d = has_super(kind) ? super : scales;
  out.d = half(d, r);
  if (has_min(kind)) out.dmin = half(d, kPanelRows + r);
  if (has_super(kind)) {
    const auto* bytes = reinterpret_cast<const int8_t*>(scales);
    const size_t other = has_halves(kind) ? 16 : 0;
    out.scales[0] = bytes[r];
    out.scales[1] = bytes[other + r];
    if (has_min(kind)) {
      const int8_t* mins = bytes + 16 + other;
      out.mins[0] = static_cast<uint8_t>(mins[r]);
      out.mins[1] = static_cast<uint8_t>(mins[other + r]);
    }
  }
  const auto* vectors = reinterpret_cast<const uint8_t*>(panel + sections.codes) +
                        block * code_bytes_per_block(info.bits);
  for (size_t c = 0; c < kActivationBlock; ++c) {
    out.codes[c] = static_cast<uint8_t>(get_code(vectors, info.bits, r, c));
  }
  return out;
}

float packed_float(const PackedMatrix& matrix, size_t row, size_t column) {
  const std::byte* panel = matrix.data.data() + row / kPanelRows * matrix.panel_stride_bytes;
  const size_t r = row % kPanelRows;
  if (matrix.type == WeightType::kF32) {
    return reinterpret_cast<const float*>(panel)[column * kPanelRows + r];
  }
  const auto* halves = reinterpret_cast<const uint16_t*>(panel);
  if (matrix.type == WeightType::kF16) return f16_to_f32(halves[column * kPanelRows + r]);
  return bf16_to_f32(halves[(column / 2 * kPanelRows + r) * 2 + column % 2]);
}

void unpack_row(const PackedMatrix& matrix, size_t row, std::span<float> out) {
  assert(row < matrix.rows && out.size() == matrix.columns);
  if (!is_quantized(matrix.type)) {
    for (size_t column = 0; column < out.size(); ++column) {
      out[column] = packed_float(matrix, row, column);
    }
    return;
  }
  const CodeInfo& info = code_info(matrix.type);
  for (size_t b = 0; b < out.size() / kActivationBlock; ++b) {
    const BlockCodes block = packed_block(matrix, row, b);
    dequantize_block(info, block, out.data() + b * kActivationBlock);
  }
}

}  // namespace omg
