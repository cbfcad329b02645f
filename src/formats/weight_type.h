// SPDX-License-Identifier: Apache-2.0
//
// The element types that tensors have in model files, under the numbers that GGUF gives them.
// Source: the GGUF specification (ggml_type). The byte layouts stand in formats/quant/blocks.h.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace omg {

enum class WeightType : uint32_t {
  kF32 = 0,
  kF16 = 1,
  kQ4_0 = 2,
  kQ4_1 = 3,
  kQ5_0 = 6,
  kQ5_1 = 7,
  kQ8_0 = 8,
  kQ2_K = 10,
  kQ3_K = 11,
  kQ4_K = 12,
  kQ5_K = 13,
  kQ6_K = 14,
  kIQ4_NL = 20,
  kIQ4_XS = 23,
  kBF16 = 30,
  kMXFP4 = 39,
};

/// A row of a tensor is a whole number of blocks.
struct WeightTypeInfo {
  WeightType type;
  std::string_view name;    // as model files and people write it: "Q4_K"
  uint32_t block_elements;  // 1 for F32, F16, BF16
  uint32_t block_bytes;
};

/// All supported types.
std::span<const WeightTypeInfo> weight_types();
const WeightTypeInfo& info(WeightType type);
/// By GGUF number, or nothing for a type that this build does not read.
std::optional<WeightType> weight_type_from_number(uint32_t number);
/// Name of any number GGUF has ever given out ("IQ2_XS", "Q4_0_4_4", …), or "type N": for errors.
std::string weight_type_name_of_number(uint32_t number);
/// By name, upper or lower case.
std::optional<WeightType> weight_type_from_name(std::string_view name);

/// Bytes of a row of `elements`; nothing if it is no whole number of blocks or overflows.
std::optional<uint64_t> row_bytes(WeightType type, uint64_t elements);

}  // namespace omg
