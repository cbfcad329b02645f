// SPDX-License-Identifier: Apache-2.0
//
// `omg serve`: the daemon, in the foreground or detached; its status, and its end. `omg status` is
// the status, too.
#include <csignal>
#include <fmt/format.h>
#include <pthread.h>
#include <sys/resource.h>
#include <thread>
#include <unistd.h>

#include "base/heap.h"
#include "base/log.h"
#include "base/private_file.h"
#include "clients/cli/arguments.h"
#include "clients/cli/command.h"
#include "clients/cli/daemon_process.h"
#include "clients/cli/daemon_settings.h"
#include "clients/cli/detach.h"
#include "clients/cli/format.h"
#include "clients/cli/table.h"
#include "daemon/server/daemon.h"

namespace omg::cli {
namespace {

/// Ends the daemon politely at the first SIGTERM or SIGINT, and the process at the second. All
/// threads block the two signals, so that this one gets them.
class SignalWatch {
 public:
  SignalWatch() {
    ::sigemptyset(&signals_);
    for (const int signal : {SIGTERM, SIGINT, SIGUSR1}) ::sigaddset(&signals_, signal);
    ::pthread_sigmask(SIG_BLOCK, &signals_, nullptr);
  }
  ~SignalWatch() {
    if (!thread_.joinable()) return;
    ::pthread_kill(thread_.native_handle(), SIGUSR1);
    thread_.join();
  }
  SignalWatch(const SignalWatch&) = delete;
  SignalWatch& operator=(const SignalWatch&) = delete;

  void begin(Daemon& daemon, const Log& log) {
    thread_ = std::thread([this, &daemon, &log] {
      int signal = 0;
      for (bool is_first = true; ::sigwait(&signals_, &signal) == 0; is_first = false) {
        if (signal == SIGUSR1) return;
        if (!is_first) ::_exit(128 + signal);  // workers notice that they are alone, and end too
        log.write(LogLevel::kInfo, "stopping: answers under way are finished");
        daemon.stop();
      }
    });
  }

 private:
  sigset_t signals_{};
  std::thread thread_;
};

/// Shells give their children few open files, for programs that know no more; this one may have as
/// many as the system lets it. Where that fails it does with what there is.
void raise_open_file_limit() {
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0) return;
  limit.rlim_cur = limit.rlim_max;
  ::setrlimit(RLIMIT_NOFILE, &limit);
}

/// The socket's folder, where it is missing: nobody else may look into it.
void make_socket_folder(const std::string& socket) {
  if (socket.empty()) return;
  RealFileSystem files;
  const std::string folder = folder_of(socket);
  if (!files.info(folder)) make_private_folder(files, folder);
}

/// Who starts a second one wants to know about the first.
void refuse_a_second(const DaemonAddress& address) {
  if (address.unix_socket.empty() || !RealFileSystem().info(address.unix_socket)) return;
  int64_t process = 0;
  try {
    DaemonClient daemon(address);
    daemon.limit_time(std::chrono::seconds(2));
    process = daemon.get("/v1/health").at("pid").to_number<int64_t>();
  } catch (const std::exception&) {
    return;  // it has ended without a word, or is no daemon: listening will tell
  }
  throw Error(ErrorCode::kUnavailable,
              fmt::format("a daemon is running already, process {}, at {}; 'omg status' tells what "
                          "it does, 'omg serve stop' ends it",
                          process, address.text()));
}

void print_status(const DaemonAddress& address, bool as_json, Terminal& terminal) {
  DaemonClient daemon(address);
  const json::value health = daemon.get("/v1/health");
  const json::value runs = daemon.get("/v1/runs");
  const json::value jobs = daemon.get("/v1/jobs");
  if (as_json) {
    json::object status = health.as_object();
    status["address"] = address.text();
    status["runs"] = runs.at("runs");
    status["jobs"] = jobs.at("jobs");
    return terminal.out(json::serialize(status) + "\n");
  }
  size_t busy = 0;
  for (const json::value& job : jobs.at("jobs").as_array()) {
    if (job.at("state") == "running" || job.at("state") == "queued") ++busy;
  }
  const auto uptime = std::chrono::seconds(health.at("uptime_seconds").to_number<int64_t>());
  Sections sections;
  sections.begin("Daemon");
  sections.add("address", printable(address.text()));
  sections.add("process", std::to_string(health.at("pid").to_number<int64_t>()));
  sections.add("version", printable(health.at("version").as_string()));
  sections.add("running for", format_duration(uptime));
  sections.begin("Busy with");
  sections.add("models", std::to_string(runs.at("runs").as_array().size()) + " loaded");
  sections.add("jobs", std::to_string(busy) + " under way");
  terminal.out(sections.to_string(terminal));
}

class ServeCommand final : public Command {
 public:
  void define(Arguments& arguments) override {
    arguments.positional("ACTION", action_,
                         "status: whether it runs, and what it does; stop: end it");
    arguments.flag("-d,--detach", detach_, "Go on in the background, with a log file");
    arguments.flag("--json", json_, "Print JSON (status)");
    arguments.option(
        "--idle-exit TIME", [this](const std::string& text) { idle_exit_ = duration_of(text); },
        "End by itself when nothing was asked for so long, e.g. 30m");
    flags_.define(arguments);
    arguments.footer(
        "The daemon answers the clients of Ollama and OpenAI, by default at\n"
        "http://127.0.0.1:11434, and a Unix socket for the other commands, which start it when\n"
        "they need it. All settings: omg config list\n\n"
        "Examples:\n"
        "  omg serve --detach\n"
        "  OMG_API_KEY=... omg serve --host 0.0.0.0\n"
        "  omg serve status");
  }

  void run(Terminal& terminal) override {
    const Settings settings = flags_.settings();
    if (action_ == "status") return print_status(address_of(settings), json_, terminal);
    if (action_ == "stop") return stop(address_of(settings), terminal);
    if (!action_.empty()) throw Error(ErrorCode::kUsage, "omg serve takes status or stop");
    refuse_a_second(address_of(settings));
    if (!detach_) return serve(settings, nullptr, terminal);
    Detached detached(daemon_log_path());
    if (detached.is_parent()) {
      const std::string where = detached.wait_until_ready();
      return terminal.out(where);
    }
    try {
      serve(settings, &detached, terminal);
    } catch (const std::exception& error) {
      detached.tell_failure(error.what());
      throw;
    }
  }

 private:
  static std::chrono::milliseconds duration_of(const std::string& text) {
    const auto duration = parse_setting_duration(text);
    if (duration.count() > 0) return duration;
    throw Error(ErrorCode::kUsage, "--idle-exit: '" + text + "' is no time such as 90s, 30m or 2h");
  }

  void serve(const Settings& settings, Detached* detached, Terminal& terminal) {
    use_few_heaps();
    SignalWatch signals;  // before any thread
    const Log log(daemon_log_level(settings));
    raise_open_file_limit();
    make_socket_folder(socket_path(settings));
    DaemonOptions options = daemon_options(settings);
    options.idle_exit = idle_exit_;
    Daemon daemon(std::move(options), log);
    signals.begin(daemon, log);
    std::string where;
    for (const HttpEndpoint& endpoint : daemon.endpoints()) {
      const bool is_socket = !endpoint.unix_path.empty();
      const std::string scheme = settings.text("tls_certificate").empty() ? "http://" : "https://";
      where += fmt::format("listening on {}{}\n", is_socket ? "" : scheme, endpoint.text());
    }
    if (detached != nullptr) {
      detached->tell_ready(where);
    } else {
      terminal.out(where);
    }
    daemon.run();
  }

  static void stop(const DaemonAddress& address, Terminal& terminal) {
    DaemonClient daemon(address);
    daemon.post("/v1/shutdown", json::object());
    terminal.status("stopping…");
    try {
      // Its last connection goes when all answers have ended.
      while (true) {
        DaemonClient(address).get("/v1/health");
        std::this_thread::sleep_for(std::chrono::milliseconds(50));
      }
    } catch (const Error&) {
    }
    terminal.status("");
    terminal.out("the daemon has ended\n");
  }

  std::string action_;
  bool detach_ = false;
  bool json_ = false;
  std::chrono::milliseconds idle_exit_{0};
  DaemonFlags flags_;
};

class StatusCommand final : public Command {
 public:
  void define(Arguments& arguments) override { arguments.flag("--json", json_, "Print JSON"); }
  void run(Terminal& terminal) override { print_status(daemon_address(), json_, terminal); }

 private:
  bool json_ = false;
};

}  // namespace

std::unique_ptr<Command> make_serve_command() {
  return std::make_unique<ServeCommand>();
}
std::unique_ptr<Command> make_status_command() {
  return std::make_unique<StatusCommand>();
}

}  // namespace omg::cli
