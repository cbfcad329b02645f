// SPDX-License-Identifier: Apache-2.0
//
// Pieces of 1 MiB: large enough that a read costs nothing beside hashing it (at 2 GB/s), small
// enough to stay in the processor's cache between the two.
#include "hub/transfer/front_hasher.h"

#include <algorithm>
#include <array>
#include <memory>
#include <openssl/evp.h>
#include <vector>

#include "base/error.h"

namespace omg {
namespace {

constexpr size_t kReadBytes = 1u << 20;

}  // namespace

/// git's name for a file's bytes. Not for safety (SHA-1 has none), but to see what arrived.
class FrontHasher::GitHash {
 public:
  explicit GitHash(uint64_t size) : context_(EVP_MD_CTX_new(), &EVP_MD_CTX_free) {
    if (!context_ || EVP_DigestInit_ex(context_.get(), EVP_sha1(), nullptr) != 1) {
      throw Error(ErrorCode::kInternal, "OpenSSL has no SHA-1; check its configuration");
    }
    const std::string head = "blob " + std::to_string(size);
    EVP_DigestUpdate(context_.get(), head.c_str(), head.size() + 1);
  }
  void update(std::span<const std::byte> bytes) {
    EVP_DigestUpdate(context_.get(), bytes.data(), bytes.size());
  }
  std::string hex() {
    std::array<unsigned char, EVP_MAX_MD_SIZE> digest{};
    unsigned length = 0;
    EVP_DigestFinal_ex(context_.get(), digest.data(), &length);
    std::string text;
    for (unsigned i = 0; i < length; ++i) {
      text.push_back("0123456789abcdef"[digest[i] >> 4]);
      text.push_back("0123456789abcdef"[digest[i] & 15]);
    }
    return text;
  }

 private:
  std::unique_ptr<EVP_MD_CTX, decltype(&EVP_MD_CTX_free)> context_;
};

FrontHasher::FrontHasher(File& file, uint64_t size, bool wants_git_sha1)
    : file_(file), size_(size), thread_([this, wants_git_sha1] { run(wants_git_sha1); }) {}

FrontHasher::~FrontHasher() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  changed_.notify_all();
  thread_.join();
}

void FrontHasher::advance(uint64_t front) {
  {
    const std::lock_guard lock(mutex_);
    if (front <= front_) return;
    // With a whole piece known of before, it is at work and will look again by itself.
    const bool may_wait = front_ - hashed_ < kReadBytes;
    front_ = front;
    if (front != size_ && !(may_wait && front - hashed_ >= kReadBytes)) return;
  }
  changed_.notify_all();
}

uint64_t FrontHasher::hashed() const {
  const std::lock_guard lock(mutex_);
  return hashed_;
}

bool FrontHasher::is_finished() const {
  const std::lock_guard lock(mutex_);
  return result_ || error_;
}

FrontHasher::Result FrontHasher::result() {
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [&] { return result_ || error_; });
  if (error_) std::rethrow_exception(error_);
  return *result_;
}

std::optional<uint64_t> FrontHasher::wait_for_front(uint64_t from) {
  std::unique_lock lock(mutex_);
  hashed_ = from;
  // A whole piece, or the end of the file: not each little step of the front.
  changed_.wait(lock, [&] { return stopping_ || front_ == size_ || front_ - from >= kReadBytes; });
  if (stopping_) return std::nullopt;
  return front_;
}

void FrontHasher::run(bool wants_git_sha1) {
  try {
    PieceHasher sha256;
    std::optional<GitHash> git;
    if (wants_git_sha1) git.emplace(size_);
    std::vector<std::byte> buffer(static_cast<size_t>(std::min<uint64_t>(size_, kReadBytes)));
    uint64_t position = 0;
    while (position < size_) {
      const auto front = wait_for_front(position);
      if (!front) return;
      const size_t length =
          static_cast<size_t>(std::min<uint64_t>(buffer.size(), *front - position));
      const std::span<std::byte> piece = std::span(buffer).first(length);
      if (file_.read_at(position, piece) != length) {
        throw Error(ErrorCode::kIo,
                    "cannot read back what was downloaded: the file became shorter; is another "
                    "program at work in the models directory?");
      }
      sha256.update(piece);
      if (git) git->update(piece);
      position += length;
    }
    const std::lock_guard lock(mutex_);
    hashed_ = position;
    result_ = Result{sha256.digest(), sha256.states(), git ? git->hex() : std::string()};
  } catch (...) {
    const std::lock_guard lock(mutex_);
    error_ = std::current_exception();
  }
  changed_.notify_all();
}

}  // namespace omg
