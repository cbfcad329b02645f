// SPDX-License-Identifier: Apache-2.0
//
// The daemon, and what keeps it from its port and its socket.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "clients/cli/doctor/finding.h"
#include "clients/cli/doctor/port_owner.h"
#include "clients/sdk/daemon_client.h"

namespace omg::cli::doctor {

/// What a daemon of ours says of itself.
struct DaemonHealth {
  std::string version;
  int process = 0;
};

struct PortState {
  std::string host;
  uint16_t port = 0;
  std::vector<PortOwner> owners;
  std::optional<DaemonHealth> daemon;  // that commands reach, through socket or port
  bool is_daemon_on_port = false;
  bool is_ollama = false;  // who answers on the port says so
};

struct SocketState {
  enum class Kind { kMissing, kSocket, kOther };
  enum class Answer { kNone, kYes, kRefused, kForbidden };
  std::string path;  // "": the configuration has none
  Kind kind = Kind::kMissing;
  Answer answer = Answer::kNone;
  uint32_t owner = 0;
  uint32_t user = 0;           // who asks
  uint32_t mode = 0;           // permission bits
  std::string folder_refusal;  // why nothing can be made in its folder; "" where it can
};

/// Nothing where no daemon of ours answers within `patience`.
std::optional<DaemonHealth> ask_health(const DaemonAddress& address,
                                       std::chrono::milliseconds patience);
/// Whether who answers there says "Ollama is running" (our daemon does, too).
bool says_ollama(const std::string& url, std::chrono::milliseconds patience);
SocketState look_at_socket(const std::string& path);

Finding check_port(const PortState& state);
Finding check_socket(const SocketState& state);
/// Of a daemon on another machine, where the configuration names one.
Finding check_other_machine(const std::string& url, const std::optional<DaemonHealth>& daemon);

}  // namespace omg::cli::doctor
