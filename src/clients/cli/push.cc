// SPDX-License-Identifier: Apache-2.0
//
// `omg push`: a model of the store into a registry.
#include "daemon/jobs/push.h"

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

namespace omg::cli {
namespace {

class PushCommand : public Command {
 public:
  void define(Arguments& arguments) override {
    arguments.positional("NAME", model_, "A model that is here").required();
    arguments.positional(
        "TO", destination_,
        "Where to: registry/namespace/name:tag; default: NAME, if it is of that form");
    arguments.option("--ca-file FILE", flags_.ca_file, "PEM file of certificates to trust besides");
    arguments.flag("--json", json_, "Print JSON");
    arguments.footer(
        "OMG_REGISTRY_USER and OMG_REGISTRY_PASSWORD log in.\n\nExample:\n"
        "  omg push llama3.2:1b registry.example/team/llama3.2:1b");
  }

  void run(Terminal& terminal) override {
    const InterruptGuard guard(flags_.cancellation, /*second_kills=*/true);
    const ModelName to = parse_model_name(destination_.empty() ? model_ : destination_);
    const auto* registry = std::get_if<RegistryName>(&to);
    if (registry == nullptr) {
      throw Error(ErrorCode::kUsage, "'" + to_string(to) +
                                         "' names no registry; say where to, such as "
                                         "registry.example/team/name:tag");
    }
    Store store = open_store();
    HubParts parts(flags_);
    ProgressBar bar(terminal);
    const PushReport report = push_model(
        store, parts.hub().registry(), require_installed(store, model_), *registry,
        [&](const PushProgress& now) {
          bar.show(now.digest.hex().substr(0, 12), now.already_there ? now.size : now.sent,
                   now.size);
        },
        flags_.cancellation);
    bar.clear();
    if (json_) {
      return terminal.out(json::serialize(json::object{{"name", report.name},
                                                       {"manifest", report.manifest.str()},
                                                       {"blobs", report.blobs},
                                                       {"already_there", report.already_there},
                                                       {"sent_bytes", report.sent}}) +
                          "\n");
    }
    terminal.out(fmt::format("'{}' is at {}: {} sent, {} of {} files were there\n",
                             printable(model_), printable(report.name), format_bytes(report.sent),
                             report.already_there, report.blobs));
  }

 private:
  std::string model_;
  std::string destination_;
  HubFlags flags_;
  bool json_ = false;
};

}  // namespace

std::unique_ptr<Command> make_push_command() {
  return std::make_unique<PushCommand>();
}

}  // namespace omg::cli
