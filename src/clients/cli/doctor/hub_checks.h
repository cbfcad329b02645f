// SPDX-License-Identifier: Apache-2.0
//
// Whether the servers that models come from can be reached, and what is in the way.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>

#include "clients/cli/doctor/finding.h"
#include "net/http_client.h"

namespace omg::cli::doctor {

struct HubState {
  std::string name;     // "hub", "registry"
  std::string url;      // "https://huggingface.co"
  std::string lost;     // what cannot be done without it
  std::string proxy;    // that is asked for it; "" for none
  std::string ca_file;  // as it is configured; "" for the system's
  // What came of it: an answer, or a failure.
  int status = 0;
  std::optional<int64_t> date;  // of the answer, in seconds since 1970
  int64_t asked_at = 0;         // by this machine's clock
  std::optional<HttpFailure> failure;
  std::string message;  // why no answer came
};

/// Asks `path` there, and fills in what came of it.
void ask_hub(HubState& hub, const std::string& path, HttpClientOptions options,
             std::chrono::milliseconds patience);

Finding check_hub(const HubState& state);

}  // namespace omg::cli::doctor
