// SPDX-License-Identifier: Apache-2.0
//
// Continuous batching: a thread that steps an engine for all sequences at once, as step_plan.h
// says, and hands each one's logits to whoever asked for it. It knows tokens alone: choosing the
// next one (grammar, sampling) and making text of it is the caller's.
#pragma once

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <exception>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <thread>
#include <vector>

#include "engine/engine.h"

namespace omg {

enum class BatchEndReason {
  kChosen,       // choose() named no further token
  kContextFull,  // the sequence has as many tokens as its context
  kCancelled,
  kFailed,  // see `error`
};

struct BatchEnd {
  BatchEndReason reason = BatchEndReason::kChosen;
  std::exception_ptr error;
  /// Of the prompt, found in the KV cache when it began.
  uint32_t cached_tokens = 0;
  /// When its first step began; nothing if it never had one.
  std::optional<std::chrono::steady_clock::time_point> began;
};

/// What is asked of a Batcher. Its functions, but for sample(), are called on the batch's thread,
/// one at a time, and everybody waits for them: they must be quick, and may not call the batcher.
struct BatchRequest {
  /// At most as many tokens as the context: choose() is asked for one more than it holds.
  std::vector<int32_t> prompt;
  /// Tokens that the sequence may have; 0, or more than the engine's: the engine's.
  uint32_t context_length = 0;
  /// Called before choose() with the same logits, on any of the engine's threads, while other
  /// sequences sample theirs: for what takes long. With 16 users and a vocabulary of 128k, looking
  /// at the logits one user after another took 2 % of a step. May be empty.
  std::function<void(std::span<float> logits)> sample;
  /// Gets the logits of the last token (it may change them) and names the next one, or nothing to
  /// end. What it or sample() throws ends this sequence alone.
  std::function<std::optional<int32_t>(std::span<float> logits)> choose;
  /// Asked when choose() has named a token and the sequence has as many as its context: gives those
  /// to go on with instead, at least one and fewer than the context. Without it that is the end.
  std::function<std::vector<int32_t>(std::span<const int32_t> tokens)> make_room;
  /// Exactly once, when nothing more will be called. Must not throw.
  std::function<void(const BatchEnd& end)> on_end;
  /// Asked before each step, while a prompt is read too; may be empty.
  std::function<bool()> is_cancelled;
};

struct BatcherOptions {
  /// Requests that wait for a place; more are refused.
  size_t max_waiting = 512;
  /// Of a step, for prompts while as many others generate (StepLimits). On a CPU that reads 700
  /// tokens of a prompt in a second, 128 let those that generate wait for a fifth of a second.
  uint32_t max_prompt_tokens_beside = 128;
  /// When nothing was to be done for so long, the cache is written to the engine's storage.
  std::chrono::milliseconds pause_before_storing{1000};
  /// What writing the rest may take at the end.
  std::chrono::milliseconds store_at_end{5000};
};

struct BatcherStats {
  size_t waiting = 0;
  size_t running = 0;
  uint64_t steps = 0;
  uint64_t prompt_tokens = 0;    // that went through the model, not chosen by the step before
  uint64_t cached_tokens = 0;    // that did not need to
  uint64_t restored_tokens = 0;  // of these, those that came from the engine's storage
  uint64_t chosen_tokens = 0;
  uint64_t preemptions = 0;
  uint32_t free_kv_blocks = 0;
};

class Batcher {
 public:
  /// `engine` must outlive it, and is its own from now on.
  Batcher(Engine& engine, const BatcherOptions& options);
  /// Cancels all that is under way.
  ~Batcher();
  Batcher(const Batcher&) = delete;
  Batcher& operator=(const Batcher&) = delete;

  /// Thread-safe. Throws Error, and then calls nothing: kInvalidArgument for an empty prompt,
  /// kContextLengthExceeded with both numbers for one of more tokens than the context, kUnavailable
  /// when too many wait.
  void submit(BatchRequest request);
  /// Thread-safe.
  BatcherStats stats() const;

 private:
  /// A request on its way, in order of arrival.
  struct Sequence {
    BatchRequest request;
    std::vector<int32_t> tokens;     // prompt, and what was chosen
    std::optional<SequenceId> id;    // while it has a place in the engine
    uint32_t held = 0;               // of the tokens, those in the cache
    std::optional<uint32_t> cached;  // of the prompt, when it first began
    std::optional<std::chrono::steady_clock::time_point> began;
    bool has_chosen = false;
    bool is_restoring = false;  // a part of it comes from the engine's storage: not to be touched
    bool has_ended = false;

    uint32_t pending() const { return static_cast<uint32_t>(tokens.size()) - held; }
    bool is_generating() const { return id && has_chosen && pending() == 1; }
  };

  void run();
  /// Takes in what was submitted; waits while there is nothing to do. False: the end.
  bool take_submitted();
  void wait_for_work(std::unique_lock<std::mutex>& lock);
  bool has_work() const;  // mutex_ held
  void finish_restores();
  void end_restores();
  void drop_cancelled();
  void step();
  std::vector<SequenceChunk> grant();
  void admit(Sequence& sequence);
  void restore(Sequence& sequence);
  void begin(Sequence& sequence);
  void preempt(Sequence& sequence);
  void choose_tokens(std::span<const SequenceChunk> chunks, std::span<float> logits);
  /// Logits of a sequence's last token, and what its sample() threw.
  struct Choice {
    Sequence* sequence = nullptr;
    std::span<float> logits;
    std::exception_ptr failure;
  };
  void sample(std::vector<Choice>& choices);
  void choose_token(const Choice& choice);
  uint32_t context_of(const BatchRequest& request) const;
  void make_room(Sequence& sequence);
  void end(Sequence& sequence, BatchEndReason reason, std::exception_ptr error = nullptr);
  void update_stats();
  Sequence& with_id(SequenceId id);

  Engine& engine_;
  const BatcherOptions options_;

  mutable std::mutex mutex_;  // guards what stands from here
  std::condition_variable submitted_;
  std::deque<BatchRequest> inbox_;
  BatcherStats stats_;
  std::vector<SequenceId> restored_;  // ready to be finished
  bool stopping_ = false;             // to here

  std::deque<Sequence> sequences_;  // the batch thread's
  bool has_news_ = false;           // the batch thread's: the cache may hold what is not stored
  std::thread thread_;              // last: it uses the others
};

}  // namespace omg
