// SPDX-License-Identifier: Apache-2.0
//
// PLaMo 2's vocabulary (kind "plamo2"): a unigram model whose scores are rounded to 1/10000, cut
// from the end of the text, with bytes for what no token covers.
#pragma once

#include <memory>

#include "text/tokenizer/tokenizer.h"

namespace omg {

/// Needs `tokenizer.ggml.tokens`, among them all 256 byte tokens, and `tokenizer.ggml.scores`.
std::unique_ptr<Tokenizer> make_plamo2_tokenizer(const Metadata& metadata);

}  // namespace omg
