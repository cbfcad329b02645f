// SPDX-License-Identifier: Apache-2.0
//
// See file_target.h.
#include "hub/transfer/file_target.h"

#include "hub/transfer/chunk_map.h"

namespace omg {

bool FileTarget::is_there() {
  return files_.info(path_).has_value();
}

bool FileTarget::try_claim() {
  lock_ = files_.lock(path() + ".lock", LockMode::kExclusive, LockWait::kNo);
  return lock_ != nullptr;
}

void FileTarget::publish(const HashedBytes&) {
  files_.open(path(), OpenMode::kReadWrite)->sync();
  files_.rename(path(), path_);
  files_.sync_folder(folder_of(path_));
  files_.remove(ChunkMap::path_for(path()));
  files_.remove(path() + ".lock");
  lock_.reset();
}

}  // namespace omg
