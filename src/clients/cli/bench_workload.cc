// SPDX-License-Identifier: Apache-2.0
#include "clients/cli/bench_workload.h"

#include <algorithm>
#include <chrono>
#include <fmt/format.h>

namespace omg::cli {
namespace {

using Clock = std::chrono::steady_clock;

double seconds_since(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

}  // namespace

std::string BenchTest::name() const {
  std::string text;
  if (prompt > 0) text += fmt::format("pp{}", prompt);
  if (generate > 0) text += fmt::format("{}tg{}", text.empty() ? "" : "+", generate);
  if (users > 0) text += fmt::format(" x{}", users);
  if (depth > 0) text += fmt::format(" @ d{}", depth);
  if (is_served) text += " served";
  return text;
}

BenchWorkload::BenchWorkload(Engine& engine, const BenchTest& test,
                             const CancellationToken& cancellation)
    : engine_(engine), test_(test), cancellation_(cancellation) {
  if (test.is_served) return;
  try {
    for (uint32_t i = 0; i < test.sequences(); ++i) {
      sequences_.push_back(engine_.create_sequence());
    }
    feed(test.depth);
  } catch (...) {
    for (const SequenceId id : sequences_) engine_.free_sequence(id);
    throw;
  }
}

BenchWorkload::~BenchWorkload() {
  for (const SequenceId id : sequences_) engine_.free_sequence(id);
}

BenchTimes BenchWorkload::run() {
  if (test_.is_served) return {.served_seconds = serve()};
  for (const SequenceId id : sequences_) engine_.truncate_sequence(id, test_.depth);
  BenchTimes times;
  const auto start = Clock::now();
  feed(test_.prompt);
  times.prompt_seconds = seconds_since(start);
  const auto prompts_done = Clock::now();
  generate();
  times.generate_seconds = seconds_since(prompts_done);
  return times;
}

/// Random tokens, the same in every run of the program (splitmix64).
int32_t BenchWorkload::next_token() {
  uint64_t z = random_ += 0x9e3779b97f4a7c15u;
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
  z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
  return static_cast<int32_t>((z ^ (z >> 31)) % engine_.vocab_size());
}

/// Appends random tokens to every sequence. Steps are as full as the engine takes them, whoever the
/// tokens belong to; each sequence's last token asks for its logits, as a prompt does.
void BenchWorkload::feed(uint32_t tokens_each) {
  const size_t total = sequences_.size() * size_t{tokens_each};
  std::vector<std::vector<int32_t>> parts;
  std::vector<SequenceChunk> chunks;
  for (size_t done = 0; done < total;) {
    cancellation_.throw_if_cancelled();
    const size_t end = std::min<size_t>(total, done + engine_.max_batch_tokens());
    parts.clear();
    chunks.clear();
    while (done < end) {
      const size_t position = done % tokens_each;
      const size_t count = std::min(end - done, tokens_each - position);
      auto& part = parts.emplace_back(count);
      std::generate(part.begin(), part.end(), [this] { return next_token(); });
      const uint32_t logits = position + count == tokens_each ? 1 : 0;
      chunks.push_back({sequences_[done / tokens_each], part, logits});
      done += count;
    }
    engine_.step(chunks);
  }
}

/// One token for every sequence in each step.
void BenchWorkload::generate() {
  std::vector<int32_t> tokens(sequences_.size());
  std::vector<SequenceChunk> chunks;
  for (size_t i = 0; i < tokens.size(); ++i) {
    chunks.push_back({sequences_[i], std::span<const int32_t>(&tokens[i], 1), 1});
  }
  for (uint32_t step = 0; step < test_.generate; ++step) {
    cancellation_.throw_if_cancelled();
    for (int32_t& token : tokens) token = next_token();
    engine_.step(chunks);
  }
}

/// All users ask at once; in seconds. Each token is chosen without a look at the logits.
double BenchWorkload::serve() {
  Batcher batcher(engine_, {.max_waiting = test_.users});
  std::latch ended(test_.users);
  std::vector<BatchRequest> requests;  // all before the first begins to take random tokens
  for (uint32_t i = 0; i < test_.users; ++i) requests.push_back(request(ended));
  const auto start = Clock::now();
  for (BatchRequest& request : requests) batcher.submit(std::move(request));
  ended.wait();
  const double seconds = seconds_since(start);
  cancellation_.throw_if_cancelled();
  if (failure_) std::rethrow_exception(failure_);
  return seconds;
}

BatchRequest BenchWorkload::request(std::latch& ended) {
  BatchRequest request;
  request.prompt.resize(test_.prompt);
  std::generate(request.prompt.begin(), request.prompt.end(), [this] { return next_token(); });
  request.choose = [this, left = test_.generate](std::span<float>) mutable {
    return left-- > 1 ? std::optional(next_token()) : std::nullopt;
  };
  request.is_cancelled = [this] { return cancellation_.is_cancelled(); };
  request.on_end = [this, &ended](const BatchEnd& end) {
    if (end.error) failure_ = end.error;
    ended.count_down();
  };
  return request;
}

}  // namespace omg::cli
