// SPDX-License-Identifier: Apache-2.0
//
// Who listens on a TCP port of this machine, as /proc tells it.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace omg::cli::doctor {

struct PortOwner {
  std::string address;  // "127.0.0.1", "0.0.0.0", "::"
  uint32_t user = 0;
  // Of another user's process only root learns the rest.
  int process = 0;      // 0: unknown
  std::string program;  // "python3"
  std::string command;  // "python3 -m http.server 11434"
};

/// All who keep a daemon from listening on `host` and `port`: on that address, or on any. `root` is
/// where /proc lies. The same process is told once.
std::vector<PortOwner> port_owners(const std::string& host, uint16_t port,
                                   const std::string& root = "");

}  // namespace omg::cli::doctor
