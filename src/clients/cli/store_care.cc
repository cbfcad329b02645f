// SPDX-License-Identifier: Apache-2.0
//
// `omg gc` and `omg verify`: what keeps the store small and right.
#include <fmt/format.h>

#include "base/error.h"
#include "clients/cli/arguments.h"
#include "clients/cli/command.h"
#include "clients/cli/format.h"
#include "clients/cli/hub_parts.h"
#include "clients/cli/interrupt.h"
#include "clients/cli/open_store.h"
#include "clients/cli/progress_bar.h"
#include "daemon/jobs/installed.h"
#include "daemon/jobs/repair.h"

namespace omg::cli {
namespace {

class GcCommand : public Command {
 public:
  void define(Arguments& arguments) override {
    arguments.flag("-n,--dry-run", dry_run_, "Only tell what would go");
    arguments.flag("--partials", partials_, "Delete unfinished downloads too, however young");
    arguments.flag("--json", json_, "Print JSON");
    arguments.footer(
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
  void define(Arguments& arguments) override {
    arguments.positional("NAME", name_, "A model; default: all");
    arguments.flag("--repair", repair_, "Fetch again what is damaged, from where the model came");
    arguments.option("--ca-file FILE", flags_.ca_file, "PEM file of certificates to trust besides");
    arguments.flag("--json", json_, "Print JSON");
    arguments.footer(
        "Reads every file and compares it with its digest. Damaged files of the store are put\n"
        "aside; --repair, or the next 'omg pull' of the model, replaces them. Of a file that was\n"
        "downloaded, --repair fetches the damaged pieces alone.");
  }
  void run(Terminal& terminal) override {
    Store store = open_store();
    VerifyOptions options;
    options.cancellation = flags_.cancellation;
    const InterruptGuard guard(options.cancellation, /*second_kills=*/true);
    if (!name_.empty()) options.name = require_installed(store, name_);
    ProgressBar bar(terminal);
    options.progress = [&](uint64_t done, uint64_t total) { bar.show("checking", done, total); };
    const VerifyReport report = store.verify(options);
    bar.clear();
    const RepairReport repaired = repair_ ? repair(store, report, terminal) : RepairReport();
    if (json_) print_json(report, repaired, terminal);
    if (!json_) print(report, repaired, terminal);
    size_t still_bad = report.bad.size();
    for (const RepairReport::Item& item : repaired.items) still_bad -= item.problem.empty() ? 1 : 0;
    if (still_bad > 0) {
      throw Error(ErrorCode::kCorrupt,
                  fmt::format("{} of {} files are damaged{}", still_bad, report.files,
                              repair_ ? " and could not be repaired" : ""));
    }
  }

 private:
  RepairReport repair(Store& store, const VerifyReport& report, Terminal& terminal) const {
    if (report.bad.empty()) return {};
    HubParts parts(flags_);
    ProgressBar bar(terminal);
    RepairReport repaired = repair_blobs(
        parts.pull_parts(store), report,
        [&](const std::string& file, const TransferProgress& now) {
          bar.show("repairing " + printable(file), now.done, now.total);
        },
        flags_.cancellation);
    bar.clear();
    return repaired;
  }

  void print(const VerifyReport& report, const RepairReport& repaired, Terminal& terminal) const {
    for (const VerifyReport::Bad& bad : report.bad) {
      terminal.out(fmt::format("{}: {}\n", printable(bad.path), bad.why));
      for (const std::string& model : bad.models) {
        terminal.out(fmt::format("  needed by {}\n", printable(model)));
      }
    }
    for (const RepairReport::Item& item : repaired.items) {
      terminal.out(item.problem.empty()
                       ? fmt::format("{}: repaired, {} fetched\n", printable(item.path),
                                     format_bytes(item.fetched))
                       : fmt::format("{}: {}\n", printable(item.path), item.problem));
    }
    if (!report.bad.empty() && !repair_) terminal.note("'omg verify --repair' mends what it can");
    if (report.bad.empty()) {
      terminal.out(
          fmt::format("{} files, {}: all right\n", report.files, format_bytes(report.bytes)));
    }
  }

  static void print_json(const VerifyReport& report, const RepairReport& repaired,
                         Terminal& terminal) {
    json::array bad;
    for (const VerifyReport::Bad& file : report.bad) {
      json::array damaged;
      for (const FileRange& range : file.damaged) {
        damaged.push_back({{"begin", range.begin}, {"end", range.end}});
      }
      bad.push_back({{"path", file.path},
                     {"why", file.why},
                     {"models", json::array(file.models.begin(), file.models.end())},
                     {"quarantined", file.quarantined},
                     {"damaged", std::move(damaged)}});
    }
    json::array items;
    for (const RepairReport::Item& item : repaired.items) {
      items.push_back({{"path", item.path},
                       {"model", item.model},
                       {"fetched_bytes", item.fetched},
                       {"problem", item.problem}});
    }
    terminal.out(json::serialize(json::object{{"files", report.files},
                                              {"bytes", report.bytes},
                                              {"learned_digests", report.learned},
                                              {"bad", std::move(bad)},
                                              {"repaired", std::move(items)}}) +
                 "\n");
  }

  std::string name_;
  HubFlags flags_;
  bool repair_ = false;
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
