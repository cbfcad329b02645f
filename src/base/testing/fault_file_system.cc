// SPDX-License-Identifier: Apache-2.0
#include "base/testing/fault_file_system.h"

#include <cerrno>
#include <filesystem>
#include <vector>

#include "base/testing/temporary_folder.h"

namespace omg::testing {

namespace fs = std::filesystem;

/// A real file whose calls can fail, and whose fsync is noted.
class FaultFile final : public File {
 public:
  FaultFile(FaultFileSystem& disk, std::unique_ptr<File> real, std::string path,
            std::shared_ptr<FaultFileSystem::Contents> contents)
      : disk_(disk),
        real_(std::move(real)),
        path_(std::move(path)),
        contents_(std::move(contents)) {}

  size_t read_at(uint64_t offset, std::span<std::byte> bytes) override {
    disk_.call("read " + path_, FaultFileSystem::Needs::kNothing);
    return real_->read_at(offset, bytes);
  }
  void write_at(uint64_t offset, std::span<const std::byte> bytes) override {
    try {
      disk_.call("write " + path_, FaultFileSystem::Needs::kSpace);
    } catch (const Error&) {  // a full disk takes a part of it
      real_->write_at(offset, bytes.first(bytes.size() / 2));
      throw;
    }
    real_->write_at(offset, bytes);
  }
  void resize(uint64_t size) override {
    disk_.call("resize " + path_, FaultFileSystem::Needs::kSpace);
    real_->resize(size);
  }
  void sync() override {
    disk_.call("sync " + path_, FaultFileSystem::Needs::kSpace);
    if (!contents_) return;
    std::string bytes(real_->info().size, '\0');
    real_->read_at(0, std::as_writable_bytes(std::span(bytes)));
    const std::lock_guard guard(disk_.mutex_);
    contents_->synced = std::move(bytes);
  }
  FileInfo info() override {
    disk_.call("stat " + path_, FaultFileSystem::Needs::kNothing);
    return real_->info();
  }

 private:
  FaultFileSystem& disk_;
  std::unique_ptr<File> real_;
  std::string path_;
  std::shared_ptr<FaultFileSystem::Contents> contents_;
};

void FaultFileSystem::fail_at(uint64_t n, Fault fault, bool for_good) {
  const std::lock_guard guard(mutex_);
  fault_ = fault;
  countdown_ = n;
  for_good_ = for_good || fault == Fault::kPowerCut;
  failing_ = reached_ = false;
}

bool FaultFileSystem::disarm() {
  const std::lock_guard guard(mutex_);
  countdown_ = 0;
  failing_ = false;
  return reached_;
}

void FaultFileSystem::call(const std::string& what, Needs needs) {
  const std::lock_guard guard(mutex_);
  if (fault_ == Fault::kNoSpace && needs == Needs::kNothing) return;
  if (countdown_ > 0 && --countdown_ == 0) {
    reached_ = true;
    failing_ = true;
  }
  if (!failing_) return;
  if (!for_good_) failing_ = false;
  throw system_error("cannot " + what, fault_ == Fault::kNoSpace ? ENOSPC : EIO);
}

void FaultFileSystem::note(const std::string& path, Entry entry) {
  const std::lock_guard guard(mutex_);
  if (is_watched(path)) now_.insert_or_assign(path, std::move(entry));
}

std::unique_ptr<File> FaultFileSystem::open(const std::string& path, OpenMode mode) {
  const bool makes = mode == OpenMode::kCreate || mode == OpenMode::kCreateNew;
  call("open " + path, makes ? Needs::kSpace : Needs::kNothing);
  std::unique_ptr<File> real = real_.open(path, mode);
  const std::lock_guard guard(mutex_);
  if (!is_watched(path)) return std::make_unique<FaultFile>(*this, std::move(real), path, nullptr);
  auto found = now_.find(path);
  if (found == now_.end()) {
    found = now_.emplace(path, Entry{Entry::Kind::kFile, std::make_shared<Contents>(), ""}).first;
  }
  return std::make_unique<FaultFile>(*this, std::move(real), path, found->second.contents);
}

std::optional<FileInfo> FaultFileSystem::info(const std::string& path) {
  call("stat " + path, Needs::kNothing);
  return real_.info(path);
}

std::vector<std::string> FaultFileSystem::list(const std::string& folder) {
  call("list " + folder, Needs::kNothing);
  return real_.list(folder);
}

std::string FaultFileSystem::read_link(const std::string& path) {
  call("read the link " + path, Needs::kNothing);
  return real_.read_link(path);
}

std::string FaultFileSystem::real_path(const std::string& path) {
  call("find " + path, Needs::kNothing);
  return real_.real_path(path);
}

bool FaultFileSystem::make_folder(const std::string& path) {
  call("make the folder " + path, Needs::kSpace);
  const bool made = real_.make_folder(path);
  if (made) note(path, {Entry::Kind::kFolder, nullptr, ""});
  return made;
}

void FaultFileSystem::rename(const std::string& from, const std::string& to) {
  call("rename " + from, Needs::kSpace);
  real_.rename(from, to);
  const std::lock_guard guard(mutex_);
  auto moved = now_.extract(from);
  if (moved.empty()) return;
  now_.erase(to);
  moved.key() = to;
  if (is_watched(to)) now_.insert(std::move(moved));
}

bool FaultFileSystem::remove(const std::string& path) {
  call("remove " + path, Needs::kNothing);
  const bool removed = real_.remove(path);
  const std::lock_guard guard(mutex_);
  now_.erase(path);
  return removed;
}

bool FaultFileSystem::remove_folder(const std::string& path) {
  call("remove the folder " + path, Needs::kNothing);
  const bool removed = real_.remove_folder(path);
  const std::lock_guard guard(mutex_);
  now_.erase(path);
  return removed;
}

void FaultFileSystem::make_link(const std::string& target, const std::string& path) {
  call("make the link " + path, Needs::kSpace);
  real_.make_link(target, path);
  note(path, {Entry::Kind::kLink, nullptr, target});
}

bool FaultFileSystem::hard_link(const std::string& from, const std::string& to) {
  call("link " + from, Needs::kSpace);
  if (!real_.hard_link(from, to)) return false;
  const std::lock_guard guard(mutex_);
  const auto found = now_.find(from);
  auto contents = found != now_.end() ? found->second.contents : nullptr;
  if (!contents) {  // a file that was on the disk before
    contents = std::make_shared<Contents>();
    contents->synced = read_test_file(from);
  }
  if (is_watched(to)) now_.insert_or_assign(to, Entry{Entry::Kind::kFile, contents, ""});
  return true;
}

bool FaultFileSystem::reflink(const std::string& from, const std::string& to) {
  call("clone " + from, Needs::kSpace);
  if (!real_.reflink(from, to)) return false;
  note(to, {Entry::Kind::kFile, std::make_shared<Contents>(), ""});
  return true;
}

void FaultFileSystem::sync_folder(const std::string& path) {
  call("sync the folder " + path, Needs::kSpace);
  const std::lock_guard guard(mutex_);
  std::erase_if(synced_, [&](const auto& entry) { return folder_of(entry.first) == path; });
  for (const auto& [name, entry] : now_) {
    if (folder_of(name) == path) synced_.insert_or_assign(name, entry);
  }
}

uint64_t FaultFileSystem::free_bytes(const std::string& path) {
  call("ask for the free space of " + path, Needs::kNothing);
  return real_.free_bytes(path);
}

std::unique_ptr<FileLock> FaultFileSystem::lock(const std::string& path, LockMode mode,
                                                LockWait wait, LockMissing missing) {
  call("lock " + path, missing == LockMissing::kCreate ? Needs::kSpace : Needs::kNothing);
  auto lock = real_.lock(path, mode, wait, missing);
  const std::lock_guard guard(mutex_);
  if (lock && missing == LockMissing::kCreate && is_watched(path)) {
    now_.try_emplace(path, Entry{Entry::Kind::kFile, std::make_shared<Contents>(), ""});
  }
  return lock;
}

void FaultFileSystem::lose_power(Survival survival) {
  const std::lock_guard guard(mutex_);
  if (survival == Survival::kAll) return;
  const Names names = survival == Survival::kNothing ? synced_ : now_;
  restore(names);
}

/// Files whose bytes and name are as they shall be keep their inode and their times.
void FaultFileSystem::restore(const Names& names) {
  for (auto entry = now_.rbegin(); entry != now_.rend(); ++entry) {  // what is inside comes first
    const auto kept = names.find(entry->first);
    if (kept == names.end() || kept->second.kind != entry->second.kind) fs::remove(entry->first);
  }
  Names left;
  for (const auto& [path, entry] : names) {  // folders come before what is in them
    const std::string folder = folder_of(path);
    if (folder != root_ && is_watched(folder) && !left.contains(folder)) continue;  // lost with it
    if (!fs::exists(folder)) continue;
    if (entry.kind == Entry::Kind::kFolder) {
      fs::create_directory(path);
    } else if (entry.kind == Entry::Kind::kLink) {
      fs::remove(path);
      fs::create_symlink(entry.target, path);
    } else if (!fs::exists(path) || read_test_file(path) != entry.contents->synced) {
      fs::remove(path);
      write_test_file(path, entry.contents->synced);
    }
    left.insert_or_assign(path, entry);
  }
  now_ = synced_ = left;
}

}  // namespace omg::testing
