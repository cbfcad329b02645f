// SPDX-License-Identifier: Apache-2.0
//
// The seam through which the model store touches disks: few operations, each with the durability
// that it promises, so that tests can put a disk behind it that is full, broken or loses power.
// Paths are handed to the system as they are: who builds one has validated its parts.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace omg {

struct FileInfo {
  enum class Kind { kFile, kFolder, kLink, kOther };
  Kind kind = Kind::kOther;
  uint64_t size = 0;        // bytes
  uint64_t allocated = 0;   // bytes on disk: less than size for sparse files
  int64_t modified_ns = 0;  // since 1970
  uint64_t inode = 0;
  uint64_t device = 0;
  uint64_t links = 0;

  bool is_file() const { return kind == Kind::kFile; }
  bool is_folder() const { return kind == Kind::kFolder; }
};

/// An open file; closed when destroyed. Several threads may read and write different ranges at
/// once. All methods throw Error (system_error: kIo, kOutOfMemory for a full disk).
class File {
 public:
  virtual ~File() = default;
  /// Reads at `offset` until `bytes` is full or the file ends; returns how many were read.
  virtual size_t read_at(uint64_t offset, std::span<std::byte> bytes) = 0;
  /// Writes all of `bytes` at `offset`; the file grows, with holes, as needed.
  virtual void write_at(uint64_t offset, std::span<const std::byte> bytes) = 0;
  virtual void resize(uint64_t size) = 0;
  /// Data and size are on the disk when it returns (fsync). The file's name is not: sync_folder.
  virtual void sync() = 0;
  virtual FileInfo info() = 0;
};

/// A lock held on a file (flock); given up when destroyed, and by the system when the process ends,
/// however it ends.
class FileLock {
 public:
  virtual ~FileLock() = default;
};

enum class OpenMode {
  kRead,
  kReadWrite,  // must exist
  kCreate,     // read and write; made if missing, kept as it is if there
  kCreateNew,  // read and write; Error(kIo) if there
};
enum class LockMode { kShared, kExclusive };
enum class LockWait { kNo, kYes };
enum class LockMissing { kCreate, kRefuse };

/// Thread-safe. All methods throw Error; links are never followed for the last part of a path
/// (opening one is an error), unless said otherwise.
class FileSystem {
 public:
  virtual ~FileSystem() = default;
  /// A regular file. Folders, links, devices and pipes are refused.
  virtual std::unique_ptr<File> open(const std::string& path, OpenMode mode) = 0;
  /// Of the thing itself, also if it is a link. Nothing where there is none.
  virtual std::optional<FileInfo> info(const std::string& path) = 0;
  /// Names in a folder, without "." and "..", in byte order.
  virtual std::vector<std::string> list(const std::string& folder) = 0;
  virtual std::string read_link(const std::string& path) = 0;
  /// Absolute path with all links followed. Error(kNotFound) where there is none.
  virtual std::string real_path(const std::string& path) = 0;

  /// Makes one folder (mode 0755, less the umask); returns false if it was there already.
  virtual bool make_folder(const std::string& path) = 0;
  /// Atomic; replaces a file at `to`. Durable once the folders are synced.
  virtual void rename(const std::string& from, const std::string& to) = 0;
  /// A file or link. Returns false if there was none.
  virtual bool remove(const std::string& path) = 0;
  /// An empty folder. Returns false if there was none.
  virtual bool remove_folder(const std::string& path) = 0;
  virtual void make_link(const std::string& target, const std::string& path) = 0;
  /// Second name for a file's bytes. Returns false where the system cannot (another disk).
  virtual bool hard_link(const std::string& from, const std::string& to) = 0;
  /// New file `to` that shares `from`'s blocks until either changes (FICLONE). Returns false, and
  /// leaves nothing, where the disk cannot.
  virtual bool reflink(const std::string& from, const std::string& to) = 0;
  /// Names made, renamed and removed in the folder are on the disk when it returns.
  virtual void sync_folder(const std::string& path) = 0;

  /// Bytes that this user may still write on the disk of `path`.
  virtual uint64_t free_bytes(const std::string& path) = 0;
  /// Locks a file. What is locked is the file that stands at the path when it returns, also if it
  /// was removed and made anew meanwhile. Nothing where another holds the lock and `wait` is kNo,
  /// or where there is no file (any more) and `missing` is kRefuse.
  virtual std::unique_ptr<FileLock> lock(const std::string& path, LockMode mode, LockWait wait,
                                         LockMissing missing = LockMissing::kCreate) = 0;
};

/// The machine's own. Holds no state.
class RealFileSystem final : public FileSystem {
 public:
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
                                 LockMissing missing = LockMissing::kCreate) override;
};

/// All bytes of a file; Error(kLimitExceeded) beyond `max_bytes`.
std::string read_file(FileSystem& files, const std::string& path, uint64_t max_bytes);
/// Writes `bytes` to `temporary` (replaced if there), syncs, renames it to `path` and syncs the
/// folder of `path`: a reader sees the old file or the new one, whole. Both paths must be on one
/// disk. On an error `temporary` is removed if that is still possible.
void write_file_atomically(FileSystem& files, const std::string& temporary, const std::string& path,
                           std::string_view bytes);
/// Makes `path` and the folders above it that are missing, each durable before the next.
void make_folders(FileSystem& files, const std::string& path);
/// Folder part of a path: "/a/b" of "/a/b/c"; "." where there is none.
std::string folder_of(const std::string& path);

}  // namespace omg
