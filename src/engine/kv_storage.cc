// SPDX-License-Identifier: Apache-2.0
#include "engine/kv_storage.h"

#include <algorithm>
#include <cassert>
#include <utility>

#include "base/build_id.h"
#include "base/error.h"
#include "base/hardware.h"

namespace omg {
namespace {

constexpr uint64_t kQueueBytes = uint64_t{64} << 20;
/// A step of 512 tokens of a large model may need the room of so many blocks.
constexpr uint64_t kQueueBlocks = 20;

uint64_t queue_bytes(uint64_t block_bytes) {
  return std::max(kQueueBytes, kQueueBlocks * block_bytes);
}

template <class T>
void add(Sha256& hasher, const T& number) {
  static_assert(std::is_arithmetic_v<T>);
  hasher.update(std::as_bytes(std::span(&number, 1)));
}

void add(Sha256& hasher, std::string_view text) {
  add(hasher, uint64_t{text.size()});
  hasher.update(text);
}

void add(Sha256& hasher, const RopeSpec& rope) {
  add(hasher, static_cast<uint32_t>(rope.style));
  add(hasher, rope.dimensions);
  for (const float value : {rope.base, rope.frequency_scale, rope.magnitude,
                            rope.yarn_extrapolation, rope.yarn_beta_fast, rope.yarn_beta_slow}) {
    add(hasher, value);
  }
  add(hasher, rope.original_context);
  add(hasher, std::string_view(rope.frequency_divisors_tensor));
}

}  // namespace

uint64_t kv_storage_memory(uint64_t block_bytes) {
  return queue_bytes(block_bytes) + block_bytes;
}

Digest kv_storage_key(const DecoderSpec& spec, const CpuBackendOptions& backend,
                      const std::string& weights) {
  Sha256 hasher;
  add(hasher, std::string_view("OhMyGPU KV blocks"));
  add(hasher, std::string_view(weights));
  add(hasher, std::string_view(build_id()));
  add(hasher, std::string_view(probe_cpu().name));
  add(hasher, std::string_view(isa_name(backend.isa)));
  add(hasher, kv_type_name(backend.kv_type));
  add(hasher, static_cast<uint32_t>(backend.activations));
  for (const uint32_t size : {kKvBlockTokens, spec.layers, spec.kv_heads, spec.key_length,
                              spec.value_length, spec.window}) {
    add(hasher, size);
  }
  add(hasher, spec.rope);
  add(hasher, spec.windowed_rope);
  return hasher.digest();
}

KvStorage::KvStorage(KvBlockPool& pool, Backend& backend, uint32_t block_count, const Digest& key,
                     const KvStorageOptions& options)
    : pool_(pool), backend_(backend), key_(key), kept_(block_count, Kept{key, key}) {
  BlockFileOptions file{.key = key};
  file.block_bytes = backend.kv_block_bytes();
  file.max_bytes = options.max_bytes;
  file.most_bytes = std::max(options.most_bytes, options.max_bytes);
  file.queue_bytes = queue_bytes(file.block_bytes);
  file.on_problem = options.on_problem;
  file_ = std::make_unique<BlockFile>(options.file, file);
  pool_.set_observer(this);
}

KvStorage::~KvStorage() {
  pool_.set_observer(nullptr);
  for (const auto& [sequence, restore] : restores_) restore->is_cancelled = true;
}

std::string KvStorage::text() const {
  const auto tokens = [](uint32_t blocks) {
    return std::to_string(uint64_t{blocks} * kKvBlockTokens);
  };
  return "room for " + tokens(file_->slots()) + " tokens, " + tokens(file_->blocks()) + " there";
}

void KvStorage::on_kept(uint32_t parent, uint32_t block, const PrefixTree::Tokens& tokens) {
  Kept& kept = kept_[block];
  const bool is_first = parent == PrefixTree::kRoot;
  kept.parent = is_first ? key_ : kept_[parent].text;
  kept.position = is_first ? 0 : kept_[parent].position + 1;
  kept.text = text_after(kept.parent, tokens);
  kept.is_new = true;
  news_.push_back(block);
}

void KvStorage::on_evicted(uint32_t block) {
  put(block);  // or it is lost
  kept_[block].is_new = false;
}

void KvStorage::on_reopened(uint32_t block) {
  kept_[block].is_new = false;
}

BlockFile::Put KvStorage::put(uint32_t block) {
  const Kept& kept = kept_[block];
  return file_->put(kept.text, kept.parent, kept.position,
                    [&](std::span<std::byte> bytes) { backend_.read_kv_block(block, bytes); });
}

bool KvStorage::store_some() {
  if (!news_.empty()) file_->begin_round();
  while (!news_.empty()) {
    const uint32_t block = news_.front();
    if (kept_[block].is_new && put(block) == BlockFile::Put::kNoRoom) return true;
    kept_[block].is_new = false;
    news_.pop_front();
  }
  return false;
}

void KvStorage::store_all(std::chrono::steady_clock::time_point until) {
  while (store_some() && file_->wait_for_room(until)) {
  }
  file_->drain(until);
}

bool KvStorage::begin_restore(SequenceId sequence, std::span<const int32_t> tokens,
                              uint32_t max_blocks, std::function<void()> on_ready) {
  const uint32_t held = pool_.length(sequence);
  assert(held % kKvBlockTokens == 0 && !restores_.contains(sequence));
  file_->begin_round();
  std::vector<Digest> texts;
  const auto attached = pool_.blocks(sequence);
  Digest text = attached.empty() ? key_ : kept_[attached.back()].text;
  auto rest = tokens.subspan(held);
  for (; rest.size() >= kKvBlockTokens && texts.size() < max_blocks;
       rest = rest.subspan(kKvBlockTokens)) {
    text = text_after(text, rest.first(kKvBlockTokens));
    if (!file_->use(text)) break;
    texts.push_back(text);
  }
  if (texts.empty()) return false;

  const auto count = static_cast<uint32_t>(texts.size() * kKvBlockTokens);
  std::vector<KvBlockCopy> copies;
  try {
    pool_.reserve(sequence, count, copies);
  } catch (const Error&) {
    return false;  // no room after all: it will be computed when there is
  }
  assert(copies.empty());
  auto restore = std::make_unique<Restore>();
  restore->tokens.assign(tokens.begin() + held, tokens.begin() + held + count);
  const auto blocks = pool_.blocks(sequence).subspan(held / kKvBlockTokens);
  restore->blocks.assign(blocks.begin(), blocks.end());
  BlockFile::Read read;
  read.texts = std::move(texts);
  read.place = [this, to = restore.get()](size_t index, std::span<const std::byte> bytes) {
    if (to->is_cancelled.load(std::memory_order_relaxed)) return false;
    backend_.write_kv_block(to->blocks[index], bytes);
    return true;
  };
  read.on_end = [to = restore.get(), ready = std::move(on_ready)](size_t taken) {
    to->count = taken;
    ready();
  };
  restores_[sequence] = std::move(restore);
  file_->read(std::move(read));
  return true;
}

uint32_t KvStorage::finish_restore(SequenceId sequence) {
  const auto found = restores_.find(sequence);
  assert(found != restores_.end());
  const std::unique_ptr<Restore> restore = std::move(found->second);
  restores_.erase(found);
  pool_.commit(sequence, std::span(restore->tokens).first(restore->count * kKvBlockTokens));
  pool_.release_unused(sequence);
  return pool_.length(sequence);
}

void KvStorage::cancel_restore(SequenceId sequence) {
  const auto found = restores_.find(sequence);
  if (found != restores_.end()) found->second->is_cancelled = true;
}

}  // namespace omg
