// SPDX-License-Identifier: Apache-2.0
//
// SentencePiece unigram vocabularies of model files (kind "t5": T5, XLM-RoBERTa and embedding
// models made of it): the text is normalised, spaces become '▁', and the unigram model cuts it.
#pragma once

#include <memory>

#include "text/tokenizer/tokenizer.h"

namespace omg {

/// Needs `tokenizer.ggml.tokens`; reads `scores`, `precompiled_charsmap`, `add_space_prefix` and
/// `remove_extra_whitespaces`.
std::unique_ptr<Tokenizer> make_unigram_tokenizer(const Metadata& metadata);

}  // namespace omg
