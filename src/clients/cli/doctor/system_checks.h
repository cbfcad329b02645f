// SPDX-License-Identifier: Apache-2.0
//
// What the system lets a process have, and what time it thinks it is.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "clients/cli/doctor/finding.h"

namespace omg::cli::doctor {

struct LimitState {
  static constexpr uint64_t kNone = UINT64_MAX;
  uint64_t open_files =
      kNone;                 // that the daemon may have: it raises the soft limit to the hard one
  uint64_t connections = 0;  // that it is configured to take
  uint64_t address_space = kNone;
};

struct ClockState {
  int64_t now = 0;             // seconds since 1970, when the answer came
  std::optional<int64_t> hub;  // what the hub's answer said
  std::string hub_name;
};

LimitState look_at_limits();
/// Of a header Date (RFC 9110, 5.6.7): "Sun, 06 Nov 1994 08:49:37 GMT", in seconds since 1970.
std::optional<int64_t> parse_http_date(const std::string& text);

Finding check_open_files(const LimitState& state);
/// Nothing where there is no limit.
std::optional<Finding> check_address_space(const LimitState& state);
Finding check_clock(const ClockState& state);

}  // namespace omg::cli::doctor
