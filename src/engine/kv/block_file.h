// SPDX-License-Identifier: Apache-2.0
//
// A file of KV blocks (stored_block.h) and the one thread that reads and writes it. Those that were
// used longest ago make room, ends of texts before their beginnings, as in memory. Writing is
// behind a bounded queue: who puts a block copies it there, or goes on without. Nothing is synced:
// what a power cut leaves is sorted out by the digests.
#pragma once

#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <thread>
#include <tuple>
#include <unordered_map>
#include <vector>

#include "base/file_system.h"
#include "engine/kv/stored_block.h"

namespace omg {

struct BlockFileOptions {
  Digest key;
  uint64_t block_bytes = 0;
  /// Of the file, now; it is cut to this. What it lost is computed again.
  uint64_t max_bytes = 0;
  /// What max_bytes may be at other times: the table of records is made for it. At least max_bytes.
  uint64_t most_bytes = 0;
  uint64_t queue_bytes = uint64_t{64} << 20;
  /// Told once, on the file's thread, when writing fails: nothing more is written then.
  std::function<void(const std::string& problem)> on_problem;
};

/// All but the constructor is thread-safe.
class BlockFile {
 public:
  using Clock = std::chrono::steady_clock;

  /// Takes over what the file has, if it is for this key and size of block; begins anew otherwise.
  /// `file` is written by nobody else. Throws Error when it cannot be read or written.
  BlockFile(std::shared_ptr<File> file, const BlockFileOptions& options);
  /// Drops what waits to be written; reads that wait end with nothing.
  ~BlockFile();
  BlockFile(const BlockFile&) = delete;
  BlockFile& operator=(const BlockFile&) = delete;

  uint32_t slots() const { return static_cast<uint32_t>(slots_.size()); }
  uint32_t blocks() const;

  /// What is used from now on was used later than all before.
  void begin_round();
  /// Whether the block that ends this text is there. It, and those before it, count as used.
  bool use(const Digest& text);

  /// kNeedless: it is there, or never will be: the file is too small for so long a text, or writing
  /// has failed. kNoRoom: the queue is full.
  enum class Put { kNeedless, kTaken, kNoRoom };
  /// Writes a block; `fill` copies its bytes, at once. It, and those before it, count as used.
  Put put(const Digest& text, const Digest& parent, uint32_t position,
          const std::function<void(std::span<std::byte> bytes)>& fill);

  /// Functions are called on the file's thread.
  struct Read {
    std::vector<Digest> texts;
    /// Takes the bytes of one after the other, checked; false: no more are wanted.
    std::function<bool(size_t index, std::span<const std::byte> bytes)> place;
    /// Once, with how many were taken: those up to the first that is not there or is damaged.
    std::function<void(size_t count)> on_end;
  };
  void read(Read read);

  /// Returns when the queue has room; false: `until` came first, or writing has failed.
  bool wait_for_room(Clock::time_point until);
  /// Writes all that waits, and what was used when. False: `until` came first.
  bool drain(Clock::time_point until);

 private:
  struct Slot {
    std::optional<StoredBlock> block;
    bool is_dirty = false;  // its last use is not in the file yet
  };
  struct Write {
    StoredBlock block;
    std::unique_ptr<std::byte[]> bytes;
  };
  using Age = std::tuple<uint64_t, uint32_t, uint32_t>;  // last use, depth from the end, slot

  void load_records();
  void begin_anew();
  void run();
  void write(Write& job);
  void write_records();
  void serve(const Read& job);
  bool fetch(const Digest& text, std::span<const std::byte>& bytes);
  void forget_all(std::span<const Digest> texts);
  void fail(const std::string& why);
  // mutex_ held:
  static Age age(uint32_t slot, const StoredBlock& block);
  void insert(uint32_t slot, const StoredBlock& block);
  void forget(uint32_t slot);
  void touch(const Digest& text);
  bool is_worth(uint32_t position) const;
  std::optional<uint32_t> take_slot(uint32_t position);
  bool has_room() const;

  const std::shared_ptr<File> file_;
  const BlockFileOptions options_;
  BlockFileLayout layout_;
  std::unique_ptr<std::byte[]> read_buffer_;  // the thread's

  mutable std::mutex mutex_;  // guards what stands from here
  std::condition_variable work_;
  std::condition_variable done_;
  std::vector<Slot> slots_;
  std::vector<uint32_t> free_;
  std::unordered_map<Digest, uint32_t> index_;  // slot by text
  std::set<Age> ages_;
  uint64_t clock_ = 1;
  std::deque<Read> reads_;
  std::deque<std::unique_ptr<Write>> writes_;
  std::unordered_map<Digest, const Write*> queued_;  // of writes_, and the one being written
  std::vector<std::unique_ptr<std::byte[]>> spare_;  // buffers
  bool is_busy_ = false;
  bool has_dirty_ = false;
  bool drains_ = false;
  bool has_failed_ = false;
  bool is_stopping_ = false;  // to here
  std::thread thread_;        // last: it uses the others
};

}  // namespace omg
