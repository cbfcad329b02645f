// SPDX-License-Identifier: Apache-2.0
#include "clients/cli/welcome.h"

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <fmt/format.h>
#include <utility>

#include "base/error.h"
#include "clients/cli/daemon_settings.h"
#include "clients/cli/format.h"
#include "clients/cli/open_store.h"
#include "clients/cli/table.h"

namespace omg::cli {
namespace {

constexpr size_t kMostInstalled = 5;
constexpr size_t kMostSuggestions = 3;

/// A daemon that runs answers in a millisecond; who greets does not wait for one that hangs.
constexpr std::chrono::milliseconds kPatience{300};

void read_store(const std::string& configured, WelcomeState& state) {
  const std::string folder = configured.empty() ? default_models_folder() : configured;
  std::error_code failed;
  if (!std::filesystem::exists(folder, failed) && !failed) return;  // not made by a greeting
  StoreOptions options;
  options.folder = folder;
  options.may_be_read_only = true;
  const StoreListing listing = Store::open(options).list();
  std::vector<ListedModel> models = listing.models;
  std::stable_sort(models.begin(), models.end(), [](const ListedModel& a, const ListedModel& b) {
    return std::pair(a.last_used.value_or(0), a.model.installed_at) >
           std::pair(b.last_used.value_or(0), b.model.installed_at);
  });
  for (const ListedModel& listed : models) {
    state.installed.push_back(
        {listed.model.name.str(), listed.model.total_bytes(), format_age(listed.last_used)});
  }
  std::erase_if(state.suggestions, [&](const Suggestion& suggestion) {
    return std::any_of(models.begin(), models.end(), [&](const ListedModel& listed) {
      const StoredModel& model = listed.model;
      return model.name == StoreName(suggestion.name) ||
             model.origin.repository == suggestion.model;
    });
  });
  if (listing.problems.empty()) return;
  state.store_error = listing.problems.front().path + ": " + listing.problems.front().message;
}

void ask_daemon(const Settings& settings, WelcomeState& state) {
  const DaemonAddress address = address_of(settings);
  state.url = address.url;
  std::error_code failed;
  const std::string& socket = address.unix_socket;
  if (!socket.empty() && !std::filesystem::exists(socket, failed)) return;
  try {
    DaemonClient daemon(address);
    daemon.limit_time(kPatience);
    const json::value answer = daemon.get("/v1/runs");
    for (const json::value& value : answer.at("runs").as_array()) {
      const json::object& run = value.as_object();
      state.loaded.push_back({std::string(run.at("model").as_string()),
                              std::string(run.at("state").as_string()),
                              run.at("planned_bytes").to_number<uint64_t>()});
    }
    state.daemon_runs = true;
  } catch (const std::exception&) {  // none, or one that does not speak as ours
    state.loaded.clear();
  }
}

using Rows = std::vector<std::pair<std::string, std::string>>;

std::string section(const std::string& heading, const Rows& rows, const Terminal& terminal) {
  size_t width = 20;
  for (const auto& [key, value] : rows) {
    if (!value.empty()) width = std::max(width, display_width(key));
  }
  std::string text = "\n" + terminal.styled(Style::kBold, heading) + "\n";
  for (const auto& [key, value] : rows) {
    text += "  " + key;
    if (!value.empty()) text += std::string(width - display_width(key) + 3, ' ') + value;
    text += "\n";
  }
  return text;
}

Rows installed_rows(const WelcomeState& state) {
  Rows rows;
  for (const WelcomeState::Installed& model : state.installed) {
    if (rows.size() == kMostInstalled) {
      rows.emplace_back(fmt::format("and {} more", state.installed.size() - kMostInstalled),
                        "omg models");
      break;
    }
    const std::string used = model.used == "never" ? "never used" : "used " + model.used;
    rows.emplace_back(printable(model.name),
                      fmt::format("{:>9}   {}", format_bytes(model.bytes), used));
  }
  if (!state.store_error.empty()) rows.emplace_back("! " + printable(state.store_error), "");
  if (rows.empty()) rows.emplace_back("nothing yet, but the built-in model guide", "");
  return rows;
}

Rows running_rows(const WelcomeState& state) {
  if (!state.daemon_runs) return {{"no daemon; commands start it when they need it", ""}};
  if (state.loaded.empty()) return {{"the daemon, and no model is loaded", ""}};
  Rows rows;
  for (const WelcomeState::Loaded& model : state.loaded) {
    const std::string state_too = model.state == "running" ? "" : ", " + printable(model.state);
    rows.emplace_back(printable(model.name),
                      fmt::format("{:>9} of memory{}", format_bytes(model.bytes), state_too));
  }
  return rows;
}

/// Smallest first: that is what a newcomer should begin with.
Rows suggestion_rows(const WelcomeState& state) {
  Rows rows;
  for (auto each = state.suggestions.rbegin(); each != state.suggestions.rend(); ++each) {
    rows.emplace_back(each->name,
                      fmt::format("{:>6} to download, {:>8} of memory; by {}",
                                  format_gigabytes(each->download_bytes),
                                  format_bytes(each->memory_bytes), printable(each->maker)));
  }
  return rows;
}

Rows next_rows(const WelcomeState& state) {
  Rows rows;
  const bool is_broken = !state.store_error.empty() || !state.settings_error.empty();
  const auto add = [&](std::string command, std::string what) {
    if (rows.size() < 3) rows.emplace_back(std::move(command), std::move(what));
  };
  if (is_broken) add("omg doctor", "find what is wrong here, and how to mend it");
  if (state.installed.empty()) {
    add("omg run guide", "talk to the built-in model; it needs no network");
  } else {
    add("omg run " + printable(state.installed.front().name), "chat; /bye leaves");
    if (!state.daemon_runs) {
      add("omg serve --detach", "answer applications at " + state.url);
    } else if (!state.loaded.empty()) {
      add("omg ps", "what is loaded, and for how long");
    }
  }
  if (!state.suggestions.empty()) {
    const Suggestion& smallest = state.suggestions.back();
    add("omg pull " + smallest.name,
        fmt::format("bring a model here, {}", format_gigabytes(smallest.download_bytes)));
  }
  if (!is_broken) add("omg doctor", "find what is wrong here, and how to mend it");
  add("omg catalog", "short names of models");
  return rows;
}

}  // namespace

WelcomeState look_around() {
  WelcomeState state;
  const LenientSettings configured = load_settings_leniently();
  state.settings_error = configured.error;
  state.memory_bytes = memory_for_models(configured.settings);
  Catalog catalog = Catalog::built_in();
  try {
    catalog = Catalog::load();
  } catch (const Error& error) {
    state.settings_error = error.what();
  }
  state.suggestions = suggest_models(catalog, state.memory_bytes, kMostSuggestions);
  try {
    read_store(configured.settings.text("models"), state);
  } catch (const Error& error) {
    state.store_error = error.what();
  }
  ask_daemon(configured.settings, state);
  return state;
}

std::string welcome_text(const WelcomeState& state, const Terminal& terminal) {
  std::string text = terminal.styled(Style::kBold, "OhMyGPU") +
                     " " OMG_VERSION " runs language models on this machine.\n";
  if (!state.settings_error.empty()) {
    text += "! " + printable(state.settings_error) + "\n";
  }
  text += section("Installed", installed_rows(state), terminal);
  text += section("Running", running_rows(state), terminal);
  const std::string heading =
      fmt::format("This machine can run, with {} of memory free", format_bytes(state.memory_bytes));
  const Rows suggested = suggestion_rows(state);
  if (!suggested.empty()) text += section(heading, suggested, terminal);
  text += section("Next", next_rows(state), terminal);
  return text + "\nAll commands: omg --help\n";
}

void welcome(Terminal& terminal) {
  terminal.out(welcome_text(look_around(), terminal));
}

}  // namespace omg::cli
