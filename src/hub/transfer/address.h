// SPDX-License-Identifier: Apache-2.0
//
// Where the bytes of a file really are. Hubs redirect large files to addresses that are signed and
// expire; asking the hub for each chunk would cost a round trip, and the hub's patience. So it is
// asked once, and again when the address is refused.
#pragma once

#include <functional>
#include <mutex>
#include <optional>
#include <string>

#include "hub/remote_model.h"
#include "hub/transfer/transfer.h"

namespace omg {

/// Thread-safe: while one worker asks, the others wait.
class RemoteAddress {
 public:
  struct Answer {
    std::string url;
    std::string authorization;
    HttpAddresses addresses = HttpAddresses::kAny;
    uint64_t generation = 0;
  };

  RemoteAddress(RemoteFile file, std::function<RemoteFile()> renew)
      : file_(std::move(file)), renew_(std::move(renew)) {}

  /// Throws HttpError for what the hub answers, RemoteFileChanged if it has another file by now.
  Answer get(TransferConnection& connection, const CancellationToken& cancellation);
  /// The address of that generation does not work (any more). Returns how often that happened
  /// since accepted().
  size_t refused(uint64_t generation);
  /// It works.
  void accepted();

 private:
  Answer ask(TransferConnection& connection, const CancellationToken& cancellation);
  void check_unchanged(const HttpResponse& response) const;

  mutable std::mutex mutex_;  // guards all below
  RemoteFile file_;
  std::function<RemoteFile()> renew_;
  std::optional<Answer> known_;
  uint64_t generation_ = 0;
  size_t refusals_ = 0;
};

/// Without W/ and quotes.
std::string bare_etag(std::string_view etag);

}  // namespace omg
