// SPDX-License-Identifier: Apache-2.0
//
// From the configuration to a daemon: what it is made with, and where commands find it.
#pragma once

#include <chrono>
#include <map>
#include <string>

#include "base/log.h"
#include "clients/cli/arguments.h"
#include "clients/sdk/daemon_client.h"
#include "daemon/server/daemon.h"
#include "daemon/settings/settings.h"

namespace omg::cli {

/// Every setting as a flag.
class DaemonFlags {
 public:
  void define(Arguments& arguments);
  /// Configuration and environment, and the flags above them. Throws what Settings::load() does.
  Settings settings() const;

 private:
  std::map<std::string, std::string> given_;
};

/// Configuration and environment.
Settings load_settings();

/// For what has to say something even where they cannot be read: without the variables that are
/// wrong then, and without the file if that is.
struct LenientSettings {
  Settings settings;
  std::string error;  // why they are not all that is configured; "" if they are
};
LenientSettings load_settings_leniently();

/// Whether a daemon at the host that is configured is one of this machine.
bool is_of_this_machine(const std::string& host);
/// Of the daemon's Unix socket; "" where there is to be none.
std::string socket_path(const Settings& settings);

DaemonOptions daemon_options(const Settings& settings);
/// The Unix socket that the daemon of this machine has; or the URL, where the host that is
/// configured is another machine, or there is no socket.
DaemonAddress address_of(const Settings& settings);
/// Where runs keep their KV caches; "" where there is no home.
std::string prefix_folder(const Settings& settings);
/// What is configured; else one line for each thing that happens.
LogLevel daemon_log_level(const Settings& settings);
/// $XDG_STATE_HOME/ohmygpu/daemon.log, of a detached daemon.
std::string daemon_log_path();

}  // namespace omg::cli
