// SPDX-License-Identifier: Apache-2.0
//
// `omg search` and `omg catalog`: models that could be here.
#include <fmt/format.h>

#include "clients/cli/arguments.h"
#include "clients/cli/command.h"
#include "clients/cli/format.h"
#include "clients/cli/hub_parts.h"
#include "clients/cli/interrupt.h"
#include "clients/cli/open_store.h"
#include "clients/cli/options.h"
#include "clients/cli/table.h"
#include "daemon/jobs/installed.h"

namespace omg::cli {
namespace {

class SearchCommand : public Command {
 public:
  void define(Arguments& arguments) override {
    arguments.text("QUERY", query_, "Words to look for");
    arguments.number("-n,--limit N", options_.most, {1, 100}, "Results at most; default: 20");
    arguments.option("--author NAME", options_.author, "Only of this user or organisation");
    arguments.flag("--all", all_, "Also repositories without .gguf files");
    arguments.flag("--json", json_, "Print JSON");
    arguments.footer(
        "Looks on Hugging Face, or where HF_ENDPOINT says.\n\nExample:\n"
        "  omg search qwen2.5 coder");
  }

  void run(Terminal& terminal) override {
    options_.only_gguf = !all_;
    const HubFlags flags;
    const InterruptGuard guard(flags.cancellation, /*second_kills=*/true);
    HubParts parts(flags);
    const std::string query = query_.value_or("");
    const std::vector<SearchResult> results = parts.hub().huggingface().search(query, options_);
    if (json_) return print_json(results, terminal);
    if (results.empty()) return terminal.note("nothing is called that; try fewer words");
    Table table(
        {{"NAME"}, {"DOWNLOADS", Align::kRight}, {"LIKES", Align::kRight}, {"UPDATED"}, {"NOTE"}});
    for (const SearchResult& result : results) {
      std::string note = result.is_gated ? "terms to accept" : "";
      if (!result.has_gguf) note += note.empty() ? "no .gguf" : ", no .gguf";
      table.add_row({printable(result.id), format_count(result.downloads),
                     format_count(result.likes), printable(result.updated.substr(0, 10)), note});
    }
    terminal.out(table.to_string(terminal));
  }

 private:
  static void print_json(const std::vector<SearchResult>& results, Terminal& terminal) {
    json::array array;
    for (const SearchResult& result : results) {
      array.push_back({{"id", result.id},
                       {"downloads", result.downloads},
                       {"likes", result.likes},
                       {"pipeline", result.pipeline},
                       {"updated", result.updated},
                       {"gated", result.is_gated},
                       {"has_gguf", result.has_gguf}});
    }
    terminal.out(json::serialize(array) + "\n");
  }

  std::optional<std::string> query_;
  SearchOptions options_;
  bool all_ = false;
  bool json_ = false;
};

class CatalogCommand : public Command {
 public:
  void define(Arguments& arguments) override {
    arguments.flag("--json", json_, "Print JSON");
    arguments.footer("Names that 'omg pull' and 'omg run' know. More are added in " +
                     Catalog::default_user_file() + ".");
  }

  void run(Terminal& terminal) override {
    const Store store = open_store();
    const Catalog catalog = Catalog::load();
    Table table(
        {{"NAME"}, {"MODEL"}, {"FAMILY"}, {"MAKER"}, {"DOWNLOAD", Align::kRight}, {"HERE"}});
    json::array array;
    for (const CatalogEntry& entry : catalog.entries()) {
      const bool is_here = find_installed(store, entry.alias).has_value();
      table.add_row({printable(entry.alias), printable(entry.model), printable(entry.family),
                     printable(entry.maker),
                     entry.download_bytes > 0 ? format_gigabytes(entry.download_bytes) : "-",
                     is_here ? "yes" : ""});
      array.push_back({{"alias", entry.alias},
                       {"model", entry.model},
                       {"family", entry.family},
                       {"maker", entry.maker},
                       {"bytes", entry.download_bytes},
                       {"user", entry.is_users},
                       {"installed", is_here}});
    }
    terminal.out(json_ ? json::serialize(array) + "\n" : table.to_string(terminal));
  }

 private:
  bool json_ = false;
};

}  // namespace

std::unique_ptr<Command> make_search_command() {
  return std::make_unique<SearchCommand>();
}

std::unique_ptr<Command> make_catalog_command() {
  return std::make_unique<CatalogCommand>();
}

}  // namespace omg::cli
