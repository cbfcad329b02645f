// SPDX-License-Identifier: Apache-2.0
//
// Pulls that the daemon does: a job of its own, which this process watches.
#pragma once

#include <string>

#include "base/json.h"
#include "clients/cli/terminal.h"
#include "clients/sdk/daemon_client.h"

namespace omg::cli {

/// Asks for a pull, the body of POST /v1/models/pull without `stream`, and shows it until it has
/// ended. Returns the job as it ended well, else throws its Error. Ctrl-C ends the job that this
/// call began; one that somebody else had begun goes on, which is said.
json::object pull_in_daemon(const DaemonAddress& address, json::object request, Terminal& terminal);

/// Has the daemon bring `model`, unless it is there already.
void bring_to_daemon(const DaemonAddress& address, const std::string& model, Terminal& terminal);

}  // namespace omg::cli
