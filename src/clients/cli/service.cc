// SPDX-License-Identifier: Apache-2.0
//
// `omg service`: the daemon as a unit of systemd, for one user or the whole machine.
#include <climits>
#include <cstdlib>
#include <filesystem>
#include <fmt/format.h>
#include <unistd.h>

#include "base/child_process.h"
#include "base/error.h"
#include "base/file_system.h"
#include "clients/cli/arguments.h"
#include "clients/cli/command.h"

namespace omg::cli {
namespace {

constexpr std::string_view kUnit = "ohmygpu.service";

/// Of this program, as it can be started again.
std::string own_path() {
  std::string path(PATH_MAX, '\0');
  const ssize_t length = ::readlink("/proc/self/exe", path.data(), path.size());
  if (length <= 0) throw system_error("cannot tell where this program is", errno);
  path.resize(static_cast<size_t>(length));
  return path;
}

/// As systemd.service(5) wants an argument that may hold spaces.
std::string unit_word(const std::string& text) {
  std::string quoted = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') quoted += '\\';
    quoted += c;
    if (c == '%' || c == '$') quoted += c;
  }
  return quoted + "\"";
}

/// Workers confine themselves once their model is loaded; what is said here holds from the start,
/// and for the daemon too.
std::string unit_text(bool for_system) {
  return fmt::format(
      "[Unit]\n"
      "Description=OhMyGPU: language models on this machine\n"
      "After=network-online.target\n"
      "Wants=network-online.target\n"
      "\n"
      "[Service]\n"
      "Type=exec\n"
      "ExecStart={} serve\n"
      "Restart=on-failure\n"
      "RestartSec=2\n"
      "{}"
      "NoNewPrivileges=yes\n"
      "PrivateTmp=yes\n"
      "ProtectSystem=full\n"
      "ProtectKernelTunables=yes\n"
      "ProtectControlGroups=yes\n"
      "RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6 AF_NETLINK\n"
      "RestrictSUIDSGID=yes\n"
      "LimitNOFILE=65536\n"
      "\n"
      "[Install]\n"
      "WantedBy={}\n",
      unit_word(own_path()),
      for_system ? "DynamicUser=yes\nStateDirectory=ohmygpu\nRuntimeDirectory=ohmygpu\n"
                   "Environment=XDG_DATA_HOME=/var/lib/ohmygpu XDG_RUNTIME_DIR=/run/ohmygpu "
                   "XDG_STATE_HOME=/var/lib/ohmygpu\n"
                 : "",
      for_system ? "multi-user.target" : "default.target");
}

std::string unit_folder(bool for_system) {
  if (for_system) return "/etc/systemd/system";
  const char* config = std::getenv("XDG_CONFIG_HOME");
  const char* home = std::getenv("HOME");
  if (config != nullptr && *config == '/') return std::string(config) + "/systemd/user";
  if (home != nullptr && *home == '/') return std::string(home) + "/.config/systemd/user";
  throw Error(ErrorCode::kUsage, "neither XDG_CONFIG_HOME nor HOME is set: units have no place");
}

class ServiceCommand final : public Command {
 public:
  void define(Arguments& arguments) override {
    arguments
        .positional("ACTION", action_,
                    "install, remove, or print (the unit, without installing it)")
        .required();
    arguments.flag("--system", for_system_, "For the whole machine, as a user of its own; as root");
    arguments.footer(
        "Installed, the daemon runs from login on (with --system: from boot), and is started "
        "again\n"
        "if it ever fails. Its log: journalctl --user -u ohmygpu\n"
        "To keep a user's services running after logout: loginctl enable-linger");
  }

  void run(Terminal& terminal) override {
    if (action_ == "print") return terminal.out(unit_text(for_system_));
    if (action_ != "install" && action_ != "remove") {
      throw Error(ErrorCode::kUsage, "omg service takes install, remove or print");
    }
    const std::string folder = unit_folder(for_system_);
    const std::string path = folder + "/" + std::string(kUnit);
    if (action_ == "install") return install(folder, path, terminal);
    if (!std::filesystem::exists(path)) {
      throw Error(ErrorCode::kNotFound, "there is no service to remove: " + path + " is missing");
    }
    systemctl({"disable", "--now", std::string(kUnit)}, terminal);
    std::filesystem::remove(path);
    systemctl({"daemon-reload"}, terminal);
    terminal.out("removed " + path + "\n");
  }

 private:
  void install(const std::string& folder, const std::string& path, Terminal& terminal) {
    std::error_code failed;
    std::filesystem::create_directories(folder, failed);
    if (failed) {
      throw Error(ErrorCode::kIo, "cannot make " + folder + ": " + failed.message() +
                                      (for_system_ ? "; --system needs root" : ""));
    }
    RealFileSystem files;
    write_file_atomically(files, path + ".new", path, unit_text(for_system_));
    terminal.out("installed " + path + "\n");
    if (systemctl({"daemon-reload"}, terminal) &&
        systemctl({"enable", "--now", std::string(kUnit)}, terminal)) {
      terminal.out("the daemon runs, and will after each " +
                   std::string(for_system_ ? "boot" : "login") + "\n");
    }
  }

  /// False, said on standard error, where systemd does not do it: in a container, say.
  bool systemctl(std::vector<std::string> arguments, Terminal& terminal) const {
    std::string shown = "systemctl";
    if (!for_system_) arguments.insert(arguments.begin(), "--user");
    for (const std::string& argument : arguments) shown += " " + argument;
    arguments.insert(arguments.begin(), "systemctl");
    std::string why;
    try {
      const ProcessResult result = run_process(arguments, {});
      if (result.exit_code == 0) return true;
      why = result.err;
    } catch (const Error& error) {
      why = error.what();
    }
    while (why.ends_with('\n')) why.pop_back();
    terminal.note("'" + shown + "' failed (" + why + "): do it where systemd runs");
    return false;
  }

  std::string action_;
  bool for_system_ = false;
};

}  // namespace

std::unique_ptr<Command> make_service_command() {
  return std::make_unique<ServiceCommand>();
}

}  // namespace omg::cli
