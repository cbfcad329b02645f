// SPDX-License-Identifier: Apache-2.0
//
// The folder in which runs keep their KV caches: one file a run key, all together within a limit.
// Who runs has its file locked; a file that nobody has may go. Names are keys, so that a name that
// is none (of another program, or a folder) is left alone.
#pragma once

#include <cstdint>
#include <set>
#include <string>
#include <vector>

#include "base/file_system.h"
#include "runtimes/model.h"

namespace omg {

struct PrefixFile {
  std::string path;
  std::string key;
  uint64_t bytes = 0;  // on the disk
  bool is_in_use = false;
  int64_t modified_ns = 0;
};

/// In the order of their names; none where there is no folder.
std::vector<PrefixFile> list_prefix_files(FileSystem& files, const std::string& folder);

struct PrefixFolder {
  std::string path;
  uint64_t max_bytes = 0;  // of all files
};

/// Makes room for the run `key`: what others may have is at most half of the limit, and the run
/// gets what they leave. Removed are files of keys that are not `known`, then those that were
/// written longest ago; what is in use stays and counts in full. An empty path where nothing is
/// left. Makes the folder, for this user alone. Throws Error.
PrefixStorage plan_prefix_file(FileSystem& files, const PrefixFolder& folder,
                               const std::string& key, const std::set<std::string>& known);

struct ForgottenPrefixes {
  size_t files = 0;
  uint64_t bytes = 0;
  size_t in_use = 0;  // of the files; their room is free once their runs end
};

/// Removes all files, those in use too: their runs go on with what nobody will find again.
ForgottenPrefixes forget_prefix_files(FileSystem& files, const std::string& folder);

}  // namespace omg
