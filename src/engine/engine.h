// SPDX-License-Identifier: Apache-2.0
//
// The engine's face: a loaded model that takes ragged batches of tokens of many sequences and gives
// logits. It knows no files, sockets, text or globals; two engines can run in one process.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "engine/kernels/isa.h"
#include "engine/kernels/vector.h"
#include "engine/kv/block_pool.h"
#include "engine/profile.h"
#include "formats/model_file.h"

namespace omg {

class File;

enum class ActivationType {
  kInt8,  // quantised weights are multiplied with activations in int8 blocks of 32
  kF32,   // exact reference: activations stay float
};

/// Where blocks of the KV cache are kept beyond the engine's life.
struct KvStorageOptions {
  /// Open for writing, and nobody else's; null: they are not kept.
  std::shared_ptr<File> file;
  uint64_t max_bytes = 0;   // of the file
  uint64_t most_bytes = 0;  // what max_bytes may be at other times
  /// Equal for equal weights and for no others.
  std::string weights;
  /// Called once, on any thread, when writing fails: what is there is still read.
  std::function<void(const std::string& problem)> on_problem;
};

/// Memory that keeping blocks of this size takes: those that wait to be written, and one being
/// read.
uint64_t kv_storage_memory(uint64_t block_bytes);

struct EngineOptions {
  /// Tokens that one sequence may hold; 0: the model's maximum, or what memory allows if less.
  uint32_t context_length = 0;
  /// Sequences that may be alive at once.
  uint32_t max_sequences = 1;
  /// Tokens of KV cache shared by all sequences, in whole blocks of 32. 0: context_length *
  /// max_sequences, and a block for each, so that copies of shared ones never have to wait.
  uint64_t kv_capacity_tokens = 0;
  /// The cache holds one context_length, which all sequences share, where kv_capacity_tokens is 0.
  bool shares_one_context = false;
  /// Tokens that go through the model in one step; longer prompts are cut into chunks of this.
  uint32_t max_batch_tokens = 512;
  uint32_t threads = 0;  // 0: what affinity and the cgroup quota allow
  KvType kv_type = KvType::kF16;
  ActivationType activations = ActivationType::kInt8;
  std::optional<Isa> isa;  // unset: OMG_CPU_ISA, else the best the machine has
  KvStorageOptions kv_storage;
  /// Measures what the machine can do, which takes a quarter of a second, and times each operation.
  bool profile = false;
  /// Called with the share of the weights that is loaded, 0 to 1. May throw to stop loading.
  std::function<void(float)> on_progress;
};

/// What a model is, read from its metadata; shown by `omg show`.
struct ModelDescription {
  std::string family;  // "llama"
  std::string name;
  uint64_t parameters = 0;
  uint32_t context_length = 0;
  uint32_t embedding_length = 0;
  uint32_t layers = 0;
  uint32_t heads = 0;
  uint32_t kv_heads = 0;
  uint32_t vocab_size = 0;
  uint32_t experts = 0;
  uint32_t experts_used = 0;
};

/// Reads family and sizes without loading. Error(kUnsupported) names a family that cannot run.
ModelDescription describe_model(const ModelFile& file);

/// Values of general.architecture that can run.
std::vector<std::string_view> supported_families();

/// A part of a step: tokens to append to one sequence.
struct SequenceChunk {
  SequenceId sequence;
  std::span<const int32_t> tokens;
  /// Logits are computed for the last `logits_count` tokens of the chunk (0: none).
  uint32_t logits_count = 0;
};

/// What a sequence means to the KV cache, for those who plan steps.
struct SequenceBlocks {
  uint32_t only_its_own = 0;  // blocks that would be free if it were freed
  bool copies_block = false;  // its next token needs a copy of its last block, which is shared
};

/// `scratch_bytes` is for the largest steps, with one token's logits for each sequence.
struct MemoryUse {
  uint64_t weights_bytes = 0;
  uint64_t kv_bytes = 0;
  uint64_t scratch_bytes = 0;
};

/// Not thread-safe: one thread steps an engine. It uses its own pool of threads inside.
class Engine {
 public:
  /// Packs the weights of `file` into the layout of the chosen kernels. `file` must outlive the
  /// engine (tensors that are only looked up stay mapped). Throws Error.
  static std::unique_ptr<Engine> load(const ModelFile& file, const EngineOptions& options);
  virtual ~Engine() = default;

  virtual const ModelDescription& description() const = 0;
  virtual uint32_t context_length() const = 0;
  virtual uint32_t vocab_size() const = 0;
  virtual uint32_t max_batch_tokens() const = 0;
  virtual uint32_t threads() const = 0;
  virtual Isa isa() const = 0;
  virtual MemoryUse memory_use() const = 0;

  /// Where time went so far; null unless loaded with EngineOptions::profile.
  virtual const Profile* profile() const = 0;
  /// Bytes per second that this engine's threads read from memory with a plain loop, measured now.
  /// Takes some tens of milliseconds and, meanwhile, 256 MiB.
  virtual double measure_read_bandwidth() = 0;
  /// Bytes that a step must read which generates one token in each of `sequences` sequences that
  /// hold `length` tokens: all weights in use once, and their caches.
  virtual double generation_step_bytes(uint32_t sequences, uint32_t length) const = 0;

  /// Starts an empty sequence. Error(kUnavailable) when max_sequences are alive.
  virtual SequenceId create_sequence() = 0;
  virtual void free_sequence(SequenceId sequence) = 0;
  /// Tokens that the sequence holds.
  virtual uint32_t sequence_length(SequenceId sequence) const = 0;
  /// Gives an empty sequence what the KV cache still has of the beginning of `tokens`, from other
  /// sequences or ones that were freed: whole blocks of 32 tokens. Returns how many it holds now.
  /// To get logits, leave at least one token for step().
  virtual uint32_t attach_prefix(SequenceId sequence, std::span<const int32_t> tokens) = 0;
  virtual SequenceBlocks sequence_blocks(SequenceId sequence) const = 0;
  /// Blocks of 32 tokens that steps can still take.
  virtual uint32_t free_kv_blocks() const = 0;
  /// Sequences that may be alive at once.
  virtual uint32_t max_sequences() const = 0;
  /// Forgets tokens at the end until `length` are left.
  virtual void truncate_sequence(SequenceId sequence, uint32_t length) = 0;

  // Storage of the KV cache; nothing happens here where there is none.

  /// What is kept where, or why nothing is, for people; "" where nothing was asked for.
  virtual std::string kv_storage_text() const { return {}; }
  /// Begins to bring what is stored of `tokens` after those that the sequence holds, at most
  /// `max_blocks` of 32, beside steps of other sequences; this one may not be used before
  /// finish_restore(). `on_ready` is called once, on another thread, when that may be called.
  /// False: nothing is stored, and nothing has begun.
  virtual bool begin_restore(SequenceId, std::span<const int32_t> /*tokens*/,
                             uint32_t /*max_blocks*/, std::function<void()> /*on_ready*/) {
    return false;
  }
  /// What was brought is the sequence's now. Returns how many tokens it holds.
  virtual uint32_t finish_restore(SequenceId sequence) { return sequence_length(sequence); }
  /// Makes it ready soon.
  virtual void cancel_restore(SequenceId) {}
  /// Hands what the cache has and the storage has not to be written, as much as it takes at once;
  /// true: there is more.
  virtual bool store_some() { return false; }
  /// All of it, until then, and waits until it is written.
  virtual void store_all(std::chrono::steady_clock::time_point /*until*/) {}

  /// Runs all chunks through the model once and appends them to their sequences. Returns the
  /// logits, chunk after chunk, [sum of logits_count][vocab_size], valid until the next step. All
  /// or nothing: on Error no sequence has changed. kContextLengthExceeded when a sequence would
  /// outgrow context_length, kOutOfMemory when KV blocks run out, kInvalidArgument for a token
  /// outside the vocabulary or more than max_batch_tokens tokens.
  virtual std::span<float> step(std::span<const SequenceChunk> chunks) = 0;
  /// Calls body(0) to body(count - 1), each once, on the engine's threads at the same time.
  /// `body` must not throw or use the engine.
  virtual void run_beside(size_t count, const std::function<void(size_t)>& body) {
    for (size_t i = 0; i < count; ++i) body(i);
  }
};

}  // namespace omg
