// SPDX-License-Identifier: Apache-2.0
//
// `omg doctor`: what on this machine keeps models from running well, and what to do about it.
#include "clients/cli/arguments.h"
#include "clients/cli/command.h"

namespace omg::cli {
namespace {

class DoctorCommand : public Command {
 public:
  void define(Arguments& arguments) override {
    arguments.flag("--offline", offline_, "Do not ask whether hubs and registries can be reached");
    arguments.flag("--json", json_, "Print JSON");
    arguments.footer(
        "Looks at the processor, GPUs and their drivers, memory, disk, the daemon's port and "
        "socket,\n"
        "hubs, the clock and limits of open files. Exits with 1 where something has to be mended.\n"
        "\n"
        "Examples:\n"
        "  omg doctor\n"
        "  omg doctor --offline");
  }

  void run(Terminal&) override {}

 private:
  bool offline_ = false;
  bool json_ = false;
};

}  // namespace

std::unique_ptr<Command> make_doctor_command() {
  return std::make_unique<DoctorCommand>();
}

}  // namespace omg::cli
