// SPDX-License-Identifier: Apache-2.0
#include "engine/batch/step_plan.h"

#include <algorithm>
#include <optional>

namespace omg {
namespace {

/// A prompt's share of a step is at least this: thinner slices would read all weights for little.
constexpr uint32_t kLeastShare = 32;

class Planner {
 public:
  Planner(std::span<const SequenceNeed> sequences, const StepLimits& limits)
      : sequences_(sequences),
        limits_(limits),
        free_blocks_(limits.free_blocks),
        granted_(sequences.size()),
        is_preempted_(sequences.size()) {
    for (const SequenceNeed& sequence : sequences) admitted_ += sequence.is_admitted ? 1 : 0;
  }

  StepPlan plan() {
    keep_room_for_oldest();
    grant_generating();
    grant_prompts();
    make_room_for_oldest();
    StepPlan plan;
    for (size_t i = 0; i < granted_.size(); ++i) {
      if (granted_[i] > 0) plan.grants.push_back({i, granted_[i]});
    }
    plan.preempted = std::move(preempted_);
    return plan;
  }

 private:
  bool holds_place(size_t i) const { return sequences_[i].is_admitted && !is_preempted_[i]; }

  uint32_t blocks_for(size_t i, uint32_t tokens) const {
    return blocks_to_grow(sequences_[i], tokens, limits_.block_tokens);
  }

  void grant(size_t i, uint32_t tokens) {
    free_blocks_ -= blocks_for(i, tokens);
    granted_[i] = tokens;
    used_ += tokens;
    if (!sequences_[i].is_admitted) ++admitted_;
  }

  /// Takes the place of the newest sequence after `oldest`, and what it was granted.
  bool preempt_newest_after(size_t oldest) {
    for (size_t i = sequences_.size(); i-- > oldest + 1;) {
      if (!holds_place(i)) continue;
      preempt(i);
      return true;
    }
    return false;
  }

  void preempt(size_t i) {
    is_preempted_[i] = true;
    preempted_.push_back(i);
    free_blocks_ += sequences_[i].private_blocks + blocks_for(i, granted_[i]);
    used_ -= granted_[i];
    granted_[i] = 0;
    --admitted_;
  }

  /// A block for the oldest one, if it is still at its prompt: those that generate come before it.
  void keep_room_for_oldest() {
    for (size_t i = 0; i < sequences_.size(); ++i) {
      if (sequences_[i].pending == 0) continue;
      if (!sequences_[i].is_generating && sequences_[i].is_admitted) kept_ = blocks_for(i, 1);
      return;
    }
  }

  void grant_generating() {
    for (size_t i = 0; i < sequences_.size(); ++i) {
      if (!holds_place(i) || !sequences_[i].is_generating || sequences_[i].pending == 0) continue;
      const uint32_t tokens = std::min(sequences_[i].pending, limits_.max_batch_tokens - used_);
      if (tokens == 0) return;
      const auto fits = [&] { return blocks_for(i, tokens) + kept_ <= free_blocks_; };
      while (!fits() && preempt_newest_after(i)) {
      }
      if (fits()) {
        grant(i, tokens);
      } else if (i > 0) {
        preempt(i);  // older ones hold the rest
      }
    }
  }

  /// Prompts that may go on or begin now, oldest first.
  std::vector<size_t> prompts_for(uint32_t budget) const {
    const size_t most = std::max<size_t>(1, budget / kLeastShare);
    uint32_t places = limits_.max_sequences - std::min(limits_.max_sequences, admitted_);
    std::vector<size_t> prompts;
    for (size_t i = 0; i < sequences_.size() && prompts.size() < most; ++i) {
      const SequenceNeed& sequence = sequences_[i];
      if (is_preempted_[i] || sequence.pending == 0) continue;
      if (sequence.is_admitted) {
        if (!sequence.is_generating) prompts.push_back(i);
        continue;
      }
      // Who had to give up a place must not see another one take it.
      if (places == 0 || !preempted_.empty()) continue;
      --places;
      prompts.push_back(i);
    }
    return prompts;
  }

  void grant_prompts() {
    const uint32_t budget = std::min(limits_.max_batch_tokens - used_, most_prompt_tokens());
    if (budget > 0) share_out(budget);
  }

  /// A step full of prompt makes those that generate wait, a small one costs those who wait for
  /// their first token: with chunks of 128 tokens, all weights are taken apart four times as often
  /// as with 512, and 16 prompts that came at once took a fifth longer. So the more there are
  /// on one side, the more its wish counts.
  uint32_t most_prompt_tokens() const {
    size_t generating = 0;
    size_t waiting = 0;
    for (size_t i = 0; i < sequences_.size(); ++i) {
      if (granted_[i] > 0) {
        ++generating;
      } else if (!is_preempted_[i] && sequences_[i].pending > 0) {
        ++waiting;
      }
    }
    if (generating == 0) return limits_.max_batch_tokens;
    const size_t prompts_each = std::max<size_t>(1, (waiting + generating - 1) / generating);
    const auto most = uint64_t{limits_.max_prompt_tokens_beside} * prompts_each;
    return static_cast<uint32_t>(std::min<uint64_t>(most, limits_.max_batch_tokens));
  }

  void share_out(uint32_t budget) {
    std::vector<size_t> prompts = prompts_for(budget);
    // Equal shares; what short prompts leave goes to the longer ones.
    std::stable_sort(prompts.begin(), prompts.end(), [&](size_t a, size_t b) {
      return sequences_[a].pending < sequences_[b].pending;
    });
    std::vector<uint32_t> shares(sequences_.size());
    for (size_t k = 0; k < prompts.size(); ++k) {
      const auto share = budget / static_cast<uint32_t>(prompts.size() - k);
      shares[prompts[k]] = std::min(sequences_[prompts[k]].pending, share);
      budget -= shares[prompts[k]];
    }
    std::sort(prompts.begin(), prompts.end());
    for (const size_t i : prompts) grant_what_fits(i, shares[i]);
  }

  void grant_what_fits(size_t i, uint32_t share) {
    // Those that generate will each want a block soon: a newcomer leaves them one.
    const uint32_t kept = sequences_[i].is_admitted || admitted_ == 0 ? 0 : admitted_;
    const uint32_t room = free_blocks_ - std::min(free_blocks_, kept);
    while (share > 0 && blocks_for(i, share) > room) --share;
    if (share > 0) grant(i, share);
  }

  /// It got nothing, since newer ones hold what it needs.
  void make_room_for_oldest() {
    const auto oldest = std::find_if(sequences_.begin(), sequences_.end(),
                                     [](const SequenceNeed& s) { return s.pending > 0; });
    if (oldest == sequences_.end()) return;
    const auto i = static_cast<size_t>(oldest - sequences_.begin());
    if (granted_[i] > 0 || is_preempted_[i]) return;
    const auto fits = [&] {
      const bool has_place = holds_place(i) || admitted_ < limits_.max_sequences;
      return has_place && blocks_for(i, 1) <= free_blocks_ && used_ < limits_.max_batch_tokens;
    };
    while (!fits()) {
      if (!preempt_newest_after(i)) return;
    }
    uint32_t tokens = std::min(oldest->pending, limits_.max_batch_tokens - used_);
    if (used_ > 0) tokens = std::min(tokens, std::max(1u, limits_.max_prompt_tokens_beside));
    while (blocks_for(i, tokens) > free_blocks_) --tokens;
    grant(i, tokens);
  }

  const std::span<const SequenceNeed> sequences_;
  const StepLimits& limits_;
  uint32_t free_blocks_;
  uint32_t kept_ = 0;  // of the free blocks, for the oldest
  uint32_t admitted_ = 0;
  uint32_t used_ = 0;  // tokens of the step
  std::vector<uint32_t> granted_;
  std::vector<bool> is_preempted_;
  std::vector<size_t> preempted_;
};

}  // namespace

uint32_t blocks_to_grow(const SequenceNeed& sequence, uint32_t tokens, uint32_t block_tokens) {
  if (tokens == 0) return 0;
  const uint64_t held = (uint64_t{sequence.length} + block_tokens - 1) / block_tokens;
  const uint64_t wanted = (uint64_t{sequence.length} + tokens + block_tokens - 1) / block_tokens;
  return static_cast<uint32_t>(wanted - held) + (sequence.copies_block ? 1 : 0);
}

StepPlan plan_step(std::span<const SequenceNeed> sequences, const StepLimits& limits) {
  return Planner(sequences, limits).plan();
}

}  // namespace omg
