// SPDX-License-Identifier: Apache-2.0
//
// The models of the store, as dialects ask for them.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/file_system.h"
#include "daemon/catalog/blob_keeper.h"
#include "daemon/requests/model_catalog.h"
#include "store/store.h"

namespace omg {

struct StoreCatalogOptions {
  /// Unloads the model, so that its bytes can go. What it throws keeps the model. May be null.
  std::function<void(const StoredModel& model)> before_remove;
  /// The store's disk, and what o'clock it is; null: the machine's own.
  FileSystem* files = nullptr;
  std::function<BlobKeeper::Clock::time_point()> now;
};

class StoreCatalog final : public ModelCatalog {
 public:
  /// `store` must outlive it, and it its uploads.
  explicit StoreCatalog(Store& store, StoreCatalogOptions options = {});

  std::vector<ListedModel> list(BuiltIn built_in) const override;
  StoredModel find(const std::string& name) const override;
  ModelInspection inspect(const std::string& name, bool all_metadata) const override;
  /// Error(kInvalidArgument) "invalid model name …" for what a new model cannot be called.
  void copy(const std::string& from, const std::string& to) override;
  /// Where a repository's name may mean several models: Error(kInvalidArgument) with their names.
  /// Bytes that nothing else needs go at once.
  void remove(const std::string& name) override;
  /// Bytes that another tool's model here has count too. What is here stays for an hour.
  bool has_blob(const std::string& digest) const override;
  std::unique_ptr<BlobUpload> upload(const std::string& digest) override;

 private:
  Store& store_;
  const StoreCatalogOptions options_;
  RealFileSystem own_files_;
  mutable BlobKeeper keeper_;
};

}  // namespace omg
