// SPDX-License-Identifier: Apache-2.0
//
// `omg worker`: the process that the daemon starts for each loaded model. Not for people, so the
// overview does not show it. It must start no thread before serve_worker().
#include <climits>
#include <memory>

#include "clients/cli/arguments.h"
#include "clients/cli/command.h"
#include "runtimes/native/native_model.h"
#include "runtimes/worker/serve_worker.h"

namespace omg::cli {
namespace {

class WorkerCommand : public Command {
 public:
  void define(Arguments& arguments) override {
    arguments.number("--fd N", options_.fd, {3, INT_MAX}, "Descriptor of the socket to the daemon")
        .required();
    arguments.number("--parent PID", options_.parent, {1, INT_MAX}, "Process id of the daemon")
        .required();
    arguments.footer("The daemon starts this by itself, once for each model that it loads.");
  }

  void run(Terminal&) override {
    serve_worker(options_, [](const ModelLoadOptions& load, const auto& on_progress) {
      NativeLoadOptions native;
      native.on_progress = on_progress;
      return NativeModel::load(load, native);
    });
  }

 private:
  ServeOptions options_;
};

}  // namespace

std::unique_ptr<Command> make_worker_command() {
  return std::make_unique<WorkerCommand>();
}

}  // namespace omg::cli
