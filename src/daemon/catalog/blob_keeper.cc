// SPDX-License-Identifier: Apache-2.0
#include "daemon/catalog/blob_keeper.h"

#include <algorithm>
#include <random>
#include <span>

#include "base/error.h"
#include "base/piece_states.h"

namespace omg {

/// Each upload has a partial file of its own, also where two bring the same bytes: neither waits
/// for the other, whose client may be slow, and the first one to be whole wins.
class BlobKeeper::Upload final : public ModelCatalog::BlobUpload {
 public:
  Upload(BlobKeeper& keeper, const Digest& digest, bool is_there)
      : keeper_(keeper), digest_(digest), is_there_(is_there) {
    if (is_there_) return;
    keeper_.store_.check_space(0);
    std::random_device random;
    partial_ = keeper_.store_.try_lock_partial(
        PartialKey("upload " + std::to_string(uint64_t{random()} << 32 | random())));
    if (!partial_) throw Error(ErrorCode::kUnavailable, "cannot take a blob; try again");
    path_ = partial_->path();
    file_ = keeper_.files_.open(path_, OpenMode::kCreateNew);
  }
  ~Upload() override { discard(); }

  void take(std::string_view piece) override {
    if (is_there_) return;  // what is known to be right is not read again
    if (!file_) throw Error(ErrorCode::kInvalidArgument, "the upload has ended or failed already");
    try {
      if (piece.size() > checked_) {
        checked_ = std::max<uint64_t>(kCheckedBytes, piece.size());
        keeper_.store_.check_space(checked_);
      }
      checked_ -= piece.size();
      const auto bytes = std::as_bytes(std::span(piece));
      file_->write_at(size_, bytes);
      hasher_.update(bytes);
      size_ += bytes.size();
    } catch (...) {
      discard();
      throw;
    }
  }

  bool finish() override {
    if (is_there_) return false;
    if (!file_) throw Error(ErrorCode::kInvalidArgument, "the upload has ended or failed already");
    const Digest digest = hasher_.digest();
    if (digest != digest_) {
      discard();
      throw Error(ErrorCode::kInvalidArgument, "digest mismatch, expected \"" + digest_.str() +
                                                   "\", got \"" + digest.str() + "\"");
    }
    file_.reset();
    const bool is_new = !keeper_.store_.has_blob(digest);
    Lease lease;
    keeper_.store_.put_blob(std::move(*partial_), digest, size_, lease, hasher_.states());
    partial_.reset();
    path_.clear();
    keeper_.keep(digest, std::move(lease));
    return is_new;
  }

 private:
  /// How often the disk is asked for room.
  static constexpr uint64_t kCheckedBytes = 16u << 20;

  void discard() {
    file_.reset();
    try {
      if (!path_.empty()) keeper_.files_.remove(path_);
    } catch (const Error&) {  // gc() does it
    }
    path_.clear();
    partial_.reset();  // after its file: so its lock's file goes too
  }

  BlobKeeper& keeper_;
  const Digest digest_;
  const bool is_there_;
  std::optional<Partial> partial_;
  std::string path_;            // of the partial file; "": there is none any more
  std::unique_ptr<File> file_;  // null once it has ended or failed
  PieceHasher hasher_;
  uint64_t size_ = 0;
  uint64_t checked_ = 0;  // bytes that there is room for
};

bool BlobKeeper::has(const Digest& digest) {
  forget_old();
  Lease lease;
  if (!store_.locate(digest, lease)) return false;
  keep(digest, std::move(lease));
  return true;
}

std::unique_ptr<ModelCatalog::BlobUpload> BlobKeeper::upload(const Digest& digest) {
  return std::make_unique<Upload>(*this, digest, has(digest));
}

void BlobKeeper::keep(const Digest& digest, Lease lease) {
  const std::lock_guard guard(mutex_);
  kept_.insert_or_assign(digest, Kept{std::move(lease), now_() + kTime});
  if (kept_.size() <= kMost) return;
  kept_.erase(std::min_element(kept_.begin(), kept_.end(), [](const auto& a, const auto& b) {
    return a.second.until < b.second.until;
  }));
}

void BlobKeeper::forget(const StoredModel& model) {
  const std::lock_guard guard(mutex_);
  for (const Artifact& artifact : model.artifacts) {
    if (artifact.digest) kept_.erase(*artifact.digest);
  }
}

void BlobKeeper::forget_old() {
  const std::lock_guard guard(mutex_);
  const Clock::time_point now = now_();
  std::erase_if(kept_, [&](const auto& kept) { return kept.second.until <= now; });
}

}  // namespace omg
