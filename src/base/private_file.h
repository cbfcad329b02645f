// SPDX-License-Identifier: Apache-2.0
//
// Files and folders that nobody but this user may look into.
#pragma once

#include <memory>
#include <string>

#include "base/file_system.h"

namespace omg {

/// Opens a file (mode 0600, also if it was there already; made if it is missing) for reading and
/// writing, and holds its lock (flock) while it is open. Error(kUnavailable) where somebody else
/// holds it.
std::unique_ptr<File> open_private_file(const std::string& path);
/// Makes `path` (mode 0700, also if it was there already), and what is missing above it.
void make_private_folder(FileSystem& files, const std::string& path);

}  // namespace omg
