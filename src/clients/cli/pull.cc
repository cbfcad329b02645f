// SPDX-License-Identifier: Apache-2.0
//
// `omg pull`: a model from a hub into the store.
#include <CLI/Config.hpp>
#include <CLI/Formatter.hpp>
#include <fmt/format.h>

#include "clients/cli/command.h"
#include "clients/cli/format.h"
#include "clients/cli/hub_parts.h"
#include "clients/cli/interrupt.h"
#include "clients/cli/local_model.h"
#include "clients/cli/open_store.h"
#include "clients/cli/pull_screen.h"
#include "daemon/jobs/installed.h"

namespace omg::cli {
namespace {

class PullCommand : public Command {
 public:
  void define(CLI::App& app) override {
    app.add_option("MODEL", models_,
                   "org/repo[:QUANT][@REVISION], a name that 'omg catalog' lists, "
                   "registry/name:tag, or the URL of a .gguf")
        ->required();
    app.add_option("-q,--quant", options_.selection.quantization,
                   "Quantisation, such as Q4_K_M; default: the best that fits this machine")
        ->option_text("QUANT");
    app.add_option("--revision", options_.revision, "Branch, tag or commit")->option_text("REV");
    app.add_option("--include", options_.selection.include, "Only files like this, e.g. '*Q8*'")
        ->option_text("GLOB");
    app.add_option("--exclude", options_.selection.exclude, "No files like this")
        ->option_text("GLOB");
    app.add_option("--max-rate", max_rate_, "Bytes a second at most, e.g. 10M")
        ->option_text("RATE");
    app.add_option("--ca-file", flags_.ca_file, "PEM file of certificates to trust besides")
        ->option_text("FILE");
    app.add_flag("--allow-low-quality", options_.selection.allow_low_quality,
                 "Choose Q2_K and below too, where nothing better fits");
    app.add_flag("--any-family", options_.any_family, "Download what cannot run here, too");
    app.add_flag("--json", json_, "Print JSON");
    app.footer(
        "An interrupted pull goes on where it was. HF_TOKEN or the hub's own token file opens "
        "gated\n"
        "repositories; HF_ENDPOINT names a mirror; HTTPS_PROXY a proxy.\n\n"
        "Examples:\n"
        "  omg pull llama3.2:1b\n"
        "  omg pull bartowski/gemma-2-2b-it-GGUF:Q5_K_M\n"
        "  omg pull registry.ollama.ai/library/qwen2.5:0.5b");
  }

  void run(Terminal& terminal) override {
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

 private:
  static std::string summary(const PullResult& result) {
    const std::string name = printable(result.model.name.str());
    const std::string size = format_bytes(result.model.total_bytes());
    if (result.was_there) return fmt::format("'{}' is here already: {}\n", name, size);
    return fmt::format("'{}' is here: {}, {} of them fetched\n", name, size,
                       format_bytes(result.fetched));
  }

  std::vector<std::string> models_;
  PullOptions options_;
  std::string max_rate_;
  HubFlags flags_;
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
