// SPDX-License-Identifier: Apache-2.0
//
// What `omg bench` times: prompts and generation in one sequence or in many at once, with random
// tokens, straight on the engine or through its batcher, so that neither tokenizer nor sampler is
// measured.
#pragma once

#include <cstdint>
#include <exception>
#include <latch>
#include <string>
#include <vector>

#include "base/cancellation.h"
#include "engine/batch/batcher.h"
#include "engine/engine.h"

namespace omg::cli {

/// One test. Alone (`users` 0), it is either a prompt or a generation, as in llama.cpp's
/// llama-bench; with users it is both: each of them brings a prompt and then gets tokens, all at
/// once, as in its llama-batched-bench.
struct BenchTest {
  uint32_t users = 0;
  uint32_t depth = 0;  // tokens in each sequence before anything is timed
  uint32_t prompt = 0;
  uint32_t generate = 0;
  bool is_served = false;  // by the batcher, as requests are; with users and depth 0

  uint32_t sequences() const { return users == 0 ? 1 : users; }
  /// Tokens that one sequence holds in the end.
  uint64_t length() const { return uint64_t{depth} + prompt + generate; }
  /// "pp512", "tg64 @ d8192", "pp128+tg64 x16", "pp128+tg64 x16 served".
  std::string name() const;
  /// The parts that are reported by themselves.
  BenchTest prompt_part() const { return {users, depth, prompt, 0}; }
  BenchTest generation_part() const { return {users, depth, 0, generate}; }
};

struct BenchTimes {
  double prompt_seconds = 0;  // of all prompts together
  double generate_seconds = 0;
  double served_seconds = 0;  // of both where they overlap; then the others are 0
};

/// The sequences of one test. They are alive, with their context filled, until this goes away.
/// Those of a served test are the batcher's, each time anew.
class BenchWorkload {
 public:
  /// Fills the sequences to the test's depth, untimed. `engine` and `cancellation` must outlive
  /// this; throws what Engine::step throws, and Error(kCancelled).
  BenchWorkload(Engine& engine, const BenchTest& test, const CancellationToken& cancellation);
  BenchWorkload(const BenchWorkload&) = delete;
  BenchWorkload& operator=(const BenchWorkload&) = delete;
  ~BenchWorkload();

  const BenchTest& test() const { return test_; }
  /// Runs the test once, from the same depth each time.
  BenchTimes run();

 private:
  int32_t next_token();
  void feed(uint32_t tokens_each);
  void generate();
  double serve();
  BatchRequest request(std::latch& ended);

  Engine& engine_;
  const BenchTest test_;
  const CancellationToken& cancellation_;
  std::vector<SequenceId> sequences_;
  uint64_t random_ = 0;         // of the batcher's thread while requests are served
  std::exception_ptr failure_;  // of one of them
};

}  // namespace omg::cli
