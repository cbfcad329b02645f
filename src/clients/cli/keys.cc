// SPDX-License-Identifier: Apache-2.0
//
// `omg keys`: API keys of the daemon, in the file beside the configuration. A daemon that runs
// looks at the file again within a second.
#include <algorithm>
#include <chrono>
#include <fmt/format.h>

#include "base/error.h"
#include "base/json.h"
#include "clients/cli/arguments.h"
#include "clients/cli/command.h"
#include "clients/cli/format.h"
#include "clients/cli/open_store.h"
#include "clients/cli/table.h"
#include "daemon/access/api_keys.h"
#include "daemon/settings/settings.h"

namespace omg::cli {
namespace {

std::string joined(const std::vector<std::string>& names) {
  std::string text;
  for (const std::string& name : names) text += (text.empty() ? "" : " ") + name;
  return text;
}

json::object key_to_json(const ApiKey& key) {
  json::array scopes;
  for (const std::string& name : key.scopes.names()) scopes.emplace_back(name);
  return {{"name", key.name},
          {"scopes", std::move(scopes)},
          {"created_at", key.created_at},
          {"requests_per_minute", key.requests_per_minute},
          {"concurrent", key.concurrent}};
}

class KeysCommand : public Command {
 public:
  void define(Arguments& arguments) override {
    arguments.positional("ACTION", action_, "list, create or remove; default: list");
    arguments.positional("NAME", name_, "Name of the key, for create and remove");
    arguments.option("--scope SCOPE", scopes_,
                     "What it opens: infer, manage, metrics, with commas between; default: infer");
    arguments.number("--rate N", rate_, {1, 1'000'000}, "Requests a minute at most");
    arguments.number("--concurrent N", concurrent_, {1, 100'000}, "Requests at once at most");
    arguments.flag("--json", json_, "Print JSON");
    arguments.footer(
        "A key is shown when it is made, and never again: only its hash is kept. Clients send it\n"
        "as 'Authorization: Bearer KEY' or 'x-api-key: KEY'.\n\n"
        "  infer     ask models, see which there are\n"
        "  manage    bring, delete, load and stop them; see jobs, runs, logs\n"
        "  metrics   read figures\n\n"
        "Examples:\n"
        "  omg keys create laptop\n"
        "  omg keys create admin --scope infer,manage,metrics\n"
        "  omg keys create guest --rate 60 --concurrent 2\n"
        "  omg keys remove guest");
  }

  void run(Terminal& terminal) override {
    const std::string path = Settings::load(files_, default_settings_sources()).key_file();
    if (path.empty()) {
      throw Error(ErrorCode::kUsage,
                  "there is no place for keys: neither OMG_CONFIG, XDG_CONFIG_HOME nor HOME is "
                  "set; set one");
    }
    const ApiKeyFile file(files_, path);
    if (action_ == "list") return list(file, terminal);
    if (action_ == "create") return create(file, terminal);
    if (action_ == "remove") return remove(file, terminal);
    throw Error(ErrorCode::kUsage,
                "there is no 'omg keys " + printable(action_) + "'; see 'omg keys --help'");
  }

 private:
  void list(const ApiKeyFile& file, Terminal& terminal) const {
    const std::vector<ApiKey> keys = file.read();
    if (json_) {
      json::array array;
      for (const ApiKey& key : keys) array.push_back(key_to_json(key));
      return terminal.out(json::serialize(json::object{{"keys", std::move(array)}}) + "\n");
    }
    if (keys.empty()) return terminal.note("no keys yet; 'omg keys create NAME' makes one");
    const auto limit = [](uint32_t value) { return value == 0 ? "-" : std::to_string(value); };
    Table table({{"NAME"},
                 {"SCOPES"},
                 {"PER MINUTE", Align::kRight},
                 {"AT ONCE", Align::kRight},
                 {"CREATED"}});
    for (const ApiKey& key : keys) {
      table.add_row({key.name, joined(key.scopes.names()), limit(key.requests_per_minute),
                     limit(key.concurrent), format_age(key.created_at)});
    }
    terminal.out(table.to_string(terminal));
  }

  void create(const ApiKeyFile& file, Terminal& terminal) const {
    require_name();
    NewApiKey wanted;
    wanted.name = name_;
    wanted.requests_per_minute = rate_;
    wanted.concurrent = concurrent_;
    wanted.scopes = scopes();
    const auto now = std::chrono::system_clock::now().time_since_epoch();
    const std::string secret =
        file.create(wanted, std::chrono::duration_cast<std::chrono::seconds>(now).count());
    if (json_) {
      return terminal.out(json::serialize(json::object{{"name", name_}, {"key", secret}}) + "\n");
    }
    terminal.out(secret + "\n");
    terminal.note("this is shown once; only its hash is kept");
  }

  ScopeSet scopes() const {
    ScopeSet set;
    if (scopes_.empty()) set.add(Scope::kInfer);
    for (const std::string& list : scopes_) {
      for (std::string_view rest = list; !rest.empty();) {
        const std::string_view name = rest.substr(0, rest.find(','));
        set.add(scope_named(name));
        rest.remove_prefix(std::min(rest.size(), name.size() + 1));
      }
    }
    return set;
  }

  void remove(const ApiKeyFile& file, Terminal& terminal) const {
    require_name();
    if (!file.remove(name_)) {
      throw Error(ErrorCode::kNotFound,
                  "there is no key '" + printable(name_) + "'; 'omg keys list' shows all");
    }
    terminal.note("removed the key '" + printable(name_) + "'");
  }

  void require_name() const {
    if (!name_.empty()) return;
    throw Error(ErrorCode::kUsage, "'omg keys " + action_ + "' needs the name of a key");
  }

  std::string action_ = "list";
  std::string name_;
  std::vector<std::string> scopes_;
  uint32_t rate_ = 0;
  uint32_t concurrent_ = 0;
  bool json_ = false;
  mutable RealFileSystem files_;
};

}  // namespace

std::unique_ptr<Command> make_keys_command() {
  return std::make_unique<KeysCommand>();
}

}  // namespace omg::cli
