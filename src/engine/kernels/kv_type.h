// SPDX-License-Identifier: Apache-2.0
//
// The types in which the KV cache holds its numbers, and how a block of the cache is laid out in
// each. A block is 32 positions of one head; keys are transposed in it, so that the scores of many
// positions fill a register without a horizontal sum.
//
//          keys                                     values
//   f32    [key_length][32 positions]               [32 positions][value_width]
//   f16    likewise
//   q8_0   codes int8 [key_length][32 positions],   codes int8 [32 positions][value_width],
//          scales f16 [key_length / 32][32]         scales f16 [32][value_width / 32]
//   q4_0   codes of 4 bits, value scale * (code - 8); 32 that stand together are 16 bytes, whose
//          low halves are the first 16 and whose high halves are the last; scales as in q8_0
//
// key_length / 32 is rounded up: a head of 80 has scales for 32, 32 and 16 elements. value_width is
// value_length rounded up to 16 (f32, f16) or 32 (q8_0, q4_0), padded with zeros.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

namespace omg {

enum class KvType { kF16, kF32, kQ8_0, kQ4_0 };

/// Positions of a block.
inline constexpr uint32_t kKvTile = 32;
/// Numbers that share a scale.
inline constexpr uint32_t kKvRun = 32;

constexpr bool kv_has_scales(KvType type) {
  return type == KvType::kQ8_0 || type == KvType::kQ4_0;
}

constexpr size_t kv_runs(uint32_t length) {
  return (size_t{length} + kKvRun - 1) / kKvRun;
}

/// Bytes that the codes of `count` numbers take, a multiple of 32 where two share a byte.
constexpr size_t kv_code_bytes(KvType type, size_t count) {
  switch (type) {
    case KvType::kF32:
      return count * 4;
    case KvType::kF16:
      return count * 2;
    case KvType::kQ8_0:
      return count;
    case KvType::kQ4_0:
      break;
  }
  return count / 2;
}

/// Numbers between the values of two positions.
constexpr size_t kv_value_width(KvType type, uint32_t value_length) {
  return kv_has_scales(type) ? kv_runs(value_length) * kKvRun
                             : (size_t{value_length} + 15) / 16 * 16;
}

/// Bytes of one head's keys in one block.
constexpr size_t kv_key_block_bytes(KvType type, uint32_t key_length) {
  const size_t scales = kv_has_scales(type) ? kv_runs(key_length) * kKvTile * 2 : 0;
  return key_length * kv_code_bytes(type, kKvTile) + scales;
}

/// Bytes of one head's values in one block.
constexpr size_t kv_value_block_bytes(KvType type, uint32_t value_length) {
  const size_t scales = kv_has_scales(type) ? kv_runs(value_length) * kKvTile * 2 : 0;
  return kKvTile * kv_code_bytes(type, kv_value_width(type, value_length)) + scales;
}

struct KvTypeName {
  KvType type;
  std::string_view name;
};

/// All types under the names that Ollama and llama.cpp give them, the default first.
inline constexpr std::array<KvTypeName, 4> kKvTypes = {{{KvType::kF16, "f16"},
                                                        {KvType::kQ8_0, "q8_0"},
                                                        {KvType::kQ4_0, "q4_0"},
                                                        {KvType::kF32, "f32"}}};

constexpr std::string_view kv_type_name(KvType type) {
  for (const auto& entry : kKvTypes) {
    if (entry.type == type) return entry.name;
  }
  return "unknown";
}

constexpr std::optional<KvType> kv_type_from_name(std::string_view name) {
  for (const auto& entry : kKvTypes) {
    if (entry.name == name) return entry.type;
  }
  return std::nullopt;
}

}  // namespace omg
