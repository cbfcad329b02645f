// SPDX-License-Identifier: Apache-2.0
//
// `omg import` and `omg export`: models that are on a machine already, and those for a machine that
// has no network.
#include <fmt/format.h>

#include "base/error.h"
#include "clients/cli/arguments.h"
#include "clients/cli/command.h"
#include "clients/cli/format.h"
#include "clients/cli/interrupt.h"
#include "clients/cli/open_store.h"
#include "daemon/jobs/import_models.h"
#include "daemon/jobs/installed.h"

namespace omg::cli {
namespace {

class ImportCommand : public Command {
 public:
  void define(Arguments& arguments) override {
    arguments.positional(
        "PATH", paths_,
        "A .gguf, a model's folder, a cache of Hugging Face, Ollama or LM Studio, or a "
        "bundle of 'omg export'; default: the caches of these tools");
    arguments.option("--name NAME", options_.name, "Name for the model");
    Argument& copy = arguments.flag("--copy", copy_, "Copy the files");
    Argument& link = arguments.flag("--hard-link", hard_link_, "Share the files by hard links");
    const Argument& reflink =
        arguments.flag("--reflink", reflink_, "Share the blocks of the files until one changes");
    copy.excludes(link).excludes(reflink);
    link.excludes(reflink);
    arguments.flag("-n,--dry-run", options_.dry_run, "Only tell what would be imported");
    arguments.flag("--json", json_, "Print JSON");
    arguments.footer(
        "Files are used where they are, unless one of --copy, --hard-link and --reflink is given.\n"
        "If their owner changes one, that is noticed before it is used.\n\n"
        "Examples:\n"
        "  omg import\n"
        "  omg import ~/Downloads/model.gguf --name mine\n"
        "  omg import models.tar");
  }

  void run(Terminal& terminal) override {
    const InterruptGuard guard(options_.cancellation, /*second_kills=*/true);
    if (copy_) options_.mode = ImportMode::kCopy;
    if (hard_link_) options_.mode = ImportMode::kHardLink;
    if (reflink_) options_.mode = ImportMode::kReflink;
    RealFileSystem files;
    if (paths_.empty()) paths_ = foreign_model_folders(files);
    if (paths_.empty()) {
      throw Error(ErrorCode::kNotFound,
                  "no models of other tools found: neither Hugging Face's, nor Ollama's, nor LM "
                  "Studio's folder is where it usually is; give a path");
    }
    Store store = open_store();
    json::array reports;
    for (const std::string& path : paths_) {
      const ImportReport report = import_models(store, path, options_);
      json_ ? reports.push_back(to_json(report)) : print(report, terminal);
    }
    if (json_) terminal.out(json::serialize(reports) + "\n");
  }

 private:
  void print(const ImportReport& report, Terminal& terminal) const {
    uint64_t bytes = 0;
    for (const StoredModel& model : report.models) {
      bytes += model.total_bytes();
      terminal.out(fmt::format("{} '{}', {}\n", options_.dry_run ? "would import" : "imported",
                               printable(model.name.str()), format_bytes(model.total_bytes())));
    }
    for (const StoreProblem& problem : report.problems) {
      terminal.note(fmt::format("passed over {}: {}", printable(problem.path), problem.message));
    }
    terminal.note(fmt::format("{}: {} model{}, {}; {} of new disk space", printable(report.path),
                              report.models.size(), report.models.size() == 1 ? "" : "s",
                              format_bytes(bytes), format_bytes(report.new_bytes)));
  }

  static json::object to_json(const ImportReport& report) {
    json::array models;
    for (const StoredModel& model : report.models) {
      models.push_back(model_to_json({model, std::nullopt}));
    }
    json::array problems;
    for (const StoreProblem& problem : report.problems) {
      problems.push_back({{"path", problem.path}, {"message", problem.message}});
    }
    return {{"path", report.path},
            {"models", std::move(models)},
            {"problems", std::move(problems)},
            {"new_bytes", report.new_bytes}};
  }

  std::vector<std::string> paths_;
  ImportOptions options_;
  bool copy_ = false;
  bool hard_link_ = false;
  bool reflink_ = false;
  bool json_ = false;
};

class ExportCommand : public Command {
 public:
  void define(Arguments& arguments) override {
    arguments.positional("NAME", names_, "Names of models").required();
    arguments.option("-o,--output FILE", path_, "The file to write; appears when it is complete")
        .required();
    arguments.footer(
        "Writes the models with all their files into one file, for 'omg import' on a machine\n"
        "that has no network.\n\nExample:\n  omg export llama3.2:1b -o llama.tar");
  }
  void run(Terminal& terminal) override {
    CancellationToken cancellation;
    const InterruptGuard guard(cancellation, /*second_kills=*/true);
    Store store = open_store();
    std::vector<StoreName> names;
    for (const std::string& name : names_) names.push_back(require_installed(store, name));
    uint64_t bytes = 0;
    for (const StoreName& name : names) bytes += store.require(name).total_bytes();
    terminal.status(fmt::format("writing {}", format_bytes(bytes)));
    store.export_bundle(names, path_, cancellation);
    terminal.note(fmt::format("{}: {} model{}, {}", printable(path_), names.size(),
                              names.size() == 1 ? "" : "s", format_bytes(bytes)));
  }

 private:
  std::vector<std::string> names_;
  std::string path_;
};

}  // namespace

std::unique_ptr<Command> make_import_command() {
  return std::make_unique<ImportCommand>();
}

std::unique_ptr<Command> make_export_command() {
  return std::make_unique<ExportCommand>();
}

}  // namespace omg::cli
