// SPDX-License-Identifier: Apache-2.0
//
// The real file system, by POSIX calls.
#include "base/file_system.h"

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <dirent.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>
#include <utility>
#ifdef __linux__
#include <linux/fs.h>
#endif

#include "base/error.h"
#include "base/private_file.h"

namespace omg {
namespace {

/// Closes the descriptor when it goes out of scope.
class Descriptor {
 public:
  explicit Descriptor(int fd) : fd_(fd) {}
  Descriptor(Descriptor&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  Descriptor& operator=(Descriptor&&) = delete;
  ~Descriptor() {
    if (fd_ >= 0) ::close(fd_);
  }
  int get() const { return fd_; }

 private:
  int fd_;
};

/// Repeats a call that a signal interrupted.
template <typename Call>
auto retrying(Call call) {
  auto result = call();
  while (result < 0 && errno == EINTR) result = call();
  return result;
}

FileInfo info_of(const struct stat& status) {
  FileInfo info;
  if (S_ISREG(status.st_mode)) info.kind = FileInfo::Kind::kFile;
  if (S_ISDIR(status.st_mode)) info.kind = FileInfo::Kind::kFolder;
  if (S_ISLNK(status.st_mode)) info.kind = FileInfo::Kind::kLink;
  info.size = static_cast<uint64_t>(status.st_size);
  info.allocated = static_cast<uint64_t>(status.st_blocks) * 512;
#ifdef __APPLE__
  const timespec modified = status.st_mtimespec;
#else
  const timespec modified = status.st_mtim;
#endif
  info.modified_ns = static_cast<int64_t>(modified.tv_sec) * 1'000'000'000 + modified.tv_nsec;
  info.inode = static_cast<uint64_t>(status.st_ino);
  info.device = static_cast<uint64_t>(status.st_dev);
  info.links = static_cast<uint64_t>(status.st_nlink);
  return info;
}

class RealFile final : public File {
 public:
  RealFile(Descriptor descriptor, std::string path)
      : descriptor_(std::move(descriptor)), path_(std::move(path)) {}

  size_t read_at(uint64_t offset, std::span<std::byte> bytes) override {
    size_t done = 0;
    while (done < bytes.size()) {
      const ssize_t count = retrying([&] {
        return ::pread(descriptor_.get(), bytes.data() + done, bytes.size() - done,
                       static_cast<off_t>(offset + done));
      });
      if (count < 0) throw system_error("cannot read " + path_, errno);
      if (count == 0) break;
      done += static_cast<size_t>(count);
    }
    return done;
  }

  void write_at(uint64_t offset, std::span<const std::byte> bytes) override {
    size_t done = 0;
    while (done < bytes.size()) {
      const ssize_t count = retrying([&] {
        return ::pwrite(descriptor_.get(), bytes.data() + done, bytes.size() - done,
                        static_cast<off_t>(offset + done));
      });
      if (count < 0) throw system_error("cannot write " + path_, errno);
      done += static_cast<size_t>(count);
    }
  }

  void resize(uint64_t size) override {
    if (retrying([&] { return ::ftruncate(descriptor_.get(), static_cast<off_t>(size)); }) != 0) {
      throw system_error("cannot resize " + path_, errno);
    }
  }

  // Not repeated on EINTR alone: a failed fsync may have dropped the pages that it could not write,
  // so it is never tried again and called well.
  void sync() override {
    if (::fsync(descriptor_.get()) != 0) throw system_error("cannot sync " + path_, errno);
  }

  FileInfo info() override {
    struct stat status;
    if (::fstat(descriptor_.get(), &status) != 0) throw system_error("cannot stat " + path_, errno);
    return info_of(status);
  }

 private:
  Descriptor descriptor_;
  std::string path_;
};

class RealFileLock final : public FileLock {
 public:
  explicit RealFileLock(Descriptor descriptor) : descriptor_(std::move(descriptor)) {}

 private:
  Descriptor descriptor_;  // closing it gives the lock up
};

constexpr int kCommonFlags = O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK;

int flags_of(OpenMode mode) {
  switch (mode) {
    case OpenMode::kRead:
      return O_RDONLY;
    case OpenMode::kReadWrite:
      return O_RDWR;
    case OpenMode::kCreate:
      return O_RDWR | O_CREAT;
    case OpenMode::kCreateNew:
      return O_RDWR | O_CREAT | O_EXCL;
  }
  return O_RDONLY;
}

/// A regular file, opened; throws for all else.
Descriptor open_regular(const std::string& path, int flags, mode_t mode = 0644) {
  Descriptor descriptor(retrying([&] { return ::open(path.c_str(), flags | kCommonFlags, mode); }));
  if (descriptor.get() < 0) {
    if (errno == ELOOP) {
      throw Error(ErrorCode::kIo, "cannot open " + path + ": it is a symbolic link");
    }
    throw system_error("cannot open " + path, errno);
  }
  struct stat status;
  if (::fstat(descriptor.get(), &status) != 0) throw system_error("cannot stat " + path, errno);
  if (!S_ISREG(status.st_mode)) {
    throw Error(ErrorCode::kInvalidArgument, "cannot open " + path + ": it is not a regular file");
  }
  return descriptor;
}

bool same_file(int fd, const std::string& path) {
  struct stat of_descriptor, of_path;
  return ::fstat(fd, &of_descriptor) == 0 && ::lstat(path.c_str(), &of_path) == 0 &&
         of_descriptor.st_ino == of_path.st_ino && of_descriptor.st_dev == of_path.st_dev;
}

}  // namespace

std::unique_ptr<File> RealFileSystem::open(const std::string& path, OpenMode mode) {
  return std::make_unique<RealFile>(open_regular(path, flags_of(mode)), path);
}

std::optional<FileInfo> RealFileSystem::info(const std::string& path) {
  struct stat status;
  if (::lstat(path.c_str(), &status) == 0) return info_of(status);
  if (errno == ENOENT || errno == ENOTDIR) return std::nullopt;
  throw system_error("cannot stat " + path, errno);
}

std::vector<std::string> RealFileSystem::list(const std::string& folder) {
  DIR* stream = ::opendir(folder.c_str());
  if (stream == nullptr) throw system_error("cannot list " + folder, errno);
  const std::unique_ptr<DIR, int (*)(DIR*)> closer(stream, &::closedir);
  std::vector<std::string> names;
  for (;;) {
    errno = 0;
    const dirent* entry = ::readdir(stream);
    if (entry == nullptr) break;
    const std::string_view name = entry->d_name;
    if (name != "." && name != "..") names.emplace_back(name);
  }
  if (errno != 0) throw system_error("cannot list " + folder, errno);
  std::sort(names.begin(), names.end());
  return names;
}

std::string RealFileSystem::read_link(const std::string& path) {
  std::string target(4096, '\0');
  const ssize_t size = ::readlink(path.c_str(), target.data(), target.size());
  if (size < 0) throw system_error("cannot read the link " + path, errno);
  target.resize(static_cast<size_t>(size));
  return target;
}

std::string RealFileSystem::real_path(const std::string& path) {
  const std::unique_ptr<char, decltype(&std::free)> real(::realpath(path.c_str(), nullptr),
                                                         &std::free);
  if (!real) throw system_error("cannot find " + path, errno);
  return real.get();
}

bool RealFileSystem::make_folder(const std::string& path) {
  if (::mkdir(path.c_str(), 0755) == 0) return true;
  const int error = errno;
  struct stat status;  // a link to a folder will do: people move their models to other disks so
  if (error == EEXIST && ::stat(path.c_str(), &status) == 0 && S_ISDIR(status.st_mode)) {
    return false;
  }
  throw system_error("cannot make the folder " + path, error);
}

void RealFileSystem::rename(const std::string& from, const std::string& to) {
  if (::rename(from.c_str(), to.c_str()) != 0) {
    throw system_error("cannot rename " + from + " to " + to, errno);
  }
}

bool RealFileSystem::remove(const std::string& path) {
  if (::unlink(path.c_str()) == 0) return true;
  if (errno == ENOENT) return false;
  throw system_error("cannot remove " + path, errno);
}

bool RealFileSystem::remove_folder(const std::string& path) {
  if (::rmdir(path.c_str()) == 0) return true;
  if (errno == ENOENT) return false;
  throw system_error("cannot remove the folder " + path, errno);
}

void RealFileSystem::make_link(const std::string& target, const std::string& path) {
  if (::symlink(target.c_str(), path.c_str()) != 0) {
    throw system_error("cannot make the link " + path, errno);
  }
}

bool RealFileSystem::hard_link(const std::string& from, const std::string& to) {
  if (::link(from.c_str(), to.c_str()) == 0) return true;
  if (errno == EXDEV || errno == EPERM || errno == EOPNOTSUPP || errno == EMLINK) return false;
  throw system_error("cannot link " + from + " to " + to, errno);
}

bool RealFileSystem::reflink(const std::string& from, const std::string& to) {
#ifdef FICLONE
  const Descriptor source = open_regular(from, O_RDONLY);
  const Descriptor copy = open_regular(to, O_WRONLY | O_CREAT | O_EXCL);
  if (retrying([&] { return ::ioctl(copy.get(), FICLONE, source.get()); }) == 0) return true;
  const int error = errno;
  ::unlink(to.c_str());
  if (error == ENOSPC || error == EIO) throw system_error("cannot clone " + from, error);
  return false;
#else
  (void)from;
  (void)to;
  return false;
#endif
}

void RealFileSystem::sync_folder(const std::string& path) {
  const Descriptor descriptor(
      retrying([&] { return ::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC); }));
  if (descriptor.get() < 0) throw system_error("cannot open the folder " + path, errno);
  // Some network and FUSE file systems have no fsync for folders and say EINVAL.
  if (::fsync(descriptor.get()) != 0 && errno != EINVAL) {
    throw system_error("cannot sync the folder " + path, errno);
  }
}

uint64_t RealFileSystem::free_bytes(const std::string& path) {
  struct statvfs status;
  if (::statvfs(path.c_str(), &status) != 0) {
    throw system_error("cannot ask for the free space of " + path, errno);
  }
  return static_cast<uint64_t>(status.f_bavail) * status.f_frsize;
}

std::unique_ptr<FileLock> RealFileSystem::lock(const std::string& path, LockMode mode,
                                               LockWait wait, LockMissing missing) {
  const int operation =
      (mode == LockMode::kShared ? LOCK_SH : LOCK_EX) | (wait == LockWait::kNo ? LOCK_NB : 0);
  for (;;) {
    if (missing == LockMissing::kRefuse && !info(path)) return nullptr;
    // Blobs are locked too, and need not be writable for that.
    const int flags = missing == LockMissing::kRefuse ? O_RDONLY : O_RDWR | O_CREAT;
    std::optional<Descriptor> descriptor;
    try {
      descriptor.emplace(open_regular(path, flags));
    } catch (const Error& error) {
      if (missing == LockMissing::kRefuse && error.code() == ErrorCode::kNotFound) return nullptr;
      throw;
    }
    if (retrying([&] { return ::flock(descriptor->get(), operation); }) != 0) {
      if (errno == EWOULDBLOCK) return nullptr;
      throw system_error("cannot lock " + path, errno);
    }
    if (same_file(descriptor->get(), path)) {
      return std::make_unique<RealFileLock>(std::move(*descriptor));
    }
  }
}

std::string read_file(FileSystem& files, const std::string& path, uint64_t max_bytes) {
  const std::unique_ptr<File> file = files.open(path, OpenMode::kRead);
  const uint64_t size = file->info().size;
  if (size > max_bytes) {
    throw Error(ErrorCode::kLimitExceeded, "cannot read " + path + ": it has " +
                                               std::to_string(size) + " bytes, at most " +
                                               std::to_string(max_bytes) + " are accepted");
  }
  std::string bytes(size, '\0');
  bytes.resize(file->read_at(0, std::as_writable_bytes(std::span(bytes))));
  return bytes;
}

std::unique_ptr<File> open_private_file(const std::string& path) {
  constexpr mode_t kOwnerOnly = 0600;
  for (;;) {
    Descriptor descriptor = open_regular(path, O_RDWR | O_CREAT, kOwnerOnly);
    if (retrying([&] { return ::flock(descriptor.get(), LOCK_EX | LOCK_NB); }) != 0) {
      if (errno == EWOULDBLOCK) {
        throw Error(ErrorCode::kUnavailable, path + " is in use by another process");
      }
      throw system_error("cannot lock " + path, errno);
    }
    if (!same_file(descriptor.get(), path)) continue;  // removed meanwhile
    if (::fchmod(descriptor.get(), kOwnerOnly) != 0) {
      throw system_error("cannot keep others from " + path, errno);
    }
    return std::make_unique<RealFile>(std::move(descriptor), path);
  }
}

void make_private_folder(FileSystem& files, const std::string& path) {
  make_folders(files, folder_of(path));
  constexpr mode_t kOwnerOnly = 0700;
  if (::mkdir(path.c_str(), kOwnerOnly) != 0 && errno != EEXIST) {
    throw system_error("cannot make the folder " + path, errno);
  }
  if (::chmod(path.c_str(), kOwnerOnly) != 0) {
    throw system_error("cannot keep others from the folder " + path, errno);
  }
}

void write_file_atomically(FileSystem& files, const std::string& temporary, const std::string& path,
                           std::string_view bytes) {
  try {
    const std::unique_ptr<File> file = files.open(temporary, OpenMode::kCreate);
    file->resize(0);
    file->write_at(0, std::as_bytes(std::span(bytes)));
    file->sync();
    files.rename(temporary, path);
  } catch (...) {
    try {
      files.remove(temporary);
    } catch (const Error&) {  // the first error is the one to tell
    }
    throw;
  }
  files.sync_folder(folder_of(path));
}

void make_folders(FileSystem& files, const std::string& path) {
  const std::string parent = folder_of(path);
  if (parent != path && parent != "." && !files.info(parent)) make_folders(files, parent);
  if (files.make_folder(path)) files.sync_folder(parent);
}

std::string folder_of(const std::string& path) {
  const size_t slash = path.find_last_of('/');
  if (slash == std::string::npos) return ".";
  return slash == 0 ? "/" : path.substr(0, slash);
}

}  // namespace omg
