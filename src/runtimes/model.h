// SPDX-License-Identifier: Apache-2.0
//
// A loaded model that can serve: the one interface of all runtimes. runtimes/native has it in this
// process; runtimes/worker in a process of its own.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "runtimes/answer.h"

namespace omg {

class File;

/// Where the KV cache of beginnings of texts is kept when the model is not loaded.
struct PrefixStorage {
  std::string path;         // of a file of this user's; "": it is not kept
  uint64_t max_bytes = 0;   // of the file
  uint64_t most_bytes = 0;  // what max_bytes may be at other times
  std::string weights;      // equal for equal weights and for no others
  /// The file, open and locked by who loads: a sandbox may come before the model. It stays in its
  /// process.
  std::shared_ptr<File> file;
};

/// How a model is loaded.
struct ModelLoadOptions {
  std::string path;             // of a .gguf; of a split model its first part
  std::string chat_template;    // Jinja, instead of the file's; "": the file's
  uint32_t context_length = 0;  // of one sequence; 0: the model's maximum, or what memory allows
  /// Tokens of KV cache that all sequences share; 0: one context_length.
  uint64_t kv_capacity_tokens = 0;
  uint32_t max_sequences = 64;  // at once; others wait
  uint32_t max_waiting = 512;   // more are refused: Error(kUnavailable)
  uint32_t threads = 0;         // 0: what affinity and the cgroup quota allow
  std::string kv_type = "f16";  // a name in kKvTypes
  PrefixStorage prefix_storage;
};

/// What a loaded model is. Fixed for its life.
struct ModelFacts {
  std::string family;
  std::string name;  // its own, from its metadata
  uint32_t context_length = 0;
  uint32_t vocab_size = 0;
  bool has_template = false;
  bool can_use_tools = false;
  bool can_think = false;
  bool can_fill_in = false;  // TextPrompt::suffix
  uint64_t weights_bytes = 0;
  uint64_t kv_bytes = 0;  // if the cache were full
  uint64_t scratch_bytes = 0;
  uint64_t kv_capacity_tokens = 0;
  std::string device;  // "CPU (avx512_vnni), 2 threads"
  /// "room for 65536 tokens, 2048 there", "off: …"; "" where none was asked for.
  std::string prefix_storage;
  std::chrono::nanoseconds load_duration{};
};

/// Counters since it was loaded, and how things stand.
struct ModelActivity {
  uint32_t running = 0;  // sequences
  uint32_t waiting = 0;
  uint64_t steps = 0;
  uint64_t prompt_tokens = 0;    // that went through the model
  uint64_t cached_tokens = 0;    // that did not need to
  uint64_t restored_tokens = 0;  // of these, those that came from the prefix storage
  uint64_t generated_tokens = 0;
  uint64_t preemptions = 0;
  uint64_t kv_free_tokens = 0;
};

struct TokenizeOptions {
  bool add_special = true;    // BOS, where the model wants it
  bool parse_special = true;  // control tokens in the text are recognised
};

/// Thread-safe. Methods but answer() throw Error; kUnavailable when the model is gone.
class Model {
 public:
  /// Ends all answers, as cancelled, and waits for their on_end.
  virtual ~Model() = default;

  virtual const ModelFacts& facts() const = 0;
  /// Returns at once and never throws: what is wrong with the request comes by on_end.
  virtual Canceller answer(AnswerRequest request, AnswerSink sink) = 0;
  virtual std::vector<int32_t> tokenize(std::string_view text, const TokenizeOptions& options) = 0;
  /// May be part of a character. Error(kInvalidArgument) for what is outside the vocabulary.
  virtual std::string detokenize(std::span<const int32_t> tokens) = 0;
  /// The prompt that an answer to this would begin from.
  virtual RenderedChat render(const ChatPrompt& prompt) = 0;
  virtual ModelActivity activity() const = 0;
};

}  // namespace omg
