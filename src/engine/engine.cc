// SPDX-License-Identifier: Apache-2.0
//
// The engine: a step is a transaction. Plan (check every chunk), reserve KV blocks, run, commit the
// sequences' new lengths; on any failure the reserved blocks go back and nothing has changed.
#include "engine/engine.h"

#include <algorithm>
#include <utility>

#include "base/error.h"
#include "base/hardware.h"
#include "engine/cpu/cpu_backend.h"
#include "engine/graph/arch/family.h"
#include "engine/graph/decoder.h"
#include "engine/kv_storage.h"
#include "formats/quant/dequantize.h"

namespace omg {
namespace {

class NativeEngine : public Engine {
 public:
  NativeEngine(const ModelFile& file, const EngineOptions& options);

  const ModelDescription& description() const override { return description_; }
  uint32_t context_length() const override { return context_length_; }
  uint32_t vocab_size() const override { return spec_.vocab_size; }
  uint32_t max_batch_tokens() const override { return max_batch_tokens_; }
  uint32_t threads() const override { return backend_->threads(); }
  Isa isa() const override { return isa_; }
  MemoryUse memory_use() const override {
    return {backend_->weights_bytes(), kv_blocks_ * kv_bytes_per_block(spec_, kv_type_),
            backend_->scratch_bytes() +
                uint64_t{max_sequences_} * spec_.vocab_size * sizeof(float) +
                (storage_ ? kv_storage_memory(backend_->kv_block_bytes()) : 0)};
  }
  const Profile* profile() const override { return backend_->profile(); }
  double measure_read_bandwidth() override { return backend_->measure_read_bandwidth(); }
  double generation_step_bytes(uint32_t sequences, uint32_t length) const override {
    return backend_->generation_step_bytes(sequences, length);
  }

  SequenceId create_sequence() override { return pool_->create_sequence(); }
  void free_sequence(SequenceId sequence) override {
    check_alive(sequence);
    pool_->free_sequence(sequence);
  }
  uint32_t sequence_length(SequenceId sequence) const override {
    check_alive(sequence);
    return pool_->length(sequence);
  }
  uint32_t attach_prefix(SequenceId sequence, std::span<const int32_t> tokens) override;
  SequenceBlocks sequence_blocks(SequenceId sequence) const override {
    check_alive(sequence);
    return {pool_->only_its_own(sequence), pool_->copies_block(sequence)};
  }
  uint32_t free_kv_blocks() const override { return pool_->free_blocks(); }
  uint32_t max_sequences() const override { return max_sequences_; }
  void truncate_sequence(SequenceId sequence, uint32_t length) override;
  std::span<float> step(std::span<const SequenceChunk> chunks) override;
  void run_beside(size_t count, const std::function<void(size_t)>& body) override {
    backend_->run_beside(count, body);
  }

  std::string kv_storage_text() const override {
    return storage_ ? storage_->text() : storage_problem_;
  }
  bool begin_restore(SequenceId sequence, std::span<const int32_t> tokens, uint32_t max_blocks,
                     std::function<void()> on_ready) override;
  uint32_t finish_restore(SequenceId sequence) override {
    return storage_ ? storage_->finish_restore(sequence) : sequence_length(sequence);
  }
  void cancel_restore(SequenceId sequence) override {
    if (storage_) storage_->cancel_restore(sequence);
  }
  bool store_some() override { return storage_ && storage_->store_some(); }
  void store_all(std::chrono::steady_clock::time_point until) override {
    if (storage_) storage_->store_all(until);
  }

 private:
  void settle_context(const EngineOptions& options);
  void open_storage(const KvStorageOptions& options, const CpuBackendOptions& backend);
  void check_alive(SequenceId sequence) const;
  void check(std::span<const SequenceChunk> chunks) const;
  void reserve(std::span<const SequenceChunk> chunks);
  Step make_step(std::span<const SequenceChunk> chunks) const;

  const ModelDescription description_;
  const Isa isa_;
  const uint32_t max_batch_tokens_;
  const uint32_t max_sequences_;
  const KvType kv_type_;
  DecoderSpec spec_;
  uint32_t context_length_ = 0;
  uint32_t kv_blocks_ = 0;
  std::unique_ptr<CpuBackend> backend_;
  std::unique_ptr<Decoder> decoder_;
  std::unique_ptr<KvBlockPool> pool_;
  std::unique_ptr<KvStorage> storage_;  // null: none
  std::string storage_problem_;         // why there is none, where one was asked for
};

NativeEngine::NativeEngine(const ModelFile& file, const EngineOptions& options)
    : description_(describe_model(file)),
      isa_(choose_isa(options.isa)),
      max_batch_tokens_(std::clamp(options.max_batch_tokens, 1u, 16384u)),
      max_sequences_(options.max_sequences),
      kv_type_(options.kv_type),
      spec_(make_decoder_spec(file, options.context_length)) {
  settle_context(options);
  CpuBackendOptions backend;
  backend.isa = isa_;
  backend.threads = options.threads;
  backend.max_batch_tokens = max_batch_tokens_;
  backend.kv_blocks = kv_blocks_;
  backend.kv_type = options.kv_type;
  backend.activations = options.activations;
  backend.profile = options.profile;
  // The rotation may depend on the context that was settled on.
  spec_ = make_decoder_spec(file, context_length_);
  backend_ = std::make_unique<CpuBackend>(spec_, backend);
  if (!spec_.rope.frequency_divisors_tensor.empty()) {
    const auto& tensor = file.tensor(spec_.rope.frequency_divisors_tensor);
    if (tensor.elements() != spec_.rope.dimensions / 2) {
      throw Error(ErrorCode::kCorrupt, file.path() + ": tensor '" + std::string(tensor.name) +
                                           "' has not one number per rotated pair");
    }
    std::vector<float> divisors(tensor.elements());
    dequantize(tensor.type, tensor.bytes, divisors);
    backend_->set_rope_divisors(divisors);
  }
  decoder_ = std::make_unique<Decoder>(file, spec_, *backend_, options.on_progress);
  pool_ = std::make_unique<KvBlockPool>(kv_blocks_, options.max_sequences);
  if (options.kv_storage.file) open_storage(options.kv_storage, backend);
}

/// A model runs as well without: what is wrong with the file is told and nothing else.
void NativeEngine::open_storage(const KvStorageOptions& options, const CpuBackendOptions& backend) {
  try {
    const Digest key = kv_storage_key(spec_, backend, options.weights);
    storage_ = std::make_unique<KvStorage>(*pool_, *backend_, kv_blocks_, key, options);
  } catch (const Error& error) {
    storage_problem_ = "off: " + std::string(error.what());
  }
}

/// Settles the context: what was asked for, or the model's maximum, or the most whose KV cache
/// takes half of the memory that is available; the cache is touched only as it fills.
void NativeEngine::settle_context(const EngineOptions& options) {
  if (options.max_sequences == 0 || options.max_sequences > 65536) {
    throw Error(ErrorCode::kInvalidArgument, "max_sequences must be 1 to 65536");
  }
  const uint64_t bytes_per_token = kv_bytes_per_block(spec_, options.kv_type) / kKvTile;
  const uint64_t affordable = usable_memory() / 2 / bytes_per_token;
  context_length_ = options.context_length;
  const uint32_t contexts = options.shares_one_context ? 1 : options.max_sequences;
  if (context_length_ == 0) {
    const uint64_t most = std::max<uint64_t>(affordable / contexts, kKvBlockTokens);
    context_length_ = static_cast<uint32_t>(std::min<uint64_t>(spec_.context_length, most));
  }
  if (context_length_ > spec_.context_length) {
    throw Error(ErrorCode::kInvalidArgument,
                "a context of " + std::to_string(context_length_) +
                    " tokens is more than the model was trained for (" +
                    std::to_string(spec_.context_length) + "): ask for at most that");
  }
  const uint64_t tokens = options.kv_capacity_tokens ? options.kv_capacity_tokens
                                                     : uint64_t{context_length_} * contexts;
  const uint32_t spare = options.kv_capacity_tokens ? 0 : options.max_sequences;
  const uint64_t blocks = (tokens + kKvBlockTokens - 1) / kKvBlockTokens + spare;
  if (blocks > (1u << 30) || tokens > affordable * 2) {
    throw Error(ErrorCode::kOutOfMemory, "a KV cache of " + std::to_string(tokens) +
                                             " tokens takes " +
                                             std::to_string(tokens * bytes_per_token >> 20) +
                                             " MiB, " + std::to_string(usable_memory() >> 20) +
                                             " MiB are available: ask for a smaller context");
  }
  kv_blocks_ = static_cast<uint32_t>(blocks);
}

void NativeEngine::check_alive(SequenceId sequence) const {
  if (!pool_->is_alive(sequence)) {
    throw Error(ErrorCode::kInvalidArgument, "no sequence " + std::to_string(sequence));
  }
}

void NativeEngine::truncate_sequence(SequenceId sequence, uint32_t length) {
  check_alive(sequence);
  pool_->truncate(sequence, std::min(length, pool_->length(sequence)));
}

uint32_t NativeEngine::attach_prefix(SequenceId sequence, std::span<const int32_t> tokens) {
  check_alive(sequence);
  if (pool_->length(sequence) > 0) {
    throw Error(ErrorCode::kInvalidArgument, "only an empty sequence can begin with a prefix");
  }
  return pool_->attach_prefix(sequence,
                              tokens.first(std::min<size_t>(tokens.size(), context_length_)));
}

bool NativeEngine::begin_restore(SequenceId sequence, std::span<const int32_t> tokens,
                                 uint32_t max_blocks, std::function<void()> on_ready) {
  check_alive(sequence);
  if (!storage_) return false;
  const size_t most = std::min<size_t>(tokens.size(), context_length_);
  return storage_->begin_restore(sequence, tokens.first(most), max_blocks, std::move(on_ready));
}

void NativeEngine::check(std::span<const SequenceChunk> chunks) const {
  size_t total = 0;
  std::vector<SequenceId> seen;
  for (const auto& chunk : chunks) {
    check_alive(chunk.sequence);
    if (std::find(seen.begin(), seen.end(), chunk.sequence) != seen.end()) {
      throw Error(ErrorCode::kInvalidArgument, "a sequence stands twice in one step");
    }
    seen.push_back(chunk.sequence);
    if (chunk.tokens.empty() || chunk.logits_count > chunk.tokens.size()) {
      throw Error(ErrorCode::kInvalidArgument, "a chunk without tokens, or fewer than its logits");
    }
    for (const int32_t token : chunk.tokens) {
      if (token < 0 || static_cast<uint32_t>(token) >= spec_.vocab_size) {
        throw Error(ErrorCode::kInvalidArgument, "token " + std::to_string(token) +
                                                     " is outside the vocabulary of " +
                                                     std::to_string(spec_.vocab_size));
      }
    }
    total += chunk.tokens.size();
    const uint64_t length = uint64_t{pool_->length(chunk.sequence)} + chunk.tokens.size();
    if (length > context_length_) {
      throw Error(ErrorCode::kContextLengthExceeded, std::to_string(length) +
                                                         " tokens do not fit the context of " +
                                                         std::to_string(context_length_));
    }
  }
  if (total > max_batch_tokens_) {
    throw Error(ErrorCode::kInvalidArgument, std::to_string(total) +
                                                 " tokens in one step, at most " +
                                                 std::to_string(max_batch_tokens_) + " are taken");
  }
}

void NativeEngine::reserve(std::span<const SequenceChunk> chunks) {
  std::vector<KvBlockCopy> copies;
  const auto copy = [&] {
    for (const KvBlockCopy& blocks : copies) backend_->copy_kv_block(blocks.from, blocks.to);
  };
  try {
    for (const auto& chunk : chunks) {
      pool_->reserve(chunk.sequence, static_cast<uint32_t>(chunk.tokens.size()), copies);
    }
    copy();
  } catch (...) {
    copy();  // sequences that got theirs have the copies from now on
    for (const auto& chunk : chunks) pool_->release_unused(chunk.sequence);
    throw;
  }
}

Step NativeEngine::make_step(std::span<const SequenceChunk> chunks) const {
  Step step;
  for (const auto& chunk : chunks) {
    StepPart part;
    part.first_row = static_cast<uint32_t>(step.tokens.size());
    part.tokens = static_cast<uint32_t>(chunk.tokens.size());
    part.first_position = pool_->length(chunk.sequence);
    part.blocks = pool_->blocks(chunk.sequence);
    step.parts.push_back(part);
    step.tokens.insert(step.tokens.end(), chunk.tokens.begin(), chunk.tokens.end());
    const auto end = static_cast<uint32_t>(step.tokens.size());
    for (uint32_t row = end - chunk.logits_count; row < end; ++row) step.logits_rows.push_back(row);
  }
  return step;
}

std::span<float> NativeEngine::step(std::span<const SequenceChunk> chunks) {
  if (chunks.empty()) return {};
  check(chunks);
  reserve(chunks);
  std::span<float> logits;
  try {
    logits = decoder_->run(make_step(chunks));
  } catch (...) {
    for (const auto& chunk : chunks) pool_->release_unused(chunk.sequence);
    throw;
  }
  for (const auto& chunk : chunks) pool_->commit(chunk.sequence, chunk.tokens);
  return logits;
}

}  // namespace

ModelDescription describe_model(const ModelFile& file) {
  const DecoderSpec spec = make_decoder_spec(file, 0);
  ModelDescription description;
  description.family = spec.family;
  description.name = file.metadata().find_string("general.name").value_or("");
  description.parameters = file.parameter_count();
  description.context_length = spec.context_length;
  description.embedding_length = spec.embedding_length;
  description.layers = spec.layers;
  description.heads = spec.heads;
  description.kv_heads = spec.kv_heads;
  description.vocab_size = spec.vocab_size;
  description.experts = spec.moe.experts;
  description.experts_used = spec.moe.experts_used;
  return description;
}

std::vector<std::string_view> supported_families() {
  std::vector<std::string_view> names;
  for (const Family& family : families()) names.push_back(family.name);
  return names;
}

std::unique_ptr<Engine> Engine::load(const ModelFile& file, const EngineOptions& options) {
  return std::make_unique<NativeEngine>(file, options);
}

}  // namespace omg
