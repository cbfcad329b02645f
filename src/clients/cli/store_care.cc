// SPDX-License-Identifier: Apache-2.0
//
// `omg gc` and `omg verify`: what keeps the store small and right.
#include <CLI/Config.hpp>
#include <CLI/Formatter.hpp>
#include <fmt/format.h>

#include "base/error.h"
#include "clients/cli/command.h"
#include "clients/cli/format.h"
#include "clients/cli/interrupt.h"
#include "clients/cli/open_store.h"
#include "clients/cli/progress_bar.h"

namespace omg::cli {
namespace {

class GcCommand : public Command {
 public:
  void define(CLI::App& app) override {
    app.add_flag("-n,--dry-run", dry_run_, "Only tell what would go");
    app.add_flag("--partials", partials_, "Delete unfinished downloads too, however young");
    app.add_flag("--json", json_, "Print JSON");
    app.footer(
        "Deletes files that no model needs, and unfinished downloads that nobody has worked\n"
        "on for a day. What a running pull or model needs stays.");
  }
  void run(Terminal& terminal) override {
    Store store = open_store();
    GcOptions options;
    options.dry_run = dry_run_;
    if (partials_) options.keep_partials = std::chrono::seconds(0);
    const GcReport report = store.gc(options);
    if (json_) return print_json(report, terminal);
    for (const GcReport::Item& item : report.removed) {
      terminal.out(fmt::format("{}  {}\n", format_bytes(item.bytes), printable(item.path)));
    }
    terminal.note(fmt::format("{} {}{}", format_bytes(report.freed_bytes),
                              dry_run_ ? "would be freed" : "freed",
                              report.removed.empty() ? ": everything here is needed" : ""));
  }

 private:
  void print_json(const GcReport& report, Terminal& terminal) const {
    json::array removed;
    for (const GcReport::Item& item : report.removed) {
      removed.push_back({{"path", item.path}, {"bytes", item.bytes}});
    }
    terminal.out(json::serialize(json::object{{"dry_run", dry_run_},
                                              {"freed_bytes", report.freed_bytes},
                                              {"removed", std::move(removed)}}) +
                 "\n");
  }

  bool dry_run_ = false;
  bool partials_ = false;
  bool json_ = false;
};

class VerifyCommand : public Command {
 public:
  void define(CLI::App& app) override {
    app.add_option("NAME", name_, "A model; default: all");
    app.add_flag("--json", json_, "Print JSON");
    app.footer(
        "Reads every file and compares it with its digest. Damaged files of the store are\n"
        "put aside, so that 'omg pull NAME' fetches them again, and only them.");
  }
  void run(Terminal& terminal) override {
    Store store = open_store();
    VerifyOptions options;
    const InterruptGuard guard(options.cancellation, /*second_kills=*/true);
    if (!name_.empty()) options.name = StoreName(name_);
    ProgressBar bar(terminal);
    options.progress = [&](uint64_t done, uint64_t total) { bar.show("checking", done, total); };
    const VerifyReport report = store.verify(options);
    bar.clear();
    if (json_) print_json(report, terminal);
    if (!json_) print(report, terminal);
    if (!report.bad.empty()) {
      throw Error(ErrorCode::kCorrupt,
                  fmt::format("{} of {} files are damaged", report.bad.size(), report.files));
    }
  }

 private:
  static void print(const VerifyReport& report, Terminal& terminal) {
    for (const VerifyReport::Bad& bad : report.bad) {
      terminal.out(fmt::format("{}: {}\n", printable(bad.path), bad.why));
      for (const std::string& model : bad.models) {
        terminal.out(bad.quarantined ? fmt::format("  'omg pull {}' repairs it\n", printable(model))
                                     : fmt::format("  needed by {}\n", printable(model)));
      }
    }
    if (report.bad.empty()) {
      terminal.out(
          fmt::format("{} files, {}: all right\n", report.files, format_bytes(report.bytes)));
    }
  }
  static void print_json(const VerifyReport& report, Terminal& terminal) {
    json::array bad;
    for (const VerifyReport::Bad& file : report.bad) {
      bad.push_back({{"path", file.path},
                     {"why", file.why},
                     {"models", json::array(file.models.begin(), file.models.end())},
                     {"quarantined", file.quarantined}});
    }
    terminal.out(json::serialize(json::object{{"files", report.files},
                                              {"bytes", report.bytes},
                                              {"learned_digests", report.learned},
                                              {"bad", std::move(bad)}}) +
                 "\n");
  }

  std::string name_;
  bool json_ = false;
};

}  // namespace

std::unique_ptr<Command> make_gc_command() {
  return std::make_unique<GcCommand>();
}

std::unique_ptr<Command> make_verify_command() {
  return std::make_unique<VerifyCommand>();
}

}  // namespace omg::cli
