// SPDX-License-Identifier: Apache-2.0
//
// A model without weights, for tests and measurements of what stands round a model: its answers
// are counted, and some prompts make it misbehave as a real one might.
#pragma once

#include <algorithm>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <csignal>
#include <cstdlib>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <sys/resource.h>
#include <thread>
#include <unistd.h>
#include <vector>

#include "runtimes/model.h"

namespace omg::testing {

/// A thread steps all answers at once, as a batch does. The prompt is a word and a number:
///   count N       N pieces "0 ", "1 ", …, one a step
///   flood N       N pieces of 64 KiB, as fast as they are taken
///   busy          computes without any piece until cancelled
///   cpu           one piece: microseconds of processor time that this process has used
///   abort, kill, segv, exit N    the end of the process, after three pieces
/// anything else is Error(kInvalidArgument).
class FakeModel : public Model {
 public:
  using Special = std::function<std::string(const std::string& prompt)>;

  /// `special` may answer a prompt with one piece; "": it is none of its own.
  explicit FakeModel(std::chrono::microseconds step, Special special = nullptr)
      : step_(step), special_(std::move(special)), thread_([this] { run(); }) {
    facts_.family = "fake";
    facts_.name = "\xff any bytes";
    facts_.context_length = 4096;
    facts_.vocab_size = 256;
    facts_.has_template = true;
  }
  ~FakeModel() override {
    is_stopping_ = true;
    changed_.notify_all();
    thread_.join();
    for (auto& [id, answer] : answers_) end(answer, FinishReason::kCancelled);
  }

  const ModelFacts& facts() const override { return facts_; }

  Canceller answer(AnswerRequest request, AnswerSink sink) override {
    Answer answer;
    answer.sink = std::move(sink);
    answer.text = std::get<TextPrompt>(request.prompt).text;
    const size_t space = answer.text.find(' ');
    if (space != std::string::npos) answer.number = std::atoi(answer.text.c_str() + space);
    answer.word = answer.text.substr(0, space);
    answer.wants_tokens = request.options.sampling.top_logprobs >= 0;
    auto cancelled = std::make_shared<std::atomic<bool>>(false);
    answer.cancelled = cancelled;
    const std::lock_guard lock(mutex_);
    answers_.emplace(++last_id_, std::move(answer));
    changed_.notify_all();
    return [cancelled] { *cancelled = true; };
  }

  std::vector<int32_t> tokenize(std::string_view text, const TokenizeOptions& options) override {
    if (text == "throw") throw Error(ErrorCode::kUnsupported, "no such text");
    std::vector<int32_t> tokens;
    if (options.add_special) tokens.push_back(1);
    for (const char letter : text) tokens.push_back(static_cast<unsigned char>(letter));
    return tokens;
  }
  std::string detokenize(std::span<const int32_t> tokens) override {
    std::string text;
    for (const int32_t token : tokens) text.push_back(static_cast<char>(token));
    return text;
  }
  RenderedChat render(const ChatPrompt& prompt) override {
    return {json::serialize(prompt.messages), {"a warning"}};
  }
  ModelActivity activity() const override {
    const std::lock_guard lock(mutex_);
    ModelActivity activity;
    activity.running = static_cast<uint32_t>(answers_.size());
    activity.steps = steps_;
    return activity;
  }

 private:
  struct Answer {
    AnswerSink sink;
    std::string text;
    std::string word;
    int number = 0;
    int said = 0;
    bool wants_tokens = false;
    std::shared_ptr<std::atomic<bool>> cancelled;
  };

  void run() {
    auto next = std::chrono::steady_clock::now();
    while (!is_stopping_) {
      {
        std::unique_lock lock(mutex_);
        changed_.wait(lock, [this] { return is_stopping_ || !answers_.empty(); });
      }
      if (is_stopping_) return;
      next = std::max(next + step_, std::chrono::steady_clock::now());
      std::this_thread::sleep_until(next);
      step();
    }
  }

  void step() {
    std::vector<uint64_t> ids;
    {
      const std::lock_guard lock(mutex_);
      ++steps_;
      for (const auto& [id, answer] : answers_) ids.push_back(id);
    }
    for (const uint64_t id : ids) {
      std::unique_lock lock(mutex_);
      Answer& answer = answers_.at(id);
      lock.unlock();
      if (!advance(answer)) continue;
      lock.lock();
      answers_.erase(id);
    }
  }

  void say(Answer& answer, std::string text) {
    AnswerPiece piece;
    piece.text = std::move(text);
    piece.token_count = 1;
    if (answer.wants_tokens) piece.tokens.push_back({7, "\xf0", -0.5F, {{7, "\xf0", -0.5F}}});
    ++answer.said;
    answer.sink.on_piece(std::move(piece));
  }

  static void end(Answer& answer, FinishReason reason) {
    AnswerResult result;
    result.finish_reason = reason;
    result.generated_tokens = static_cast<uint32_t>(answer.said);
    answer.sink.on_end(nullptr, result);
  }

  /// True when it has ended.
  bool advance(Answer& answer) {
    if (*answer.cancelled) {
      end(answer, FinishReason::kCancelled);
      return true;
    }
    if (answer.word == "busy") return false;
    if (answer.word == "count" || answer.word == "flood") {
      if (answer.said < answer.number) {
        const bool floods = answer.word == "flood";
        say(answer, floods ? std::string(65536, 'x') : std::to_string(answer.said) + " ");
      }
      if (answer.said < answer.number) return false;
      end(answer, FinishReason::kStop);
      return true;
    }
    if (answer.word == "cpu") {
      rusage usage{};
      ::getrusage(RUSAGE_SELF, &usage);
      say(answer, std::to_string((usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * 1000000 +
                                 usage.ru_utime.tv_usec + usage.ru_stime.tv_usec));
      end(answer, FinishReason::kStop);
      return true;
    }
    if (answer.word == "abort" || answer.word == "kill" || answer.word == "segv" ||
        answer.word == "exit") {
      say(answer, "x");
      if (answer.said >= 3) misbehave(answer);
      return false;
    }
    const std::string text = special_ ? special_(answer.text) : "";
    if (!text.empty()) {
      say(answer, text);
      end(answer, FinishReason::kStop);
      return true;
    }
    const Error error(ErrorCode::kInvalidArgument, "no such prompt: " + answer.word);
    answer.sink.on_end(&error, AnswerResult());
    return true;
  }

  static void misbehave(const Answer& answer) {
    if (answer.word == "abort") std::abort();
    if (answer.word == "segv") {
      ::signal(SIGSEGV, SIG_DFL);
      ::raise(SIGSEGV);
    }
    if (answer.word == "exit") ::_exit(answer.number);
    ::raise(SIGKILL);  // kill() is not for everyone
  }

  const std::chrono::microseconds step_;
  const Special special_;
  ModelFacts facts_;
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  std::map<uint64_t, Answer> answers_;
  uint64_t last_id_ = 0;
  uint64_t steps_ = 0;
  std::atomic<bool> is_stopping_{false};
  std::thread thread_;
};

}  // namespace omg::testing
