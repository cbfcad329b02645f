// SPDX-License-Identifier: Apache-2.0
//
// A disk that fails when it is told to, and that forgets in a power cut whatever was not synced:
// bytes of files without fsync, names in folders without fsync. It works on a real folder, beside
// which it keeps what a crash would leave, so that all else (databases, other programs) sees files.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <string>

#include "base/error.h"
#include "base/file_system.h"

namespace omg::testing {

enum class Fault {
  kNoSpace,   // one call that needs space on the disk fails, or all from then on
  kIoError,   // one call fails, or all from then on
  kPowerCut,  // no call does anything any more; then lose_power()
};

/// What is on the disk after a power cut, besides what was synced: real disks may leave any of it.
enum class Survival {
  kNothing,  // only what was synced, bytes and names
  kNames,    // all names, but bytes only as they were synced: new files are empty
  kAll,      // everything
};

/// Files below `root` are watched, others only passed through (their calls count all the same).
/// Syncs cost nothing: they are only noted. Thread-safe.
class FaultFileSystem final : public FileSystem {
 public:
  explicit FaultFileSystem(std::string root) : root_(std::move(root)) {}

  /// The n-th call from now (from 1) fails; with `for_good` all after it too. kNoSpace counts only
  /// calls that may need space.
  void fail_at(uint64_t n, Fault fault, bool for_good);
  /// No more failures. True if the n-th call was reached.
  bool disarm();
  /// Makes the folder what a power cut leaves.
  void lose_power(Survival survival);

  std::unique_ptr<File> open(const std::string& path, OpenMode mode) override;
  std::optional<FileInfo> info(const std::string& path) override;
  std::vector<std::string> list(const std::string& folder) override;
  std::string read_link(const std::string& path) override;
  std::string real_path(const std::string& path) override;
  bool make_folder(const std::string& path) override;
  void rename(const std::string& from, const std::string& to) override;
  bool remove(const std::string& path) override;
  bool remove_folder(const std::string& path) override;
  void make_link(const std::string& target, const std::string& path) override;
  bool hard_link(const std::string& from, const std::string& to) override;
  bool reflink(const std::string& from, const std::string& to) override;
  void sync_folder(const std::string& path) override;
  uint64_t free_bytes(const std::string& path) override;
  std::unique_ptr<FileLock> lock(const std::string& path, LockMode mode, LockWait wait,
                                 LockMissing missing) override;

 private:
  friend class FaultFile;
  enum class Needs { kNothing, kSpace };
  struct Contents {
    std::string synced;  // bytes at the last fsync
  };
  struct Entry {
    enum class Kind { kFile, kFolder, kLink } kind = Kind::kFile;
    std::shared_ptr<Contents> contents;  // several names may share it
    std::string target;
  };
  using Names = std::map<std::string, Entry>;

  void call(const std::string& what, Needs needs);
  bool is_watched(const std::string& path) const { return path.starts_with(root_ + "/"); }
  void note(const std::string& path, Entry entry);
  void restore(const Names& names);

  const std::string root_;
  RealFileSystem real_;
  std::mutex mutex_;
  Names now_;
  Names synced_;
  Fault fault_ = Fault::kIoError;
  uint64_t countdown_ = 0;  // calls until the fault; 0 when not armed
  bool for_good_ = false;
  bool failing_ = false;
  bool reached_ = false;
};

}  // namespace omg::testing
