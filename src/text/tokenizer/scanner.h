// SPDX-License-Identifier: Apache-2.0
//
// The most used pre-tokenizer patterns, written out: one pass over the text, a table look-up a
// character, no regular expressions. Tests hold each against its pattern.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>
#include <vector>

namespace omg {

/// Which pattern; pre_tokenizer.cc has them.
enum class Scanner : uint8_t {
  kNone,
  kGpt2,
  kLlama3,
  kQwen2,
  kQwen35,
  kMinicpm5,
  kSeedCoder,
  kTekken,
  kGpt4o,
  kGraniteEmbedding,
  kTinyAya,
  kYoutu,
  kKimi,
  kEachNumber,     // \p{N}
  kNumberTriples,  // \p{N}{1,3}
  kNumbers,        // \p{N}+
};

/// Appends `base` plus the ends of the words of `text`, which lie side by side. Bytes that are not
/// UTF-8 count as U+FFFD each.
void scan(Scanner scanner, std::string_view text, size_t base, std::vector<size_t>& ends);

}  // namespace omg
