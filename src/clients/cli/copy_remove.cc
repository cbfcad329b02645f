// SPDX-License-Identifier: Apache-2.0
//
// `omg cp` and `omg rm`: names of models.
#include <fmt/format.h>

#include "base/error.h"
#include "clients/cli/arguments.h"
#include "clients/cli/command.h"
#include "clients/cli/format.h"
#include "clients/cli/open_store.h"
#include "daemon/jobs/installed.h"

namespace omg::cli {
namespace {

class CopyCommand : public Command {
 public:
  void define(Arguments& arguments) override {
    arguments.positional("FROM", from_, "Name of a model").required();
    arguments.positional("TO", to_, "The name it is to have as well").required();
    arguments.footer(
        "Only the name is new: both stand for the same files.\n\nExample:\n"
        "  omg cp llama3.2:1b assistant");
  }
  void run(Terminal& terminal) override {
    Store store = open_store();
    store.copy(require_installed(store, from_), StoreName(to_));
    terminal.note(fmt::format("copied '{}' to '{}'", printable(from_), printable(to_)));
  }

 private:
  std::string from_, to_;
};

class RemoveCommand : public Command {
 public:
  void define(Arguments& arguments) override {
    arguments.positional("NAME", names_, "Names of models").required();
    arguments.footer(
        "Files that no other model needs are deleted. Files of other tools' caches, which\n"
        "are used where they are, stay.\n\nExample:\n  omg rm llama3.2:1b");
  }
  void run(Terminal& terminal) override {
    Store store = open_store();
    // All or none: a wrong name in a list of three is found before the first is gone. A damaged
    // manifest has a name that can be removed, though nothing can be read of it.
    std::vector<StoreName> names;
    for (const std::string& name : names_) {
      try {
        names.push_back(require_only_installed(store, name));
      } catch (const Error& error) {
        if (error.code() != ErrorCode::kCorrupt) throw;
        names.emplace_back(name);
      }
    }
    for (const StoreName& name : names) {
      store.remove(name);
      terminal.note(fmt::format("deleted '{}'", printable(name.str())));
    }
    try {
      const GcReport report = store.gc();
      terminal.note(fmt::format("{} freed", format_bytes(report.freed_bytes)));
    } catch (const Error& error) {
      if (error.code() != ErrorCode::kCorrupt) throw;
      terminal.note(std::string("warning: files are kept for now: ") + error.what());
    }
  }

 private:
  std::vector<std::string> names_;
};

}  // namespace

std::unique_ptr<Command> make_cp_command() {
  return std::make_unique<CopyCommand>();
}

std::unique_ptr<Command> make_rm_command() {
  return std::make_unique<RemoveCommand>();
}

}  // namespace omg::cli
