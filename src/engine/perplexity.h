// SPDX-License-Identifier: Apache-2.0
//
// Perplexity of a model on a text: how well it predicts each token, the usual measure of what
// quantisation costs. Counted as llama.cpp's llama-perplexity does, so that figures compare.
#pragma once

#include <functional>
#include <optional>
#include <span>

#include "engine/engine.h"

namespace omg {

struct PerplexityOptions {
  /// Tokens of a chunk; chunks are independent of each other. At least 4.
  uint32_t context = 512;
  uint32_t max_chunks = 0;  // 0: all that the text has
  /// Stands at the begin of each chunk in place of the text's token: BOS, where a model wants it.
  std::optional<int32_t> first_token;
};

struct Perplexity {
  double perplexity = 0;  // exp of the mean negative log likelihood
  double error = 0;       // standard error of that, as if tokens were independent
  uint32_t chunks = 0;
  uint64_t scored_tokens = 0;
};

/// Scores the second half of each chunk, each token behind at least half a chunk of context.
/// `on_chunk` is called with what is known after each chunk, and may throw to stop. The engine has
/// room for one sequence of `context` tokens. Error(kInvalidArgument) when the text is shorter than
/// one chunk, Error(kCorrupt) when the model computes what is no number; throws what step() throws.
Perplexity measure_perplexity(Engine& engine, std::span<const int32_t> tokens,
                              const PerplexityOptions& options,
                              const std::function<void(const Perplexity&)>& on_chunk);

}  // namespace omg
