// SPDX-License-Identifier: Apache-2.0
//
// BERT's vocabularies in model files (kind "bert"): text is cleaned, freed of accents and case,
// cut at white space, punctuation and Chinese characters, and each word becomes word pieces.
#pragma once

#include <memory>

#include "text/tokenizer/tokenizer.h"

namespace omg {

/// Needs `tokenizer.ggml.tokens`; reads `normalizer.lowercase` and `normalizer.strip_accents`
/// (both true where absent; the second follows the first).
std::unique_ptr<Tokenizer> make_word_piece_tokenizer(const Metadata& metadata);

}  // namespace omg
