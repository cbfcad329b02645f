// SPDX-License-Identifier: Apache-2.0
//
// `omg pull`: a model from a hub into the store, as a job of the daemon where one runs.
#include <fmt/format.h>

#include "clients/cli/arguments.h"
#include "clients/cli/command.h"
#include "clients/cli/daemon_process.h"
#include "clients/cli/daemon_pull.h"
#include "clients/cli/format.h"
#include "clients/cli/hub_parts.h"
#include "clients/cli/interrupt.h"
#include "clients/cli/local_model.h"
#include "clients/cli/open_store.h"
#include "clients/cli/pull_screen.h"
#include "daemon/jobs/built_in.h"
#include "daemon/jobs/installed.h"

namespace omg::cli {
namespace {

class PullCommand : public Command {
 public:
  void define(Arguments& arguments) override {
    arguments
        .positional("MODEL", models_,
                    "org/repo[:QUANT][@REVISION], a name that 'omg catalog' lists, "
                    "registry/name:tag, or the URL of a .gguf")
        .required();
    arguments.option("-q,--quant QUANT", options_.selection.quantization,
                     "Quantisation, such as Q4_K_M; default: the best that fits this machine");
    arguments.option("--revision REV", options_.revision, "Branch, tag or commit");
    arguments.option("--include GLOB", options_.selection.include,
                     "Only files like this, e.g. '*Q8*'");
    arguments.option("--exclude GLOB", options_.selection.exclude, "No files like this");
    arguments.option("--max-rate RATE", max_rate_, "Bytes a second at most, e.g. 10M");
    arguments.option("--ca-file FILE", flags_.ca_file, "PEM file of certificates to trust besides");
    arguments.flag("--allow-low-quality", options_.selection.allow_low_quality,
                   "Choose Q2_K and below too, where nothing better fits");
    arguments.flag("--any-family", options_.any_family, "Download what cannot run here, too");
    arguments.flag("--direct,--no-server", direct_,
                   "Fetch with this process; the daemon has no part in it");
    arguments.flag("--json", json_, "Print JSON");
    arguments.footer(
        "Where a daemon runs the pull is a job of it, with its environment: 'omg jobs' shows it.\n"
        "--include, --exclude, --max-rate, --ca-file and --any-family are for --direct, and imply\n"
        "it. An interrupted pull goes on where it was. HF_TOKEN or the hub's own token file opens "
        "gated\n"
        "repositories; HF_ENDPOINT names a mirror; HTTPS_PROXY a proxy.\n\n"
        "Examples:\n"
        "  omg pull llama3.2:1b\n"
        "  omg pull bartowski/gemma-2-2b-it-GGUF:Q5_K_M\n"
        "  omg pull registry.ollama.ai/library/qwen2.5:0.5b");
  }

  void run(Terminal& terminal) override {
    if (!is_for_this_process()) {
      if (const auto daemon = running_daemon()) return pull_by(*daemon, terminal);
    }
    pull_here(terminal);
  }

 private:
  bool is_for_this_process() const {
    const SelectionOptions& selection = options_.selection;
    return runs_directly(direct_) || !selection.include.empty() || !selection.exclude.empty() ||
           !max_rate_.empty() || !flags_.ca_file.empty() || options_.any_family;
  }

  void pull_by(const DaemonAddress& daemon, Terminal& terminal) const {
    json::array results;
    for (const std::string& model : models_) {
      json::object request = {{"model", model},
                              {"allow_low_quality", options_.selection.allow_low_quality}};
      if (!options_.selection.quantization.empty()) {
        request["quantization"] = options_.selection.quantization;
      }
      if (!options_.revision.empty()) request["revision"] = options_.revision;
      const json::object job = pull_in_daemon(daemon, std::move(request), terminal);
      const std::string_view name = job.at("result").as_string();
      const auto size = job.at("total").to_number<uint64_t>();
      for (const json::value& warning : job.at("warnings").as_array()) {
        terminal.note(printable(warning.as_string()));
      }
      if (json_) {
        results.push_back({{"name", name}, {"size", size}, {"job", job.at("id")}});
      } else {
        terminal.out(fmt::format("'{}' is here: {}\n", printable(name), format_bytes(size)));
      }
    }
    if (json_) terminal.out(json::serialize(results) + "\n");
  }

  void pull_here(Terminal& terminal) {
    if (!max_rate_.empty()) flags_.bytes_per_second = parse_bytes(max_rate_, "--max-rate");
    const CancellationToken& cancellation = flags_.cancellation;
    const InterruptGuard guard(cancellation, /*second_kills=*/true);
    Store store = open_store();
    HubParts parts(flags_);
    json::array results;
    for (const std::string& model : models_) {
      const PullResult result =
          pull_with_screen(parts, store, model, options_, cancellation, terminal);
      if (!json_) {
        terminal.out(summary(result));
        continue;
      }
      json::object object = model_to_json({result.model, std::nullopt});
      object["fetched_bytes"] = result.fetched;
      object["was_there"] = result.was_there;
      results.push_back(std::move(object));
    }
    if (json_) terminal.out(json::serialize(results) + "\n");
  }

  static std::string summary(const PullResult& result) {
    const std::string name = printable(result.model.name.str());
    const std::string size = format_bytes(result.model.total_bytes());
    if (result.model.is_built_in()) return nothing_to_fetch(result.model) + "\n";
    if (result.was_there) return fmt::format("'{}' is here already: {}\n", name, size);
    return fmt::format("'{}' is here: {}, {} of them fetched\n", name, size,
                       format_bytes(result.fetched));
  }

  std::vector<std::string> models_;
  PullOptions options_;
  std::string max_rate_;
  HubFlags flags_;
  bool direct_ = false;
  bool json_ = false;
};

}  // namespace

PullResult pull_with_screen(HubParts& parts, Store& store, const std::string& model,
                            const PullOptions& options, const CancellationToken& cancellation,
                            Terminal& terminal) {
  PullScreen screen(terminal);
  return pull_model(
      parts.pull_parts(store), model, options,
      [&](const PullProgress& progress) { screen.show(progress); }, cancellation);
}

void pull_if_missing(const std::string& model, Terminal& terminal) {
  if (names_a_path(model)) return;
  Store store = open_store();
  if (find_installed(store, model)) return;
  const HubFlags flags;
  const InterruptGuard guard(flags.cancellation, /*second_kills=*/true);
  HubParts parts(flags);
  pull_with_screen(parts, store, model, {}, flags.cancellation, terminal);
}

std::unique_ptr<Command> make_pull_command() {
  return std::make_unique<PullCommand>();
}

}  // namespace omg::cli
