// SPDX-License-Identifier: Apache-2.0
//
// Who gets how many tokens of the next step: continuous batching as a pure function of counters,
// without a model, threads or time, so that it can be tested alone.
//
// Sequences that generate come first, one token each: their users are watching. What is left of the
// step goes to prompts, in equal shares, so that a long prompt does not keep short ones from their
// first token; beside sequences that generate it is less, since a step that is full of prompt makes
// them all wait: a quarter while those that wait for a next token are as many as those that wait
// for a first one, and more as these are more. When the cache runs out of blocks, the newest
// sequence gives up its own and starts again later (from what the cache still has of it); the
// oldest one always goes on, so all end. Sources of the ideas: Orca (OSDI 2022), Sarathi-Serve
// (OSDI 2024, chunked prefill), vLLM (arXiv:2309.06180, preemption).
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace omg {

/// A sequence as the plan sees it, in order of arrival: the first one is the oldest.
struct SequenceNeed {
  uint32_t length = 0;   // tokens in the cache
  uint32_t pending = 1;  // tokens that must go through the model before the next can be chosen
  bool is_generating = false;   // has chosen a token already; then `pending` is usually 1
  bool is_admitted = false;     // holds a place in the engine; others have length 0
  bool copies_block = false;    // its last block is shared: the next token needs one of its own
  uint32_t private_blocks = 0;  // that would be free if it gave them up
};

struct StepLimits {
  uint32_t max_batch_tokens = 512;
  /// Of these, for prompts while sequences generate: times the prompts for each of those.
  uint32_t max_prompt_tokens_beside = 128;
  uint32_t max_sequences = 1;  // admitted at once
  uint32_t free_blocks = 0;
  uint32_t block_tokens = 32;
};

struct StepPlan {
  struct Grant {
    size_t sequence = 0;  // an index
    uint32_t tokens = 0;  // at most its pending ones
  };
  std::vector<Grant> grants;      // by index; those that are not admitted are, by this
  std::vector<size_t> preempted;  // admitted ones that give up their place, newest first
};

/// Blocks that `tokens` more take.
uint32_t blocks_to_grow(const SequenceNeed& sequence, uint32_t tokens, uint32_t block_tokens);

/// Never grants more than the limits allow. Grants something whenever there is a sequence with
/// pending tokens and the oldest one fits the cache by itself.
StepPlan plan_step(std::span<const SequenceNeed> sequences, const StepLimits& limits);

}  // namespace omg
