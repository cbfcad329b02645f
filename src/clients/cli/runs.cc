// SPDX-License-Identifier: Apache-2.0
//
// `omg ps`, `omg stop` and `omg logs`: what is loaded in the daemon.
#include <chrono>
#include <fmt/format.h>

#include "clients/cli/arguments.h"
#include "clients/cli/command.h"
#include "clients/cli/daemon_process.h"
#include "clients/cli/format.h"
#include "clients/cli/table.h"

namespace omg::cli {
namespace {

std::string text_of(const json::value& value) {
  return value.is_string() ? printable(value.get_string()) : std::string();
}

/// "in 4 minutes", "never": when a run is unloaded if nobody asks.
std::string until(const json::object& run) {
  if (run.at("answers").to_number<uint64_t>() > 0) return "after its answers";
  const json::value& expires = run.at("expires_at");
  if (expires.is_null()) return run.at("pinned").as_bool() ? "pinned" : "never";
  const auto now = std::chrono::duration_cast<std::chrono::seconds>(
                       std::chrono::system_clock::now().time_since_epoch())
                       .count();
  const int64_t left = expires.to_number<int64_t>() - now;
  if (left <= 0) return "now";
  if (left < 120) return fmt::format("in {} seconds", left);
  if (left < 7200) return fmt::format("in {} minutes", left / 60);
  return fmt::format("in {} hours", left / 3600);
}

std::string state_of(const json::object& run) {
  const std::string state = text_of(run.at("state"));
  if (state != "starting") return state;
  return fmt::format("loading {:.0f} %", 100 * run.at("load_progress").to_number<double>());
}

std::string table_of(const json::array& runs, const Terminal& terminal) {
  Table table({{"NAME"},
               {"STATE"},
               {"MEMORY", Align::kRight},
               {"CONTEXT", Align::kRight},
               {"ANSWERS", Align::kRight},
               {"UNLOADED"}});
  for (const json::value& value : runs) {
    const json::object& run = value.as_object();
    const json::value& facts = run.at("facts");
    const std::string context =
        facts.is_object() ? std::to_string(facts.at("context_length").to_number<uint64_t>()) : "";
    table.add_row({text_of(run.at("model")), state_of(run),
                   format_bytes(run.at("planned_bytes").to_number<uint64_t>()), context,
                   std::to_string(run.at("answers").to_number<uint64_t>()), until(run)});
  }
  std::string text = table.to_string(terminal);
  for (const json::value& run : runs) {
    if (!run.at("error").is_null()) {
      text += fmt::format("{}: {}\n", text_of(run.at("model")), text_of(run.at("error")));
    }
  }
  return text;
}

class PsCommand final : public Command {
 public:
  void define(Arguments& arguments) override {
    arguments.flag("--json", json_, "Print JSON");
    arguments.footer("See also: omg stop MODEL, omg status, omg logs MODEL");
  }

  void run(Terminal& terminal) override {
    const json::value answer = DaemonClient(daemon_address()).get("/v1/runs");
    const json::array& runs = answer.at("runs").as_array();
    if (json_) return terminal.out(json::serialize(runs) + "\n");
    if (runs.empty()) {
      return terminal.out("nothing is loaded; 'omg run MODEL' loads a model\n");
    }
    terminal.out(table_of(runs, terminal));
  }

 private:
  bool json_ = false;
};

class StopCommand final : public Command {
 public:
  void define(Arguments& arguments) override {
    arguments.positional("MODEL", models_, "Loaded models, as 'omg ps' names them; none: all");
    arguments.footer("Answers under way are finished. To end the daemon itself: omg serve stop");
  }

  void run(Terminal& terminal) override {
    DaemonClient daemon(daemon_address());
    if (models_.empty()) {
      const json::value answer = daemon.get("/v1/runs");
      for (const json::value& run : answer.at("runs").as_array()) {
        models_.emplace_back(run.at("model").as_string());
      }
      if (models_.empty()) return terminal.out("nothing is loaded\n");
    }
    for (const std::string& model : models_) {
      // An empty prompt that is kept for no time: Ollama's way, and any spelling of the name.
      const json::value answer =
          daemon.post("/api/generate", {{"model", model}, {"keep_alive", 0}});
      terminal.out(fmt::format("'{}' is unloaded\n", printable(model)));
    }
  }

 private:
  std::vector<std::string> models_;
};

class LogsCommand final : public Command {
 public:
  void define(Arguments& arguments) override {
    arguments
        .positional("MODEL", model_, "A loaded model, or the id of a run, also of one that ended")
        .required();
    arguments.number("-n,--lines N", lines_, {1, 100000}, "The last N lines").shows_default();
  }

  void run(Terminal& terminal) override {
    DaemonClient daemon(daemon_address());
    const json::value answer = daemon.get("/v1/runs");
    std::string id = model_;
    for (const json::value& run : answer.at("runs").as_array()) {
      if (text_of(run.at("model")) == model_) id = text_of(run.at("id"));
    }
    terminal.out(daemon.get_text(fmt::format("/v1/runs/{}/logs?lines={}", id, lines_)));
  }

 private:
  std::string model_;
  uint32_t lines_ = 200;
};

}  // namespace

std::unique_ptr<Command> make_ps_command() {
  return std::make_unique<PsCommand>();
}
std::unique_ptr<Command> make_stop_command() {
  return std::make_unique<StopCommand>();
}
std::unique_ptr<Command> make_logs_command() {
  return std::make_unique<LogsCommand>();
}

}  // namespace omg::cli
