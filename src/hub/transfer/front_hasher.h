// SPDX-License-Identifier: Apache-2.0
//
// Hashes a file in order while it is being filled in any order: a thread that reads what lies
// before the finished front.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <exception>
#include <functional>
#include <mutex>
#include <optional>
#include <string>
#include <thread>

#include "base/digest.h"
#include "base/file_system.h"
#include "base/piece_states.h"

namespace omg {

class FrontHasher {
 public:
  struct Result {
    Digest sha256;
    PieceStates pieces;
    /// Of "blob <size>\0<bytes>", 40 hex digits, if it was asked for.
    std::string git_sha1;
  };

  /// `file` must outlive it. Starts at once with what lies before `front`.
  FrontHasher(File& file, uint64_t size, bool wants_git_sha1);
  /// Stops without a result.
  ~FrontHasher();
  FrontHasher(const FrontHasher&) = delete;
  FrontHasher& operator=(const FrontHasher&) = delete;

  /// Bytes before `front` are there and will not change. Never goes back.
  void advance(uint64_t front);
  uint64_t hashed() const;
  /// Whether result() would not wait; also after a failure.
  bool is_finished() const;
  /// Waits for the end of the file; throws what reading it threw.
  Result result();

 private:
  class GitHash;
  void run(bool wants_git_sha1);
  /// Waits for bytes beyond `from`; returns the front, or nothing when it is to stop.
  std::optional<uint64_t> wait_for_front(uint64_t from);

  File& file_;
  const uint64_t size_;
  mutable std::mutex mutex_;  // guards all below but the thread
  std::condition_variable changed_;
  uint64_t front_ = 0;
  uint64_t hashed_ = 0;
  bool stopping_ = false;
  std::optional<Result> result_;
  std::exception_ptr error_;
  std::thread thread_;  // last: it uses the others
};

}  // namespace omg
