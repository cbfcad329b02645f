// SPDX-License-Identifier: Apache-2.0
//
// A hub and its content host as function calls: what TransferConnection would reach, with each
// answer open to change by the test.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "hub/transfer/transfer.h"

namespace omg::testing {

/// Thread-safe but for the public members, which are set before it is used.
class FakeServer {
 public:
  struct Seen {
    std::string url;
    std::optional<ByteRange> range;
    std::string if_range;
    std::string authorization;
    uint64_t bytes = 0;  // of the body that were sent
  };
  /// How one answer differs from the right one.
  struct Change {
    int status = 0;  // instead of 200 or 206
    std::optional<std::chrono::seconds> retry_after;
    std::optional<uint64_t> cut_after;  // the connection breaks after so many bytes
    bool hangs = false;                 // …or stands still there until it is cancelled
    bool no_ranges = false;
    std::optional<std::string> content;
    std::optional<std::string> etag;
    std::function<void()> before;  // called first
  };

  std::string content;
  std::string etag = "\"first\"";
  /// The URL that redirects to content_url(); any other URL is the content itself.
  std::string hub_url = "http://hub.test/file";
  size_t piece_bytes = 16u << 10;
  /// Number of the request for content (0, 1, …) -> what is different; null: nothing.
  std::function<Change(size_t number, const Seen& seen)> change;
  /// What the hub answers to its n-th question instead of the redirect; 0 = the redirect.
  std::function<int(size_t number)> hub_status;

  /// Makes signed addresses given out so far worthless.
  void expire() { ++generation_; }
  Transfers::Connect connect();
  std::vector<Seen> requests() const;
  size_t hub_requests() const;
  uint64_t sent() const;

 private:
  class Connection;
  HttpResponse send(const HttpRequest& request);
  HttpResponse answer_hub(const HttpRequest& request);
  HttpResponse answer_content(const HttpRequest& request);
  std::string content_url() const;

  std::atomic<int> generation_{0};
  mutable std::mutex mutex_;
  std::vector<Seen> seen_;
  size_t hub_requests_ = 0;
};

/// `size` bytes that look random and are the same each time.
std::string test_bytes(size_t size, uint64_t seed = 1);

}  // namespace omg::testing
