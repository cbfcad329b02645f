// SPDX-License-Identifier: Apache-2.0
#include "daemon/lifecycle/prefix_files.h"

#include <algorithm>
#include <optional>
#include <string_view>

#include "base/digest.h"
#include "base/private_file.h"

namespace omg {
namespace {

constexpr std::string_view kEnding = ".kv";

/// The key that a file's name is made of.
std::optional<std::string> key_of(std::string_view name) {
  if (!name.ends_with(kEnding)) return std::nullopt;
  name.remove_suffix(kEnding.size());
  const auto digest = Digest::parse(name);
  if (!digest || digest->hex() != name) return std::nullopt;
  return std::string(name);
}

/// What it may have: in use, as much as it was made for, which its size tells.
PrefixFile look_at(FileSystem& files, const std::string& path, std::string key,
                   const FileInfo& info) {
  PrefixFile file{path, std::move(key), info.allocated, false, info.modified_ns};
  const auto lock = files.lock(path, LockMode::kShared, LockWait::kNo, LockMissing::kRefuse);
  file.is_in_use = lock == nullptr;
  if (file.is_in_use) file.bytes = std::max(info.size, info.allocated);
  return file;
}

}  // namespace

std::vector<PrefixFile> list_prefix_files(FileSystem& files, const std::string& folder) {
  std::vector<PrefixFile> found;
  const auto there = files.info(folder);
  if (!there) return found;
  for (const std::string& name : files.list(folder)) {
    auto key = key_of(name);
    if (!key) continue;
    const std::string path = folder + "/" + name;
    const auto info = files.info(path);
    if (info && info->is_file()) found.push_back(look_at(files, path, std::move(*key), *info));
  }
  return found;
}

PrefixStorage plan_prefix_file(FileSystem& files, const PrefixFolder& folder,
                               const std::string& key, const std::set<std::string>& known) {
  make_private_folder(files, folder.path);
  std::vector<PrefixFile> others = list_prefix_files(files, folder.path);
  std::erase_if(others, [&](const PrefixFile& file) { return file.key == key; });
  uint64_t used = 0;
  for (const PrefixFile& file : others) used += file.bytes;

  const auto comes_before = [&](const PrefixFile& a, const PrefixFile& b) {
    const bool a_known = known.contains(a.key);
    const bool b_known = known.contains(b.key);
    return a_known != b_known ? b_known : a.modified_ns < b.modified_ns;
  };
  std::stable_sort(others.begin(), others.end(), comes_before);
  for (const PrefixFile& file : others) {
    if (file.is_in_use || (known.contains(file.key) && used <= folder.max_bytes / 2)) continue;
    if (files.remove(file.path)) used -= file.bytes;
  }

  PrefixStorage storage;
  if (used >= folder.max_bytes) return storage;
  storage.path = folder.path + "/" + key + std::string(kEnding);
  storage.max_bytes = folder.max_bytes - used;
  storage.most_bytes = folder.max_bytes;
  storage.weights = key;
  return storage;
}

ForgottenPrefixes forget_prefix_files(FileSystem& files, const std::string& folder) {
  ForgottenPrefixes forgotten;
  for (const PrefixFile& file : list_prefix_files(files, folder)) {
    if (!files.remove(file.path)) continue;
    ++forgotten.files;
    if (file.is_in_use) {
      ++forgotten.in_use;
    } else {
      forgotten.bytes += file.bytes;
    }
  }
  return forgotten;
}

}  // namespace omg
