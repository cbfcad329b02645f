// SPDX-License-Identifier: Apache-2.0
//
// Constants of the GGUF format, and the limits that this project sets on it. The reader refuses
// what lies beyond them before it allocates anything; the writer never writes it. Source: the GGUF
// specification, https://github.com/ggml-org/ggml/blob/master/docs/gguf.md
#pragma once

#include <cstdint>
#include <string_view>

#include "formats/metadata.h"

namespace omg::gguf {

inline constexpr uint32_t kMagic = 0x46554747;  // "GGUF" as little-endian bytes
inline constexpr uint32_t kMinVersion = 2;      // v1 had 32-bit counts and lengths
inline constexpr uint32_t kVersion = 3;
inline constexpr uint64_t kDefaultAlignment = 32;

/// Real models have 20 to 60 keys; the list is kept in memory at about 100 bytes a key: 6.4 MiB.
inline constexpr uint64_t kMaxKeys = uint64_t{1} << 16;
/// The largest models have a few thousand (a thousand layers of 100 tensors would fit); about 150
/// bytes each with its index entry: 20 MiB.
inline constexpr uint64_t kMaxTensors = uint64_t{1} << 17;
/// The specification's limit on keys.
inline constexpr uint64_t kMaxKeyBytes = 65535;
/// Four times the specification's limit on names of tensors.
inline constexpr uint64_t kMaxTensorNameBytes = 256;
/// Longest strings seen: whole tokenizer.json files of 20 MB. Strings are views, so they cost
/// nothing until somebody copies one.
inline constexpr uint64_t kMaxStringBytes = uint64_t{64} << 20;
/// Four times a vocabulary of a million; as floats 16 MiB.
inline constexpr uint64_t kMaxArrayElements = uint64_t{1} << 22;
/// Strings of all arrays of a file together, at 16 bytes a view: 128 MiB. A vocabulary of a million
/// and its merges are two million.
inline constexpr uint64_t kMaxArrayStrings = uint64_t{1} << 23;
inline constexpr uint32_t kMaxRank = 4;
/// Larger than any page; the padding that it can cost stays below 1 MiB a tensor.
inline constexpr uint64_t kMaxAlignment = uint64_t{1} << 20;
/// Parts of a split model: 1024 parts of 2 GB hold 2 TB.
inline constexpr uint32_t kMaxParts = 1024;

inline constexpr std::string_view kAlignmentKey = "general.alignment";
inline constexpr std::string_view kSplitNumberKey = "split.no";
inline constexpr std::string_view kSplitCountKey = "split.count";
inline constexpr std::string_view kSplitTensorsKey = "split.tensors.count";

/// Bytes of a scalar of this type in a file; 0 for strings, arrays and numbers that name no type.
constexpr uint64_t scalar_bytes(MetadataType type) {
  switch (type) {
    case MetadataType::kU8:
    case MetadataType::kI8:
    case MetadataType::kBool:
      return 1;
    case MetadataType::kU16:
    case MetadataType::kI16:
      return 2;
    case MetadataType::kU32:
    case MetadataType::kI32:
    case MetadataType::kF32:
      return 4;
    case MetadataType::kU64:
    case MetadataType::kI64:
    case MetadataType::kF64:
      return 8;
    default:
      return 0;
  }
}

constexpr bool is_valid_alignment(uint64_t alignment) {
  return alignment != 0 && (alignment & (alignment - 1)) == 0 && alignment <= kMaxAlignment;
}

}  // namespace omg::gguf
