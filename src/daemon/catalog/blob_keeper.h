// SPDX-License-Identifier: Apache-2.0
//
// Blobs that clients have uploaded, or asked for, before they create a model of them. Until a model
// names them nothing else would keep them from the collector.
#pragma once

#include <chrono>
#include <functional>
#include <map>
#include <memory>
#include <mutex>

#include "base/digest.h"
#include "base/file_system.h"
#include "daemon/requests/model_catalog.h"
#include "store/store.h"

namespace omg {

/// Thread-safe. `store` and `files` must outlive it, and it its uploads.
class BlobKeeper {
 public:
  using Clock = std::chrono::steady_clock;
  static constexpr std::chrono::hours kTime{1};
  /// At once: each is an open file. Beyond it the one that goes first anyway goes.
  static constexpr size_t kMost = 256;

  BlobKeeper(Store& store, FileSystem& files, std::function<Clock::time_point()> now)
      : store_(store), files_(files), now_(std::move(now)) {}

  /// Whether the bytes are here; then they stay for kTime.
  bool has(const Digest& digest);
  std::unique_ptr<ModelCatalog::BlobUpload> upload(const Digest& digest);
  void keep(const Digest& digest, Lease lease);
  /// What the model names is kept by its manifest, or is to go with it.
  void forget(const StoredModel& model);
  void forget_old();

 private:
  class Upload;
  struct Kept {
    Lease lease;
    Clock::time_point until;
  };

  Store& store_;
  FileSystem& files_;
  const std::function<Clock::time_point()> now_;
  std::mutex mutex_;  // guards all below
  std::map<Digest, Kept> kept_;
};

}  // namespace omg
