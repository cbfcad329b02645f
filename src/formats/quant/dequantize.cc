// SPDX-License-Identifier: Apache-2.0
#include "formats/quant/dequantize.h"

#include <cassert>
#include <cstring>

#include "base/float16.h"
#include "formats/quant/block_codes.h"

namespace omg {
namespace {

void widen_halves(WeightType type, std::span<const std::byte> bytes, std::span<float> out) {
  for (size_t i = 0; i < out.size(); ++i) {
    uint16_t half;
    std::memcpy(&half, bytes.data() + 2 * i, 2);
    out[i] = type == WeightType::kF16 ? f16_to_f32(half) : bf16_to_f32(half);
  }
}

}  // namespace

void dequantize(WeightType type, std::span<const std::byte> blocks, std::span<float> out) {
  assert(row_bytes(type, out.size()) == blocks.size());
  if (type == WeightType::kF32) {
    if (!out.empty()) std::memcpy(out.data(), blocks.data(), blocks.size());
    return;
  }
  if (!is_quantized(type)) return widen_halves(type, blocks, out);
  const CodeInfo& info = code_info(type);
  for (size_t index = 0; index < out.size() / 32; ++index) {
    dequantize_block(info, block_codes(type, blocks.data(), index), out.data() + 32 * index);
  }
}

}  // namespace omg
