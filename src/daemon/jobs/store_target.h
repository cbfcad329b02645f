// SPDX-License-Identifier: Apache-2.0
//
// The store's side of a transfer.
#pragma once

#include <optional>
#include <string>

#include "hub/remote_model.h"
#include "hub/transfer/transfer.h"
#include "store/store.h"

namespace omg {

/// A remote file that is to become a blob. Where the digest is not known beforehand, what tells the
/// file from others stands for it.
class StoreTarget final : public TransferTarget {
 public:
  StoreTarget(Store& store, const RemoteModel& model, const RemoteFile& file)
      : store_(store), expected_(file.sha256), key_(key_of(model, file)) {}

  std::string path() const override { return store_.partial_path(key_); }
  bool is_there() override {
    found_ = expected_ ? store_.locate(*expected_, lease_) : std::nullopt;
    return found_.has_value();
  }
  bool try_claim() override {
    partial_ = store_.try_lock_partial(key_);
    return partial_.has_value();
  }
  void release() override { partial_.reset(); }
  void publish(const HashedBytes& bytes) override {
    store_.put_blob(std::move(*partial_), bytes.sha256, bytes.size, lease_, bytes.pieces);
    partial_.reset();
  }
  const std::optional<Artifact>& found() const { return found_; }

  static PartialKey key_of(const RemoteModel& model, const RemoteFile& file) {
    if (file.sha256) return PartialKey(*file.sha256);
    return PartialKey(model.endpoint + "\n" + model.repository + "\n" + model.commit + "\n" +
                      file.path + "\n" + file.etag);
  }

 private:
  Store& store_;
  Lease lease_;  // on the bytes; kept by the pull until the model is published
  const std::optional<Digest> expected_;
  const PartialKey key_;
  std::optional<Partial> partial_;
  std::optional<Artifact> found_;
};

}  // namespace omg
