// SPDX-License-Identifier: Apache-2.0
//
// The daemon that commands talk to: where it listens, and starting it when it does not run.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "clients/cli/terminal.h"
#include "clients/sdk/daemon_client.h"

namespace omg::cli {

/// Where the configuration says that it is: its Unix socket, or another machine's URL.
DaemonAddress daemon_address();

/// A daemon that answers; nothing where none runs on this machine. DaemonUnreachable for another
/// machine's.
std::optional<DaemonAddress> running_daemon();

/// A daemon that answers, started if it has to be (which is said on standard error). Error that
/// says why it does not start; DaemonUnreachable for another machine's.
DaemonAddress reach_daemon(Terminal& terminal);

/// Whether commands shall run models in their own process: asked for by the flag, or by the
/// configuration.
bool runs_directly(bool flag);

}  // namespace omg::cli
