// SPDX-License-Identifier: Apache-2.0
//
// Reads catalogues with toml++, which reports lines.
#include "hub/catalog.h"

#define TOML_ENABLE_FORMATTERS 0
#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <toml++/toml.h>

#include "base/error.h"
#include "base/near_names.h"
#include "hub/catalog_data.h"

namespace omg {
namespace {

constexpr size_t kMaxBytes = 4u << 20;
constexpr size_t kMaxEntries = 10'000;

[[noreturn]] void refuse(const std::string& source, size_t line, const std::string& why) {
  throw Error(ErrorCode::kInvalidArgument, "the catalogue " + source + " cannot be read: line " +
                                               std::to_string(line) + ": " + why +
                                               "; correct the line");
}

std::string key_of(const AliasName& alias) {
  return alias.name + (alias.tag.empty() || alias.tag == "latest" ? "" : ":" + alias.tag);
}

CatalogEntry read_entry(const std::string& source, const toml::key& key, const toml::node& node) {
  const size_t line = node.source().begin.line;
  const auto target = node.value<std::string>();
  if (!target || !node.is_string()) refuse(source, line, "an alias needs a model's name in quotes");
  CatalogEntry entry;
  try {
    const ModelName alias = parse_model_name(key.str());
    const ModelName model = parse_model_name(*target);
    if (!std::holds_alternative<AliasName>(alias)) {
      refuse(source, line, "'" + std::string(key.str()) + "' is no alias of the form name[:tag]");
    }
    if (std::holds_alternative<AliasName>(model)) {
      refuse(source, line, "'" + *target + "' is an alias again, and must be a model");
    }
    entry.alias = key_of(std::get<AliasName>(alias));
    entry.model = *target;
  } catch (const Error& error) {
    if (std::string_view(error.what()).starts_with("the catalogue")) throw;
    refuse(source, line, error.what());
  }
  return entry;
}

/// Of an alias in the table of sizes, which are in units of 10^9 bytes.
uint64_t read_size(const std::string& source, std::string_view alias, const toml::node& sizes) {
  const size_t line = sizes.source().begin.line;
  if (!sizes.is_table()) refuse(source, line, "gigabytes must be a table");
  const toml::node* node = sizes.as_table()->get(alias);
  if (node == nullptr) return 0;
  const auto size = node->value<double>();
  if (!size || !(*size > 0) || *size > 1e5) {
    refuse(source, node->source().begin.line, "a size is a number of gigabytes, such as 4.7");
  }
  return static_cast<uint64_t>(*size * 1e9);
}

std::string text_or(const toml::table& table, std::string_view key, const std::string& otherwise) {
  const toml::node* node = table.get(key);
  return node == nullptr ? otherwise : node->value<std::string>().value_or(otherwise);
}

std::vector<CatalogEntry> read_family(const std::string& source, const toml::key& key,
                                      const toml::node& node) {
  const toml::table* family = node.as_table();
  if (family == nullptr) {
    refuse(source, node.source().begin.line, "'" + std::string(key.str()) + "' must be a table");
  }
  for (const auto& [name, value] : *family) {
    if (name != "title" && name != "maker" && name != "aliases" && name != "gigabytes") {
      refuse(source, value.source().begin.line,
             "'" + std::string(name.str()) + "' is none of title, maker, aliases and gigabytes");
    }
  }
  const toml::node* aliases = family->get("aliases");
  if (aliases == nullptr || !aliases->is_table()) {
    refuse(source, node.source().begin.line, "a family needs a table of aliases");
  }
  const toml::node* sizes = family->get("gigabytes");
  std::vector<CatalogEntry> entries;
  for (const auto& [name, value] : *aliases->as_table()) {
    CatalogEntry entry = read_entry(source, name, value);
    if (sizes != nullptr) entry.download_bytes = read_size(source, name.str(), *sizes);
    entry.family = text_or(*family, "title", std::string(key.str()));
    entry.maker = text_or(*family, "maker", "");
    entries.push_back(std::move(entry));
  }
  return entries;
}

/// Without the table's order, which toml++ does not keep: by alias, and so a family together.
void sort(std::vector<CatalogEntry>& entries) {
  std::sort(entries.begin(), entries.end(), [](const auto& a, const auto& b) {
    return std::tie(a.family, a.alias) < std::tie(b.family, b.alias);
  });
}

}  // namespace

void Catalog::add(std::string_view toml, const std::string& source, bool is_users) {
  if (toml.size() > kMaxBytes) {
    throw Error(ErrorCode::kLimitExceeded, "the catalogue " + source +
                                               " cannot be read: it has more than 4 MiB; split "
                                               "off what is no catalogue");
  }
  std::vector<CatalogEntry> added;
  try {
    const toml::table root = toml::parse(toml, source);
    for (const auto& [key, node] : root) {
      for (CatalogEntry& entry : read_family(source, key, node)) {
        entry.is_users = is_users;
        added.push_back(std::move(entry));
      }
    }
  } catch (const toml::parse_error& error) {
    refuse(source, error.source().begin.line, std::string(error.description()));
  }
  if (added.size() > kMaxEntries) refuse(source, 1, "it has more than 10000 aliases");
  std::vector<CatalogEntry> merged;
  const auto is_replaced = [&](const CatalogEntry& old) {
    return std::any_of(added.begin(), added.end(),
                       [&](const CatalogEntry& entry) { return entry.alias == old.alias; });
  };
  std::copy_if(entries_.begin(), entries_.end(), std::back_inserter(merged),
               [&](const CatalogEntry& old) { return !is_replaced(old); });
  merged.insert(merged.end(), added.begin(), added.end());
  sort(merged);
  entries_ = std::move(merged);
}

Catalog Catalog::built_in() {
  Catalog catalog;
  catalog.add(kCatalogToml, "catalog.toml", false);
  return catalog;
}

std::string Catalog::default_user_file() {
  const char* config = std::getenv("XDG_CONFIG_HOME");
  if (config != nullptr && *config == '/') return std::string(config) + "/ohmygpu/catalog.toml";
  const char* home = std::getenv("HOME");
  if (home == nullptr || *home == '\0') return "";
  return std::string(home) + "/.config/ohmygpu/catalog.toml";
}

Catalog Catalog::load(const std::string& user_file) {
  Catalog catalog = built_in();
  std::error_code ignored;
  if (user_file.empty() || !std::filesystem::exists(user_file, ignored)) return catalog;
  if (!std::filesystem::is_regular_file(user_file, ignored) ||
      std::filesystem::file_size(user_file, ignored) > kMaxBytes) {
    refuse(user_file, 1, "it is no file, or has more than 4 MiB");
  }
  std::ifstream file(user_file, std::ios::binary);
  std::stringstream text;
  text << file.rdbuf();
  if (!file) {
    throw Error(ErrorCode::kIo, "the catalogue " + user_file +
                                    " cannot be read: the system refuses; check its permissions");
  }
  catalog.add(text.str(), user_file, true);
  return catalog;
}

const CatalogEntry* Catalog::find(const AliasName& alias) const {
  const std::string key = key_of(alias);
  const auto entry = std::find_if(entries_.begin(), entries_.end(),
                                  [&](const CatalogEntry& e) { return e.alias == key; });
  return entry == entries_.end() ? nullptr : &*entry;
}

const CatalogEntry& Catalog::require(const AliasName& alias) const {
  if (const CatalogEntry* entry = find(alias)) return *entry;
  std::vector<std::string> names;
  for (const CatalogEntry& entry : entries_) names.push_back(entry.alias);
  const std::string key = key_of(alias);
  const auto near = near_names(key, names);
  throw Error(
      ErrorCode::kNotFound,
      "there is no model '" + key + "': neither the store nor the catalogue has it" +
          (near.empty() ? "; see `omg catalog`, or name it as org/repo" : did_you_mean(near)));
}

}  // namespace omg
