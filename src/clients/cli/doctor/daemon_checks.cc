// SPDX-License-Identifier: Apache-2.0
#include "clients/cli/doctor/daemon_checks.h"

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fmt/format.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/error.h"
#include "clients/cli/doctor/store_checks.h"
#include "clients/cli/format.h"

namespace omg::cli::doctor {
namespace {

constexpr size_t kMostSocketPath = sizeof(sockaddr_un::sun_path) - 1;

constexpr const char* kNeedsDaemon =
    "the daemon cannot start, and commands that need it fail ('--direct' does without)";

/// Whether somebody accepts connections there.
SocketState::Answer answer_at(const std::string& path) {
  sockaddr_un place{};
  place.sun_family = AF_UNIX;
  if (path.size() > kMostSocketPath) return SocketState::Answer::kNone;
  std::memcpy(place.sun_path, path.data(), path.size());
  const int probe = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (probe < 0) return SocketState::Answer::kNone;
  const bool failed =
      ::connect(probe, reinterpret_cast<const sockaddr*>(&place), sizeof place) != 0;
  const int why = errno;
  ::close(probe);
  if (!failed || why == EAGAIN) return SocketState::Answer::kYes;
  if (why == EACCES || why == EPERM) return SocketState::Answer::kForbidden;
  return why == ECONNREFUSED ? SocketState::Answer::kRefused : SocketState::Answer::kNone;
}

std::string describe(const PortOwner& owner) {
  if (owner.process == 0) return fmt::format("a program of user {}", owner.user);
  const std::string name = printable(owner.program.empty() ? "a program" : owner.program);
  std::string text = fmt::format("{} (process {}", name, owner.process);
  if (!owner.command.empty()) text += ": " + printable(owner.command);
  return text + ")";
}

/// How to end who stands in the way, or to give way.
std::string fix_for(const PortState& state) {
  const PortOwner& owner = state.owners.front();
  const uint32_t other = state.port == 11434 ? 11435 : 11434;
  const std::string move = fmt::format("or take another port: 'omg config set port {}'", other);
  if (state.is_ollama || owner.program == "ollama") {
    return "stop it: 'sudo systemctl stop ollama' or 'pkill ollama'; " + move;
  }
  if (owner.process == 0) {
    return fmt::format("see who it is: 'sudo ss -ltnp sport = :{}'; ", state.port) + move;
  }
  return fmt::format("stop it: 'kill {}'; ", owner.process) + move;
}

Finding check_taken_port(const PortState& state) {
  std::string who = describe(state.owners.front());
  if (state.is_ollama && state.owners.front().program != "ollama") who = "Ollama, as " + who;
  const std::string text = fmt::format("{}:{} is taken by {}", state.host, state.port, who);
  if (state.daemon) {
    return warning(
        "port",
        text + fmt::format("; the daemon (process {}) listens elsewhere", state.daemon->process),
        "applications that look for it there find another", fix_for(state));
  }
  return problem("port", text, kNeedsDaemon, fix_for(state));
}

}  // namespace

std::optional<DaemonHealth> ask_health(const DaemonAddress& address,
                                       std::chrono::milliseconds patience) {
  try {
    DaemonClient daemon(address);
    daemon.limit_time(patience);
    const json::value answer = daemon.get("/v1/health");
    return DaemonHealth{std::string(answer.at("version").as_string()),
                        answer.at("pid").to_number<int>()};
  } catch (const std::exception&) {  // nobody, or somebody who speaks otherwise
    return std::nullopt;
  }
}

bool says_ollama(const std::string& url, std::chrono::milliseconds patience) {
  try {
    HttpClientOptions options;
    options.connect_timeout = patience;
    HttpRequest request;
    request.url = url;
    request.total_timeout = patience;
    request.redirects = HttpRedirects::kReturn;
    request.max_body_bytes = 4096;
    return HttpClient(options).send(request).body == "Ollama is running";
  } catch (const Error&) {
    return false;
  }
}

SocketState look_at_socket(const std::string& path) {
  SocketState state;
  state.path = path;
  state.user = ::geteuid();
  if (path.empty()) return state;
  const FolderState folder = look_at_folder(std::filesystem::path(path).parent_path());
  state.folder_refusal = folder.refusal;
  struct stat info{};
  if (::lstat(path.c_str(), &info) != 0) return state;
  state.kind = S_ISSOCK(info.st_mode) ? SocketState::Kind::kSocket : SocketState::Kind::kOther;
  state.owner = info.st_uid;
  state.mode = info.st_mode & 0777;
  if (state.kind == SocketState::Kind::kSocket) state.answer = answer_at(path);
  return state;
}

Finding check_port(const PortState& state) {
  const std::string place = fmt::format("{}:{}", state.host, state.port);
  if (state.daemon && state.daemon->version != OMG_VERSION) {
    return warning(
        "port",
        fmt::format("the daemon (process {}) is of version {}, this program of {}",
                    state.daemon->process, printable(state.daemon->version), OMG_VERSION),
        "it may not do what this one asks",
        "'omg serve stop'; the next command starts the new one");
  }
  if (state.is_daemon_on_port && state.daemon) {
    return ok("port",
              fmt::format("{}: the daemon (process {}) listens", place, state.daemon->process));
  }
  if (state.port != 0 && !state.owners.empty()) return check_taken_port(state);
  if (state.daemon) {
    return ok("port", fmt::format("the daemon (process {}) runs, on another port or none",
                                  state.daemon->process));
  }
  if (state.port == 0) return ok("port", "any that is free");
  return ok("port", place + " is free; no daemon runs, commands start it when they need it");
}

Finding check_socket(const SocketState& state) {
  using Kind = SocketState::Kind;
  using Answer = SocketState::Answer;
  if (state.path.empty()) return ok("socket", "none configured; commands use the port");
  const std::string path = printable(state.path);
  constexpr const char* kElsewhere = "omg config set socket /FOLDER/ohmygpu.sock";
  if (state.path.size() > kMostSocketPath) {
    return problem(
        "socket", fmt::format("its path has {} bytes: {}", state.path.size(), path),
        fmt::format("paths of sockets have at most {} bytes; {}", kMostSocketPath, kNeedsDaemon),
        kElsewhere);
  }
  if (state.kind == Kind::kOther) {
    return problem("socket", path + " is no socket", kNeedsDaemon,
                   fmt::format("move that file away, or '{}'", kElsewhere));
  }
  if (state.answer == Answer::kForbidden) {
    return problem(
        "socket", fmt::format("{} belongs to user {}, who lets nobody else in", path, state.owner),
        "commands cannot reach the daemon, nor start one of their own",
        fmt::format("run commands as that user, or have a daemon of your own: '{}'", kElsewhere));
  }
  if (state.answer != Answer::kYes && !state.folder_refusal.empty()) {
    return problem("socket",
                   fmt::format("{} cannot be made: {}", path, printable(state.folder_refusal)),
                   kNeedsDaemon, kElsewhere);
  }
  if (state.kind == Kind::kMissing) return ok("socket", path + ", made when the daemon starts");
  if ((state.mode & 077) != 0) {
    return warning("socket", fmt::format("other users may use {} (mode {:04o})", path, state.mode),
                   "it needs no key: they can run, delete and bring models as you",
                   fmt::format("chmod 600 {}", path));
  }
  if (state.answer == Answer::kRefused) {
    return warning("socket", fmt::format("{} is left over: nobody listens", path),
                   "a daemon was killed; the next one replaces it", "omg serve --detach");
  }
  return ok("socket", fmt::format("{}, for user {} alone", path, state.owner));
}

Finding check_other_machine(const std::string& url, const std::optional<DaemonHealth>& daemon) {
  if (daemon) return ok("daemon", fmt::format("{} answers, version {}", url, daemon->version));
  return problem("daemon", fmt::format("no daemon of ours answers at {}", printable(url)),
                 "commands ask that machine, and fail",
                 "start 'omg serve' there, or unset OMG_HOST and OLLAMA_HOST, or 'omg config unset "
                 "host'");
}

}  // namespace omg::cli::doctor
