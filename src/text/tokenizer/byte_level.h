// SPDX-License-Identifier: Apache-2.0
//
// Byte-level BPE (GPT-2 and its descendants): text is cut into words by a pre-tokenizer, each
// word's bytes are written in an alphabet of 256 printable characters, and neighbours merge by the
// ranks of a merge list. Gemma 4 merges raw characters instead, with spaces as '▁'. Source: R.
// Sennrich et al. 2016, https://arxiv.org/abs/1508.07909; the byte alphabet is GPT-2's.
#pragma once

#include <memory>
#include <string_view>

#include "text/tokenizer/tokenizer.h"

namespace omg {

/// What becomes of a text before it is cut into words.
enum class ByteLevelKind : uint8_t {
  kPlain,
  kWithoutSpaces,  // "whitespace": white space only separates; letters may lose their case
  kDna,            // "hybriddna": what stands in <dna>...</dna> goes in groups of six letters
};

/// Needs `tokenizer.ggml.tokens` and `tokenizer.ggml.merges`; for kWithoutSpaces it reads
/// `tokenizer.ggml.normalizer.lowercase` (false where absent).
std::unique_ptr<Tokenizer> make_byte_level_tokenizer(const Metadata& metadata,
                                                     std::string_view pre_tokenizer,
                                                     ByteLevelKind kind = ByteLevelKind::kPlain);

}  // namespace omg
