// SPDX-License-Identifier: Apache-2.0
//
// `omg models`, also `omg list` and `omg ls`: what is in the store.
#include <algorithm>
#include <fmt/format.h>

#include "base/hardware.h"
#include "clients/cli/arguments.h"
#include "clients/cli/command.h"
#include "clients/cli/format.h"
#include "clients/cli/open_store.h"
#include "clients/cli/options.h"
#include "clients/cli/table.h"
#include "daemon/jobs/describe.h"

namespace omg::cli {
namespace {

struct Row {
  ListedModel listed;
  std::optional<ModelFit> fit;  // unknown for what no engine of ours can plan
};

std::string or_dash(const std::string& text) {
  return text.empty() ? "-" : printable(text);
}

class ModelsCommand : public Command {
 public:
  void define(Arguments& arguments) override {
    arguments.positional("FILTER", filter_, "Only models whose names contain this");
    arguments.flag("--fits", fits_, "Only models that fit the memory of this machine");
    arguments.flag("-a,--all", all_, "Show the built-in model too");
    arguments.number("-c,--ctx N", context_, {1, 1 << 30},
                     "Tokens of context to plan memory for; default: 4096");
    arguments.flag("--json", json_, "Print JSON");
    arguments.footer(
        "MEMORY is what a run takes: weights in the engine's layout, the cache of --ctx tokens, "
        "and\n"
        "working memory.\n\n"
        "Examples:\n"
        "  omg models\n"
        "  omg models --fits --ctx 32768");
  }

  void run(Terminal& terminal) override {
    const Store store = open_store();
    StoreListing listing = store.list();
    const bool has_own = !listing.models.empty();
    if (all_ || !has_own) {
      for (ListedModel& listed : store.built_in()) listing.models.push_back(std::move(listed));
    }
    const uint64_t available = usable_memory();
    std::vector<Row> rows;
    for (const ListedModel& listed : listing.models) {
      if (!matches(listed.model.name.str())) continue;
      Row row{listed, fit_of(listed.model, context_, available)};
      if (fits_ && !(row.fit && row.fit->fits)) continue;
      rows.push_back(std::move(row));
    }
    for (const StoreProblem& problem : listing.problems) {
      terminal.note("warning: " + printable(problem.path) + ": " + problem.message);
    }
    if (json_) return print_json(rows, terminal);
    if (rows.empty()) {
      return terminal.note(fmt::format("none of {} models {}", listing.models.size(),
                                       filter_.empty() ? "fits this machine" : "is like that"));
    }
    terminal.out(table(rows, terminal));
    if (!has_own) {
      terminal.note(
          "\nno models yet but the built-in one ('omg run guide'); 'omg pull llama3.2:1b' brings "
          "one,\n'omg import' finds those of other tools, 'omg catalog' lists some");
    }
  }

 private:
  bool matches(const std::string& name) const {
    const auto same = [](char a, char b) {
      return std::tolower(static_cast<unsigned char>(a)) ==
             std::tolower(static_cast<unsigned char>(b));
    };
    return std::search(name.begin(), name.end(), filter_.begin(), filter_.end(), same) !=
           name.end();
  }

  std::string table(const std::vector<Row>& rows, const Terminal& terminal) const {
    Table table({{"NAME"},
                 {"ID"},
                 {"FAMILY"},
                 {"PARAMS", Align::kRight},
                 {"SIZE", Align::kRight},
                 {"MEMORY", Align::kRight},
                 {"CONTEXT", Align::kRight},
                 {"USED"}});
    for (const Row& row : rows) {
      const StoredModel& model = row.listed.model;
      std::string memory = "-";
      if (row.fit) {
        memory = format_bytes(row.fit->bytes);
        if (!row.fit->fits) memory = "! " + memory;
      }
      table.add_row({printable(model.name.str()), model.files_digest().hex().substr(0, 12),
                     or_dash(model.family),
                     model.parameter_count ? format_count(model.parameter_count) : "-",
                     format_bytes(model.total_bytes()), memory,
                     model.context_length ? std::to_string(model.context_length) : "-",
                     format_age(row.listed.last_used)});
    }
    return table.to_string(terminal);
  }

  static void print_json(const std::vector<Row>& rows, Terminal& terminal) {
    json::array models;
    for (const Row& row : rows) {
      json::object model = model_to_json(row.listed);
      model["memory"] = nullptr;
      model["fits"] = nullptr;
      if (row.fit) {
        model["memory"] = row.fit->bytes;
        model["fits"] = row.fit->fits;
      }
      models.push_back(std::move(model));
    }
    terminal.out(json::serialize(json::object{{"models", std::move(models)}}) + "\n");
  }

  std::string filter_;
  bool all_ = false;
  bool fits_ = false;
  uint64_t context_ = 4096;
  bool json_ = false;
};

}  // namespace

std::unique_ptr<Command> make_models_command() {
  return std::make_unique<ModelsCommand>();
}

}  // namespace omg::cli
