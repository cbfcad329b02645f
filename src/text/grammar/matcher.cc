// SPDX-License-Identifier: Apache-2.0
#include "text/grammar/matcher.h"

#include <algorithm>
#include <optional>

#include "base/error.h"
#include "text/grammar/machine.h"

namespace omg {

using grammar::ConfigId;
using grammar::kDead;
using grammar::Machine;

/// Words if many tokens are allowed, else the tokens: most configurations that are not inside a
/// string allow a few hundred.
struct GrammarMatcher::Mask {
  bool known = false;
  bool dense = false;
  std::vector<uint32_t> content;
};

/// What was learnt until the caches were full.
struct GrammarMatcher::Memory {
  Machine machine;
  std::vector<Mask> masks;  // by configuration
  size_t mask_bytes = 0;

  size_t bytes() const { return machine.memory_bytes() + mask_bytes; }
};

GrammarMatcher::GrammarMatcher(Grammar grammar, std::shared_ptr<const GrammarVocabulary> vocabulary,
                               const GrammarMatcherOptions& options)
    : grammar_(std::move(grammar)),
      vocabulary_(std::move(vocabulary)),
      options_(options),
      memory_(new_memory()),
      scratch_(vocabulary_->mask_words()) {}

GrammarMatcher::~GrammarMatcher() = default;

std::shared_ptr<GrammarMatcher::Memory> GrammarMatcher::new_memory() const {
  grammar::MachineLimits limits;
  // One call may go beyond the bound by as much again; the next one starts afresh.
  limits.max_bytes = 2 * options_.max_cache_bytes;
  return std::make_shared<Memory>(
      Memory{Machine(grammar_.automaton(), vocabulary_->longest(), limits), {}});
}

size_t GrammarMatcher::memory_bytes() const {
  const std::lock_guard lock(mutex_);
  return memory_->bytes();
}

void GrammarMatcher::keep_within_bounds() {
  if (memory_->bytes() > options_.max_cache_bytes) memory_ = new_memory();
}

void GrammarMatcher::find_mask(Memory& memory, uint32_t config, std::span<uint32_t> bits) const {
  const GrammarVocabulary& vocabulary = *vocabulary_;
  Machine& machine = memory.machine;
  std::array<uint32_t, grammar::kSlices> capacity;
  std::fill(bits.begin(), bits.end(), 0u);
  for (uint32_t slice = 0; slice < grammar::kSlices; ++slice) {
    const uint32_t most = vocabulary.most_characters_[slice];
    capacity[slice] = machine.capacity(config, static_cast<grammar::Slice>(slice), most);
    const bool any = capacity[slice] == most;
    if (!any) capacity[slice] = std::min(capacity[slice], grammar::kPlainLengths);
    const auto& masks = vocabulary.slice_masks_[slice];
    const auto& mask = any ? masks.back() : masks[capacity[slice]];
    for (size_t i = 0; i < bits.size(); ++i) bits[i] |= mask[i];
  }
  const auto is_covered = [&](const GrammarVocabulary::Node& node) {
    return node.needs[0] <= capacity[0] && node.needs[1] <= capacity[1] &&
           node.needs[2] <= capacity[2];
  };

  std::vector<ConfigId> at(size_t{vocabulary.longest_} + 1);  // by depth
  at[0] = config;
  const auto& nodes = vocabulary.nodes_;
  for (size_t i = 0; i + 1 < nodes.size();) {
    const GrammarVocabulary::Node& node = nodes[i];
    const ConfigId here = is_covered(node) ? kDead : machine.next(at[node.depth - 1], node.byte);
    if (here == kDead) {  // or all of the branch is in the mask
      i = node.end;
      continue;
    }
    at[node.depth] = here;
    for (uint32_t t = node.first_token; t < nodes[i + 1].first_token; ++t) {
      const uint32_t token = vocabulary.order_[t];
      bits[token / 32] |= 1u << (token % 32);
    }
    ++i;
  }
  if (machine.is_accepting(config)) {
    for (const uint32_t token : vocabulary.ends_) bits[token / 32] |= 1u << (token % 32);
  }
}

const GrammarMatcher::Mask& GrammarMatcher::mask_of(Memory& memory, uint32_t config) {
  const ConfigId folded = memory.machine.folded(config);
  if (memory.masks.size() <= folded) memory.masks.resize(size_t{folded} + 1);
  Mask& mask = memory.masks[folded];
  if (mask.known) return mask;
  find_mask(memory, folded, scratch_);
  size_t count = 0;
  for (const uint32_t word : scratch_) count += static_cast<size_t>(__builtin_popcount(word));
  mask.dense = count > scratch_.size();
  if (mask.dense) {
    mask.content = scratch_;
  } else {
    mask.content.reserve(count);
    for (uint32_t i = 0; i < scratch_.size(); ++i) {
      for (uint32_t word = scratch_[i]; word != 0; word &= word - 1) {
        mask.content.push_back(i * 32 + static_cast<uint32_t>(__builtin_ctz(word)));
      }
    }
  }
  mask.known = true;
  memory.mask_bytes += mask.content.size() * sizeof(uint32_t) + sizeof(Mask);
  return mask;
}

GrammarState::GrammarState(std::shared_ptr<GrammarMatcher> matcher) : matcher_(std::move(matcher)) {
  const std::lock_guard lock(matcher_->mutex_);
  matcher_->keep_within_bounds();
  memory_ = matcher_->memory_;
  config_ = memory_->machine.initial();
}

/// Moves this sequence to the matcher's present memory if it has been renewed.
GrammarMatcher::Memory& GrammarState::current_memory() {
  matcher_->keep_within_bounds();
  if (memory_ != matcher_->memory_) {
    config_ = matcher_->memory_->machine.adopt(memory_->machine, config_);
    memory_ = matcher_->memory_;
  }
  memory_->machine.begin_work();
  return *memory_;
}

bool GrammarState::fill_mask(std::span<uint32_t> bits) {
  const std::lock_guard lock(matcher_->mutex_);
  if (bits.size() != matcher_->vocabulary_->mask_words()) {
    throw Error(ErrorCode::kInternal, "a token mask has " + std::to_string(bits.size()) +
                                          " words instead of " +
                                          std::to_string(matcher_->vocabulary_->mask_words()));
  }
  if (ended_) {
    std::fill(bits.begin(), bits.end(), 0u);
    return false;
  }
  GrammarMatcher::Memory& memory = current_memory();
  const GrammarMatcher::Mask& mask = matcher_->mask_of(memory, config_);
  if (mask.dense) {
    std::copy(mask.content.begin(), mask.content.end(), bits.begin());
    return true;
  }
  std::fill(bits.begin(), bits.end(), 0u);
  for (const uint32_t token : mask.content) bits[token / 32] |= 1u << (token % 32);
  return !mask.content.empty();
}

bool GrammarState::accept(uint32_t token) {
  const GrammarVocabulary& vocabulary = *matcher_->vocabulary_;
  if (ended_ || token >= vocabulary.size()) return false;
  switch (vocabulary.use(token)) {
    case TokenUse::kEnd:
      ended_ = is_complete();
      return ended_;
    case TokenUse::kText:
      return !vocabulary.bytes(token).empty() && accept_text(vocabulary.bytes(token));
    case TokenUse::kNever:
      break;
  }
  return false;
}

bool GrammarState::accept_text(std::string_view bytes) {
  if (ended_) return false;
  const std::lock_guard lock(matcher_->mutex_);
  Machine& machine = current_memory().machine;
  ConfigId config = config_;
  for (const char c : bytes) {
    config = machine.next(config, static_cast<uint8_t>(c));
    if (config == kDead) return false;
  }
  config_ = config;
  return true;
}

bool GrammarState::is_complete() const {
  const std::lock_guard lock(matcher_->mutex_);
  return memory_->machine.is_accepting(config_);
}

std::string GrammarState::forced_text(size_t max_bytes) {
  std::string forced;
  if (ended_) return forced;
  const std::lock_guard lock(matcher_->mutex_);
  Machine& machine = current_memory().machine;
  ConfigId config = config_;
  while (forced.size() < max_bytes && !machine.is_accepting(config)) {
    std::optional<uint8_t> only;
    bool choice = false;
    for (uint32_t byte = 0; byte < 256 && !choice; ++byte) {
      if (machine.next(config, static_cast<uint8_t>(byte)) == kDead) continue;
      choice = only.has_value();
      only = static_cast<uint8_t>(byte);
    }
    if (!only || choice) break;
    forced.push_back(static_cast<char>(*only));
    config = machine.next(config, *only);
  }
  return forced;
}

}  // namespace omg
