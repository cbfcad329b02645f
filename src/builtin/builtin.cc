// SPDX-License-Identifier: Apache-2.0
#include "builtin/builtin.h"

#include <cstdint>

// In guide.S.
extern "C" {
extern const std::byte omg_guide_begin[];
extern const std::byte omg_guide_end[];
extern const char omg_guide_digest[];
}

namespace omg {

std::optional<std::span<const std::byte>> builtin_bytes(std::string_view path) {
  if (path != kGuidePath) return std::nullopt;
  // Two objects, as far as the compiler knows: their addresses are subtracted, not the pointers.
  const size_t size =
      reinterpret_cast<uintptr_t>(omg_guide_end) - reinterpret_cast<uintptr_t>(omg_guide_begin);
  return std::span(omg_guide_begin, size);
}

Digest guide_digest() {
  return Digest::require(omg_guide_digest, "the built-in model's digest");
}

}  // namespace omg
