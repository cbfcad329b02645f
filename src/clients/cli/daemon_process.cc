// SPDX-License-Identifier: Apache-2.0
#include "clients/cli/daemon_process.h"

#include "base/child_process.h"
#include "clients/cli/daemon_settings.h"

namespace omg::cli {
namespace {

/// A daemon that nobody asked for by name ends when it has had nothing to do for so long.
constexpr const char* kIdleExit = "30m";

bool answers(const DaemonAddress& address) {
  try {
    DaemonClient(address).get("/v1/health");
    return true;
  } catch (const DaemonUnreachable&) {
    return false;
  }
}

void start_daemon(const DaemonAddress& address) {
  const ProcessResult started =
      run_process({"/proc/self/exe", "serve", "--detach", "--idle-exit", kIdleExit}, {});
  // Somebody else may have been faster.
  if (started.exit_code == 0 || answers(address)) return;
  std::string why = started.err;
  if (why.starts_with("Error: ")) why.erase(0, 7);
  while (why.ends_with('\n')) why.pop_back();
  throw Error(ErrorCode::kUnavailable,
              "the daemon cannot be started: " + why + "; with --direct a command does without it");
}

}  // namespace

DaemonAddress daemon_address() {
  return address_of(load_settings());
}

std::optional<DaemonAddress> running_daemon() {
  const DaemonAddress address = daemon_address();
  if (answers(address)) return address;
  if (address.unix_socket.empty()) {
    throw DaemonUnreachable("no daemon answers at " + address.url +
                            ": start one there, or unset OMG_HOST and OLLAMA_HOST");
  }
  return std::nullopt;
}

DaemonAddress reach_daemon(Terminal& terminal) {
  if (const auto running = running_daemon()) return *running;
  const DaemonAddress address = daemon_address();
  terminal.status("starting the daemon…");
  start_daemon(address);
  terminal.status("");
  return address;
}

bool runs_directly(bool flag) {
  return flag || load_settings().boolean("direct");
}

}  // namespace omg::cli
