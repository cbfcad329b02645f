// SPDX-License-Identifier: Apache-2.0
//
// A transfer into one file outside the store: NAME.partial until it is whole, then NAME.
#pragma once

#include <memory>
#include <string>

#include "hub/transfer/transfer.h"

namespace omg {

class FileTarget final : public TransferTarget {
 public:
  /// `files` must outlive it.
  FileTarget(FileSystem& files, std::string path) : files_(files), path_(std::move(path)) {}

  std::string path() const override { return path_ + ".partial"; }
  bool is_there() override;
  bool try_claim() override;
  void release() override { lock_.reset(); }
  void publish(const HashedBytes& bytes) override;

 private:
  FileSystem& files_;
  std::string path_;
  std::unique_ptr<FileLock> lock_;
};

}  // namespace omg
