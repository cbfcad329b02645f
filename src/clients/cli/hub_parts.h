// SPDX-License-Identifier: Apache-2.0
//
// What commands reach hubs with, put together from the environment.
#pragma once

#include <memory>
#include <string>

#include "daemon/jobs/pull.h"

namespace omg::cli {

/// "10M", "1.5 GiB/s", "500k" as bytes; K, M and G are 1024's powers. Error(kUsage) for others.
uint64_t parse_bytes(const std::string& text, const std::string& flag);

struct HubFlags {
  CancellationToken cancellation;  // ends requests of any kind
  std::string ca_file;
  uint64_t bytes_per_second = 0;  // 0: no limit
};

/// How hubs are reached, from the environment and these flags.
HttpClientOptions hub_client_options(const HubFlags& flags);
/// Which hubs there are, with their credentials, from the environment.
HubOptions hub_options();

/// Owns client, hub and transfers.
class HubParts {
 public:
  explicit HubParts(const HubFlags& flags);
  ~HubParts();

  Hub& hub();
  HttpClient& client();
  PullParts pull_parts(Store& store);

 private:
  struct Body;
  std::unique_ptr<Body> body_;
};

}  // namespace omg::cli
