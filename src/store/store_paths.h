// SPDX-License-Identifier: Apache-2.0
//
// The one place where paths inside the models directory are made: from digests, name keys and
// partial keys, which only validation can make, and from nothing else.
#pragma once

#include <string>
#include <string_view>

#include "base/digest.h"
#include "store/store.h"
#include "store/stored_model.h"

namespace omg {

class StorePaths {
 public:
  explicit StorePaths(std::string root) : root_(std::move(root)) {}

  const std::string& root() const { return root_; }
  std::string lock() const { return root_ + "/lock"; }
  std::string version() const { return root_ + "/version"; }
  std::string state() const { return root_ + "/state.db"; }

  std::string blobs() const { return root_ + "/blobs"; }
  std::string pieces() const { return root_ + "/pieces"; }
  std::string manifests() const { return root_ + "/manifests"; }
  std::string partials() const { return root_ + "/partial"; }
  std::string linked() const { return root_ + "/linked"; }
  std::string views() const { return root_ + "/views"; }
  std::string quarantine() const { return root_ + "/quarantine"; }
  std::string temporaries() const { return root_ + "/temp"; }

  std::string blob(const Digest& digest) const { return blobs() + "/" + digest.file_name(); }
  std::string pieces(const Digest& digest) const { return pieces() + "/" + digest.file_name(); }
  std::string quarantined(const Digest& digest) const {
    return quarantine() + "/" + digest.file_name();
  }
  /// Second names of files that have other owners; `serial` keeps apart equal bytes.
  std::string linked(const Digest& digest, uint64_t serial) const {
    return linked() + "/" + digest.file_name() + "-" + std::to_string(serial);
  }
  std::string manifest(const StoreName& name) const {
    return manifests() + "/" + name.key() + std::string(kManifestSuffix);
  }
  std::string partial(const PartialKey& key) const { return partials() + "/" + key.name(); }
  std::string partial_lock(const PartialKey& key) const {
    return partial(key) + std::string(kLockSuffix);
  }
  std::string view(const Digest& files_digest) const { return views() + "/" + files_digest.hex(); }
  std::string temporary(uint64_t serial) const {
    return temporaries() + "/" + std::to_string(serial);
  }

  static constexpr std::string_view kManifestSuffix = ".json";
  static constexpr std::string_view kLockSuffix = ".lock";

 private:
  std::string root_;
};

}  // namespace omg
