// SPDX-License-Identifier: Apache-2.0
#include "engine/perplexity.h"

#include <algorithm>
#include <cmath>
#include <string>
#include <vector>

#include "base/error.h"

namespace omg {
namespace {

/// -log softmax(logits)[token].
double negative_log_likelihood(std::span<const float> logits, int32_t token) {
  const float most = *std::max_element(logits.begin(), logits.end());
  double sum = 0;
  for (const float logit : logits) sum += std::exp(logit - most);
  const double likelihood = std::log(sum) + most - logits[static_cast<size_t>(token)];
  if (std::isfinite(likelihood)) return likelihood;
  throw Error(ErrorCode::kCorrupt,
              "the model computed logits that are not finite numbers; its weights may be damaged, "
              "verify the model file");
}

class Sum {
 public:
  void add(double likelihood) {
    ++count_;
    sum_ += likelihood;
    squares_ += likelihood * likelihood;
  }
  Perplexity result(uint32_t chunks) const {
    const double count = static_cast<double>(count_);
    const double mean = sum_ / count;
    const double variance = std::max(0.0, squares_ / count - mean * mean);
    const double perplexity = std::exp(mean);
    return {perplexity, perplexity * std::sqrt(variance / std::max(1.0, count - 1)), chunks,
            count_};
  }

 private:
  uint64_t count_ = 0;
  double sum_ = 0;
  double squares_ = 0;
};

/// A sequence that is given back whatever happens.
class OneSequence {
 public:
  explicit OneSequence(Engine& engine) : engine_(engine), id_(engine.create_sequence()) {}
  ~OneSequence() { engine_.free_sequence(id_); }
  OneSequence(const OneSequence&) = delete;
  OneSequence& operator=(const OneSequence&) = delete;
  SequenceId id() const { return id_; }

 private:
  Engine& engine_;
  const SequenceId id_;
};

/// Scores tokens [size / 2 + 1, size) of one chunk.
void score(Engine& engine, std::span<const int32_t> chunk, Sum& sum) {
  const OneSequence sequence(engine);
  const size_t first = chunk.size() / 2;  // the first position whose logits count
  // The last token predicts one of the next chunk, which does not count.
  for (size_t begin = 0; begin + 1 < chunk.size(); begin += engine.max_batch_tokens()) {
    const size_t end = std::min(begin + engine.max_batch_tokens(), chunk.size() - 1);
    SequenceChunk part{sequence.id(), chunk.subspan(begin, end - begin), 0};
    const size_t from = std::max(begin, first);
    if (end > from) part.logits_count = static_cast<uint32_t>(end - from);
    const std::span<const float> logits = engine.step({&part, 1});
    for (size_t i = 0; i < part.logits_count; ++i) {
      const auto row = logits.subspan(i * engine.vocab_size(), engine.vocab_size());
      sum.add(negative_log_likelihood(row, chunk[from + i + 1]));
    }
  }
}

}  // namespace

Perplexity measure_perplexity(Engine& engine, std::span<const int32_t> tokens,
                              const PerplexityOptions& options,
                              const std::function<void(const Perplexity&)>& on_chunk) {
  const size_t context = std::max(options.context, 4u);
  if (tokens.size() < context) {
    throw Error(ErrorCode::kInvalidArgument, "the text has " + std::to_string(tokens.size()) +
                                                 " tokens, fewer than one chunk of " +
                                                 std::to_string(context) +
                                                 ": take a longer text, or shorter chunks");
  }
  size_t chunks = tokens.size() / context;
  if (options.max_chunks > 0) chunks = std::min<size_t>(chunks, options.max_chunks);
  Sum sum;
  Perplexity result;
  std::vector<int32_t> chunk;
  for (size_t i = 0; i < chunks; ++i) {
    const auto part = tokens.subspan(i * context, context);
    chunk.assign(part.begin(), part.end());
    if (options.first_token) chunk.front() = *options.first_token;
    score(engine, chunk, sum);
    result = sum.result(static_cast<uint32_t>(i + 1));
    if (on_chunk) on_chunk(result);
  }
  return result;
}

}  // namespace omg
