// SPDX-License-Identifier: Apache-2.0
//
// `omg jobs` and `omg events`: what the daemon is busy with, now and as it happens.
#include <fmt/format.h>

#include "clients/cli/arguments.h"
#include "clients/cli/command.h"
#include "clients/cli/daemon_process.h"
#include "clients/cli/format.h"
#include "clients/cli/interrupt.h"
#include "clients/cli/open_store.h"
#include "clients/cli/table.h"

namespace omg::cli {
namespace {

std::string text_of(const json::value& value) {
  return value.is_string() ? printable(value.get_string()) : std::string();
}

std::string progress_of(const json::object& job) {
  const auto total = job.at("total").to_number<uint64_t>();
  const auto completed = job.at("completed").to_number<uint64_t>();
  if (total == 0) return "";
  return fmt::format("{:.0f} % of {}", 100.0 * double(completed) / double(total),
                     format_bytes(total));
}

class JobsCommand final : public Command {
 public:
  void define(Arguments& arguments) override {
    arguments.option("--cancel ID", cancel_, "End a job; what has arrived is kept");
    arguments.flag("--json", json_, "Print JSON");
  }

  void run(Terminal& terminal) override {
    DaemonClient daemon(daemon_address());
    if (!cancel_.empty()) daemon.remove("/v1/jobs/" + cancel_);
    const json::value answer = daemon.get("/v1/jobs");
    const json::array& jobs = answer.at("jobs").as_array();
    if (json_) return terminal.out(json::serialize(jobs) + "\n");
    if (jobs.empty()) return terminal.out("there are no jobs; 'omg pull MODEL' starts one\n");
    Table table({{"ID"}, {"JOB"}, {"MODEL"}, {"STATE"}, {"DONE"}, {"CHANGED"}});
    std::string errors;
    for (const json::value& value : jobs) {
      const json::object& job = value.as_object();
      table.add_row({text_of(job.at("id")), text_of(job.at("kind")), text_of(job.at("subject")),
                     text_of(job.at("state")), progress_of(job),
                     format_age(job.at("updated_at").to_number<int64_t>())});
      if (const json::object* error = job.at("error").if_object()) {
        errors += fmt::format("{}: {}\n", text_of(job.at("id")), text_of(error->at("message")));
      }
    }
    terminal.out(table.to_string(terminal) + errors);
  }

 private:
  std::string cancel_;
  bool json_ = false;
};

class EventsCommand final : public Command {
 public:
  void define(Arguments& arguments) override {
    arguments.option("--types LIST", types_, "Only these: run, job, answer; with commas between");
    arguments.flag("--json", json_, "A line of JSON for each event");
    arguments.footer("Ends with Ctrl-C. No text of prompts or answers is in the events.");
  }

  void run(Terminal& terminal) override {
    DaemonClient daemon(daemon_address());
    const CancellationToken cancellation;
    const InterruptGuard guard(cancellation, /*second_kills=*/true);
    const std::string path = types_.empty() ? "/v1/events" : "/v1/events?types=" + types_;
    daemon.follow(
        path,
        [&](const json::object& event, std::string_view type) {
          if (json_) {
            json::object line = {{"type", type}};
            for (const auto& member : event) line[member.key()] = member.value();
            return terminal.out(json::serialize(line) + "\n");
          }
          terminal.out(line_of(event, type));
        },
        cancellation);
  }

 private:
  /// "run_loaded       llama3.2:1b   load_ms 512".
  static std::string line_of(const json::object& event, std::string_view type) {
    std::string line = fmt::format("{:<16}", printable(type));
    for (const auto& member : event) {
      const json::value& value = member.value();
      if (value.is_null() || value.is_object() || value.is_array()) continue;
      const std::string_view key(member.key().data(), member.key().size());
      const std::string text = value.is_string() ? text_of(value) : json::serialize(value);
      line += key == "model" ? " " + text : fmt::format("  {} {}", key, text);
    }
    return line + "\n";
  }

  std::string types_;
  bool json_ = false;
};

}  // namespace

std::unique_ptr<Command> make_jobs_command() {
  return std::make_unique<JobsCommand>();
}
std::unique_ptr<Command> make_events_command() {
  return std::make_unique<EventsCommand>();
}

}  // namespace omg::cli
