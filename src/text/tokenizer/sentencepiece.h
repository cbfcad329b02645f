// SPDX-License-Identifier: Apache-2.0
//
// SentencePiece-style BPE (Llama 1 and 2, Mistral, Gemma 1 to 3, Phi-3): neighbours merge whenever
// their joined text is a token, the highest score first; characters without a token become byte
// tokens. Source: T. Kudo, J. Richardson 2018, https://arxiv.org/abs/1808.06226.
#pragma once

#include <memory>

#include "text/tokenizer/tokenizer.h"

namespace omg {

/// Needs `tokenizer.ggml.tokens`; without scores all merges rank equal. As in llama.cpp the key
/// `remove_extra_whitespaces` has no effect here: it belongs to the unigram model.
std::unique_ptr<Tokenizer> make_sentencepiece_tokenizer(const Metadata& metadata);

}  // namespace omg
