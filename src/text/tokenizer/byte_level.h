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

/// Needs `tokenizer.ggml.tokens` and `tokenizer.ggml.merges`.
std::unique_ptr<Tokenizer> make_byte_level_tokenizer(const Metadata& metadata,
                                                     std::string_view pre_tokenizer);

}  // namespace omg
