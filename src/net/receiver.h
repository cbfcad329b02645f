// SPDX-License-Identifier: Apache-2.0
//
// Internal to net/: takes an answer line by line and piece by piece, holds it to what was asked and
// to the limits, and hands the body on.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "net/http_exchange.h"

namespace omg {

class Receiver {
 public:
  explicit Receiver(HttpExchange& exchange) : exchange_(exchange) {}

  /// One header line with its line end, the status line and the empty last one included. False: no
  /// more is wanted. Throws HttpError, and whatever the caller's functions throw.
  bool take_header(std::string_view line);
  /// A piece of the decoded body; as above.
  bool take_body(std::string_view piece);
  /// At the regular end: whether all came that was promised.
  void finish();
  /// Whether the end was ours and not the server's.
  bool stopped() const { return stopped_; }

 private:
  bool end_of_headers();
  void check_range();
  void check_partial_range(uint64_t offset);
  bool stop() {
    stopped_ = true;
    return false;
  }
  [[noreturn]] void fail(ErrorCode code, HttpFailure failure, const std::string& why) const;

  HttpExchange& exchange_;
  size_t header_bytes_ = 0;
  bool head_done_ = false;
  bool stopped_ = false;
  uint64_t received_ = 0;
  std::optional<uint64_t> expected_;  // bytes of a range
};

}  // namespace omg
