// SPDX-License-Identifier: Apache-2.0
//
// The KV cache and its file: full blocks go there when their room in memory is needed, when nothing
// else is to be done, and at the end; and come back for a text that begins like one of before. It
// watches the pool, and reads and writes the backend's memory.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <span>
#include <vector>

#include "base/digest.h"
#include "engine/cpu/cpu_backend.h"
#include "engine/engine.h"
#include "engine/graph/backend.h"
#include "engine/graph/decoder_spec.h"
#include "engine/kv/block_file.h"
#include "engine/kv/block_pool.h"

namespace omg {

/// All that the numbers of a block depend on besides its text: weights, this very program, the
/// machine's instructions and mathematical library, types, and the rotation that the context chose.
Digest kv_storage_key(const DecoderSpec& spec, const CpuBackendOptions& backend,
                      const std::string& weights);

/// As Engine says of its methods with these names. Not thread-safe.
class KvStorage final : public KvBlockObserver {
 public:
  /// `pool` and `backend` must outlive it. Throws Error where the file cannot be used.
  KvStorage(KvBlockPool& pool, Backend& backend, uint32_t block_count, const Digest& key,
            const KvStorageOptions& options);
  ~KvStorage() override;

  std::string text() const;
  bool begin_restore(SequenceId sequence, std::span<const int32_t> tokens, uint32_t max_blocks,
                     std::function<void()> on_ready);
  uint32_t finish_restore(SequenceId sequence);
  void cancel_restore(SequenceId sequence);
  bool store_some();
  void store_all(std::chrono::steady_clock::time_point until);

  void on_kept(uint32_t parent, uint32_t block, const PrefixTree::Tokens& tokens) override;
  void on_evicted(uint32_t block) override;
  void on_reopened(uint32_t block) override;

 private:
  /// What is known of a block that the pool's tree has.
  struct Kept {
    Digest text;
    Digest parent;
    uint32_t position = 0;
    bool is_new = false;  // not handed to the file yet
  };
  struct Restore {
    std::vector<int32_t> tokens;   // of the blocks that are brought
    std::vector<uint32_t> blocks;  // where to
    size_t count = 0;              // that came; written before it is ready
    std::atomic<bool> is_cancelled{false};
  };
  BlockFile::Put put(uint32_t block);

  KvBlockPool& pool_;
  Backend& backend_;
  const Digest key_;
  std::vector<Kept> kept_;     // by block
  std::deque<uint32_t> news_;  // blocks that were new when they came, in this order
  std::map<SequenceId, std::unique_ptr<Restore>> restores_;
  std::unique_ptr<BlockFile> file_;  // last: its thread writes to the above
};

}  // namespace omg
