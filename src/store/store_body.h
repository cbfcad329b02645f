// SPDX-License-Identifier: Apache-2.0
//
// What the parts of the store share: its disk, its paths, its lock, and reading all manifests.
#pragma once

#include <functional>
#include <memory>
#include <mutex>
#include <span>
#include <string>
#include <vector>

#include "base/cancellation.h"
#include "base/piece_states.h"
#include "store/store.h"
#include "store/store_paths.h"
#include "store/store_state.h"

namespace omg {

struct Store::Body {
  explicit Body(const StoreOptions& options);

  RealFileSystem real;
  FileSystem& files;
  StorePaths paths;
  std::function<int64_t()> now;
  std::vector<StoredModel> built_in;
  std::optional<std::string> read_only_reason;
  bool has_manifests = true;  // false where nothing can even be read

  /// Makes the folders that are missing and removes what a crash left behind.
  void prepare_folder();
  /// Where that failed with `why`: finds out what can be read.
  void open_for_reading(const Error& why);
  /// Error(kIo) where the store is opened for reading alone.
  void require_writable() const;
  /// The exclusive lock, waited for. Writers hold it shortly: never while they hash or copy.
  std::unique_ptr<FileLock> write_lock();
  /// Opened at the first use: most commands need none.
  StoreState& state();

  struct Manifests {
    std::vector<StoredModel> models;
    std::vector<StoreProblem> problems;
  };
  /// Null where none has the name.
  const StoredModel* find_built_in(const StoreName& name) const;
  /// Makes blobs of what is built in, so that the model stays what it is with another program.
  void take_built_in(StoredModel& model, Lease& lease);
  /// All manifests, by key. What is removed meanwhile is passed over.
  Manifests read_manifests();
  std::optional<StoredModel> read_manifest(const StoreName& name);
  /// Durable when it returns. Under the write lock.
  void write_manifest(const StoredModel& model);

  /// A number that no other temporary or linked file of this store has, as far as chance goes.
  uint64_t serial();
  /// Removes what belongs to a partial: all but its lock.
  void remove_partial_files(const PartialKey& key);
  /// Shared lock on a blob or linked file, kept in the lease. False if there is no such file.
  bool protect(const std::string& path, Lease& lease);
  /// Whether somebody holds the lock, in this process or another.
  bool is_locked(const std::string& path);
  /// What the downloads under way will still take of the disk.
  uint64_t promised_bytes();
  Digest put_bytes(std::string_view bytes, Lease& lease);
  /// Keeps the states of a blob's pieces, and gives those that are kept.
  void keep_pieces(const Digest& digest, const PieceStates& pieces);
  std::optional<PieceStates> read_pieces(const Digest& digest, uint64_t size);
  /// Moves the finished file at `from` (on the same disk) to `to`; it is leased from before it has
  /// its new name, and durable when this returns.
  void move_in(const std::string& from, const std::string& to, Lease& lease);

  std::mutex state_mutex;
  std::unique_ptr<StoreState> opened_state;
};

struct HashedFile {
  Digest digest;
  uint64_t bytes;
  PieceStates pieces;
};
/// Hashes a file in steps of 4 MiB.
HashedFile hash_file(File& file, const CancellationToken& cancellation);
/// Reads a file from its begin to its end, in steps of 4 MiB.
void read_file_in_steps(File& file, const CancellationToken& cancellation,
                        const std::function<void(std::span<const std::byte>)>& step);

/// Copies `size` bytes from `offset` of one file to `to_offset` of another, and hashes them.
/// Error(kCorrupt) if the file ends before.
HashedFile copy_range(File& from, uint64_t offset, uint64_t size, File& to, uint64_t to_offset,
                      const CancellationToken& cancellation);

/// The message of a reference that does not match its file any more.
std::string changed_reference_message(const FileReference& reference,
                                      const std::optional<FileInfo>& now);

/// "1.5 GB": decimal units, as disks and hubs count.
std::string human_bytes(uint64_t bytes);

}  // namespace omg
