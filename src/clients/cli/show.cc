// SPDX-License-Identifier: Apache-2.0
//
// `omg show`: what a model is.
#include <fmt/format.h>

#include "builtin/builtin.h"
#include "clients/cli/arguments.h"
#include "clients/cli/command.h"
#include "clients/cli/format.h"
#include "clients/cli/model_details.h"
#include "clients/cli/open_store.h"
#include "clients/cli/options.h"
#include "clients/cli/table.h"
#include "clients/cli/template_details.h"
#include "clients/cli/text_source.h"

namespace omg::cli {
namespace {

class ShowCommand : public Command {
 public:
  void define(Arguments& arguments) override {
    add_model_argument(arguments, model_);
    arguments.flag("--tensors", tensors_, "List every tensor");
    const Argument& as_template =
        arguments.flag("--template", template_, "Print the chat template alone");
    arguments
        .flag("--capabilities", capabilities_,
              "Show what the chat template can express, and how the model calls tools")
        .excludes(as_template);
    arguments.flag("--json", json_, "Print JSON").excludes(as_template);
    arguments.footer(
        "Examples:\n"
        "  omg show model.gguf\n"
        "  omg show model.gguf --tensors\n"
        "  omg show model.gguf --capabilities\n"
        "  omg show model.gguf --template > template.jinja");
  }

  void run(Terminal& terminal) override {
    const LocalModel local = find_local_text(model_);
    const std::string& path = local.path;
    if (template_ || capabilities_) {
      const TemplateDetails details = read_template_details(path);
      if (!details.default_name.empty()) {
        terminal.note("(the file has no chat template: '" + details.default_name +
                      "', which is usual for its family, is used)");
      }
      if (template_) return terminal.out(details.source);
      return terminal.out(json_ ? json::serialize(details_to_json(details)) + "\n"
                                : details_to_text(details, terminal));
    }
    const ModelDetails details = read_model_details(path);
    if (json_) {
      json::object object = details_to_json(details, tensors_);
      if (local.stored) object["store"] = model_to_json({local.stored->model(), std::nullopt});
      return terminal.out(json::serialize(object) + "\n");
    }
    std::string text = details_to_text(details, terminal);
    if (local.stored) text += "\n" + installed_text(*local.stored, terminal);
    if (tensors_) text += "\n" + tensor_table(details, terminal);
    terminal.out(text);
  }

 private:
  /// Where it came from, and where its bytes are.
  static std::string installed_text(const UsedModel& used, const Terminal& terminal) {
    const StoredModel& model = used.model();
    Sections sections;
    if (model.is_built_in()) {
      sections.begin("Built in");
      sections.add("name", printable(model.name.str()));
      sections.add("where", "in the program itself, " + format_bytes(model.total_bytes()) +
                                "; needs no network and no folder");
      return sections.to_string(terminal);
    }
    sections.begin("Installed");
    sections.add("name", printable(model.name.str()));
    if (model.name == StoreName(kGuideName)) {
      sections.add("instead of", "the built-in model of that name, which 'omg rm' brings back");
    }
    sections.add("from",
                 printable(model.origin.repository.empty() ? model.base : model.origin.repository));
    if (!model.origin.commit.empty()) sections.add("commit", printable(model.origin.commit));
    sections.add("when", format_age(model.installed_at));
    sections.begin("Files");
    for (const UsedFile& file : used.files()) {
      std::string where = format_bytes(file.artifact.size);
      if (file.artifact.reference) {
        where += fmt::format(", of {}: {}", owner_title(file.artifact.reference->owner),
                             printable(file.path));
      } else if (file.artifact.digest) {
        where += ", " + file.artifact.digest->str().substr(0, 19);
      }
      sections.add(printable(file.artifact.filename), where);
    }
    return sections.to_string(terminal);
  }

  static std::string tensor_table(const ModelDetails& details, const Terminal& terminal) {
    Table table({{"TENSOR"}, {"TYPE"}, {"SHAPE"}, {"SIZE", Align::kRight}});
    for (const TensorDetails& tensor : details.tensors) {
      table.add_row({printable(tensor.name), tensor.type,
                     fmt::format("{}", fmt::join(tensor.shape, " × ")),
                     format_bytes(tensor.bytes)});
    }
    return table.to_string(terminal);
  }

  std::string model_;
  bool tensors_ = false;
  bool template_ = false;
  bool capabilities_ = false;
  bool json_ = false;
};

}  // namespace

std::unique_ptr<Command> make_show_command() {
  return std::make_unique<ShowCommand>();
}

}  // namespace omg::cli
