// SPDX-License-Identifier: Apache-2.0
#include "engine/batch/batcher.h"

#include <algorithm>
#include <string>
#include <utility>

#include "base/error.h"
#include "engine/batch/step_plan.h"
#include "engine/kv/prefix_tree.h"

namespace omg {
namespace {

/// Those that wait for the engine's storage are asked so often whether they are still wanted.
constexpr std::chrono::milliseconds kLookAtCancelled{20};
/// The storage's queue, once it was full, is looked at again after this.
constexpr std::chrono::milliseconds kStoreAgain{20};

}  // namespace

Batcher::Batcher(Engine& engine, const BatcherOptions& options)
    : engine_(engine), options_(options) {
  update_stats();
  thread_ = std::thread([this] { run(); });
}

Batcher::~Batcher() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  submitted_.notify_all();
  thread_.join();
}

void Batcher::submit(BatchRequest request) {
  if (request.prompt.empty()) {
    throw Error(ErrorCode::kInvalidArgument, "the prompt has no tokens");
  }
  if (request.prompt.size() > context_of(request)) {
    throw Error(ErrorCode::kContextLengthExceeded,
                "the prompt has " + std::to_string(request.prompt.size()) +
                    " tokens, and the context has room for " + std::to_string(context_of(request)));
  }
  {
    const std::lock_guard lock(mutex_);
    if (inbox_.size() + stats_.waiting >= options_.max_waiting) {
      throw Error(ErrorCode::kUnavailable, std::to_string(options_.max_waiting) +
                                               " requests are waiting already; try again later");
    }
    inbox_.push_back(std::move(request));
  }
  submitted_.notify_all();
}

uint32_t Batcher::context_of(const BatchRequest& request) const {
  const uint32_t most = engine_.context_length();
  return request.context_length == 0 ? most : std::min(request.context_length, most);
}

BatcherStats Batcher::stats() const {
  const std::lock_guard lock(mutex_);
  BatcherStats stats = stats_;
  stats.waiting += inbox_.size();
  return stats;
}

void Batcher::run() {
  while (take_submitted()) {
    finish_restores();
    drop_cancelled();
    step();
    std::erase_if(sequences_, [](const Sequence& sequence) { return sequence.has_ended; });
    update_stats();
  }
  end_restores();
  for (Sequence& sequence : sequences_) end(sequence, BatchEndReason::kCancelled);
  sequences_.clear();
  engine_.store_all(std::chrono::steady_clock::now() + options_.store_at_end);
}

bool Batcher::has_work() const {
  return stopping_ || !inbox_.empty() || !restored_.empty() ||
         std::any_of(sequences_.begin(), sequences_.end(),
                     [](const Sequence& sequence) { return !sequence.is_restoring; });
}

/// Meanwhile, after a pause, the cache is stored.
void Batcher::wait_for_work(std::unique_lock<std::mutex>& lock) {
  const auto ready = [this] { return has_work(); };
  // Cancellations are asked for, so a wait for the storage is no long one.
  if (!sequences_.empty()) {
    submitted_.wait_for(lock, kLookAtCancelled, ready);
    return;
  }
  auto pause = options_.pause_before_storing;
  while (has_news_) {
    if (submitted_.wait_for(lock, pause, ready)) return;
    lock.unlock();
    has_news_ = engine_.store_some();
    lock.lock();
    pause = kStoreAgain;
  }
  submitted_.wait(lock, ready);
}

bool Batcher::take_submitted() {
  std::unique_lock lock(mutex_);
  wait_for_work(lock);
  for (BatchRequest& request : inbox_) {
    Sequence sequence;
    sequence.tokens = request.prompt;
    sequence.request = std::move(request);
    sequences_.push_back(std::move(sequence));
    ++stats_.waiting;
  }
  inbox_.clear();
  return !stopping_;
}

void Batcher::drop_cancelled() {
  for (Sequence& sequence : sequences_) {
    const auto& is_cancelled = sequence.request.is_cancelled;
    if (!is_cancelled || !is_cancelled()) continue;
    if (!sequence.is_restoring) {
      end(sequence, BatchEndReason::kCancelled);
    } else {
      engine_.cancel_restore(*sequence.id);  // it ends when that has
    }
  }
  std::erase_if(sequences_, [](const Sequence& sequence) { return sequence.has_ended; });
}

void Batcher::admit(Sequence& sequence) {
  sequence.id = engine_.create_sequence();
  // The last token goes through the model in any case: its logits are wanted.
  const std::span<const int32_t> tokens(sequence.tokens);
  sequence.held = engine_.attach_prefix(*sequence.id, tokens.first(tokens.size() - 1));
  if (!sequence.began) sequence.began = std::chrono::steady_clock::now();
  restore(sequence);
  if (!sequence.is_restoring) begin(sequence);
}

/// Leaves a block to each that has a place, so that the others go on meanwhile.
void Batcher::restore(Sequence& sequence) {
  const std::span<const int32_t> tokens(sequence.tokens);
  const auto places = static_cast<uint32_t>(
      std::count_if(sequences_.begin(), sequences_.end(),
                    [](const Sequence& other) { return other.id.has_value(); }));
  const uint32_t free = engine_.free_kv_blocks();
  if (free <= places) return;
  const auto ready = [this, id = *sequence.id] {
    const std::lock_guard lock(mutex_);
    restored_.push_back(id);
    submitted_.notify_all();
  };
  sequence.is_restoring =
      engine_.begin_restore(*sequence.id, tokens.first(tokens.size() - 1), free - places, ready);
}

void Batcher::begin(Sequence& sequence) {
  if (!sequence.cached) sequence.cached = sequence.held;
  const std::lock_guard lock(mutex_);
  stats_.cached_tokens += sequence.held;
}

void Batcher::finish_restores() {
  std::vector<SequenceId> ready;
  {
    const std::lock_guard lock(mutex_);
    ready.swap(restored_);
  }
  for (const SequenceId id : ready) {
    Sequence& sequence = with_id(id);
    const uint32_t before = sequence.held;
    sequence.held = engine_.finish_restore(id);
    sequence.is_restoring = false;
    begin(sequence);
    const std::lock_guard lock(mutex_);
    stats_.restored_tokens += sequence.held - before;
  }
}

/// Until none is under way.
void Batcher::end_restores() {
  const auto is_restoring = [](const Sequence& sequence) { return sequence.is_restoring; };
  for (const Sequence& sequence : sequences_) {
    if (sequence.is_restoring) engine_.cancel_restore(*sequence.id);
  }
  while (std::any_of(sequences_.begin(), sequences_.end(), is_restoring)) {
    {
      std::unique_lock lock(mutex_);
      submitted_.wait(lock, [this] { return !restored_.empty(); });
    }
    finish_restores();
  }
}

void Batcher::preempt(Sequence& sequence) {
  engine_.free_sequence(*sequence.id);
  sequence.id.reset();
  sequence.held = 0;
  const std::lock_guard lock(mutex_);
  ++stats_.preemptions;
}

std::vector<SequenceChunk> Batcher::grant() {
  // Who is admitted may find a part of its prompt in the cache: then the plan is made again.
  while (true) {
    std::vector<SequenceNeed> needs;
    std::vector<size_t> planned;  // those that are restored come when that has ended
    for (size_t i = 0; i < sequences_.size(); ++i) {
      const Sequence& sequence = sequences_[i];
      if (sequence.is_restoring) continue;
      planned.push_back(i);
      SequenceNeed need;
      need.length = sequence.held;
      need.pending = sequence.pending();
      need.is_generating = sequence.is_generating();
      need.is_admitted = sequence.id.has_value();
      if (sequence.id) {
        const SequenceBlocks blocks = engine_.sequence_blocks(*sequence.id);
        need.private_blocks = blocks.only_its_own;
        need.copies_block = blocks.copies_block;
      }
      needs.push_back(need);
    }
    StepLimits limits;
    limits.max_batch_tokens = engine_.max_batch_tokens();
    limits.max_prompt_tokens_beside = options_.max_prompt_tokens_beside;
    limits.max_sequences =
        engine_.max_sequences() - static_cast<uint32_t>(sequences_.size() - planned.size());
    limits.free_blocks = engine_.free_kv_blocks();
    limits.block_tokens = kKvBlockTokens;
    const StepPlan plan = plan_step(needs, limits);
    for (const size_t i : plan.preempted) preempt(sequences_[planned[i]]);
    bool has_newcomer = false;
    for (const StepPlan::Grant& grant : plan.grants) {
      Sequence& sequence = sequences_[planned[grant.sequence]];
      if (sequence.id) continue;
      admit(sequence);
      has_newcomer = true;
    }
    if (has_newcomer) continue;
    std::vector<SequenceChunk> chunks;
    for (const StepPlan::Grant& grant : plan.grants) {
      const Sequence& sequence = sequences_[planned[grant.sequence]];
      const std::span<const int32_t> tokens(sequence.tokens);
      const bool is_last = grant.tokens == sequence.pending();
      chunks.push_back(
          {*sequence.id, tokens.subspan(sequence.held, grant.tokens), is_last ? 1u : 0u});
    }
    return chunks;
  }
}

Batcher::Sequence& Batcher::with_id(SequenceId id) {
  return *std::find_if(sequences_.begin(), sequences_.end(),
                       [&](const Sequence& sequence) { return sequence.id == id; });
}

void Batcher::step() {
  if (sequences_.empty()) return;
  const std::vector<SequenceChunk> chunks = grant();
  if (chunks.empty()) {
    // What is brought from the storage is waited for: then there will be something to do, or room.
    if (std::any_of(sequences_.begin(), sequences_.end(),
                    [](const Sequence& sequence) { return sequence.is_restoring; })) {
      std::unique_lock lock(mutex_);
      submitted_.wait_for(lock, kLookAtCancelled,
                          [this] { return stopping_ || !restored_.empty(); });
      return;
    }
    // The oldest does not fit the cache even alone.
    end(sequences_.front(), BatchEndReason::kFailed,
        std::make_exception_ptr(Error(ErrorCode::kOutOfMemory,
                                      "the KV cache is too small for this request: load the model "
                                      "with a larger one, or ask for less")));
    return;
  }
  has_news_ = true;
  std::span<float> logits;
  try {
    logits = engine_.step(chunks);
  } catch (...) {
    for (const SequenceChunk& chunk : chunks) {
      end(with_id(chunk.sequence), BatchEndReason::kFailed, std::current_exception());
    }
    return;
  }
  choose_tokens(chunks, logits);
}

void Batcher::choose_tokens(std::span<const SequenceChunk> chunks, std::span<float> logits) {
  const size_t width = engine_.vocab_size();
  uint64_t prompt_tokens = 0;
  std::vector<Choice> choices;
  for (const SequenceChunk& chunk : chunks) {
    Sequence& sequence = with_id(chunk.sequence);
    if (!sequence.is_generating()) prompt_tokens += chunk.tokens.size();
    sequence.held += static_cast<uint32_t>(chunk.tokens.size());
    if (chunk.logits_count == 0) continue;
    choices.push_back({&sequence, logits.subspan(choices.size() * width, width), nullptr});
  }
  sample(choices);
  for (const Choice& choice : choices) choose_token(choice);
  const std::lock_guard lock(mutex_);
  ++stats_.steps;
  stats_.prompt_tokens += prompt_tokens;
}

void Batcher::sample(std::vector<Choice>& choices) {
  engine_.run_beside(choices.size(), [&](size_t i) {
    Choice& choice = choices[i];
    try {
      const auto& sample = choice.sequence->request.sample;
      if (sample) sample(choice.logits);
    } catch (...) {
      choice.failure = std::current_exception();
    }
  });
}

void Batcher::choose_token(const Choice& choice) {
  Sequence& sequence = *choice.sequence;
  try {
    if (choice.failure) std::rethrow_exception(choice.failure);
    const std::optional<int32_t> token = sequence.request.choose(choice.logits);
    if (!token) return end(sequence, BatchEndReason::kChosen);
    if (sequence.tokens.size() >= context_of(sequence.request)) {
      if (!sequence.request.make_room) return end(sequence, BatchEndReason::kContextFull);
      make_room(sequence);
    }
    sequence.tokens.push_back(*token);
    sequence.has_chosen = true;
    const std::lock_guard lock(mutex_);
    ++stats_.chosen_tokens;
  } catch (...) {
    end(sequence, BatchEndReason::kFailed, std::current_exception());
  }
}

/// The beginning that stays the same stays in the cache; what moved must be computed again.
void Batcher::make_room(Sequence& sequence) {
  std::vector<int32_t> tokens = sequence.request.make_room(sequence.tokens);
  if (tokens.empty() || tokens.size() >= context_of(sequence.request)) {
    throw Error(ErrorCode::kInternal, "what shall go on in a full context does not fit it");
  }
  const auto common = std::mismatch(tokens.begin(), tokens.end(), sequence.tokens.begin()).first;
  sequence.held = static_cast<uint32_t>(common - tokens.begin());
  engine_.truncate_sequence(*sequence.id, sequence.held);
  sequence.tokens = std::move(tokens);
}

void Batcher::end(Sequence& sequence, BatchEndReason reason, std::exception_ptr error) {
  if (sequence.has_ended) return;
  sequence.has_ended = true;
  if (sequence.id) engine_.free_sequence(*sequence.id);
  sequence.id.reset();
  sequence.request.on_end({reason, std::move(error), sequence.cached.value_or(0), sequence.began});
}

void Batcher::update_stats() {
  const std::lock_guard lock(mutex_);
  stats_.running = static_cast<size_t>(
      std::count_if(sequences_.begin(), sequences_.end(),
                    [](const Sequence& sequence) { return sequence.id.has_value(); }));
  stats_.waiting = sequences_.size() - stats_.running;
  stats_.free_kv_blocks = engine_.free_kv_blocks();
}

}  // namespace omg
