// SPDX-License-Identifier: Apache-2.0
#include "clients/cli/doctor/store_checks.h"

#include <algorithm>
#include <array>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fmt/format.h>
#include <sys/vfs.h>
#include <unistd.h>
#include <utility>

#include "base/error.h"
#include "clients/cli/format.h"
#include "store/store.h"

namespace omg::cli::doctor {
namespace {

constexpr uint64_t kMiB = uint64_t{1} << 20;
constexpr uint64_t kGiB = uint64_t{1} << 30;

constexpr const char* kMove = "omg config set models /FOLDER/ON/ANOTHER/DISK";

/// Numbers of statfs(2) and linux/magic.h.
constexpr std::array<std::pair<uint32_t, const char*>, 21> kKinds = {{
    {0xef53, "ext4"},      {0x58465342, "xfs"},    {0x9123683e, "btrfs"},
    {0x2fc12fc1, "zfs"},   {0xf2f52010, "f2fs"},   {0x4d44, "vfat"},
    {0x2011bab0, "exfat"}, {0x7366746e, "ntfs"},   {0x5346544e, "ntfs"},
    {0x01021994, "tmpfs"}, {0x858458f6, "ramfs"},  {0x794c7630, "overlay"},
    {0x6969, "nfs"},       {0xff534d42, "cifs"},   {0xfe534d42, "smb2"},
    {0x65735546, "fuse"},  {0x01021997, "9p"},     {0x6a656a63, "virtiofs"},
    {0x00c36400, "ceph"},  {0x0bd00bd0, "lustre"}, {0x73717368, "squashfs"},
}};

std::string kind_of(uint64_t number) {
  for (const auto& [known, name] : kKinds) {
    if (static_cast<uint32_t>(number) == known) return name;
  }
  return "";
}

bool is_one_of(const std::string& kind, std::initializer_list<const char*> kinds) {
  return std::any_of(kinds.begin(), kinds.end(), [&](const char* each) { return kind == each; });
}

bool is_over_a_network(const std::string& kind) {
  return is_one_of(kind, {"nfs", "cifs", "smb2", "9p", "ceph", "lustre"});
}

/// The folder, or the nearest one above it that is there.
std::filesystem::path standing_part(std::filesystem::path path) {
  std::error_code failed;
  while (path.has_relative_path() && !std::filesystem::exists(path, failed)) {
    path = path.parent_path();
  }
  return path;
}

/// Permissions lie (root, read-only disks, quotas, /proc): only a try tells.
std::string refusal_to_write(const std::string& folder) {
  std::string pattern = folder + "/.omg-doctor-XXXXXX";
  if (::mkdtemp(pattern.data()) == nullptr) return std::strerror(errno);
  ::rmdir(pattern.c_str());
  return "";
}

}  // namespace

FolderState look_at_folder(const std::string& path) {
  FolderState state;
  state.path = path;
  const std::filesystem::path standing = standing_part(path);
  std::error_code failed;
  state.exists = standing == std::filesystem::path(path);
  if (!std::filesystem::is_directory(standing, failed)) {
    state.refusal = standing.string() + " is no folder";
  } else if (const std::string why = refusal_to_write(standing); !why.empty()) {
    state.refusal = why + " in " + standing.string();
  }
  struct statfs disk{};
  if (::statfs(standing.c_str(), &disk) == 0) {
    state.kind = kind_of(static_cast<uint64_t>(disk.f_type));
    state.free_bytes = uint64_t{disk.f_bavail} * static_cast<uint64_t>(disk.f_bsize);
    state.total_bytes = uint64_t{disk.f_blocks} * static_cast<uint64_t>(disk.f_bsize);
  }
  return state;
}

ModelsState look_at_models(const std::string& folder) {
  ModelsState state;
  try {
    StoreOptions options;
    options.folder = folder;
    const Store store = Store::open(options);
    const StoreListing listing = store.list();
    for (const StoreProblem& found : listing.problems) {
      state.unreadable.push_back(found.path + ": " + found.message);
    }
    for (const ListedModel& listed : listing.models) {
      ++state.models;
      state.bytes += listed.model.total_bytes();
      if (!store.missing(listed.model).empty()) state.incomplete.push_back(listed.model.name.str());
    }
  } catch (const Error& error) {
    state.refusal = error.what();
  }
  return state;
}

Finding check_folder(const FolderState& state) {
  const std::string path = printable(state.path);
  if (!state.refusal.empty()) {
    const bool is_usual = state.configured_by == "built in";
    return problem("store",
                   fmt::format("nothing can be written in {}: {}", path, printable(state.refusal)),
                   "models can be neither brought here nor kept",
                   is_usual ? fmt::format("make it yours: 'sudo chown -R \"$USER\" {}'; or take "
                                          "another folder: 'omg config set models /FOLDER'",
                                          path)
                            : fmt::format("{} names it: name a folder of yours there",
                                          printable(state.configured_by)));
  }
  if (is_one_of(state.kind, {"tmpfs", "ramfs"})) {
    return warning("store", fmt::format("{} lies in memory ({})", path, state.kind),
                   "models take memory twice, and are gone when the machine restarts", kMove);
  }
  if (is_over_a_network(state.kind)) {
    return warning("store", fmt::format("{} lies on a network disk ({})", path, state.kind),
                   "loading waits for the network, and an answer stops when it breaks", kMove);
  }
  std::string text = path;
  if (!state.exists) text += ", made with the first model";
  if (state.kind == "overlay") text += "; it goes when its container does, unless on a volume";
  return ok("store", text);
}

Finding check_disk(const FolderState& state) {
  if (state.total_bytes == 0) return ok("disk", "how much is free cannot be told");
  const std::string text =
      fmt::format("{} free of {}{}", format_bytes(state.free_bytes),
                  format_bytes(state.total_bytes), state.kind.empty() ? "" : ", " + state.kind);
  const std::string fix =
      fmt::format("'omg gc' deletes what no model needs, 'omg rm MODEL' a model; or '{}'", kMove);
  if (state.free_bytes < 256 * kMiB) {
    return problem("disk", text, "no model can be brought here", fix);
  }
  if (state.free_bytes < 3 * kGiB) {
    return warning("disk", text, "only the smallest models can be brought here", fix);
  }
  return ok("disk", text);
}

Finding check_models(const ModelsState& state) {
  if (!state.refusal.empty()) {
    return problem("models", printable(state.refusal), "no model of the store can be used",
                   "make the folder readable, or take another: 'omg config set models /FOLDER'");
  }
  if (!state.unreadable.empty()) {
    const size_t more = state.unreadable.size() - 1;
    return problem(
        "models",
        printable(state.unreadable.front()) + (more > 0 ? fmt::format(" (and {} more)", more) : ""),
        "what it describes cannot be used, and 'omg gc' deletes nothing meanwhile",
        "remove the file, and pull its model again");
  }
  if (!state.incomplete.empty()) {
    const std::string first = printable(state.incomplete.front());
    return warning("models",
                   state.incomplete.size() == 1
                       ? fmt::format("a file of {} is gone or changed", first)
                       : fmt::format("files of {} models are gone or changed, {} the first",
                                     state.incomplete.size(), first),
                   "such a model cannot be run",
                   fmt::format("'omg verify {} --repair', or pull or import it again", first));
  }
  if (state.models == 0) return ok("models", "none yet, but the built-in guide");
  return ok("models", fmt::format("{} here, {}", state.models, format_bytes(state.bytes)));
}

}  // namespace omg::cli::doctor
